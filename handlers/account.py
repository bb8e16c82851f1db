"""`/balance` and `/reconcile`: fal's side of the books, for administrators."""

from __future__ import annotations

from telegram import Update
from telegram.ext import BaseHandler, CommandHandler, filters

from bot.accounting import Explanation, Report
from bot.errors import FalSilent
from bot.fal.errors import FalError
from bot.i18n import Html
from bot.voice import Voice
from db.models import Person
from handlers.admin import admins_only
from handlers.context import Context


@admins_only
async def balance(update: Update, context: Context) -> None:
    """fal's balance beside what people may still spend."""
    try:
        coverage = await context.services.balance.coverage()
    except FalError as error:
        raise FalSilent from error
    voice = context.voice
    lines = [
        voice.texts("balance.real", amount=voice.money(coverage.balance_nanos)),
        voice.texts("balance.promised", amount=voice.money(coverage.promised_nanos)),
        voice.texts("balance.covered" if coverage.is_covered else "balance.not_covered"),
        *voice.rate(),
    ]
    await context.reply(update, "\n".join([*lines, voice.status_line(context.person)]))


@admins_only
async def reconcile(update: Update, context: Context) -> None:
    """Compare the books with fal's bills now."""
    services = context.services
    try:
        await services.balance.check()
        report = await services.reconciler.reconcile()
    except FalError as error:
        raise FalSilent from error
    voice = context.voice
    # What was found may have changed their own figures too.
    person = await Person.get(id=context.person.id)
    await context.reply(update, f"{report_text(report, voice)}\n{voice.status_line(person)}")


def report_text(report: Report, voice: Voice) -> str:
    """A reconciliation in words, HTML."""
    texts = voice.texts
    sources = [
        texts(f"reconcile.{source}", count=count)
        for source, count in sorted(report.jobs_by_source.items())
    ]
    lines = [texts("reconcile.title"), *sources]
    if report.adjustments:
        amount = voice.money(report.adjusted_nanos)
        lines.append(texts("reconcile.adjusted", count=report.adjustments, amount=amount))
    else:
        lines.append(texts("reconcile.nothing_adjusted"))
    if report.missing:
        lines.append(texts("reconcile.missing", count=report.missing))
    lines.append(texts("reconcile.charged", amount=voice.money(report.charged_nanos)))
    lines.append(texts("reconcile.outside", amount=voice.money(report.outside_nanos)))
    if report.balance is not None:
        lines += _explained(report.balance, voice)
    return "\n".join([*lines, *voice.rate()])


def _explained(balance: Explanation, voice: Voice) -> list[Html]:
    """`balance then − charges − outside`, beside the balance, and what is between the two."""
    line = voice.texts(
        "reconcile.explained",
        date=balance.since,
        then=voice.money(balance.then_nanos),
        charged=voice.money(balance.charged_nanos),
        outside=voice.money(balance.outside_nanos),
        expected=voice.money(balance.expected_nanos),
        balance=voice.money(balance.now_nanos),
    )
    amount = voice.money(balance.unexplained_nanos)
    return [line, voice.texts("reconcile.unexplained", amount=amount)]


HANDLERS: list[BaseHandler[Update, Context, None]] = [
    CommandHandler("balance", balance, filters.UpdateType.MESSAGE),
    CommandHandler("reconcile", reconcile, filters.UpdateType.MESSAGE),
]
