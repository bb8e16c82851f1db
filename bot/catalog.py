"""The models on offer: what they are called, what they take, and what they cost unless fal says."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from bot.errors import UnknownUnit
from bot.pricing import fallback_price, quote

Kind = Literal["image", "video"]
KINDS: tuple[Kind, ...] = ("image", "video")


def _no_float(value: object) -> object:
    if isinstance(value, float):
        raise ValueError("write it in quotes, so that it is read exactly")
    return value


_Exact = Annotated[
    Decimal, BeforeValidator(_no_float), Field(gt=0, decimal_places=9, max_digits=15)
]
_Word = Annotated[str, Field(min_length=1)]
_Ratio = Annotated[str, Field(pattern=r"^[1-9]\d?:[1-9]\d?$")]


class CatalogError(Exception):
    """The catalog cannot be used; the message names the file, and entry and field, one a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint of fal: what is sent to it and what one unit costs while fal has not said.

    `arguments` are sent with every request, `image_argument` names the one for the picture (only
    endpoints that take one have it). `factors` multiply the units: argument, value, factor.
    `duration_seconds` is the length of a video when no argument gives one, and the length that one
    video of the price pays for. `max_cost` (US dollars a request) allows units that are not known
    beforehand. `aspect_ratios` are the arguments that replace others for an aspect ratio.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    id: _Word
    kind: Kind
    unit: _Word
    fallback_unit_price: _Exact
    source: _Word
    as_of: date
    image_argument: _Word | None = None
    takes_seed: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)
    max_cost: _Exact | None = None
    duration_seconds: _Exact | None = None
    factors: Mapping[str, Mapping[str, _Exact]] = field(default_factory=dict)
    aspect_ratios: Mapping[_Ratio, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def takes_image(self) -> bool:
        """Whether a request needs a picture to start from."""
        return self.image_argument is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What a person chooses: one name for the endpoint from text and the one from a picture.

    `good_for` is the key of a text.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    key: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,31}$")]
    name: _Word
    kind: Kind
    good_for: _Word | None = None
    text: Endpoint | None = None
    image: Endpoint | None = None

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The endpoints that the model has, one or two."""
        return tuple(endpoint for endpoint in (self.text, self.image) if endpoint is not None)


class Catalog:
    """All models, in the order in which they are offered; the first of a kind is its default.

    `own` are those that came with it, which cannot be taken away.
    """

    def __init__(self, models: tuple[Model, ...]) -> None:
        self.own = models
        self.take_in(())

    def take_in(self, added: tuple[Model, ...]) -> None:
        """Offer these beside its own from now on, instead of those that were added before."""
        self.models = self.own + added
        self._models = {model.key: model for model in self.models}
        self._endpoints = {
            endpoint.id: (endpoint, model) for model in self.models for endpoint in model.endpoints
        }

    def model(self, key: str) -> Model:
        """The model of that key. Raises `KeyError`."""
        return self._models[key]

    def endpoint(self, endpoint_id: str) -> Endpoint:
        """The endpoint of that id. Raises `KeyError`."""
        return self._endpoints[endpoint_id][0]

    def model_of(self, endpoint_id: str) -> Model:
        """The model that the endpoint belongs to. Raises `KeyError`."""
        return self._endpoints[endpoint_id][1]

    @property
    def endpoint_ids(self) -> tuple[str, ...]:
        """All endpoints, for the price list."""
        return tuple(self._endpoints)

    def default(self, kind: Kind) -> Model:
        """The model for people who have chosen none."""
        for model in self.models:
            if model.kind == kind:
                return model
        raise LookupError(f"no model of kind {kind}")  # the loader has made sure of one

    def chosen(self, kind: Kind, key: str | None) -> Model:
        """The model of that key, or the default one: for none, one that is gone, another kind."""
        model = self._models.get(key or "")
        return model if model is not None and model.kind == kind else self.default(kind)

    def choose(self, kind: Kind, key: str | None, with_image: bool) -> Endpoint:
        """The endpoint of the chosen model, with a picture to start from or without.

        The default model's where the chosen one has no such endpoint.
        """
        for model in (self.chosen(kind, key), self.default(kind)):
            endpoint = model.image if with_image else model.text
            if endpoint is not None:
                return endpoint
        raise LookupError(f"the default model of kind {kind} has no such endpoint")


def load_catalog(path: Path | None = None) -> Catalog:
    """Read the catalog, the one that comes with the bot by default. Raises `CatalogError`."""
    name = "catalog.toml" if path is None else str(path)
    source = files("bot").joinpath("catalog.toml") if path is None else path
    try:
        data = tomllib.loads(source.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CatalogError(f"{name}: {error}") from error
    entries = data.get("models")
    if (
        data.keys() != {"models"}
        or not isinstance(entries, list)
        or not all(isinstance(entry, dict) for entry in entries)
    ):
        raise CatalogError(f"{name}: must be a list of [[models]] and nothing else")
    for entry in entries:
        for end in ("text", "image"):  # the kind is said once, for both
            if isinstance(entry.get(end), dict):
                entry[end].setdefault("kind", entry.get("kind"))
    try:
        models = TypeAdapter(tuple[Model, ...]).validate_python(entries)
    except ValidationError as error:
        problems = [_problem(entries, problem) for problem in error.errors()]
        raise CatalogError("\n".join(f"{name}: {problem}" for problem in problems)) from error
    problems = list(_contradictions(models))
    if problems:
        raise CatalogError("\n".join(f"{name}: {problem}" for problem in problems))
    return Catalog(models)


def _problem(entries: list[dict[str, Any]], problem: Mapping[str, Any]) -> str:
    index, *field_path = problem["loc"]
    entry = entries[index].get("key", f"number {index + 1}")
    where = ".".join(str(part) for part in field_path)
    return f"model {entry}: {where}: {problem['msg']}"


def _contradictions(models: tuple[Model, ...]) -> Iterator[str]:
    """What each entry alone does not show, as sentences."""
    for kind in KINDS:
        first = next((model for model in models if model.kind == kind), None)
        if first is None or first.text is None or first.image is None:
            yield f"the first model of kind {kind} must have text and image: it is the default"
    ids = [endpoint.id for model in models for endpoint in model.endpoints]
    for word, names in (("model", [model.key for model in models]), ("endpoint", ids)):
        yield from (
            f"{word} {name}: is there twice" for name in sorted(set(names)) if names.count(name) > 1
        )
    for model in models:
        if not model.endpoints:
            yield f"model {model.key}: has neither text nor image"
        for end, endpoint in (("text", model.text), ("image", model.image)):
            if endpoint is not None:
                for problem in _contradictions_of(endpoint, model.kind, end):
                    yield f"model {model.key}: {end}.{problem}"


def _contradictions_of(endpoint: Endpoint, kind: Kind, end: str) -> Iterator[str]:
    if endpoint.kind != kind:
        yield f"kind: must be the model's, {kind}"
    if endpoint.takes_image != (end == "image"):
        yield "image_argument: must be there for image and only there"
    variants: dict[str, Mapping[str, Any]] = {"arguments": {}}
    variants |= {
        f"aspect_ratios.{name}": changes for name, changes in endpoint.aspect_ratios.items()
    }
    for where, changes in variants.items():
        if not changes.keys() <= endpoint.arguments.keys():
            yield f"{where}: replaces what is not in arguments"
        try:
            quote(endpoint, {**endpoint.arguments, **changes}, fallback_price(endpoint), (1, 1))
        except UnknownUnit:
            yield f"{where}: do not tell how many {endpoint.unit} it takes; give max_cost"
