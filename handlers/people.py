"""`/users`: everyone who is in or was in, a page at a time, each with what can be done for them."""

from __future__ import annotations

from telegram import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.ext import BaseHandler, CallbackQueryHandler, CommandHandler, filters

from bot.i18n import shortened
from bot.money import NANOS_PER_DOLLAR
from bot.notices import STARTING_BUDGETS
from bot.voice import name_of
from db.actions import latest
from db.models import Access, ContentJob, Person
from handlers.admin import OTHER, admins_only, name_values
from handlers.budget import ask_amount, give_budget, given
from handlers.context import Context, origin_of, words_after_command
from handlers.pages import in_rows, page_buttons, page_within

PEOPLE_ON_A_PAGE = 8
SHOWN_ACTIONS = 5
SHOWN_NAME = 24
BUDGETS = ("off", *(str(dollars) for dollars in STARTING_BUDGETS), OTHER)


@admins_only
async def users(update: Update, context: Context) -> None:
    """Everyone, with role, budget and spending; the one who is named, with all that is known."""
    message = update.effective_message
    named = words_after_command(message) if message else ""
    if named:
        person = await context.services.access.find(named)
        text, buttons = await _card(context, person, 0)
    else:
        text, buttons = await _page(context, 0)
    await context.reply(update, text, buttons)


@admins_only
async def turn_page(update: Update, context: Context) -> None:
    """Another page, in the same message."""
    query = update.callback_query
    if query is None or context.match is None:
        return
    await context.answer(query)
    await context.edit(query, *await _page(context, int(context.match[1])))


@admins_only
async def show(update: Update, context: Context) -> None:
    """One person, in the same message."""
    query, person = await _pressed(update, context)
    if query is not None and person is not None and context.match is not None:
        await context.answer(query)
        await context.edit(query, *await _card(context, person, int(context.match[2])))


@admins_only
async def decide(update: Update, context: Context) -> None:
    """Let a person in or keep them out, and show them as they are then."""
    query, person = await _pressed(update, context)
    if query is None or person is None or context.match is None:
        return
    access = context.services.access
    choose = access.approve if context.match[3] == "in" else access.deny
    decision = await choose(person.id, context.person.id)
    context.services.notices.nudge()
    person = decision.person
    key = f"decision.{person.access.value}"
    await context.answer(query, key, alert=False, **name_values(person))
    await context.edit(query, *await _card(context, person, int(context.match[2])))


@admins_only
async def give(update: Update, context: Context) -> None:
    """Set somebody's budget to the amount of a button, or ask for one."""
    query, person = await _pressed(update, context)
    if query is None or person is None or context.match is None:
        return
    amount = context.match[3]
    if amount == OTHER:
        await context.answer(query)
        await ask_amount(update, context, person)
        return
    if amount not in BUDGETS:
        await context.answer(query, "error.stale_button")
        return
    nanos = None if amount == "off" else int(amount) * NANOS_PER_DOLLAR
    person = await give_budget(context, person.id, nanos, origin_of(update))
    await context.answer_words(query, given(context, person))
    await context.edit(query, *await _card(context, person, int(context.match[2])))


async def _pressed(update: Update, context: Context) -> tuple[CallbackQuery | None, Person | None]:
    """The person of a button; whoever is gone is said to be."""
    query = update.callback_query
    if query is None or context.match is None:
        return None, None
    person = await Person.get_or_none(id=int(context.match[1]))
    if person is None:
        await context.answer(query, "error.stale_button")
    return query, person


async def _page(context: Context, number: int) -> tuple[str, InlineKeyboardMarkup]:
    """A page of people, and what administrators did lately."""
    known = Person.exclude(access=Access.STRANGER)
    count = await known.count()
    number = page_within(number, count, PEOPLE_ON_A_PAGE)
    people = (
        await known.order_by("-is_admin", "name", "id")
        .offset(number * PEOPLE_ON_A_PAGE)
        .limit(PEOPLE_ON_A_PAGE)
    )
    texts, voice = context.voice.texts, context.voice
    lines = [texts("users.title", count=count), ""]
    lines += [
        texts(
            "users.line",
            **name_values(person),
            role=_role(context, person),
            status=voice.status_line(person),
            total=voice.money(person.total_spent_nanos),
        )
        for person in people
    ]
    lines += await _last_actions(context)
    text = "\n".join([*lines, "", voice.status_line(context.person)])
    names = [
        InlineKeyboardButton(
            shortened(name_of(person), SHOWN_NAME), callback_data=f"user:{person.id}:{number}"
        )
        for person in people
    ]
    turn = page_buttons("users", number, count, PEOPLE_ON_A_PAGE)
    return text, InlineKeyboardMarkup([*in_rows(names, 2), turn])


