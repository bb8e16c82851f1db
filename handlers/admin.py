"""What administrators decide: who is let in, and what becomes of a job without an end."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from telegram import Update
from telegram.ext import BaseHandler, CallbackQueryHandler, CommandHandler, filters

from bot.access import Decision, first_budget
from bot.errors import AdminsOnly, BadRequest
from bot.money import NANOS_PER_DOLLAR
from bot.notices import STARTING_BUDGETS, decision_buttons
from bot.voice import name_of
from db.models import Access, JobState, Person
from handlers.budget import ask_amount, give_budget
from handlers.context import Context, who_is_meant, words_after_command

# Each is a message of its own; the next ones come when these are decided.
SHOWN_REQUESTS = 10
ALLOWED_DOLLARS = frozenset(str(dollars) for dollars in STARTING_BUDGETS)
OTHER = "other"

Handler = Callable[[Update, Context], Coroutine[Any, Any, None]]


def admins_only(handler: Handler) -> Handler:
    """Refuse everyone whose role, read fresh by the gate, is not administrator."""

    async def guarded(update: Update, context: Context) -> None:
        if not context.person.is_admin:
            raise AdminsOnly
        await handler(update, context)

    guarded.__doc__ = handler.__doc__
    guarded.__name__ = handler.__name__
    return guarded


@admins_only
async def pending(update: Update, context: Context) -> None:
    """Who asks to be let in, each with buttons."""
    people = await context.services.access.pending()
    if not people:
        await context.say(update, "pending.nobody")
    for person in people[:SHOWN_REQUESTS]:
        text = context.voice.texts(
            "notice.access_request", **name_values(person), person_id=str(person.id)
        )
        await context.reply(update, text, decision_buttons(context.voice, str(person.id)))


@admins_only
async def approve(update: Update, context: Context) -> None:
    """Let the named or replied-to person in."""
    person = await _named(update, context)
    decision = await context.services.access.approve(person.id, context.person.id)
    await _report(update, context, decision)


@admins_only
async def deny(update: Update, context: Context) -> None:
    """Keep the named or replied-to person out."""
    person = await _named(update, context)
    decision = await context.services.access.deny(person.id, context.person.id)
    await _report(update, context, decision)


async def decide_button(update: Update, context: Context) -> None:
    """Approve or Deny under a request. A second press says who was first."""
    query = update.callback_query
    if query is None or context.match is None:
        return
    texts = context.voice.texts
    if not context.person.is_admin:
        await context.answer(query, "error.admins_only")
        return
    access, person_id, admin_id = context.services.access, int(context.match[2]), context.person.id
    if context.match[1] == "approve":
        nanos = _allowed(context.match[3])
        decision = await access.approve(person_id, admin_id, only_open=True, budget_nanos=nanos)
    else:
        decision = await access.deny(person_id, admin_id, only_open=True)
    key, values = await _decision(decision)
    await context.answer(query, key, alert=False, **values)
    is_mine = decision.person.decided_by == context.person.id
    if context.match[3] is not None and (decision.changed or is_mine):
        await _start_with(update, context, decision.person, context.match[3])
    context.services.notices.nudge()
    await context.edit(query, texts(key, **values))


async def _start_with(update: Update, context: Context, person: Person, amount: str) -> None:
    """Tell of the budget that somebody was let in with, or ask for it."""
    if person.access != Access.APPROVED:
        return
    if amount == OTHER:
        await ask_amount(update, context, person)
    elif (nanos := _allowed(amount)) is not None:
        # Set already, unless it was this admin too who let them in and without one.
        await give_budget(context, person.id, nanos, first_budget(person.id))


def _allowed(amount: str | None) -> int | None:
    """The amount of a button, if it is one that the bot offers, in nano-dollars."""
    return int(amount) * NANOS_PER_DOLLAR if amount and amount in ALLOWED_DOLLARS else None


@admins_only
async def resolve_button(update: Update, context: Context) -> None:
    """Charge or release a job that has no end of its own."""
    query = update.callback_query
    if query is None or context.match is None:
        return
    way, job_id = context.match[1], int(context.match[2])
    # In notices of before there was one such state.
    state = JobState(context.match[3] or JobState.UNKNOWN)
    done = await context.services.unended.resolve(
        job_id, state, charge=way == "charge", admin_id=context.person.id
    )
    key = f"resolved.{way}" if done else "resolved.before"
    await context.answer(query, key, job=str(job_id))
    await context.edit(query, context.voice.texts(key, job=str(job_id)))


def name_values(person: Person) -> dict[str, str]:
    """The name and @name of a person, for a text."""
    return {
        "name": name_of(person),
        "username": f"@{person.username}" if person.username else "—",
    }


async def _named(update: Update, context: Context) -> Person:
    """The person that a command names or replies to. Raises `BadRequest` or `NoSuchPerson`."""
    message = update.effective_message
    words = words_after_command(message) if message else ""
    if words:
        return await context.services.access.find(words)
    meant = who_is_meant(message)
    if meant is not None:
        return await context.services.access.find(str(meant.id))
    raise BadRequest("no_person")


async def _report(update: Update, context: Context, decision: Decision) -> None:
    context.services.notices.nudge()
    key, values = await _decision(decision)
    await context.reply(update, context.voice.texts(key, **values))


async def _decision(decision: Decision) -> tuple[str, dict[str, str]]:
    """The key of the sentence that says what was decided, and its values."""
    person = decision.person
    key, values = f"decision.{person.access.value}", name_values(person)
    if decision.changed:
        return key, values
    by = await Person.get_or_none(id=person.decided_by) if person.decided_by else None
    return f"{key}_before", {**values, "by": "—" if by is None else name_of(by)}


HANDLERS: list[BaseHandler[Update, Context, None]] = [
    CommandHandler("pending", pending, filters.UpdateType.MESSAGE),
    CommandHandler("approve", approve, filters.UpdateType.MESSAGE),
    CommandHandler("deny", deny, filters.UpdateType.MESSAGE),
    CallbackQueryHandler(
        resolve_button, pattern=r"^(charge|release):(\d{1,18})(?::(unknown|submitted))?$"
    ),
    CallbackQueryHandler(
        decide_button, pattern=r"^(approve|deny):(\d{1,18})(?::(\d{1,2}|other))?$"
    ),
]
