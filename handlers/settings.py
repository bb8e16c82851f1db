"""`/settings`: language, shape, alerts, when to ask first, theme. All behind buttons."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.ext import BaseHandler, CallbackQueryHandler, CommandHandler, filters

from bot.i18n import load_texts
from bot.money import NANOS_PER_DOLLAR, nanos_from_decimal
from db.models import Person
from handlers.context import Context
from handlers.pages import in_rows

RATIOS = ("1:1", "4:3", "3:4", "16:9", "9:16")
# What the buttons offer. `-` is the usual: the client's language, the team's thresholds, …
# Amounts are in US dollars.
CHOICES: dict[str, tuple[str, ...]] = {
    "language": ("-", "en", "fr"),
    "ratio": ("-", *RATIOS),
    "alerts": ("-", "50,25,10", "50", "10", "off"),
    "ask": ("-", "0.00", "0.05", "0.25", "0.50", "1.00"),
    "theme": ("-", "dark"),
}
COLUMNS = {
    "language": "language",
    "ratio": "aspect_ratio",
    "alerts": "alert_percents",
    "ask": "confirm_above_nanos",
    "theme": "theme",
}
NAMES = "|".join(CHOICES)


async def settings(update: Update, context: Context) -> None:
    """The present settings, with a button for each."""
    await context.reply(update, _text(context), _names(context))


async def show(update: Update, context: Context) -> None:
    """All settings again, or the choices of one of them."""
    query = update.callback_query
    if query is None or context.match is None:
        return
    await context.answer(query)
    name = context.match[1]
    if name:
        await context.edit(query, _text(context, (name,)), _choices(context, name))
    else:
        await context.edit(query, _text(context), _names(context))


async def change(update: Update, context: Context) -> None:
    """Make a choice."""
    query = update.callback_query
    if query is None or context.match is None:
        return
    name, choice = context.match[1], context.match[2]
    if choice not in CHOICES[name]:
        await context.answer(query, "error.stale_button")
        return
    await context.change_person(**{COLUMNS[name]: _stored(name, choice)})
    await context.answer(query)
    await context.edit(query, _text(context), _names(context))


def _stored(name: str, choice: str) -> object:
    """A choice as it is stored; the usual one is null."""
    if choice == "-":
        return None
    if name == "alerts":
        return choice.replace("off", "")
    if name == "ask":
        return nanos_from_decimal(Decimal(choice))
    return choice


def _present(person: Person, name: str) -> str:
    """What is stored, as the choice that it is."""
    stored = getattr(person, COLUMNS[name])
    if stored is None:
        return "-"
    if name == "ask":
        return f"{Decimal(stored) / NANOS_PER_DOLLAR:.2f}"
    return stored or "off"


def _label(context: Context, name: str, choice: str) -> str:
    """A choice in words."""
    texts = context.voice.texts
    if name == "alerts":
        if choice == "-":
            choice = ",".join(str(p) for p in context.services.settings.alert_percents) or "off"
        if choice == "off":
            return texts.plain("settings.silence")
        return " · ".join(f"{percent} %" for percent in choice.split(","))
    if choice == "-":
        return texts.plain(f"settings.usual_{name}")
    if name == "language":
        return load_texts(choice).plain("settings.own_name")
    if name == "theme":
        return texts.plain("settings.dark")
    if name == "ask":
        amount = context.voice.money(nanos_from_decimal(Decimal(choice)))
        always = choice == "0.00"
        return texts.plain("settings.always" if always else "settings.over", amount=amount)
    return choice


def _text(context: Context, names: Iterable[str] = CHOICES) -> str:
    """What is chosen: of all settings, or of these."""
    texts = context.voice.texts
    lines = [texts("settings.title"), ""]
    for name in names:
        value = _label(context, name, _present(context.person, name))
        lines.append(texts(f"settings.{name}", value=value))
    return "\n".join(lines)


def _names(context: Context) -> InlineKeyboardMarkup:
    """A button for each setting, and one for the models."""
    texts = context.voice.texts
    buttons = [
        InlineKeyboardButton(texts.plain(f"settings.name_{name}"), callback_data=f"settings:{name}")
        for name in CHOICES
    ]
    buttons.append(
        InlineKeyboardButton(texts.plain("settings.name_models"), callback_data="models")
    )
    return InlineKeyboardMarkup(in_rows(buttons, 2))


def _choices(context: Context, name: str) -> InlineKeyboardMarkup:
    """A button for each choice of a setting, and the way back."""
    present = _present(context.person, name)
    buttons = [
        InlineKeyboardButton(
            f"{'✓ ' if choice == present else ''}{_label(context, name, choice)}",
            callback_data=f"set:{name}:{choice}",
        )
        for choice in CHOICES[name]
    ]
    back = InlineKeyboardButton("◀️", callback_data="settings")
    return InlineKeyboardMarkup([*in_rows(buttons, 3 if name == "ratio" else 2), [back]])


HANDLERS: list[BaseHandler[Update, Context, None]] = [
    CommandHandler("settings", settings, filters.UpdateType.MESSAGE),
    CallbackQueryHandler(show, pattern=rf"^settings(?::({NAMES}))?$"),
    CallbackQueryHandler(change, pattern=rf"^set:({NAMES}):([a-z0-9:.,-]{{1,16}})$"),
]
