"""Lists that are longer than a message: a page at a time, turned by buttons."""

from __future__ import annotations

from telegram import InlineKeyboardButton


def page_within(number: int, count: int, size: int) -> int:
    """The page with this number (from 0), or the nearest that there is."""
    return max(0, min(number, (count - 1) // size))


def page_buttons(name: str, number: int, count: int, size: int) -> list[InlineKeyboardButton]:
    """The ways to the pages before and after, as callback data `name:number`."""
    buttons = []
    if number > 0:
        buttons.append(InlineKeyboardButton("◀️", callback_data=f"{name}:{number - 1}"))
    if (number + 1) * size < count:
        buttons.append(InlineKeyboardButton("▶️", callback_data=f"{name}:{number + 1}"))
    return buttons
