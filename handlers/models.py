"""`/models`: what there is, what it costs, which one is used."""

from __future__ import annotations

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.ext import BaseHandler, CallbackQueryHandler, CommandHandler, filters

from bot.catalog import Kind, Model
from bot.errors import UnknownUnit
from bot.pricing import quote
from bot.spending import COMMON_SIZE
from db.models import Person
from handlers.context import Context

KINDS: tuple[Kind, ...] = ("image", "video")


async def models(update: Update, context: Context) -> None:
    """All models with their prices, and a button for each."""
    await context.reply(update, await _text(context), _buttons(context))


async def choose(update: Update, context: Context) -> None:
    """Use another model from now on."""
    query = update.callback_query
    if query is None or context.match is None:
        return
    catalog = context.services.catalog
    try:
        model = catalog.model(context.match[1])
    except KeyError:
        await context.answer(query, "error.stale_button")
        return
    column = "image_model" if model.kind == "image" else "video_model"
    await Person.filter(id=context.person.id).update(**{column: model.key})
    context.person = await Person.get(id=context.person.id)
    await context.answer(query, "models.chosen", alert=False, model=model.name)
    await context.edit(query, await _text(context), _buttons(context))


def _current(context: Context, kind: Kind) -> Model:
    person, catalog = context.person, context.services.catalog
    key = person.image_model if kind == "image" else person.video_model
    known = {model.key: model for model in catalog.models if model.kind == kind}
    return known.get(key or "", catalog.default(kind))


async def _text(context: Context) -> str:
    texts = context.voice.texts
    lines: list[str] = []
    for kind in KINDS:
        chosen = _current(context, kind)
        offered = [model for model in context.services.catalog.models if model.kind == kind]
        shown = [await _line(context, model, is_chosen=model == chosen) for model in offered]
        lines += [texts(f"models.{kind}"), *shown, ""]
    return "\n".join([*lines, texts("models.how")])


async def _line(context: Context, model: Model, *, is_chosen: bool) -> str:
    texts, prices = context.voice.texts, context.services.prices
    endpoint = model.text or model.endpoints[0]
    price = await prices.of(endpoint)
    try:
        nanos = quote(endpoint, endpoint.arguments, price, COMMON_SIZE).nanos
        amount = texts(f"models.each_{model.kind}", amount=context.voice.money(nanos))
    except UnknownUnit:
        amount = texts("models.no_price")
    if price.origin == "fallback":
        amount = texts("models.fallback", amount=amount, date=price.as_of)
    good_for = texts(model.good_for) if model.good_for else ""
    mark = "●" if is_chosen else "○"
    return texts("models.line", mark=mark, name=model.name, amount=amount, good_for=good_for)


def _buttons(context: Context) -> InlineKeyboardMarkup:
    chosen = {_current(context, kind).key for kind in KINDS}
    return InlineKeyboardMarkup(
        [
            [
                InlineKeyboardButton(
                    f"{'✓ ' if model.key in chosen else ''}{model.name}",
                    callback_data=f"model:{model.key}",
                )
                for model in context.services.catalog.models
                if model.kind == kind
            ]
            for kind in KINDS
        ]
    )


HANDLERS: list[BaseHandler[Update, Context, None]] = [
    CommandHandler("models", models, filters.UpdateType.MESSAGE),
    CallbackQueryHandler(choose, pattern=r"^model:([a-z0-9.-]{1,32})$"),
]
