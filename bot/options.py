"""`--ar 9:16 --n 3 --seed 42 --model schnell`: options in the way people type them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.catalog import Catalog, Kind, Model
from bot.errors import BadRequest

MOST_AT_ONCE = 4
LARGEST_SEED = 2**31 - 1

# Phones turn two hyphens into a dash; a dash before any other word is just a dash.
_OPTION = re.compile(
    r"(?:^|\s)(?:--|[\u2013\u2014](?=(?:ar|aspect|n|seed|model|m)\b))(?P<name>[A-Za-z]+)"
    r"(?:[ =]+(?P<value>[^\s-]\S*))?"
)


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for beside the prompt; None where nothing was said.

    `model` is as it was typed, for `find_model`.
    """

    model: str | None = None
    aspect_ratio: str | None = None
    seed: int | None = None
    count: int = 1


NOTHING_SAID = Options()


def parse_options(text: str, max_active_jobs: int) -> tuple[str, Options]:
    """The prompt without its options, and the options. Raises `BadRequest` with an example.

    More at once than may be under way at a time can never be made.
    """
    found: dict[str, str | int] = {}
    for match in _OPTION.finditer(text):
        name, value = match["name"].lower(), match["value"] or ""
        match name:
            case "ar" | "aspect":
                found["aspect_ratio"] = _ratio(value)
            case "n":
                found["count"] = _count(value, min(MOST_AT_ONCE, max_active_jobs))
            case "seed":
                found["seed"] = _number("seed", value, 0, LARGEST_SEED)
            case "model" | "m":
                found["model"] = value
            case _:
                raise BadRequest("option_unknown", option=f"--{name}")
    return _OPTION.sub(" ", text).strip(), Options(**found)  # type: ignore[arg-type]


def find_model(name: str, kind: Kind, catalog: Catalog) -> Model:
    """The model meant by its key or a part of it. Raises `BadRequest` with those there are."""
    models = [model for model in catalog.models if model.kind == kind]
    wanted = name.casefold()
    for fits in (lambda key: key == wanted, lambda key: wanted in key):
        fitting = [model for model in models if wanted and fits(model.key)]
        if len(fitting) == 1:
            return fitting[0]
    keys = ", ".join(model.key for model in models)
    raise BadRequest("option_model", models=keys, example=models[-1].key)


def _ratio(value: str) -> str:
    match = re.fullmatch(r"(\d{1,2})[:x/](\d{1,2})", value)
    if match is None:
        raise BadRequest("option_ratio")
    return f"{int(match[1])}:{int(match[2])}"


def _count(value: str, most: int) -> int:
    if not _is_within(value, 1, most):
        raise BadRequest("option_count", count=most)
    return int(value)


def _number(name: str, value: str, least: int, most: int) -> int:
    if not _is_within(value, least, most):
        raise BadRequest("option_number", option=f"--{name}", least=str(least), most=str(most))
    return int(value)


def _is_within(value: str, least: int, most: int) -> bool:
    return value.isascii() and value.isdecimal() and least <= int(value) <= most
