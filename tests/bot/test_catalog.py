"""The catalog offers what it promises, and a mistake in it is named."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from bot.catalog import Catalog, CatalogError, Kind, load_catalog
from bot.i18n import LANGUAGES, load_texts
from bot.money import nanos_from_decimal
from bot.pricing import Price, quote
from bot.sandbox.fal.jobs import FalRequest, billable_units
from bot.sandbox.fal.schemas import ENDPOINTS

# The arguments that decide what fal bills.
DECISIVE = {"image_size", "num_images", "duration", "resolution"}
ENTRY = """
[[models]]
key = "{key}"
name = "A model"
kind = "{kind}"
[models.text]
id = "fal-ai/{key}"
unit = "requests"
fallback_unit_price = "0.5"
source = "fal.ai model page"
as_of = 2026-11-23
[models.image]
id = "fal-ai/{key}/edit"
unit = "requests"
fallback_unit_price = "0.5"
source = "fal.ai model page"
as_of = 2026-11-23
image_argument = "image_url"
"""
IMAGE = ENTRY.format(key="one", kind="image")
VIDEO = ENTRY.format(key="two", kind="video")


@pytest.fixture
def catalog() -> Catalog:
    return load_catalog()


def refusal(tmp_path: Path, text: str) -> str:
    path = tmp_path / "models.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CatalogError) as refused:
        load_catalog(path)
    message = str(refused.value)
    assert message.startswith(str(path))
    return message.removeprefix(f"{path}: ")


def test_the_models_of_the_plan_are_on_offer(catalog: Catalog) -> None:
    assert [model.key for model in catalog.models] == [
        "flux-dev",
        "flux-schnell",
        "luma",
        "ray-2-flash",
    ]
    assert set(catalog.endpoint_ids) == {
        "fal-ai/flux/dev",
        "fal-ai/flux/dev/image-to-image",
        "fal-ai/flux/schnell",
        "fal-ai/luma-dream-machine",
        "fal-ai/luma-dream-machine/image-to-video",
        "fal-ai/luma-dream-machine/ray-2-flash",
        "fal-ai/luma-dream-machine/ray-2-flash/image-to-video",
    }


def test_what_decides_the_price_is_always_sent(catalog: Catalog) -> None:
    flux = catalog.endpoint("fal-ai/flux/dev").arguments
    assert flux["image_size"] == "landscape_4_3"
    assert flux["num_images"] == 1
    assert (flux["num_inference_steps"], flux["guidance_scale"]) == (28, 3.5)
    from_image = catalog.endpoint("fal-ai/flux/dev/image-to-image")
    assert from_image.arguments["num_inference_steps"] == 28
    assert from_image.arguments["guidance_scale"] == 3.5
    assert (from_image.arguments["strength"], from_image.arguments["num_images"]) == (0.95, 1)
    assert catalog.endpoint("fal-ai/flux/schnell").arguments["num_inference_steps"] == 4
    luma = catalog.endpoint("fal-ai/luma-dream-machine/image-to-video").arguments
    assert luma == {"aspect_ratio": "9:16", "loop": False}
    ray = catalog.endpoint("fal-ai/luma-dream-machine/ray-2-flash/image-to-video").arguments
    assert (ray["duration"], ray["resolution"]) == ("5s", "540p")


def test_fal_bills_exactly_the_quote_of_every_model_in_every_shape(catalog: Catalog) -> None:
    """By its own count of what it was sent, in the unit of its own price list."""
    for endpoint_id in catalog.endpoint_ids:
        ours, theirs = catalog.endpoint(endpoint_id), ENDPOINTS[endpoint_id]
        unit_price = nanos_from_decimal(theirs.price.unit_price)
        price = Price(endpoint_id, theirs.price.unit, unit_price, "api", date(2026, 11, 23))
        for shape in ({}, *ours.aspect_ratios.values()):
            for size in ((1, 1), (1000, 1000), (1001, 1000), (4000, 3000)):
                arguments = {**ours.arguments, **shape, "prompt": "a fox"}
                sent = {**arguments, "image_url": "data:"} if ours.takes_image else arguments
                complete = theirs.check(sent)
                request = FalRequest(theirs, sent, complete, {}, None, datetime.now(UTC))
                if ours.takes_image and ours.kind == "image":
                    request.sizes = [size] * complete["num_images"]
                billed = billable_units(request, theirs.price.unit) * unit_price
                assert quote(ours, arguments, price, size).nanos == billed
                # Nothing that decides it is left to a default, which fal may change.
                assert DECISIVE & complete.keys() <= sent.keys()


def test_every_endpoint_can_be_sent_as_json_and_says_where_its_price_is_from(
    catalog: Catalog,
) -> None:
    for endpoint_id in catalog.endpoint_ids:
        endpoint = catalog.endpoint(endpoint_id)
        assert json.loads(json.dumps(dict(endpoint.arguments))) == endpoint.arguments
        assert endpoint.source
        assert endpoint.as_of == date(2026, 11, 23)
        assert endpoint.takes_image == (endpoint.image_argument == "image_url")
        assert isinstance(endpoint.fallback_unit_price, Decimal)


def test_every_model_says_in_each_language_what_it_is_good_for(catalog: Catalog) -> None:
    for model in catalog.models:
        assert model.good_for is not None
        assert all(load_texts(language)(model.good_for) for language in LANGUAGES)


def test_the_first_model_of_a_kind_is_its_default(catalog: Catalog) -> None:
    assert catalog.default("image").key == "flux-dev"
    assert catalog.default("video").key == "luma"


@pytest.mark.parametrize(
    ("kind", "key", "with_image", "endpoint_id"),
    [
        ("image", None, False, "fal-ai/flux/dev"),
        ("image", None, True, "fal-ai/flux/dev/image-to-image"),
        ("image", "flux-schnell", False, "fal-ai/flux/schnell"),
        ("image", "flux-schnell", True, "fal-ai/flux/dev/image-to-image"),
        ("image", "luma", False, "fal-ai/flux/dev"),
        ("image", "gone", False, "fal-ai/flux/dev"),
        ("video", None, False, "fal-ai/luma-dream-machine"),
        ("video", "ray-2-flash", True, "fal-ai/luma-dream-machine/ray-2-flash/image-to-video"),
    ],
)
def test_a_choice_falls_back_to_the_default_model(
    catalog: Catalog, kind: Kind, key: str | None, with_image: bool, endpoint_id: str
) -> None:
    assert catalog.choose(kind, key, with_image=with_image).id == endpoint_id


def test_an_endpoint_leads_back_to_its_model(catalog: Catalog) -> None:
    assert catalog.model_of("fal-ai/flux/dev/image-to-image") is catalog.model("flux-dev")
    assert catalog.model("flux-schnell").image is None
    for missing in (catalog.model, catalog.endpoint, catalog.model_of):
        with pytest.raises(KeyError):
            missing("nothing")


def test_a_catalog_without_a_default_endpoint_cannot_choose() -> None:
    with pytest.raises(LookupError, match="no model of kind image"):
        Catalog(()).choose("image", None, with_image=True)
    schnell = load_catalog().model("flux-schnell")
    with pytest.raises(LookupError, match="no such endpoint"):
        Catalog((schnell,)).choose("image", None, with_image=True)


def test_a_catalog_of_ones_own_is_read(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(IMAGE + VIDEO, encoding="utf-8")
    assert [model.key for model in load_catalog(path).models] == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must be a list of [[models]] and nothing else"),
        ("models = 1", "must be a list of [[models]] and nothing else"),
        ("models = [1]", "must be a list of [[models]] and nothing else"),
        (IMAGE, "the first model of kind video must have text and image: it is the default"),
        (IMAGE + IMAGE + VIDEO, "model one: is there twice"),
        (IMAGE + VIDEO + VIDEO.replace('"two"', '"three"'), "endpoint fal-ai/two: is there twice"),
        (
            IMAGE + VIDEO + '[[models]]\nkey = "empty"\nname = "E"\nkind = "image"',
            "model empty: has neither text nor image",
        ),
        (
            IMAGE + VIDEO.replace('unit = "requests"', 'unit = "credits"', 1),
            "model two: text.arguments: do not tell how many credits it takes; give max_cost",
        ),
        (
            IMAGE + VIDEO.replace('id = "fal-ai/two"', 'id = "fal-ai/two"\nkind = "image"'),
            "model two: text.kind: must be the model's, video",
        ),
        (
            IMAGE + VIDEO.replace('image_argument = "image_url"', ""),
            "model two: image.image_argument: must be there for image and only there",
        ),
        (
            IMAGE + VIDEO + 'aspect_ratios = { "1:1" = { size = 1 } }',
            "model two: image.aspect_ratios.1:1: replaces what is not in arguments",
        ),
        (
            IMAGE.replace('price = "0.5"', "price = 0.5", 1) + VIDEO,
            "model one: text.fallback_unit_price: Value error, "
            "write it in quotes, so that it is read exactly",
        ),
        (
            IMAGE.replace('price = "0.5"', 'price = "0.0000000001"', 1) + VIDEO,
            "model one: text.fallback_unit_price: "
            "Decimal input should have no more than 9 decimal places",
        ),
        (
            IMAGE.replace('price = "0.5"', 'price = "-1"', 1) + VIDEO,
            "model one: text.fallback_unit_price: Input should be greater than 0",
        ),
        (IMAGE.replace('source = "fal.ai model page"\n', "", 1) + VIDEO, "model one: text.source"),
        (IMAGE + VIDEO + "prize = 1", "model two: image.prize: Unexpected keyword argument"),
        (IMAGE.replace('key = "one"\n', "") + VIDEO, "model number 1: key: Field required"),
        ("[[models]", "Expected"),
    ],
)
def test_a_mistake_in_the_catalog_is_named_by_entry_and_field(
    tmp_path: Path, text: str, problem: str
) -> None:
    assert problem in refusal(tmp_path, text).splitlines() or refusal(tmp_path, text).startswith(
        problem
    )


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    broken = IMAGE.replace("requests", "") + VIDEO.replace('kind = "video"', 'kind = "sound"')
    lines = refusal(tmp_path, broken).splitlines()
    assert any("model one: text.unit:" in line for line in lines)
    assert any("model two: kind:" in line for line in lines)


def test_a_catalog_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"missing\.toml"):
        load_catalog(tmp_path / "missing.toml")
