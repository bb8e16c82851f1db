"""What lists have in common: a page at a time, turned by buttons, and how buttons stand in rows."""

from __future__ import annotations

from collections.abc import Sequence

from telegram import InlineKeyboardButton

# What a job makes, where a button has room for no more than a sign.
KIND_MARKS = {"image": "🖼", "video": "🎬"}


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


def in_rows(
    buttons: Sequence[InlineKeyboardButton], width: int
) -> list[Sequence[InlineKeyboardButton]]:
    """Buttons, so many in a row: more than two or three are cut on a phone."""
    return [buttons[start : start + width] for start in range(0, len(buttons), width)]
