"""The one place where everything is put together, started and stopped."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from telegram import Update
from telegram.error import Conflict, InvalidToken, NetworkError, RetryAfter, TelegramError
from telegram.ext import Application, ApplicationBuilder, ContextTypes, ExtBot, JobQueue

from bot.access import AccessControl
from bot.accounting import Reconciler
from bot.balance import BalanceWatch
from bot.catalog import load_catalog
from bot.delivery import TelegramScreen
from bot.fal.errors import FalError
from bot.fal.platform import Platform
from bot.fal.queue import Queue
from bot.fal.transport import FalUrls
from bot.jobs import Jobs
from bot.notices import Notices
from bot.orders import OrderDesk
from bot.prices import PriceBook
from bot.screen.board import BudgetBoard
from bot.screen.painter import Painter
from bot.screen.updates import PersonalOrder, forget_old_updates
from bot.screen.wire import telegram_request
from bot.services import Services
from bot.settings import Settings
from bot.settling import Settler
from bot.voice import Voices
from db.connection import connect, migrate
from db.lock import only_process
from handlers import account, admin, budget, buttons, cancel, history, make, start
from handlers.commands import set_menus
from handlers.context import Context
from handlers.failures import report
from handlers.gate import GATE

logger = logging.getLogger(__name__)

ALLOWED_UPDATES = [Update.MESSAGE, Update.CALLBACK_QUERY]
PRICES_EVERY = timedelta(days=1)
PRICES_RETRY = timedelta(minutes=5)
STOP_WITHIN_SECONDS = 9.0
SUBMIT_GRACE_SECONDS = 4.0
# So many refusals of `getUpdates` in a row mean that another process reads the same bot.
MOST_CONFLICTS = 3

App = Application[
    ExtBot[None], Context, dict[Any, Any], dict[Any, Any], Services, JobQueue[Context]
]


class StartError(Exception):
    """The bot cannot run. The message is one sentence for the person who started it."""


@dataclass(slots=True)
class RunningBot:
    """Everything that was made, for `run` and for tests."""

    application: App
    services: Services
    painter: Painter
    queue: Queue
    platform: Platform


@asynccontextmanager
async def build_application(settings: Settings) -> AsyncIterator[RunningBot]:
    """Make everything that the settings ask for, and close everything at the end.

    Opens and migrates the database; speaks to nobody yet. Raises `db.errors.DatabaseError`.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(only_process(settings.database_url))
        connection = await stack.enter_async_context(connect(settings.database_url))
        await migrate(connection)
        queue = Queue(
            settings.fal_key.get_secret_value(),
            FalUrls(
                queue=settings.fal_queue_url,
                platform=settings.fal_platform_url,
                rest=settings.fal_rest_url,
                cdn=settings.fal_cdn_url,
            ),
            retention_seconds=settings.result_retention_days * 24 * 60 * 60,
        )
        stack.push_async_callback(queue.aclose)
        platform = Platform(settings.fal_key.get_secret_value(), settings.fal_platform_url)
        stack.push_async_callback(platform.aclose)
        admin_platform = None
        if settings.fal_admin_key is not None:
            admin_key = settings.fal_admin_key.get_secret_value()
            admin_platform = Platform(admin_key, settings.fal_platform_url)
            stack.push_async_callback(admin_platform.aclose)
        yield _assemble(settings, queue, platform, admin_platform)


def _assemble(
    settings: Settings, queue: Queue, platform: Platform, admin_platform: Platform | None
) -> RunningBot:
    catalog = load_catalog()
    voices = Voices(settings.language, settings.display_currency)
    prices = PriceBook(catalog, platform)
    application = cast(
        "App",
        ApplicationBuilder()
        .token(settings.telegram_bot_token.get_secret_value())
        .base_url(f"{settings.telegram_api_url}/bot")
        .base_file_url(f"{settings.telegram_api_url}/file/bot")
        .request(telegram_request())
        .get_updates_request(telegram_request())
        .context_types(ContextTypes(context=Context))
        .concurrent_updates(PersonalOrder())
        .build(),
    )
    bot = application.bot
    painter = Painter(bot)
    screen = TelegramScreen(bot, queue, voices, painter)
    budgets = BudgetBoard(bot, voices, catalog, prices)
    notices = Notices(bot, voices, budgets.forecast)
    admin_ids = sorted(settings.admin_ids)
    balance = BalanceWatch(
        admin_platform,
        low_nanos=settings.account_low_balance_nanos,
        alert_percents=settings.alert_percents,
        admin_ids=admin_ids,
        on_notice=notices.nudge,
    )
    settler = Settler(balance, settings.alert_percents, admin_ids, notices.nudge)
    jobs = Jobs(
        desk=OrderDesk(catalog, prices, balance, settings.max_active_jobs),
        settler=settler,
        queue=queue,
        platform=platform,
        screen=screen,
    )
    services = Services(
        settings=settings,
        catalog=catalog,
        voices=voices,
        access=AccessControl(settings.admin_ids, settings.default_budget_nanos),
        prices=prices,
        screen=screen,
        jobs=jobs,
        notices=notices,
        budgets=budgets,
        balance=balance,
        reconciler=Reconciler(admin_platform, settler),
    )
    application.bot_data = services
    register_handlers(application)
    return RunningBot(application, services, painter, queue, platform)


