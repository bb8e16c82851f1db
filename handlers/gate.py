"""Ahead of all handlers: who is this, and may they? Nothing behind it runs for a stranger."""

from __future__ import annotations

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Update, User
from telegram.ext import ApplicationHandlerStop, TypeHandler

from bot.access import Profile
from bot.pace import Verdict
from db.models import Access, Person
from handlers.commands import PRIVATE_COMMANDS, command_of
from handlers.context import Context, is_group, who_is_meant
from handlers.start import start
from handlers.topics import help_

# What anyone may use, and who answers it. A test holds this list against what all handlers do.
OPEN_COMMANDS = {"start": start, "help": help_}

# Marks of writing direction (Unicode, UAX #9) turn around whatever is written behind them: a name
# could make an admin read somebody else's in the question whom to let in.
DIRECTIONS = dict.fromkeys((0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))


async def gate(update: Update, context: Context) -> None:
    """Let approved people through; strangers get as far as asking. An error admits nobody."""
    try:
        await _admit(update, context)
    except ApplicationHandlerStop:
        raise
    except Exception as error:
        # After an error python-telegram-bot goes on to the handlers behind this one.
        await context.application.process_error(update, error)
        raise ApplicationHandlerStop from error


async def _admit(update: Update, context: Context) -> None:
    """Return for those who may go on. Raises `ApplicationHandlerStop` for all others."""
    user = update.effective_user
    if user is None or user.is_bot or not (update.message or update.callback_query):
        raise ApplicationHandlerStop
    command = command_of(update.message, context.bot.username)
    known, is_done = await context.services.access.known(user.id, update.update_id)
    if is_done:
        raise ApplicationHandlerStop
    if known is None and command not in OPEN_COMMANDS:
        context.person = Person(id=user.id, client_language=user.language_code)
        await _turn_away(update, context)
    was_blocked = known is not None and known.blocked_at is not None
    context.person = await context.services.access.recognise(profile_of(user), known)
    if was_blocked:
        await context.services.jobs.resume_of(user.id)
        context.services.notices.nudge()
    if context.person.access == Access.APPROVED:
        await _keep_pace(update, context)
        if update.callback_query is not None and not update.callback_query.data:
            # A game, which handlers of any data would take: there are none here.
            await context.answer(update.callback_query, "error.stale_button")
            raise ApplicationHandlerStop
        if command in PRIVATE_COMMANDS and not _is_for_another(command, update, context):
            await _keep_private(update, context)
        return
    if command in OPEN_COMMANDS and context.person.access != Access.DENIED:
        await _keep_pace(update, context)
        await OPEN_COMMANDS[command](update, context)
        raise ApplicationHandlerStop
    await _turn_away(update, context)


def _is_for_another(command: str | None, update: Update, context: Context) -> bool:
    """Whether an admin replies to somebody with a budget for them, which says nothing of figures.

    There is nobody else to reply to but in a group.
    """
    meant = who_is_meant(update.message)
    is_another = meant is not None and meant.id != context.person.id
    return command == "setbudget" and context.person.is_admin and is_another


async def _keep_private(update: Update, context: Context) -> None:
    """In a group, lead to the private chat instead of showing figures to everyone."""
    if not is_group(update):
        return
    texts = context.voice.texts
    button = InlineKeyboardButton(
        texts.plain("button.private"), url=f"https://t.me/{context.bot.username}"
    )
    await context.reply(update, texts("access.in_private"), InlineKeyboardMarkup([[button]]))
    raise ApplicationHandlerStop


async def _keep_pace(update: Update, context: Context) -> None:
    """Stop who commands faster than a person can, and say so once."""
    verdict = context.services.pace.verdict(context.person.id)
    if verdict is Verdict.WORK:
        return
    if update.callback_query is not None:
        await context.answer(update.callback_query)
    if verdict is Verdict.TELL:
        await context.say(update, "error.too_fast")
    raise ApplicationHandlerStop


async def _turn_away(update: Update, context: Context) -> None:
    """One sentence in the private chat; nothing in groups, and for the denied, who were told."""
    access, chat = context.person.access, update.effective_chat
    if update.callback_query is not None:
        await context.answer(update.callback_query, "access.not_for_you")
    elif chat is not None and chat.type == chat.PRIVATE and access != Access.DENIED:
        await _keep_pace(update, context)
        await context.say(update, f"access.{access.value}")
    raise ApplicationHandlerStop


def profile_of(user: User) -> Profile:
    """What Telegram says of a person, cut to what is stored."""
    name = user.full_name.translate(DIRECTIONS).strip()[:256]
    return Profile(user.id, name, user.username, user.language_code)


GATE = TypeHandler(Update, gate)
