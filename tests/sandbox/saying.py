"""What an error says, as a pattern."""

from __future__ import annotations

import re


def says(reason: str) -> str:
    """`reason` as a pattern; python-telegram-bot changes the case of some letters."""
    return "(?i)" + re.escape(reason)
