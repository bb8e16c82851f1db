"""Keyboards, checked as Telegram checks them."""

from __future__ import annotations

from typing import Any

from bot.sandbox.telegram.errors import bad_request

CALLBACK_DATA_BYTES = 64
BUTTONS = 100
BUTTONS_IN_A_ROW = 8
ACTIONS = {
    "url",
    "callback_data",
    "web_app",
    "login_url",
    "switch_inline_query",
    "switch_inline_query_current_chat",
    "switch_inline_query_chosen_chat",
    "copy_text",
    "callback_game",
    "pay",
}
LINKS = ("http://", "https://", "tg://", "mailto:")


def check_markup(markup: dict[str, Any] | None) -> dict[str, Any] | None:
    """The inline keyboard to show, or None for no keyboard; raises Refusal."""
    if markup is None or "inline_keyboard" not in markup:
        return None
    rows = [row for row in markup["inline_keyboard"] if row]
    if sum(len(row) for row in rows) > BUTTONS:
        raise bad_request("reply markup is too long")
    if any(len(row) > BUTTONS_IN_A_ROW for row in rows):
        raise bad_request("too many buttons in one row of the inline keyboard")
    for row in rows:
        for button in row:
            _check_button(button)
    return {"inline_keyboard": rows} if rows else None


def _check_button(button: dict[str, Any]) -> None:
    if not button["text"].strip():
        raise bad_request("can't parse inline keyboard button: text must be non-empty")
    actions = ACTIONS & button.keys()
    if not actions:
        raise bad_request(
            "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"
        )
    if len(actions) > 1:
        raise bad_request("can't parse inline keyboard button: it must have exactly one action")
    data = button.get("callback_data")
    if data is not None and not 1 <= len(data.encode()) <= CALLBACK_DATA_BYTES:
        raise bad_request("BUTTON_DATA_INVALID")
    url = button.get("url")
    if url is not None and not url.startswith(LINKS):
        raise bad_request(f"inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")
