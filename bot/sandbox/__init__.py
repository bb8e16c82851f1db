"""Stand-ins for the Telegram Bot API and for fal.ai on this machine, for trying out and for tests.

They are written from the services' documentation and refuse what the services refuse. Nothing in
here is used when the bot talks to the real services.
"""

from __future__ import annotations

from bot.sandbox.clock import Clock
from bot.sandbox.faults import Fault
from bot.sandbox.server import Sandbox

__all__ = ["Clock", "Fault", "Sandbox"]