async def _card(context: Context, person: Person, number: int) -> tuple[str, InlineKeyboardMarkup]:
    """All that is known of one person, with buttons; `number` is the page to go back to."""
    texts, voice = context.voice.texts, context.voice
    lines = [
        texts("users.card", **name_values(person), id=str(person.id)),
        _role(context, person),
        texts("users.seen", date=person.seen_at) if person.seen_at else texts("users.unseen"),
    ]
    if person.blocked_at is not None:
        lines.append(texts("users.blocked"))
    lines.append(texts("users.jobs", count=await ContentJob.filter(person_id=person.id).count()))
    if person.budget_nanos is not None:
        lines.append(voice.spent_since(person))
    if person.held_nanos:
        lines.append(texts("budget.held", amount=voice.money(person.held_nanos)))
    if person.budget_nanos is not None:
        lines.append(texts("budget.total", amount=voice.money(person.total_spent_nanos)))
    if decided := await _last_actions(context, about=person.id):
        lines += [*decided, ""]
    lines.append(voice.status_line(person))
    return "\n".join(lines), _card_buttons(context, person, number)


def _card_buttons(context: Context, person: Person, number: int) -> InlineKeyboardMarkup:
    texts, rows = context.voice.texts, []
    of_whom = f"{person.id}:{number}"
    decisions = [
        InlineKeyboardButton(texts.plain(f"button.{name}"), callback_data=f"let:{of_whom}:{way}")
        for name, way, access in (
            ("approve", "in", Access.APPROVED),
            ("deny", "out", Access.DENIED),
        )
        if not person.is_admin and person.access != access
    ]
    if decisions:
        rows.append(decisions)
    amounts = [
        InlineKeyboardButton(_amount(context, amount), callback_data=f"give:{of_whom}:{amount}")
        for amount in BUDGETS
    ]
    rows += [amounts[:1] + amounts[-1:], amounts[1:-1]]
    rows.append([InlineKeyboardButton("◀️", callback_data=f"users:{number}")])
    return InlineKeyboardMarkup(rows)


def _amount(context: Context, amount: str) -> str:
    if amount.isdecimal():
        return context.voice.money(int(amount) * NANOS_PER_DOLLAR)
    label = "button.other_amount" if amount == OTHER else "button.no_budget"
    return f"💰 {context.voice.texts.plain(label)}"


def _role(context: Context, person: Person) -> str:
    role = "admin" if person.is_admin else person.access.value
    return context.voice.texts(f"role.{role}")


async def _last_actions(context: Context, about: int | None = None) -> list[str]:
    """What administrators did lately, to a person or at all: who, what, whom, when."""
    actions = await latest(SHOWN_ACTIONS, about)
    if not actions:
        return []
    ids = {action.admin_id for action in actions} | {action.person_id for action in actions}
    names = {p.id: name_of(p) for p in await Person.filter(id__in=[i for i in ids if i])}
    texts = context.voice.texts
    shown = [
        texts(
            "users.action",
            date=action.created_at,
            by=names.get(action.admin_id, str(action.admin_id)),
            what=texts(f"action.{action.action}"),
            whom=names.get(action.person_id or 0, action.detail or "—"),
        )
        for action in actions
    ]
    return ["", texts("users.actions"), *shown]


HANDLERS: list[BaseHandler[Update, Context, None]] = [
    CommandHandler("users", users, filters.UpdateType.MESSAGE),
    CallbackQueryHandler(turn_page, pattern=r"^users:(\d{1,9})$"),
    CallbackQueryHandler(show, pattern=r"^user:(\d{1,18}):(\d{1,9})$"),
    CallbackQueryHandler(decide, pattern=r"^let:(\d{1,18}):(\d{1,9}):(in|out)$"),
    CallbackQueryHandler(give, pattern=r"^give:(\d{1,18}):(\d{1,9}):(\w{1,8})$"),
]
