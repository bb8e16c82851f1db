"""The context of a handler: the person behind the update, their voice, the services."""

from __future__ import annotations

import logging
from typing import Any

from telegram import (
    CallbackQuery,
    ForceReply,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    Message,
    Update,
    User,
)
from telegram.error import BadRequest, ChatMigrated, Forbidden, TelegramError
from telegram.ext import CallbackContext, ExtBot

from bot.i18n import without_markup
from bot.screen.chat import answer_text, edit_text, is_gone, is_not_modified, move_chat
from bot.services import Services
from bot.voice import Voice
from db.models import Person

logger = logging.getLogger(__name__)

# Bot API, `answerCallbackQuery`.
ANSWER_CHARACTERS = 200


class Context(CallbackContext[ExtBot[None], dict[Any, Any], dict[Any, Any], Services]):
    """A `CallbackContext` whose `person` the gate has set, ahead of every handler."""

    person: Person

    @property
    def services(self) -> Services:
        """What the bot can do."""
        return self.bot_data

    @property
    def voice(self) -> Voice:
        """How to talk to the person."""
        return self.services.voices.of(self.person)

    async def say(
        self, update: Update, key: str, *, status_line: bool = False, **values: object
    ) -> int:
        """Answer in words; with `status_line` the answer ends with the state of the budget now."""
        text: str = self.voice.texts(key, **values)
        if status_line and not is_group(update):
            self.person = await Person.get(id=self.person.id)
            text = self.with_status_line(update, text)
        return await self.reply(update, text)

    def with_status_line(self, update: Update, text: str) -> str:
        """The text, ended by the state of the budget.

        Not in groups: what a person has left is nobody else's business.
        """
        return text if is_group(update) else f"{text}\n{self.voice.status_line(self.person)}"

    def wants_to_be_asked(self, nanos: int) -> bool:
        """Whether the person wants to be asked before anything of this price is made."""
        limit = self.person.confirm_above_nanos
        return limit is not None and nanos > limit

    async def ask_first(self, update: Update, nanos: int, callback_data: str) -> None:
        """Name the price, with a button that goes on."""
        button = InlineKeyboardButton(
            self.voice.texts.plain("button.go"), callback_data=callback_data
        )
        text = self.voice.texts("confirm.ask", amount=self.voice.money(nanos))
        await self.reply(
            update, self.with_status_line(update, text), InlineKeyboardMarkup([[button]])
        )

    async def change_person(self, **columns: object) -> None:
        """Store what the person has chosen for themselves."""
        await Person.filter(id=self.person.id).update(**columns)
        self.person = await Person.get(id=self.person.id)

    async def reply(
        self,
        update: Update,
        text: str,
        buttons: InlineKeyboardMarkup | ForceReply | None = None,
    ) -> int:
        """Answer with ready HTML; in groups as a reply to the person. Return the message's id."""
        message, chat = update.effective_message, update.effective_chat
        if chat is None:
            raise ValueError("an update without a chat cannot be answered")
        try:
            return await answer_text(
                self.bot,
                chat.id,
                text,
                buttons=buttons,
                thread_id=thread_of(message),
                reply_to=message.message_id if message and chat.type != chat.PRIVATE else None,
            )
        except ChatMigrated as error:
            await move_chat(chat.id, error.new_chat_id)
            return await answer_text(self.bot, error.new_chat_id, text, buttons=buttons)

    async def answer(
        self, query: CallbackQuery, key: str | None = None, *, alert: bool = False, **values: object
    ) -> None:
        """Answer a button, so that it stops spinning; with a `key` in words.

        It may fail: a press that waited too long, because the bot was away, can be answered no
        more. What was pressed for is done nevertheless.
        """
        await self._answer(query, self.voice.texts.plain(key, **values) if key else None, alert)

    async def _answer(self, query: CallbackQuery, text: str | None, alert: bool) -> None:
        try:
            await query.answer(text and text[:ANSWER_CHARACTERS], show_alert=alert)
        except TelegramError as error:
            logger.info("a button could not be answered: %s", error.message)

    async def answer_words(self, query: CallbackQuery, text: str) -> None:
        """Answer a button with a text that is ready, in HTML."""
        await self._answer(query, without_markup(text), False)

    async def edit(
        self, query: CallbackQuery, text: str, buttons: InlineKeyboardMarkup | None = None
    ) -> None:
        """Edit the message that a button is under. Gone, or shown already, is fine.

        So is a Telegram that does not take it: the button was answered, and its work is done.
        """
        if query.message is None:
            return
        try:
            chat_id, message_id = query.message.chat.id, query.message.message_id
            await edit_text(self.bot, chat_id, message_id, text, buttons=buttons)
        except BadRequest as error:
            if not (is_not_modified(error) or is_gone(error)):
                raise
        except Forbidden:
            raise
        except TelegramError as error:
            logger.warning("a message could not be edited (%s)", type(error).__name__)


def is_group(update: Update) -> bool:
    """Whether others read what is answered."""
    chat = update.effective_chat
    return chat is not None and chat.type != chat.PRIVATE


def replied_to(message: Message | None) -> Message | None:
    """The message that a person replied to.

    In a forum topic whatever is no reply comes as one to the message that opened the topic
    (Bot API, `message_thread_id`): that is nobody who is meant.
    """
    reply = message.reply_to_message if message else None
    if message is None or reply is None:
        return None
    opened = message.is_topic_message and reply.message_id == message.message_thread_id
    return None if opened else reply


def who_is_meant(message: Message | None) -> User | None:
    """Whom a reply is about: who wrote what is replied to, or whose words were forwarded.

    None for nobody, a bot, and somebody whose account does not show in what was forwarded.
    """
    reply = replied_to(message)
    if reply is None:
        return None
    origin = reply.forward_origin
    user = reply.from_user if origin is None else getattr(origin, "sender_user", None)
    return None if user is None or user.is_bot else user


def thread_of(message: Message | None) -> int | None:
    """The forum topic of a message (Bot API: `message_thread_id` of a topic message)."""
    return message.message_thread_id if message and message.is_topic_message else None


def origin_of(update: Update) -> str:
    """A name for what asked for something, the same however often the update comes."""
    if update.callback_query is not None:
        return f"button:{update.callback_query.id}"
    message = update.effective_message
    if message is None:
        return f"update:{update.update_id}"
    return f"message:{message.chat_id}:{message.message_id}"


def words_after_command(message: Message) -> str:
    """What a person typed behind the command, in a text or a caption."""
    _, *words = (message.text or message.caption or "").split(maxsplit=1)
    return words[0].rstrip() if words else ""
