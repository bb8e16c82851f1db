"""The commands: which there are, who sees them in the menu, how one is read."""

from __future__ import annotations

import re
from contextlib import suppress

from telegram import (
    Bot,
    BotCommand,
    BotCommandScope,
    BotCommandScopeAllPrivateChats,
    BotCommandScopeChat,
    Message,
)
from telegram.error import BadRequest

from bot.i18n import LANGUAGES, load_texts

MEMBER_COMMANDS = (
    "image",
    "video",
    "budget",
    "setbudget",
    "dashboard",
    "history",
    "models",
    "settings",
    "cancel",
    "forget",
    "help",
)
ADMIN_COMMANDS = ("pending", "approve", "deny", "users", "stats", "balance", "reconcile")

# What these show is nobody else's business: in a group they are answered with a way out of it.
PRIVATE_COMMANDS = frozenset(
    {"budget", "setbudget", "dashboard", "history", "settings", "users", "stats", "balance"}
    | {"reconcile", "pending", "forget"}
)

_COMMAND = re.compile(r"/([a-z0-9_]{1,32})(?:@(\w+))?(?=\s|$)", re.IGNORECASE)


def command_of(message: Message | None, username: str) -> str | None:
    """The command that a message or a caption begins with, if it is meant for this bot."""
    match = _COMMAND.match((message.text or message.caption or "") if message else "")
    if match is None or (match[2] and match[2].lower() != username.lower()):
        return None
    return match[1].lower()


def menu(language: str, *, is_admin: bool) -> list[BotCommand]:
    """The commands as the client lists them."""
    texts = load_texts(language)
    names = MEMBER_COMMANDS + (ADMIN_COMMANDS if is_admin else ())
    return [BotCommand(name, texts.plain(f"command.{name}")) for name in names]


async def set_menus(bot: Bot, admin_ids: frozenset[int]) -> None:
    """Tell Telegram the menu of members in each language, and the longer one of each admin.

    Raises Telegram's errors, except for an admin who has never written to the bot: the menu
    comes with their /start.
    """
    await _set_menu(bot, BotCommandScopeAllPrivateChats(), is_admin=False)
    for admin_id in admin_ids:
        with suppress(BadRequest):
            await set_admin_menu(bot, admin_id)


async def set_admin_menu(bot: Bot, admin_id: int) -> None:
    """Tell Telegram the menu of one admin. Raises `BadRequest` if they have no chat yet."""
    await _set_menu(bot, BotCommandScopeChat(admin_id), is_admin=True)


async def _set_menu(bot: Bot, scope: BotCommandScope, *, is_admin: bool) -> None:
    for language in LANGUAGES:
        await bot.set_my_commands(
            menu(language, is_admin=is_admin),
            scope,
            language_code=None if language == LANGUAGES[0] else language,
        )
