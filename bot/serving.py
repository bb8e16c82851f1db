"""Starting, serving and stopping: updates, schedules, the HTTP side."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, cast

from telegram import Update
from telegram.error import BadRequest, Conflict, InvalidToken, TelegramError

from bot import albums, drafts, questions
from bot.app import App, RunningBot, build_application, set_command_menus
from bot.fal.callbacks import CallbackVerifier
from bot.fal.errors import FalError
from bot.screen.updates import NewUpdates, PollingRequest, readable
from bot.settings import DEFAULT_LISTEN, Settings
from bot.web import Callbacks, CannotListen, Web, serve
from db import leases, updates
from db.connection import STORAGE_ERRORS, is_sqlite, told_in_a_sentence
from db.sql import now
from db.turns import take_turn

logger = logging.getLogger(__name__)

ALLOWED_UPDATES = [Update.MESSAGE, Update.CALLBACK_QUERY]
PRICES_EVERY = timedelta(days=1)
PRICES_RETRY = timedelta(seconds=75)
# So long a start waits for the price list, so that the first orders are quoted by it too.
PRICES_WITHIN_SECONDS = 3.0
# What a crowd writes in between comes with one answer, and is kept with one commit.
POLL_EVERY_SECONDS = 0.05
# The HTTP side, which ends after this, takes three seconds at most.
STOP_WITHIN_SECONDS = 6.5
UPDATES_STOP_SECONDS = 1.0
SUBMIT_GRACE_SECONDS = 4.0
# So many refusals of `getUpdates` in a row mean that another process reads the same bot.
MOST_CONFLICTS = 3
LOST_EVERY = timedelta(minutes=1)
# An update that was taken so long ago and not acted on was left by a process that died.
UPDATE_LEFT_AFTER = timedelta(seconds=60)


class StartError(Exception):
    """The bot cannot run. The message is one sentence for the person who started it."""


async def run(
    settings: Settings, stop: asyncio.Event, started: asyncio.Event | None = None
) -> None:
    """Serve until `stop` is set; `started` is set once updates are asked for.

    Raises `StartError` or `db.errors.DatabaseError` if it cannot start.
    """
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(build_application(settings))
        # The application closes it too, but not before it is introduced.
        stack.push_async_callback(running.application.bot.shutdown)
        if not await _reach_telegram(running.application, stop):
            return
        failure: list[str] = []
        await stack.enter_async_context(_http(running))
        await stack.enter_async_context(_background(running))
        with told_in_a_sentence("The database cannot be used"):
            await _start(running, stop, _PollErrors(failure, stop, running.polling))
        if started is not None:
            started.set()
        logger.info("at your service")
        try:
            await stop.wait()
        finally:
            await _stop(running)
    if failure:
        raise StartError(failure[0])


async def _reach_telegram(application: App, stop: asyncio.Event) -> bool:
    """Introduce the bot to Telegram; False if it was stopped before."""
    try:
        return await _heard(application.initialize, stop)
    except InvalidToken:
        raise StartError("TELEGRAM_BOT_TOKEN was refused by Telegram.") from None


async def _set_webhook(application: App, settings: Settings, stop: asyncio.Event) -> None:
    """Tell Telegram where to call. Raises `StartError` if Telegram does not call there."""
    try:
        await _heard(
            lambda: application.bot.set_webhook(
                f"{settings.public_url}/telegram",
                allowed_updates=ALLOWED_UPDATES,
                secret_token=settings.telegram_secret,
            ),
            stop,
        )
    except BadRequest as error:
        raise StartError(f"PUBLIC_URL was refused by Telegram ({error.message}).") from None


async def _heard(call: Callable[[], Awaitable[object]], stop: asyncio.Event) -> bool:
    """Call Telegram, waiting for it as long as it takes; False if it was stopped before.

    Raises `InvalidToken` or `BadRequest`, which waiting does not change.
    """
    pause = 1.0
    while not stop.is_set():
        try:
            await call()
        except (InvalidToken, BadRequest):
            raise
        except TelegramError as error:
            logger.warning("Telegram cannot be reached (%s), trying again", type(error).__name__)
            await _wait(stop, pause)
            pause = min(pause * 2, 30.0)
        else:
            return True
    return False


async def _start(
    running: RunningBot, stop: asyncio.Event, on_poll_error: Callable[[TelegramError], None]
) -> None:
    application, services = running.application, running.services
    settings = services.settings
    await services.access.sync_admins()
    _schedule(running)
    await application.start()
    if settings.public_url is not None:
        await _set_webhook(application, settings, stop)
        # With several processes on one database another one may be working on the latest ones.
        await _take_up_updates(
            running, timedelta(0) if is_sqlite(settings.database_url) else UPDATE_LEFT_AFTER
        )
    elif application.updater is not None:
        application.updater.update_queue = NewUpdates(
            running.polling, lambda update: _work_on(running, update)
        )
        # There is one process to a token that is polled: whatever was taken was left.
        await _take_up_updates(running, timedelta(0))
        await application.updater.start_polling(
            POLL_EVERY_SECONDS,
            allowed_updates=ALLOWED_UPDATES,
            bootstrap_retries=-1,
            error_callback=on_poll_error,
        )
    if is_sqlite(settings.database_url):
        # There is one process to the file: whose leases these were is dead.
        await leases.give_back(None)
    resumed = await services.jobs.roster.resume()
    if resumed:
        logger.info("%d jobs taken up again", resumed)
    services.notices.nudge()


async def _stop(running: RunningBot) -> None:
    """Finish what is being answered, leave running jobs to the next start, within ten seconds."""
    application, jobs = running.application, running.services.jobs
    try:
        async with asyncio.timeout(STOP_WITHIN_SECONDS):
            if application.updater is not None and application.updater.running:
                # It asks once more for updates; what Telegram does not answer comes again.
                with suppress(TimeoutError):
                    await asyncio.wait_for(application.updater.stop(), UPDATES_STOP_SECONDS)
            await jobs.roster.aclose(SUBMIT_GRACE_SECONDS)
            if application.running:
                await application.stop()
            await application.shutdown()
    except TimeoutError:
        logger.warning("not everything could be ended in time; the next start takes it up")


@asynccontextmanager
async def _http(running: RunningBot) -> AsyncIterator[None]:
    """Health and metrics, and the callbacks if there is a public URL."""
    settings = running.services.settings
    if settings.listen is None:
        yield
        return
    async with AsyncExitStack() as stack:
        callbacks = None
        if settings.public_url is not None:
            verifier = CallbackVerifier(settings.fal_rest_url)
            stack.push_async_callback(verifier.aclose)
            callbacks = Callbacks(
                settings.telegram_secret,
                verifier,
                lambda update: _take_update(running, update),
                running.services.jobs.called_back,
            )
        application = running.application
        web = Web(running.metrics, lambda: application.running, callbacks)
        try:
            await stack.enter_async_context(serve(web.application(), settings.listen))
        except CannotListen as error:
            if settings.public_url is not None or settings.listen != DEFAULT_LISTEN:
                raise StartError(str(error)) from None
            # Nobody chose it: health and metrics are not worth not starting.
            logger.warning("%s Health and metrics are not served.", error)
        yield


async def _take_update(running: RunningBot, update: dict[str, object]) -> bool:
    """Keep an update that came over HTTP, then work on it; False if it came before."""
    number = updates.number_of(update)
    if number is None or not await updates.take(number, update):
        return False
    await _work_on(running, update)
    return True


async def _take_up_updates(running: RunningBot, older_than: timedelta) -> None:
    """Work on updates that a process took and did not live to work on."""
    before = now() - older_than
    while left := await updates.left_behind(before):
        for update in left:
            await _work_on(running, update)


async def _work_on(running: RunningBot, update: dict[str, object]) -> None:
    """Hand a kept update to the handlers; with one that nobody can read nothing is to be done."""
    application = running.application
    found, number = readable(update, application.bot), updates.number_of(update)
    if found is not None:
        await application.update_queue.put(found)
    elif number is not None:
        try:
            await updates.mark_done([number])
        except STORAGE_ERRORS as error:
            # It is left out once more when it is taken up again. Raised, it would end the polling.
            logger.warning("update %d cannot be marked (%s)", number, type(error).__name__)


@asynccontextmanager
async def _background(running: RunningBot) -> AsyncIterator[None]:
    """The loops that run beside the updates."""
    notices = running.services.notices
    interval = running.services.settings.notice_interval
    asked = asyncio.Event()
    tasks = [
        asyncio.create_task(running.painter.run(), name="painter"),
        asyncio.create_task(notices.run(interval), name="notices"),
        asyncio.create_task(running.services.jobs.roster.keep(), name="leases"),
        asyncio.create_task(set_command_menus(running), name="menus"),
        asyncio.create_task(_refresh_prices(running, asked), name="prices"),
        asyncio.create_task(running.services.balance.check(), name="balance"),
    ]
    try:
        await _wait(asked, PRICES_WITHIN_SECONDS)
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
        period = interval if isinstance(interval, timedelta) else timedelta(seconds=interval)

        async def callback(_: object) -> None:
            if await take_turn(name, period):
                await work()

        job_queue.run_repeating(callback, interval, name=name, job_kwargs=cast("Any", options))

    settings = running.services.settings
    every(settings.live_interval, "live", running.services.budgets.refresh)
    every(LOST_EVERY, "lost", running.services.unended.look_for_lost)
    every(LOST_EVERY, "unended", running.services.unended.report_unended)
    every(timedelta(hours=6), "forget", updates.forget_old)
    every(timedelta(hours=6), "drafts", drafts.forget_old)
    every(timedelta(hours=6), "questions", questions.forget_old)
    every(timedelta(hours=6), "albums", albums.forget_old)
    if settings.public_url is not None:
        every(UPDATE_LEFT_AFTER, "updates", lambda: _take_up_updates(running, UPDATE_LEFT_AFTER))
    if settings.fal_admin_key is not None:
        every(settings.balance_interval, "balance", running.services.balance.check)
        every(settings.reconcile_interval, "reconcile", lambda: _reconcile(running))


async def _reconcile(running: RunningBot) -> None:
    try:
        await running.services.reconciler.reconcile()
    except FalError as error:
        logger.warning("fal's bills cannot be read (%s), trying again later", error)


async def _refresh_prices(running: RunningBot, asked: asyncio.Event) -> None:
    """Read the price list now and every day; sooner if it could not be read.

    `asked` is set when it was tried for the first time.
    """
    services = running.services
    while True:
        # The price list is asked for what is on offer, also what another process added.
        await services.added.refresh()
        known = await services.prices.refresh()
        asked.set()
        await asyncio.sleep((PRICES_EVERY if known else PRICES_RETRY).total_seconds())


class _PollErrors:
    """Counts refusals of `getUpdates`; too many in a row mean that the token is in use elsewhere.

    One now and then is a process that was being replaced.
    """

    def __init__(self, failure: list[str], stop: asyncio.Event, polling: PollingRequest) -> None:
        self._failure = failure
        self._stop = stop
        self._polling = polling
        self._conflicts = 0
        self._answers = 0

    def __call__(self, error: TelegramError) -> None:
        if not isinstance(error, Conflict):
            logger.warning("updates cannot be read (%s), trying again", type(error).__name__)
            return
        if self._polling.answers > self._answers:
            self._answers, self._conflicts = self._polling.answers, 0
        self._conflicts += 1
        logger.warning("another process reads the same bot (%d)", self._conflicts)
        if self._conflicts >= MOST_CONFLICTS:
            self._failure.append(
                "Another process runs this bot: a token can be used by one at a time."
            )
            self._stop.set()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
