"""The bot with a public URL that is plain http and on this machine, which its settings refuse."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from bot.settings import Settings, load_settings


def with_callbacks(settings: Settings) -> Settings:
    """The same settings, with callbacks to where the bot listens."""
    listen = settings.listen
    assert listen is not None
    url = f"http://{listen.host}:{listen.port}"
    return settings.model_copy(update={"public_url": url})


async def serve() -> None:
    """Run until SIGTERM."""
    from bot.serving import run

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await run(with_callbacks(load_settings(None, dict(os.environ))), stop)


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(serve()))
