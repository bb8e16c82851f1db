"""What an endpoint takes, read from fal's own description of it (OpenAPI). Pure.

Only what can be quoted is read: text in, perhaps a picture in, pictures or a video out. Whatever
has a default is sent with it, so that a request costs tomorrow what it costs today; where the price
depends on a choice that people cannot make here (resolution, quality, sound) the cheapest is sent,
because fal's unit price is never one for less.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pydantic import TypeAdapter, ValidationError

from bot.catalog import Endpoint, Kind
from bot.errors import BadRequest, UnknownUnit
from bot.money import NANOS_PER_DOLLAR
from bot.pricing import IMAGE_SIZES, Price, quote

Schema = Mapping[str, object]

SOURCE = "fal's price list when it was added"
# fal documentation, "Model APIs": the categories of what is made from a text or from a picture.
CATEGORIES = {
    "text-to-image": ("image", False),
    "image-to-image": ("image", True),
    "text-to-video": ("video", False),
    "image-to-video": ("video", True),
}
IMAGE_ARGUMENTS = ("image_url", "image_urls", "start_image_url", "first_frame_url")
ONE_EACH = ("num_images", "max_images", "num_videos")
# The cheapest first; a resolution is compared by its number.
QUALITIES = ("low", "basic", "medium", "standard", "high", "pro", "hd", "ultra")
RATIOS_BY_SIZE = {
    "1:1": "square_hd",
    "4:3": "landscape_4_3",
    "3:4": "portrait_4_3",
    "16:9": "landscape_16_9",
    "9:16": "portrait_16_9",
}
LONGEST_DEFAULT = 500
DEEPEST = 8

_RATIO = re.compile(r"[1-9]\d?:[1-9]\d?")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def read_endpoint(
    endpoint_id: str, category: str | None, openapi: Schema, price: Price
) -> Endpoint:
    """The endpoint as the catalog would have it.

    Raises `BadRequest` for what cannot be offered, with the reason, and `UnknownUnit` if what a
    request costs cannot be known before it is sent.
    """
    inputs, outputs = _input(openapi), _output(openapi)
    if not inputs:
        raise BadRequest("model_undescribed", model=endpoint_id)
    kind, wants_image = _kind(endpoint_id, category, inputs, outputs)
    image = _image_argument(inputs, wants_image)
    if "prompt" not in inputs:
        raise BadRequest("model_wordless", model=endpoint_id)
    if wants_image and image is None:
        raise BadRequest("model_of_no_kind", model=endpoint_id, category=category or "—")
    arguments = _arguments(inputs, kind, price.unit, image)
    known = {"prompt", image, *arguments}
    missing = [name for name, field in inputs.items() if field.required and name not in known]
    if missing:
        raise BadRequest("model_needs_more", model=endpoint_id, arguments=", ".join(missing))
    endpoint = _checked(
        {
            "id": endpoint_id,
            "kind": kind,
            "unit": price.unit,
            "fallback_unit_price": Decimal(price.unit_price_nanos) / NANOS_PER_DOLLAR,
            "source": SOURCE,
            "as_of": price.as_of,
            "image_argument": image,
            "takes_seed": "seed" in inputs and "integer" in inputs["seed"].types,
            "arguments": arguments,
            "duration_seconds": _seconds(arguments.get("duration")),
        }
    )
    quote(endpoint, endpoint.arguments, price, (1, 1))  # raises where there is no quote
    ratios = dict(_aspect_ratios(endpoint, inputs, price))
    return _checked({**vars_of(endpoint), "aspect_ratios": ratios})


def vars_of(endpoint: Endpoint) -> dict[str, object]:
    """The definition of an endpoint as JSON has it; `endpoint_of` reads it."""
    return dict(TypeAdapter(Endpoint).dump_python(endpoint, mode="json"))


def endpoint_of(definition: Mapping[str, object]) -> Endpoint:
    """The endpoint of a stored definition. Raises `ValueError` if this version cannot read it."""
    return TypeAdapter(Endpoint).validate_python(dict(definition))


def _checked(definition: Mapping[str, object]) -> Endpoint:
    try:
        return endpoint_of(definition)
    except ValidationError as error:
        raise BadRequest("model_undescribed", model=definition["id"]) from error


@dataclass(frozen=True, slots=True)
class _Field:
    """One argument: JSON types, the values it may have (none: any), its default if it has one."""

    types: frozenset[str]
    choices: tuple[object, ...]
    default: object
    required: bool
    fields: frozenset[str]


# ------------------------------------------------------------------------ finding the schemas


def _input(openapi: Schema) -> dict[str, _Field]:
    """The arguments, in fal's order; empty if they are not described."""
    for path in _dict(openapi.get("paths")).values():
        body = _at(path, "post", "requestBody", "content", "application/json", "schema")
        schema = _resolved(body, openapi)
        if properties := _dict(schema.get("properties")):
            required = schema.get("required")
            needed = required if isinstance(required, list) else []
            return {
                name: _field(_dict(field), openapi, name in needed)
                for name, field in properties.items()
            }
    return {}


