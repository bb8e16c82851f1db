"""`/models`: what there is, what it costs, which one is used; what admins add and take away."""

from __future__ import annotations

from collections.abc import Sequence

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.ext import BaseHandler, CallbackQueryHandler, CommandHandler, filters

from bot.catalog import KINDS, Endpoint, Kind, Model
from bot.errors import AdminsOnly, BadRequest, FalSilent
from bot.fal.errors import FalError
from bot.i18n import Html, shortened
from bot.voice import name_of
from db.models import Person
from handlers.context import Context, words_after_command
from handlers.pages import in_rows

SHOWN_ARGUMENTS, SHOWN_ENDPOINT, SHOWN_NAME = 300, 60, 24


async def models(update: Update, context: Context) -> None:
    """All models with their prices, and a button for each; for admins also `add` and `remove`."""
    message = update.effective_message
    word, _, name = (words_after_command(message) if message else "").partition(" ")
    if word:
        if word.lower() not in ("add", "remove"):
            raise BadRequest("models")
        if not context.person.is_admin:
            raise AdminsOnly
        if not name.strip():
            raise BadRequest("no_endpoint")
        await (_add if word.lower() == "add" else _remove)(update, context, name.strip())
        return
    await context.services.added.refresh()
    await context.reply(update, await _text(context), _buttons(context))


async def show(update: Update, context: Context) -> None:
    """All models, for the button in the settings."""
    query = update.callback_query
    if query is None:
        return
    await context.services.added.refresh()
    await context.answer(query)
    await context.edit(query, await _text(context), _buttons(context))


async def _add(update: Update, context: Context, name: str) -> None:
    """Put an endpoint of fal on offer, and say what it costs and what is sent with it."""
    try:
        endpoint = await context.services.added.add(name, context.person.id)
    except FalError as error:
        raise FalSilent from error
    texts, model = context.voice.texts, context.services.catalog.model_of(endpoint.id)
    sent = [f"{name}={value}" for name, value in endpoint.arguments.items() if value != []]
    lines = [
        texts("models.added", model=model.name, key=model.key),
        await _line(context, model, endpoint, is_chosen=False),
        texts(f"models.from_{_ends(model)}"),
        texts("models.sent", arguments=shortened(" · ".join(sent), SHOWN_ARGUMENTS) or "—"),
    ]
    button = _button(model, is_chosen=False)
    await context.reply(update, "\n".join(lines), InlineKeyboardMarkup([[button]]))


async def _remove(update: Update, context: Context, name: str) -> None:
    """Take an added model away again."""
    model = await context.services.added.remove(name, context.person.id)
    await context.say(update, "models.removed", model=model)


async def choose(update: Update, context: Context) -> None:
    """Use another model from now on."""
    query = update.callback_query
    if query is None or context.match is None:
        return
    catalog = context.services.catalog
    await context.services.added.refresh()
    try:
        model = catalog.model(context.match[1])
    except KeyError:
        await context.answer(query, "error.stale_button")
        return
    column = "image_model" if model.kind == "image" else "video_model"
    await context.change_person(**{column: model.key})
    await context.answer(query, "models.chosen", model=model.name)
    await context.edit(query, await _text(context), _buttons(context))


def _current(context: Context, kind: Kind) -> Model:
    person = context.person
    key = person.image_model if kind == "image" else person.video_model
    return context.services.catalog.chosen(kind, key)


async def _text(context: Context) -> str:
    texts = context.voice.texts
    lines: list[str] = []
    added_by = await context.services.added.added_by() if context.person.is_admin else {}
    for kind in KINDS:
        chosen = _current(context, kind)
        offered = [model for model in context.services.catalog.models if model.kind == kind]
        shown = [
            _with_name(
                context,
                await _line(context, model, model.endpoints[0], is_chosen=model == chosen),
                added_by.get(model.key),
            )
            for model in offered
        ]
        lines += [texts(f"models.{kind}"), *shown, ""]
    lines.append(texts("models.how"))
    if context.person.is_admin:
        lines.append(texts("models.how_admin"))
    return "\n".join(lines)


def _with_name(context: Context, line: Html, added_by: Person | None) -> Html:
    """The line of a model; behind one that an admin has added, who it was."""
    if added_by is None:
        return line
    name = shortened(name_of(added_by), SHOWN_NAME)
    return context.voice.texts("models.added_by", line=line, name=name)


async def _line(context: Context, model: Model, endpoint: Endpoint, *, is_chosen: bool) -> Html:
    texts, prices = context.voice.texts, context.services.prices
    price, nanos = await prices.of(endpoint), await prices.usual_quote(endpoint)
    if nanos is None:
        amount = texts("models.no_price")
    else:
        amount = texts(f"models.each_{model.kind}", amount=context.voice.money(nanos))
    if price.origin == "fallback":
        amount = texts("models.fallback", amount=amount, date=price.as_of)
    good_for = texts(model.good_for) if model.good_for else shortened(endpoint.id, SHOWN_ENDPOINT)
    mark = "●" if is_chosen else "○"
    return texts("models.line", mark=mark, name=model.name, amount=amount, good_for=good_for)


def _buttons(context: Context) -> InlineKeyboardMarkup:
    chosen = {_current(context, kind).key for kind in KINDS}
    rows: list[Sequence[InlineKeyboardButton]] = []
    for kind in KINDS:
        row = [
            _button(model, is_chosen=model.key in chosen)
            for model in context.services.catalog.models
            if model.kind == kind
        ]
        rows += in_rows(row, 2)
    return InlineKeyboardMarkup(rows)


def _button(model: Model, *, is_chosen: bool) -> InlineKeyboardButton:
    mark = "✓ " if is_chosen else ""
    return InlineKeyboardButton(f"{mark}{model.name}", callback_data=f"model:{model.key}")


def _ends(model: Model) -> str:
    if model.text and model.image:
        return "both"
    return "text" if model.text else "image"


HANDLERS: list[BaseHandler[Update, Context, None]] = [
    CommandHandler("models", models, filters.UpdateType.MESSAGE),
    CallbackQueryHandler(show, pattern=r"^models$"),
    CallbackQueryHandler(choose, pattern=r"^model:([a-z0-9.-]{1,32})$"),
]
