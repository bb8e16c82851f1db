"""`/dashboard` and `/stats`: where the money went, one's own or the team's, as a picture.

Under it are buttons for another time and for the other background; both edit it in place.
"""

from __future__ import annotations

import asyncio
from typing import Literal

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, InputMediaPhoto, Update
from telegram.constants import ParseMode
from telegram.error import BadRequest as TelegramBadRequest
from telegram.ext import BaseHandler, CallbackQueryHandler, CommandHandler, filters

from bot.budget import Figures
from bot.charts import DaySpending, draw_dashboard
from bot.errors import BadRequest
from bot.screen.chat import is_gone, is_not_modified
from bot.spending import by_day, team_figures
from bot.voice import figures_of, name_of
from db.models import Person
from handlers.admin import admins_only
from handlers.context import Context, thread_of, words_after_command

Whose = Literal["dashboard", "stats"]

# Where fal shows the real balance and the keys.
FAL_DASHBOARD = "https://fal.ai/dashboard/keys"
USUAL_DAYS, MOST_DAYS = 30, 366
# What the buttons offer; any other number can be typed.
SPANS = (7, 30, 365)
SHOWN_PEOPLE = 5


async def dashboard(update: Update, context: Context) -> None:
    """The way to fal's dashboard, and a picture of the last days."""
    await _send(update, context, "dashboard")


@admins_only
async def stats(update: Update, context: Context) -> None:
    """People, jobs and spending in words, by day and model in a picture."""
    await _send(update, context, "stats")


async def turn(update: Update, context: Context) -> None:
    """Another time, or the other background, in the same message."""
    if context.match is not None and context.match[1] == "stats":
        await _turn_stats(update, context)
    else:
        await _turn(update, context, "dashboard")


@admins_only
async def _turn_stats(update: Update, context: Context) -> None:
    await _turn(update, context, "stats")


async def _send(update: Update, context: Context, whose: Whose) -> None:
    message, chat = update.effective_message, update.effective_chat
    if message is None or chat is None:
        return
    days = _days(words_after_command(message), whose)
    picture, caption = await _drawn(context, whose, days)
    await context.bot.send_photo(
        chat.id,
        picture,
        parse_mode=ParseMode.HTML,
        caption=caption,
        reply_markup=_buttons(context, whose, days),
        message_thread_id=thread_of(message),
    )


async def _turn(update: Update, context: Context, whose: Whose) -> None:
    query = update.callback_query
    if query is None or query.message is None or context.match is None:
        return
    days, theme = int(context.match[2]), context.match[3]
    await context.answer(query)
    if theme is not None:
        await context.change_person(theme=None if theme == "light" else theme)
    picture, caption = await _drawn(context, whose, days)
    try:
        await context.bot.edit_message_media(
            InputMediaPhoto(picture, caption, ParseMode.HTML),
            query.message.chat.id,
            query.message.message_id,
            reply_markup=_buttons(context, whose, days),
        )
    except TelegramBadRequest as error:
        if not (is_not_modified(error) or is_gone(error)):
            raise


def _days(typed: str, whose: Whose) -> int:
    """The number of days that was typed, the usual one if none was. Raises `BadRequest`."""
    if not typed:
        return USUAL_DAYS
    if not typed.isascii() or not typed.isdecimal() or not 1 <= int(typed[:9]) <= MOST_DAYS:
        raise BadRequest("days", command=f"/{whose}", most=str(MOST_DAYS))
    return int(typed)


async def _drawn(context: Context, whose: Whose, days: int) -> tuple[bytes, str]:
    """The picture, and what stands under it."""
    person = await Person.get(id=context.person.id)
    context.person, voice = person, context.voice
    catalog = context.services.catalog
    spent = await by_day(person.id if whose == "dashboard" else None, days, catalog)
    if whose == "dashboard":
        figures = figures_of(person)
        lines: list[str] = [voice.texts("dashboard.caption", count=days)]
    else:
        figures, lines = await _of_team(context, spent)
    picture = await asyncio.to_thread(
        draw_dashboard,
        spent,
        figures,
        voice.texts,
        voice.currency,
        dark=person.theme == "dark",
        of_team=whose == "stats",
    )
    return picture, "\n".join([*lines, voice.status_line(person)])


async def _of_team(context: Context, days: list[DaySpending]) -> tuple[Figures, list[str]]:
    """The figures of everybody together, and who spent most."""
    voice, texts, team = context.voice, context.voice.texts, await team_figures()
    lines: list[str] = [
        texts("stats.title"),
        texts("stats.people", count=team.people),
        texts("stats.jobs", count=team.jobs, failed=team.failed),
        texts("stats.total", amount=voice.money(team.total_nanos)),
    ]
    top = (
        await Person.filter(total_spent_nanos__gt=0)
        .order_by("-total_spent_nanos")
        .limit(SHOWN_PEOPLE)
    )
    lines += [
        texts("stats.line", name=name_of(p), amount=voice.money(p.total_spent_nanos)) for p in top
    ]
    spent = sum(sum(day.by_model.values()) for day in days)
    return Figures(None, spent, 0, team.total_nanos), lines


def _buttons(context: Context, whose: Whose, days: int) -> InlineKeyboardMarkup:
    texts, is_dark = context.voice.texts, context.person.theme == "dark"
    row = [
        InlineKeyboardButton(
            f"{'✓ ' if span == days else ''}{texts.plain('button.days', count=span)}",
            callback_data=f"{whose}:{span}",
        )
        for span in SPANS
    ]
    other = "light" if is_dark else "dark"
    row.append(
        InlineKeyboardButton("☀️" if is_dark else "🌙", callback_data=f"{whose}:{days}:{other}")
    )
    rows = [row]
    if whose == "dashboard":
        way = InlineKeyboardButton(texts.plain("button.fal_dashboard"), url=FAL_DASHBOARD)
        rows.append([way])
    return InlineKeyboardMarkup(rows)


HANDLERS: list[BaseHandler[Update, Context, None]] = [
    CommandHandler("dashboard", dashboard, filters.UpdateType.MESSAGE),
    CommandHandler("stats", stats, filters.UpdateType.MESSAGE),
    CallbackQueryHandler(turn, pattern=r"^(dashboard|stats):(\d{1,3})(?::(light|dark))?$"),
]
