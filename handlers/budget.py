"""`/budget` and `/setbudget`."""

from __future__ import annotations

from telegram import ForceReply, Update
from telegram.ext import BaseHandler, CommandHandler, filters

from bot import questions
from bot.errors import AdminsOnly, BadRequest, FalSilent
from bot.fal.errors import FalError
from bot.money import parse_amount
from bot.voice import name_of
from db import ledger
from db.models import Person
from db.outbox import NewNotice, write_notices_now
from handlers.context import (
    Context,
    is_group,
    origin_of,
    replied_to,
    who_is_meant,
    words_after_command,
)


async def budget(update: Update, context: Context) -> None:
    """The budget, in a message that follows the figures from now on."""
    board, person = context.services.budgets, context.person
    message_id = await context.reply(update, await board.text(person))
    if update.effective_chat is not None:
        await board.follow(update.effective_chat.id, message_id, person)


async def set_budget(update: Update, context: Context) -> None:
    """Set or remove a budget: one's own, or as an admin someone else's."""
    message = update.effective_message
    words = words_after_command(message).split() if message else []
    person = await _whose(update, context, words)
    if words and words[-1].startswith("@"):
        words.pop()
    text = " ".join(words)
    if not text:
        raise BadRequest("no_amount")
    if not (context.services.settings.budget_self_service or context.person.is_admin):
        raise AdminsOnly
    origin, follows = origin_of(update), text.lower() == "auto"
    if follows:
        await _follow_balance(context, person, origin)
    else:
        nanos = _amount(context, text)
        await ledger.set_budget(person.id, nanos, actor_id=context.person.id, origin=origin)
    person = await Person.get(id=person.id)
    if person.id != context.person.id:
        await _let_know(context, person, origin)
        if is_group(update):
            # The others learn neither what it is nor what is left of it.
            await context.say(update, "setbudget.in_group", name=name_of(person))
            return
    await _say_budget(update, context, person, follows=follows)


async def give_budget(
    context: Context, person_id: int, budget_nanos: int | None, origin: str
) -> Person:
    """Set somebody's budget, as an admin, and let them know; return them as they are then.

    Raises `NoSuchPerson`.
    """
    await ledger.set_budget(person_id, budget_nanos, actor_id=context.person.id, origin=origin)
    person = await Person.get(id=person_id)
    if person.id != context.person.id:
        await _let_know(context, person, origin)
    return person


async def ask_amount(update: Update, context: Context, person: Person) -> None:
    """Ask how much; a reply to the question is the answer."""
    text = context.voice.texts("setbudget.ask_other", name=name_of(person))
    message_id = await context.reply(update, text, ForceReply(input_field_placeholder="12.50"))
    if update.effective_chat is not None:
        await questions.keep(update.effective_chat.id, message_id, context.person.id, person.id)


async def answer_amount(update: Update, context: Context) -> bool:
    """Set the budget that a reply names; False if the reply is to nothing that was asked.

    Raises `AmountError`; then the question stays open.
    """
    message = update.message
    reply = replied_to(message)
    if message is None or reply is None or message.text is None:
        return False
    about = await questions.about(message.chat_id, reply.message_id, context.person.id)
    if about is None:
        return False
    if not context.person.is_admin:
        raise AdminsOnly
    nanos = _amount(context, message.text.strip())
    person = await give_budget(context, about, nanos, origin_of(update))
    await _say_budget(update, context, person)
    return True


def given(context: Context, person: Person, *, follows: bool = False) -> str:
    """The sentence that says what a budget is now, one's own or somebody else's."""
    key, values = "setbudget.off", {}
    if person.budget_nanos is not None:
        key = "setbudget.auto" if follows else "setbudget.set"
        values["amount"] = context.voice.money(person.budget_nanos)
    if person.id != context.person.id:
        key, values["name"] = f"{key}_other", name_of(person)
    return context.voice.texts(key, **values)


async def _say_budget(
    update: Update, context: Context, person: Person, *, follows: bool = False
) -> None:
    """Say what a budget is now, and what is left of it."""
    rate = context.voice.rate() if person.budget_nanos is not None else []
    lines = [given(context, person, follows=follows), *rate, context.voice.status_line(person)]
    await context.reply(update, "\n".join(lines))


def _amount(context: Context, typed: str) -> int | None:
    """What was typed, in nano-dollars; None for `off`. Raises `AmountError`."""
    if typed.lower() == "off":
        return None
    return parse_amount(typed, context.services.settings.display_currency)


async def _let_know(context: Context, person: Person, origin: str) -> None:
    """Tell a person that somebody else has set their budget."""
    content: dict[str, object] = {"name": name_of(context.person)}
    kind = "budget_removed"
    if person.budget_nanos is not None:
        kind, content = "budget_set", {**content, "budget_nanos": person.budget_nanos}
    await write_notices_now([NewNotice(person.id, kind, content, f"budget:{origin}")])
    context.services.notices.nudge()


async def _follow_balance(context: Context, person: Person, origin: str) -> None:
    """Let a budget follow fal's balance. Raises `AdminsOnly`, `NeedsAdminKey` or `FalSilent`."""
    if not context.person.is_admin:
        raise AdminsOnly
    try:
        await context.services.balance.start_following(
            person, actor_id=context.person.id, origin=origin
        )
    except FalError as error:
        raise FalSilent from error


async def _whose(update: Update, context: Context, words: list[str]) -> Person:
    """Whose budget is meant. Raises `AdminsOnly` or `NoSuchPerson`."""
    meant = who_is_meant(update.effective_message)
    if words and words[-1].startswith("@"):
        person = await context.services.access.find(words[-1])
    elif meant is not None:
        person = await context.services.access.find(str(meant.id))
    else:
        return context.person
    if person.id != context.person.id and not context.person.is_admin:
        raise AdminsOnly
    return person


HANDLERS: list[BaseHandler[Update, Context, None]] = [
    CommandHandler("budget", budget, filters.UpdateType.MESSAGE),
    CommandHandler("setbudget", set_budget, filters.UpdateType.MESSAGE),
]
