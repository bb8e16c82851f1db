"""The one place where everything is put together; `bot.serving` starts and stops it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from telegram.error import TelegramError
from telegram.ext import Application, ApplicationBuilder, ContextTypes, ExtBot, JobQueue

from bot.access import AccessControl
from bot.accounting import Reconciler
from bot.added import AddedModels
from bot.balance import BalanceWatch
from bot.catalog import load_catalog
from bot.delivery import TelegramScreen
from bot.fal.platform import Platform
from bot.fal.queue import Queue
from bot.fal.transport import FalUrls
from bot.jobs import Jobs
from bot.metrics import Metrics
from bot.notices import Notices
from bot.orders import OrderDesk
from bot.pace import Pace
from bot.prices import PriceBook
from bot.screen.board import BudgetBoard
from bot.screen.flood import PerChatLimiter
from bot.screen.painter import Painter
from bot.screen.updates import PersonalOrder, PollingRequest
from bot.screen.wire import telegram_request
from bot.services import Services
from bot.settings import Settings
from bot.settling import Settler
from bot.unended import Unended
from bot.voice import Voices
from db.connection import connect, migrate
from db.lock import only_process
from handlers import (
    account,
    admin,
    budget,
    buttons,
    cancel,
    history,
    make,
    models,
    people,
    pictures,
    plain,
    privacy,
    results,
    start,
    topics,
)
from handlers import settings as personal
from handlers.commands import set_menus
from handlers.context import Context
from handlers.failures import report
from handlers.gate import GATE

logger = logging.getLogger(__name__)

App = Application[
    ExtBot[None], Context, dict[Any, Any], dict[Any, Any], Services, JobQueue[Context]
]


@dataclass(slots=True)
class RunningBot:
    """Everything that was made, for `bot.serving` and for tests."""

    application: App
    services: Services
    painter: Painter
    metrics: Metrics
    polling: PollingRequest


@asynccontextmanager
async def build_application(settings: Settings) -> AsyncIterator[RunningBot]:
    """Make everything that the settings ask for, and close everything at the end.

    Opens and migrates the database; speaks to nobody yet. Raises `db.errors.DatabaseError`.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(only_process(settings.database_url))
        connection = await stack.enter_async_context(connect(settings.database_url))
        await migrate(connection)
        metrics = Metrics()
        queue = Queue(
            settings.fal_key.get_secret_value(),
            FalUrls(
                queue=settings.fal_queue_url,
                platform=settings.fal_platform_url,
                rest=settings.fal_rest_url,
                cdn=settings.fal_cdn_url,
            ),
            retention_seconds=settings.result_retention_days * 24 * 60 * 60,
            on_error=metrics.fal_error,
        )
        stack.push_async_callback(queue.aclose)
        key, url = settings.fal_key.get_secret_value(), settings.fal_platform_url
        platform = Platform(key, url, metrics.fal_error)
        stack.push_async_callback(platform.aclose)
        admin_platform = None
        if settings.fal_admin_key is not None:
            admin_key = settings.fal_admin_key.get_secret_value()
            admin_platform = Platform(admin_key, url, metrics.fal_error)
            stack.push_async_callback(admin_platform.aclose)
        yield _assemble(settings, metrics, queue, platform, admin_platform)


def _assemble(
    settings: Settings,
    metrics: Metrics,
    queue: Queue,
    platform: Platform,
    admin_platform: Platform | None,
) -> RunningBot:
    catalog = load_catalog()
    voices = Voices(settings.language, settings.display_currency)
    polling = PollingRequest()
    prices = PriceBook(catalog, platform)
    added = AddedModels(catalog, prices, platform)
    application = _application(settings, metrics, polling)
    bot = application.bot
    painter = Painter(bot)
    screen = TelegramScreen(bot, queue, voices, catalog, painter)
    budgets = BudgetBoard(bot, voices, catalog, prices)
    notices = Notices(bot, voices, budgets.forecast, metrics.notice_sent)
    admin_ids = sorted(settings.admin_ids)
    balance = BalanceWatch(
        admin_platform,
        low_nanos=settings.account_low_balance_nanos,
        alert_percents=settings.alert_percents,
        admin_ids=admin_ids,
        on_notice=notices.nudge,
    )
    settler = Settler(balance, settings.alert_percents, admin_ids, notices.nudge)
    desk = OrderDesk(catalog, added, prices, balance, settings.max_active_jobs)
    jobs = Jobs(
        desk=desk,
        settler=settler,
        queue=queue,
        platform=platform,
        screen=screen,
        callback_url=settings.public_url and f"{settings.public_url}/fal",
        callback_secret=settings.callback_secret,
    )
    unended = Unended(queue, platform, settler, jobs.roster)
    services = Services(
        settings=settings,
        catalog=catalog,
        added=added,
        voices=voices,
        access=AccessControl(settings.admin_ids, settings.default_budget_nanos),
        prices=prices,
        screen=screen,
        desk=desk,
        jobs=jobs,
        unended=unended,
        notices=notices,
        budgets=budgets,
        balance=balance,
        reconciler=Reconciler(admin_platform, settler),
        settler=settler,
        pace=Pace(settings.commands_per_minute),
        metrics=metrics,
    )
    application.bot_data = services
    register_handlers(application)
    return RunningBot(application, services, painter, metrics, polling)


def _application(settings: Settings, metrics: Metrics, polling: PollingRequest) -> App:
    return cast(
        "App",
        ApplicationBuilder()
        .token(settings.telegram_bot_token.get_secret_value())
        .base_url(f"{settings.telegram_api_url}/bot")
        .base_file_url(f"{settings.telegram_api_url}/file/bot")
        .request(telegram_request())
        .get_updates_request(polling)
        .context_types(ContextTypes(context=Context))
        .rate_limiter(PerChatLimiter(metrics.telegram_error))
        .concurrent_updates(PersonalOrder(metrics))
        .build(),
    )


# The order of the menu; last comes what nobody else takes.
ROOMS = (
    start,
    topics,
    make,
    results,
    cancel,
    budget,
    pictures,
    history,
    models,
    personal,
    privacy,
    admin,
    people,
    account,
    buttons,
    plain,
)


def register_handlers(application: App) -> None:
    """All handlers, the gate ahead of everything."""
    application.add_handler(GATE, group=-1)
    for room in ROOMS:
        application.add_handlers(room.HANDLERS)
    application.add_error_handler(cast("Any", report))


async def set_command_menus(running: RunningBot) -> None:
    """Tell Telegram which commands there are, for members and for admins."""
    try:
        await set_menus(running.application.bot, running.services.settings.admin_ids)
    except TelegramError as error:
        # An admin who has not written yet has no chat; the menu comes with their /start.
        logger.info("the menus are not complete: %s", type(error).__name__)
