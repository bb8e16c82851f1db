"""The one place where errors are worded: a sentence a person can act on, never an exception."""

from __future__ import annotations

import logging

from telegram import Update
from telegram.error import BadRequest, Forbidden, TelegramError, TimedOut

from bot.errors import TooDear, UserError
from bot.i18n import shortened
from bot.screen.chat import is_no_chat, mark_blocked
from bot.screen.updates import PersonalOrder
from bot.screen.wire import NoAnswer
from db.connection import LOST_CONNECTION
from db.models import Person
from handlers.context import ANSWER_CHARACTERS, Context, is_group

logger = logging.getLogger(__name__)

# What a person typed may be as long as a message; what is said about it must fit into one.
QUOTED_CHARACTERS = 500


async def report(update: object, context: Context) -> None:
    """Say what went wrong, in the person's language; log what is a defect of ours."""
    error = context.error
    if isinstance(error, LOST_CONNECTION) and _comes_again(update, context):
        logger.warning("the database went away (%s), trying again", type(error).__name__)
        return
    if not _can_be_told(error, context):
        return
    if not isinstance(update, Update) or update.effective_user is None:
        return
    # This context is a new one, which has not been through the gate.
    person = await Person.get_or_none(id=update.effective_user.id)
    if person is None:
        return
    context.person = person
    if isinstance(error, Forbidden):
        if update.effective_chat is not None and update.effective_chat.id == person.id:
            await mark_blocked(person.id)
        return
    try:
        await _tell(update, context, error if isinstance(error, UserError) else UserError())
    except TelegramError as failure:
        logger.warning("the answer could not be sent: %s", type(failure).__name__)


def _can_be_told(error: Exception | None, context: Context) -> bool:
    """Whether the person can be told of an error; what is a defect of ours is logged."""
    if isinstance(error, UserError | Forbidden):
        return True
    if isinstance(error, BadRequest) and is_no_chat(error):
        logger.warning("an answer could not be sent: its chat is gone")
        return False
    if isinstance(error, TelegramError) and not isinstance(error, BadRequest):
        logger.warning("an answer could not be sent (%s)", type(error).__name__)
        # It may be there: then nothing else could be said that is surely true.
        return not isinstance(error, TimedOut | NoAnswer)
    context.services.metrics.update_errors.inc()
    logger.error("an update could not be handled", exc_info=error)
    return True


def _comes_again(update: object, context: Context) -> bool:
    """Whether the update will be handled once more."""
    order = context.application.update_processor
    if not (isinstance(order, PersonalOrder) and isinstance(update, Update)):
        return False
    order.again(update, context.application.update_queue)
    return True


async def _tell(update: Update, context: Context, error: UserError) -> None:
    voice = context.voice
    values = {
        name: shortened(value, QUOTED_CHARACTERS) if isinstance(value, str) else value
        for name, value in voice.with_amounts(error.params).items()
    }
    if update.callback_query is not None:
        if len(voice.texts.plain(error.key, **values)) <= ANSWER_CHARACTERS:
            await context.answer(update.callback_query, error.key, alert=True, **values)
            return
        await context.answer(update.callback_query)
    if is_group(update) and isinstance(error, TooDear):
        # Without what the person has left: the others read it too.
        await context.say(update, "error.too_dear_in_group", quote=values["quote"])
        return
    await context.say(update, error.key, status_line=error.about_money, **values)
