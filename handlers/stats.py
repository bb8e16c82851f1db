"""`/stats`: the whole team's spending, for administrators."""

from __future__ import annotations

import asyncio

from telegram import Update
from telegram.constants import ParseMode
from telegram.ext import BaseHandler, CommandHandler, filters

from bot.budget import Figures
from bot.charts import draw_dashboard
from bot.spending import by_day, team_figures
from db.models import Person
from handlers.admin import admins_only
from handlers.context import Context, thread_of

STATS_DAYS = 30
SHOWN_PEOPLE = 5


@admins_only
async def stats(update: Update, context: Context) -> None:
    """People, jobs and spending in words, by day and model in a picture."""
    message, chat = update.effective_message, update.effective_chat
    if message is None or chat is None:
        return
    voice, texts = context.voice, context.voice.texts
    team = await team_figures()
    days = await by_day(None, STATS_DAYS, context.services.catalog)
    spent = sum(sum(day.by_model.values()) for day in days)
    figures = Figures(None, spent, 0, team.total_nanos)
    picture = await asyncio.to_thread(draw_dashboard, days, figures, texts, voice.currency)
    lines: list[str] = [
        texts("stats.title"),
        texts("stats.people", count=team.people),
        texts("stats.jobs", count=team.jobs, failed=team.failed),
        texts("stats.total", amount=voice.money(team.total_nanos)),
    ]
    top = await Person.filter(total_spent_nanos__gt=0).order_by("-total_spent_nanos")
    lines += [
        texts("stats.line", name=p.name or str(p.id), amount=voice.money(p.total_spent_nanos))
        for p in top[:SHOWN_PEOPLE]
    ]
    lines.append(voice.status_line(context.person))
    await context.bot.send_photo(
        chat.id,
        picture,
        caption="\n".join(lines),
        parse_mode=ParseMode.HTML,
        message_thread_id=thread_of(message),
    )


HANDLERS: list[BaseHandler[Update, Context, None]] = [
    CommandHandler("stats", stats, filters.UpdateType.MESSAGE),
]
