"""What handlers may call: everything that `bot.app` has put together."""

from __future__ import annotations

from dataclasses import dataclass

from bot.access import AccessControl
from bot.accounting import Reconciler
from bot.added import AddedModels
from bot.balance import BalanceWatch
from bot.catalog import Catalog
from bot.delivery import TelegramScreen
from bot.jobs import Jobs
from bot.metrics import Metrics
from bot.notices import Notices
from bot.orders import OrderDesk
from bot.pace import Pace
from bot.prices import PriceBook
from bot.screen.board import BudgetBoard
from bot.settings import Settings
from bot.settling import Settler
from bot.unended import Unended
from bot.voice import Voices


@dataclass(frozen=True, slots=True)
class Services:
    """One of each."""

    settings: Settings
    catalog: Catalog
    added: AddedModels
    voices: Voices
    access: AccessControl
    prices: PriceBook
    screen: TelegramScreen
    desk: OrderDesk
    jobs: Jobs
    unended: Unended
    notices: Notices
    budgets: BudgetBoard
    balance: BalanceWatch
    reconciler: Reconciler
    settler: Settler
    pace: Pace
    metrics: Metrics