def register_handlers(application: App) -> None:
    """All handlers: the gate ahead of everything, the fallbacks behind."""
    application.add_handler(GATE, group=-1)
    for room in (start, make, cancel, budget, history, admin, account, buttons):
        application.add_handlers(room.HANDLERS)
    application.add_handlers(start.FALLBACKS)
    application.add_error_handler(cast("Any", report))


async def run(
    settings: Settings, stop: asyncio.Event, started: asyncio.Event | None = None
) -> None:
    """Serve until `stop` is set; `started` is set once updates are asked for.

    Raises `StartError` or `db.errors.DatabaseError` if it cannot start.
    """
    async with build_application(settings) as running:
        await _reach_telegram(running.application, stop)
        if stop.is_set():
            return
        failure: list[str] = []
        async with _background(running):
            await _start(running, lambda error: _on_poll_error(error, failure, stop))
            if started is not None:
                started.set()
            logger.info("at your service")
            try:
                await stop.wait()
            finally:
                await _stop(running)
        if failure:
            raise StartError(failure[0])


async def _reach_telegram(application: App, stop: asyncio.Event) -> None:
    """Introduce the bot to Telegram, waiting for Telegram as long as it takes."""
    pause = 1.0
    while not stop.is_set():
        try:
            await application.initialize()
        except InvalidToken:
            raise StartError("TELEGRAM_BOT_TOKEN was refused by Telegram.") from None
        except (NetworkError, RetryAfter) as error:
            logger.warning("Telegram cannot be reached (%s), trying again", type(error).__name__)
            await _wait(stop, pause)
            pause = min(pause * 2, 30.0)
        else:
            return


async def _start(running: RunningBot, on_poll_error: Callable[[TelegramError], None]) -> None:
    application, services = running.application, running.services
    await services.access.sync_admins()
    _schedule(running)
    await application.start()
    if application.updater is None:
        raise StartError("The bot was built without a way to read updates.")
    await application.updater.start_polling(
        allowed_updates=ALLOWED_UPDATES,
        bootstrap_retries=-1,
        error_callback=on_poll_error,
    )
    resumed = await services.jobs.resume()
    if resumed:
        logger.info("%d jobs taken up again", resumed)


async def _stop(running: RunningBot) -> None:
    """Finish what is being answered, leave running jobs to the next start, within ten seconds."""
    application, jobs = running.application, running.services.jobs
    try:
        async with asyncio.timeout(STOP_WITHIN_SECONDS):
            if application.updater is not None and application.updater.running:
                await application.updater.stop()
            await jobs.aclose(SUBMIT_GRACE_SECONDS)
            if application.running:
                await application.stop()
            await application.shutdown()
    except TimeoutError:
        logger.warning("not everything could be ended in time; the next start takes it up")


@asynccontextmanager
async def _background(running: RunningBot) -> AsyncIterator[None]:
    """The loops that run beside the updates."""
    notices = running.services.notices
    interval = running.services.settings.notice_interval
    tasks = [
        asyncio.create_task(running.painter.run(), name="painter"),
        asyncio.create_task(notices.run(interval), name="notices"),
        asyncio.create_task(_set_menus(running), name="menus"),
        asyncio.create_task(_refresh_prices(running), name="prices"),
        asyncio.create_task(running.services.balance.check(), name="balance"),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _schedule(running: RunningBot) -> None:
    job_queue = running.application.job_queue
    if job_queue is None:
        raise StartError("The bot was built without schedules.")
    # APScheduler skips a job that is a second late, unless told not to.
    options = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}

    def every(
        interval: float | timedelta, name: str, work: Callable[[], Awaitable[object]]
    ) -> None:
        async def callback(_: object) -> None:
            await work()

        job_queue.run_repeating(callback, interval, name=name, job_kwargs=cast("Any", options))

    settings = running.services.settings
    every(settings.live_interval, "live", running.services.budgets.refresh)
    every(timedelta(hours=6), "forget", forget_old_updates)
    if settings.fal_admin_key is not None:
        every(settings.balance_interval, "balance", running.services.balance.check)
        every(settings.reconcile_interval, "reconcile", lambda: _reconcile(running))


async def _reconcile(running: RunningBot) -> None:
    try:
        await running.services.reconciler.reconcile()
    except FalError as error:
        logger.warning("fal's bills cannot be read (%s), trying again later", error)


async def _set_menus(running: RunningBot) -> None:
    try:
        await set_menus(running.application.bot, running.services.settings.admin_ids)
    except TelegramError as error:
        # An admin who has not written yet has no chat; the menu comes with their /start.
        logger.info("the menus are not complete: %s", type(error).__name__)


async def _refresh_prices(running: RunningBot) -> None:
    """Read the price list now and every day; sooner if it could not be read."""
    while True:
        known = await running.services.prices.refresh()
        await asyncio.sleep((PRICES_EVERY if known else PRICES_RETRY).total_seconds())


def _on_poll_error(error: TelegramError, failure: list[str], stop: asyncio.Event) -> None:
    if not isinstance(error, Conflict):
        logger.warning("updates cannot be read (%s), trying again", type(error).__name__)
        return
    failure_count = _conflicts(failure)
    logger.warning("another process reads the same bot (%d)", failure_count)
    if failure_count >= MOST_CONFLICTS:
        failure[:] = ["Another process runs this bot: a token can be used by one at a time."]
        stop.set()


def _conflicts(failure: list[str]) -> int:
    failure.append("conflict")
    return len(failure)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
