"""What is read off fal's description of an endpoint, and what is sent so that it has a price."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from bot.catalog import Endpoint
from bot.errors import BadRequest, UnknownUnit
from bot.fal.transport import parse_json
from bot.pricing import Price, quote
from bot.sandbox.fal import ENDPOINTS
from bot.sandbox.fal.models import openapi
from bot.sandbox.wire import dumps
from bot.schema import endpoint_of, read_endpoint, vars_of

NAME = "acme/studio/v2"
PRESETS = ["square_hd", "square", "portrait_4_3", "landscape_4_3", "landscape_16_9"]
PROMPT = {"type": "string"}


def described(properties: dict[str, Any], output: str = "images", **more: Any) -> dict[str, Any]:
    """fal's description of an endpoint that takes these arguments."""
    return {
        "openapi": "3.0.4",
        "components": {
            "schemas": {
                "In": {"type": "object", "properties": {"prompt": PROMPT, **properties}, **more},
                "Out": {"type": "object", "properties": {output: {}}},
                "ImageSize": {"properties": {"width": {}, "height": {}}},
            }
        },
        "paths": {
            f"/{NAME}": {"post": {"requestBody": _body("In"), "responses": {}}},
            f"/{NAME}/requests/{{request_id}}": {"get": {"responses": {"200": _body("Out")}}},
        },
    }


def _body(name: str) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}}


def read(
    properties: dict[str, Any],
    unit: str = "images",
    category: str | None = "text-to-image",
    output: str = "images",
    **more: Any,
) -> Endpoint:
    price = Price(NAME, unit, 40_000_000, "api", date(2026, 11, 23))
    return read_endpoint(NAME, category, described(properties, output, **more), price)


@pytest.mark.parametrize("name", ["fal-ai/flux/schnell", "fal-ai/luma-dream-machine/ray-2-flash"])
def test_a_model_of_the_catalog_is_read_as_people_wrote_it_there(name: str) -> None:
    from bot.catalog import load_catalog

    written = load_catalog().endpoint(name)
    price = Price(name, "megapixels" if written.kind == "image" else "seconds", 10, "api", date.max)
    # As it comes over the wire: with its decimals exact.
    description = parse_json(dumps(openapi(ENDPOINTS[name])).encode())
    assert isinstance(description, dict)
    made = read_endpoint(name, ENDPOINTS[name].category, description, price)
    for argument, value in written.arguments.items():
        if argument != "aspect_ratio":
            usual = ENDPOINTS[name].fields[argument].default
            assert made.arguments[argument] == (value if argument == "resolution" else usual)
    assert made.takes_seed == written.takes_seed
    assert made.aspect_ratios.keys() <= written.aspect_ratios.keys() | {"1:1"}


def test_whatever_decides_the_price_is_sent() -> None:
    made = read(
        {
            "num_images": {"type": "integer", "minimum": 1, "default": 4},
            "max_images": {"type": "integer", "default": 3},
            "resolution": {"enum": ["auto", "4K", "1K", "2K"], "default": "2K"},
            "quality": {"enum": ["auto", "high", "low", "medium"], "default": "auto"},
            "image_size": {
                "anyOf": [{"$ref": "#/components/schemas/ImageSize"}, {"enum": PRESETS}],
                "default": "auto",
            },
            "guidance": {"type": "number", "default": Decimal("3.5")},
            "sync_mode": {"type": "boolean", "default": True},
            "callback_url": {"type": "string", "default": "https://example.com"},
            "seed": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": 7},
            "loras": {"type": "array", "default": []},
        },
        unit="megapixels",
    )
    assert made.arguments == {
        "num_images": 1,
        "max_images": 1,
        "resolution": "1K",
        "quality": "low",
        "image_size": "landscape_4_3",
        "guidance": 3.5,
    }
    assert isinstance(made.arguments["guidance"], float)
    assert made.takes_seed
    assert made.aspect_ratios["1:1"] == {"image_size": "square_hd"}