def _output(openapi: Schema) -> frozenset[str]:
    """The names of what a result has: of all answers, that of a request and not of its status."""
    names: set[str] = set()
    for path in _dict(openapi.get("paths")).values():
        for method in ("get", "post"):
            answer = _at(path, method, "responses", "200", "content", "application/json", "schema")
            names |= _dict(_resolved(answer, openapi).get("properties")).keys()
    return frozenset(names)


def _at(value: object, *keys: str) -> object:
    for key in keys:
        value = _dict(value).get(key)
    return value


def _dict(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _resolved(value: object, openapi: Schema, depth: int = 0) -> Schema:
    """The schema behind a reference."""
    schema = _dict(value)
    reference = schema.get("$ref")
    if isinstance(reference, str) and depth < DEEPEST:
        return _resolved(_at(openapi, *reference.removeprefix("#/").split("/")), openapi, depth + 1)
    return schema


def _alternatives(schema: Schema, openapi: Schema, depth: int = 0) -> Iterator[Schema]:
    """The schema, or those that it is one of."""
    schema = _resolved(schema, openapi)
    parts = [
        part
        for word in ("anyOf", "oneOf", "allOf")
        if isinstance(found := schema.get(word), list)
        for part in found
    ]
    if not parts or depth >= DEEPEST:
        yield schema
        return
    for part in parts:
        yield from _alternatives(_dict(part), openapi, depth + 1)


def _field(schema: Schema, openapi: Schema, required: bool) -> _Field:
    types: set[str] = set()
    choices: list[object] = []
    fields: set[str] = set()
    for one in _alternatives(schema, openapi):
        if isinstance(kind := one.get("type"), str):
            types.add(kind)
        if isinstance(values := one.get("enum"), list):
            choices += [value for value in values if value is not None]
        fields |= _dict(one.get("properties")).keys()
    default = schema.get("default")
    return _Field(frozenset(types), tuple(choices), default, required, frozenset(fields))


# ------------------------------------------------------------------------- reading the schemas


def _kind(
    endpoint_id: str, category: str | None, inputs: Mapping[str, _Field], outputs: frozenset[str]
) -> tuple[Kind, bool]:
    """What it makes, and whether from a picture. Raises `BadRequest` if that cannot be told."""
    made: Kind | None = None
    if outputs & {"images", "image"}:
        made = "image"
    elif "video" in outputs:
        made = "video"
    if category is None:
        wants_image = any(inputs[name].required for name in IMAGE_ARGUMENTS if name in inputs)
    else:
        kind, wants_image = CATEGORIES.get(category, (None, False))
        made = made if made == kind else None
    if made is None:
        raise BadRequest("model_of_no_kind", model=endpoint_id, category=category or "—")
    return made, wants_image


def _image_argument(inputs: Mapping[str, _Field], wants_image: bool) -> str | None:
    found = [name for name in IMAGE_ARGUMENTS if wants_image and name in inputs]
    return next((name for name in found if inputs[name].required), found[0] if found else None)


def _arguments(
    inputs: Mapping[str, _Field], kind: Kind, unit: str, image: str | None
) -> dict[str, object]:
    """What is sent with every request. No decimal among them is an amount of money."""
    arguments: dict[str, object] = {
        name: float(field.default) if isinstance(field.default, Decimal) else field.default
        for name, field in inputs.items()
        if _is_sendable(field.default)
        and name not in ("prompt", "seed", "sync_mode", image)
        and not name.endswith(("_url", "_urls"))
    }
    arguments |= {name: 1 for name in ONE_EACH if name in inputs}
    if image is not None and "array" in inputs[image].types:
        arguments[image] = []  # one picture goes into a list
    if "generate_audio" in inputs:
        arguments["generate_audio"] = False
    for name in ("resolution", "quality"):
        if name in inputs and (cheapest := _cheapest(inputs[name].choices)) is not None:
            arguments[name] = cheapest
    if "duration" in inputs:
        arguments |= _duration(inputs["duration"], by_time="second" in unit or "minute" in unit)
    if "image_size" in inputs:
        arguments |= _size(inputs["image_size"])
    if "aspect_ratio" in inputs and "aspect_ratio" not in arguments:
        ratios = [ratio for ratio in inputs["aspect_ratio"].choices if _is_ratio(ratio)]
        usual = "16:9" if kind == "video" else "1:1"
        if ratios:
            arguments["aspect_ratio"] = usual if usual in ratios else ratios[0]
    return arguments


def _is_sendable(value: object) -> bool:
    return isinstance(value, bool | int | Decimal) or (
        isinstance(value, str) and len(value) <= LONGEST_DEFAULT
    )


def _cheapest(choices: Sequence[object]) -> object:
    """The least of resolutions or qualities; None if they cannot be compared."""
    ranked = []
    for choice in choices:
        word = str(choice).casefold()
        number = _NUMBER.search(word)
        if word in QUALITIES:
            ranked.append((Decimal(QUALITIES.index(word)), choice))
        elif number is not None:
            # "1K" is more than "720p".
            factor = 1000 if word.endswith("k") else 1
            ranked.append((Decimal(number[0]) * factor, choice))
    return min(ranked, key=lambda one: one[0])[1] if ranked else None


def _duration(field: _Field, *, by_time: bool) -> dict[str, object]:
    """fal's default where time is billed; for a price of a whole video the shortest there is."""
    lengths = {choice: seconds for choice in field.choices if (seconds := _seconds(choice))}
    if lengths and (not by_time or _seconds(field.default) is None):
        return {"duration": min(lengths, key=lambda choice: lengths[choice])}
    return {} if field.default is None else {"duration": field.default}


def _seconds(value: object) -> Decimal | None:
    """The length that an argument like `5`, `"5"` or `"5s"` means."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    word = str(value).removesuffix("s")
    return Decimal(word) if _NUMBER.fullmatch(word) and Decimal(word) > 0 else None


def _size(field: _Field) -> dict[str, object]:
    """The size of a picture: fal's default if its pixels are known, else a preset or our own."""
    default = field.default
    if isinstance(default, dict) or default in IMAGE_SIZES:
        return {"image_size": default}
    presets = [size for size in field.choices if size in IMAGE_SIZES]
    if presets:
        return {"image_size": "landscape_4_3" if "landscape_4_3" in presets else presets[0]}
    if {"width", "height"} <= field.fields:
        return {"image_size": {"width": 1024, "height": 768}}
    return {}


def _is_ratio(value: object) -> bool:
    return isinstance(value, str) and _RATIO.fullmatch(value) is not None


def _aspect_ratios(
    endpoint: Endpoint, inputs: Mapping[str, _Field], price: Price
) -> Iterator[tuple[str, dict[str, object]]]:
    """The arguments for `--ar`; only those whose cost can be known too."""
    ways: dict[str, dict[str, object]] = {}
    if "aspect_ratio" in endpoint.arguments:
        ratios = inputs["aspect_ratio"].choices
        ways = {str(ratio): {"aspect_ratio": ratio} for ratio in ratios if _is_ratio(ratio)}
    elif "image_size" in endpoint.arguments:
        presets = inputs["image_size"].choices
        ways = {
            ratio: {"image_size": size} for ratio, size in RATIOS_BY_SIZE.items() if size in presets
        }
    for ratio, changes in ways.items():
        try:
            quote(endpoint, {**endpoint.arguments, **changes}, price, (1, 1))
        except UnknownUnit:
            continue
        yield ratio, changes
