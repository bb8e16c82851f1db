"""What a finished job asks of fal, and how soon its picture is there."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from telegram import Bot

from bot.fal.queue import _Client
from bot.fal.transport import FalUrls
from bot.sandbox import Sandbox
from bot.sandbox.fal.jobs import FalRequest
from tests.bench.crowd import FIRST_ID
from tests.bench.process import BOT, CALLED_BOT, running, settings
from tests.bench.report import Figure, at_most, median
from tests.bench.seed import make_database
from tests.bench.sizes import Sizes

ENDPOINT = "fal-ai/flux/dev"
SHOWN_WITHIN_SECONDS = 120.0
# A picture takes as long as it takes, so that polling meets it at any moment.
RUNS_SECONDS = (0.5, 1.0)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def painter(folder: Path, *, callbacks: bool) -> AsyncIterator[Sandbox]:
    """A bot that makes pictures, told of their end by stream or by callback."""
    database = folder / f"{callbacks}.sqlite3"
    await make_database(database, people=1)
    async with Sandbox(pace="manual") as sandbox:
        sandbox.telegram.person(id=FIRST_ID, name="P0", username="p0", started=True)
        listen = {"listen": f"127.0.0.1:{free_port()}"} if callbacks else {}
        environment = settings(sandbox, database, max_active_jobs=1000, **listen)
        program = CALLED_BOT if callbacks else BOT
        async with running(sandbox, program, folder, environment):
            yield sandbox


async def make_pictures(sandbox: Sandbox, count: int) -> list[float]:
    """Ask for pictures one after the other; the seconds from COMPLETED to each in the chat."""
    person, waits = sandbox.telegram.people[FIRST_ID], []
    for number in range(count):
        known, shown = len(sandbox.fal.requests), len(edits(sandbox))
        await person.sends("/image a red fox")
        requests = await sandbox.fal.wait_for_requests(known + 1, SHOWN_WITHIN_SECONDS)
        await run(sandbox, requests[-1], number, count)
        await shown_at_last(sandbox, shown + 1)
        waits.append(seconds_since_end(sandbox, requests[-1]))
    return waits


async def run(sandbox: Sandbox, request: FalRequest, number: int, count: int) -> None:
    """Let a request run as long as a picture does, not all equally long."""
    shortest, longest = RUNS_SECONDS
    sandbox.fal.start(request)
    await asyncio.sleep(shortest + (longest - shortest) * number / count)
    sandbox.fal.complete(request)


def edits(sandbox: Sandbox) -> list[object]:
    """Edits into pictures that Telegram has accepted."""
    return [call for call in sandbox.telegram.called("editMessageMedia") if call.ok]


async def shown_at_last(sandbox: Sandbox, count: int) -> None:
    """Return when so many pictures are in the chat."""
    await sandbox.telegram.wait_for(
        lambda: len(edits(sandbox)) >= count, SHOWN_WITHIN_SECONDS, f"{count} pictures"
    )


def seconds_since_end(sandbox: Sandbox, request: FalRequest) -> float:
    """How long ago fal was through with a request."""
    assert request.ended_at is not None
    return (sandbox.fal.clock.now() - request.ended_at).total_seconds()


async def requests_per_job(folder: Path, sizes: Sizes) -> list[Figure]:
    """All HTTP requests to fal of jobs that went well, but the download of the picture."""
    figures = []
    for callbacks, name, most in ((False, "stream", 3), (True, "callback", 2)):
        async with painter(folder, callbacks=callbacks) as sandbox:
            sandbox.fal.pace = "instant"
            person = sandbox.telegram.people[FIRST_ID]
            sandbox.fal.calls.clear()
            for _ in range(sizes.finished_jobs):
                await person.sends("/image a red fox")
            await shown_at_last(sandbox, sizes.finished_jobs)
            made = [call.operation for call in sandbox.fal.calls]
        asked = [name for name in made if name in ("submit", "stream", "status", "result")]
        others = sorted(set(made) - {"submit", "stream", "status", "result", "media"})
        figures.append(
            at_most(
                f"requests to fal per finished job, {name} mode",
                most,
                len(asked) / sizes.finished_jobs,
                f"{sizes.finished_jobs} jobs; once for all, not counted: {', '.join(others)}",
                unit="",
            )
        )
    return figures


class Simplest:
    """What most bots do: `subscribe`, then `send_photo` with the URL."""

    def __init__(self, sandbox: Sandbox) -> None:
        environment = sandbox.environment()
        urls = FalUrls(
            queue=environment["FAL_QUEUE_URL"],
            platform=environment["FAL_PLATFORM_URL"],
            rest=environment["FAL_REST_URL"],
            cdn=environment["FAL_CDN_URL"],
        )
        # Nothing but the hosts is ours in it: waiting and asking are fal-client's own.
        self._fal = _Client(environment["FAL_KEY"], urls)
        base = environment["TELEGRAM_API_URL"]
        self._bot = Bot(environment["TELEGRAM_BOT_TOKEN"], base_url=f"{base}/bot")
        self._sandbox = sandbox

    async def make_pictures(self, count: int) -> list[float]:
        """The seconds from COMPLETED to each picture in the chat."""
        sandbox, waits = self._sandbox, []
        sandbox.telegram.person(id=FIRST_ID, name="P0", username="p0", started=True)
        async with self._bot:
            for number in range(count):
                known = len(sandbox.fal.requests)
                work = asyncio.ensure_future(self._make())
                requests = await sandbox.fal.wait_for_requests(known + 1)
                await run(sandbox, requests[-1], number, count)
                await work
                waits.append(seconds_since_end(sandbox, requests[-1]))
        await self._fal.http.aclose()
        await self._fal.http_files.aclose()
        return waits

    async def _make(self) -> None:
        result = await self._fal.subscribe(ENDPOINT, {"prompt": "a red fox"})
        await self._bot.send_photo(FIRST_ID, result["images"][0]["url"])


async def against_subscribe(folder: Path, sizes: Sizes) -> list[Figure]:
    """From COMPLETED at fal to the picture in the chat."""
    os.environ.setdefault("PTB_TIMEDELTA", "true")
    ours: dict[bool, list[float]] = {}
    for callbacks in (False, True):
        async with painter(folder, callbacks=callbacks) as sandbox:
            ours[callbacks] = await make_pictures(sandbox, sizes.deliveries)
    async with Sandbox(pace="manual") as sandbox:
        simplest = await Simplest(sandbox).make_pictures(sizes.deliveries)
    told = median(ours[True]) * 1000
    return [
        at_most(
            "COMPLETED to the finished edit, against `subscribe` + `send_photo`",
            0.5,
            median(ours[False]) / median(simplest),
            f"median {median(ours[False]) * 1000:.0f} ms by stream ({told:.0f} ms by callback) "
            f"against {median(simplest) * 1000:.0f} ms",
        )
    ]