@pytest.mark.parametrize(
    ("unit", "duration", "sent", "most"),
    [
        ("seconds", {"enum": ["5", "10"], "default": "10"}, "10", 400_000_000),
        ("videos", {"enum": ["10", "5"], "default": "10"}, "5", 40_000_000),
        ("videos", {"type": "integer", "default": 6}, 6, 40_000_000),
        ("seconds", {"enum": ["auto", "4s", "8s"], "default": "auto"}, "4s", 160_000_000),
        ("seconds", {"enum": [5, 10]}, 5, 200_000_000),
        ("5 seconds", {"enum": ["5s", "9s"], "default": "9s"}, "9s", 80_000_000),
    ],
)
def test_the_length_of_a_video_is_sent_and_paid_for(
    unit: str, duration: dict[str, Any], sent: object, most: int
) -> None:
    made = read({"duration": duration}, unit, "text-to-video", "video")
    assert made.arguments["duration"] == sent
    price = Price(NAME, unit, 40_000_000, "api", date(2026, 11, 23))
    assert quote(made, made.arguments, price).nanos == most


def test_sound_that_may_cost_more_is_left_out() -> None:
    audio = {"generate_audio": {"type": "boolean", "default": True}}
    assert read(audio, "videos", "text-to-video", "video").arguments == {"generate_audio": False}


@pytest.mark.parametrize(
    ("properties", "unit", "category", "output"),
    [
        ({}, "compute seconds", "text-to-image", "images"),
        ({}, "units", "text-to-image", "images"),
        ({}, "megapixels", "text-to-image", "images"),  # nobody knows how large
        ({"num_frames": {"default": 81}}, "seconds", "text-to-video", "video"),
        ({"duration": {"default": "auto"}}, "videos", "text-to-video", "video"),
    ],
)
def test_what_cannot_be_known_beforehand_is_never_guessed(
    properties: dict[str, Any], unit: str, category: str, output: str
) -> None:
    with pytest.raises(UnknownUnit):
        read(properties, unit, category, output)


@pytest.mark.parametrize(
    ("properties", "category", "output", "why"),
    [
        ({}, "text-to-speech", "audio", "model_of_no_kind"),
        ({}, "text-to-image", "video", "model_of_no_kind"),
        ({}, None, "text", "model_of_no_kind"),
        ({}, "image-to-image", "images", "model_of_no_kind"),  # but no picture goes in
        ({"video_url": PROMPT}, "video-to-video", "video", "model_of_no_kind"),
    ],
)
def test_what_makes_something_else_is_refused(
    properties: dict[str, Any], category: str | None, output: str, why: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        read(properties, category=category, output=output)
    assert refused.value.key == f"error.request.{why}"


def test_an_argument_that_nobody_can_give_is_named() -> None:
    with pytest.raises(BadRequest) as refused:
        read({"style_id": PROMPT, "mask_url": PROMPT}, required=["prompt", "style_id", "mask_url"])
    assert refused.value.params["arguments"] == "style_id, mask_url"


@pytest.mark.parametrize(
    "description",
    [
        {},
        {"error": {"code": "expansion_failed", "message": "no"}},
        {"paths": {f"/{NAME}": {"post": {"requestBody": _body("Nowhere")}}}},
        {"paths": [], "components": None},
        {"paths": {"/x": {"post": {"requestBody": {"content": []}}}}},
        {
            "components": {"schemas": {"In": {"$ref": "#/components/schemas/In"}}},
            "paths": {f"/{NAME}": {"post": {"requestBody": _body("In")}}},
        },
    ],
    ids=["nothing", "failed", "dangling", "lists", "shapeless", "circle"],
)
def test_a_description_that_cannot_be_read_is_refused(description: dict[str, Any]) -> None:
    price = Price(NAME, "images", 40_000_000, "api", date(2026, 11, 23))
    with pytest.raises(BadRequest) as refused:
        read_endpoint(NAME, "text-to-image", description, price)
    assert refused.value.key == "error.request.model_undescribed"


def test_a_stored_definition_is_read_as_it_was() -> None:
    made = read({"guidance": {"default": Decimal("3.5")}, "num_images": {"default": 1}})
    assert endpoint_of(json.loads(json.dumps(vars_of(made)))) == made
