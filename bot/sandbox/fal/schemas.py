"""The models that the sandbox offers: what they take, from fal's model pages.

Prices are fal's list prices; a world has its own copy that tests may change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from bot.sandbox.fal.errors import FalError, model_error

SIZES = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
RESOLUTION_FACTORS = {"540p": 1, "720p": 2, "1080p": 4}
RATIOS = ("16:9", "9:16", "4:3", "3:4", "1:1", "21:9", "9:21")


@dataclass(frozen=True)
class Field:
    """One argument. `kind` is string, integer, number, boolean, size, image (a URL) or images."""

    kind: str
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    default: Any = None


@dataclass(frozen=True)
class Price:
    """`unit_price` US dollars for each `unit`."""

    unit: str
    unit_price: Decimal


@dataclass(frozen=True)
class Endpoint:
    """One model endpoint."""

    id: str
    kind: Literal["image", "video", "3d"]
    fields: Mapping[str, Field]
    price: Price
    name: str = ""
    status: Literal["active", "deprecated"] = "active"

    @property
    def category(self) -> str:
        """What fal's catalog calls it: `text-to-image` and the like."""
        sources = (f.kind in ("image", "images") and f.required for f in self.fields.values())
        return f"{'image' if any(sources) else 'text'}-to-{self.kind}"

    @property
    def app(self) -> str:
        """Owner and app, which is all that the URLs of a request contain."""
        return "/".join(self.id.split("/")[:2])

    def check(self, arguments: Any) -> dict[str, Any]:
        """The arguments with defaults filled in; raises FalError 422 as fal does."""
        if not isinstance(arguments, dict):
            raise model_error("dict_type", "Input should be a valid dictionary")
        problems: list[Any] = []
        for name in arguments.keys() - self.fields.keys():
            # fal ignores what it does not know; a peer for tests should not.
            problems += model_error(
                "extra_forbidden", "Extra inputs are not permitted", [name], arguments[name]
            ).detail
        complete: dict[str, Any] = {}
        for name, field in self.fields.items():
            value = arguments.get(name, field.default)
            if value is None:
                if field.required:
                    problems += model_error("missing", "Field required", [name]).detail
                continue
            try:
                _check(name, field, value)
            except FalError as error:
                problems += error.detail
            complete[name] = value
        if problems:
            raise FalError(422, problems, headers={"X-Fal-Retryable": "false"})
        return complete


def _check(name: str, field: Field, value: Any) -> None:
    kinds: dict[str, Any] = {
        "string": str,
        "image": str,
        "images": list,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "size": (str, dict),
    }
    right = isinstance(value, kinds[field.kind])
    if not right or (isinstance(value, bool) and field.kind != "boolean"):
        message = f"Input should be a valid {field.kind}"
        raise model_error(f"{field.kind}_type", message, [name], value)
    if field.kind == "size":
        size_of(value, name)
    if field.choices and value not in field.choices:
        expected = " or ".join(repr(choice) for choice in field.choices)
        raise model_error(
            "literal_error", f"Input should be {expected}", [name], value, expected=expected
        )
    if field.kind in ("string", "integer", "number"):
        _check_range(name, field, value)


def _check_range(name: str, field: Field, value: Any) -> None:
    measured = len(value) if isinstance(value, str) else value
    prefix = "string_too" if isinstance(value, str) else ""
    if field.minimum is not None and measured < field.minimum:
        kind = f"{prefix}_short" if prefix else "greater_than_equal"
        limit: dict[str, Any] = {"min_length" if prefix else "ge": field.minimum}
        message = f"Input should be at least {field.minimum}"
        raise model_error(kind, message, [name], value, **limit)
    if field.maximum is not None and measured > field.maximum:
        kind = f"{prefix}_long" if prefix else "less_than_equal"
        limit = {"max_length" if prefix else "le": field.maximum}
        message = f"Input should be at most {field.maximum}"
        raise model_error(kind, message, [name], value, **limit)


def size_of(value: Any, name: str = "image_size") -> tuple[int, int]:
    """Width and height in pixels of an image_size argument; raises FalError 422."""
    if isinstance(value, str):
        if value not in SIZES:
            expected = ", ".join(SIZES)
            raise model_error("enum", f"Input should be one of {expected}", [name], value)
        return SIZES[value]
    sides = (value.get("width", 512), value.get("height", 512))
    for side, number in zip(("width", "height"), sides, strict=True):
        if not isinstance(number, int) or isinstance(number, bool) or not 0 < number <= 14142:
            raise model_error("less_than_equal", "Size out of range", [name, side], number)
    return sides


PROMPT = Field("string", required=True, minimum=1, maximum=10_000)
LUMA_PROMPT = Field("string", required=True, minimum=3, maximum=5000)
IMAGE = Field("image", required=True)
FLUX: dict[str, Field] = {
    "prompt": PROMPT,
    "image_size": Field("size", default="landscape_4_3"),
    "num_inference_steps": Field("integer", minimum=1, maximum=50, default=28),
    "guidance_scale": Field("number", minimum=1, maximum=20, default=3.5),
    "num_images": Field("integer", minimum=1, maximum=4, default=1),
    "seed": Field("integer"),
    "enable_safety_checker": Field("boolean", default=True),
    "output_format": Field("string", choices=("jpeg", "png"), default="jpeg"),
    "sync_mode": Field("boolean"),
    "acceleration": Field("string", choices=("none", "regular", "high")),
}
SCHNELL = FLUX | {"num_inference_steps": Field("integer", minimum=1, maximum=12, default=4)}
FLUX_IMAGE = {name: field for name, field in FLUX.items() if name != "image_size"} | {
    "image_url": IMAGE,
    "strength": Field("number", minimum=0.01, maximum=1, default=0.95),
    "num_inference_steps": Field("integer", minimum=10, maximum=50, default=40),
}
LUMA: dict[str, Field] = {
    "prompt": LUMA_PROMPT,
    "aspect_ratio": Field("string", choices=RATIOS, default="16:9"),
    "loop": Field("boolean", default=False),
}
RAY: dict[str, Field] = LUMA | {
    "duration": Field("string", choices=("5s", "9s"), default="5s"),
    "resolution": Field("string", choices=tuple(RESOLUTION_FACTORS), default="540p"),
}
FROM_IMAGE: dict[str, Field] = {"image_url": IMAGE, "end_image_url": Field("image")}
RECRAFT: dict[str, Field] = {
    "prompt": Field("string", required=True, minimum=1, maximum=1000),
    "image_size": Field("size", default="square_hd"),
    "style": Field("string"),
}
SDXL: dict[str, Field] = {
    **{n: f for n, f in FLUX.items() if n not in ("output_format", "acceleration")},
    "negative_prompt": Field("string"),
}


BANANA: dict[str, Field] = {
    "prompt": Field("string", required=True, minimum=3, maximum=5000),
    "num_images": Field("integer", minimum=1, maximum=4, default=1),
    "output_format": Field("string", choices=("jpeg", "png", "webp"), default="png"),
    "aspect_ratio": Field("string", choices=("21:9", "1:1", "16:9", "9:16"), default="1:1"),
    "sync_mode": Field("boolean", default=False),
}
KLING: dict[str, Field] = {
    "prompt": Field("string", required=True, maximum=2500),
    "duration": Field("string", choices=("5", "10"), default="5"),
    "aspect_ratio": Field("string", choices=("16:9", "9:16", "1:1"), default="16:9"),
    "negative_prompt": Field("string", maximum=2500, default="blur, distort, and low quality"),
    "cfg_scale": Field("number", minimum=0, maximum=1, default=0.5),
}
KLING_IMAGE = {name: field for name, field in KLING.items() if name != "aspect_ratio"} | {
    "image_url": IMAGE
}
VEO: dict[str, Field] = {
    "prompt": Field("string", required=True, maximum=20_000),
    "aspect_ratio": Field("string", choices=("16:9", "9:16"), default="16:9"),
    "duration": Field("string", choices=("4s", "6s", "8s"), default="8s"),
    "resolution": Field("string", choices=("720p", "1080p"), default="720p"),
    "generate_audio": Field("boolean", default=True),
    "seed": Field("integer"),
}
FILL = FLUX | {"image_url": IMAGE, "mask_url": Field("image", required=True)}


def _price(unit: str, amount: str) -> Price:
    return Price(unit, Decimal(amount))


ENDPOINTS: dict[str, Endpoint] = {
    endpoint.id: endpoint
    for endpoint in (
        Endpoint("fal-ai/flux/dev", "image", FLUX, _price("megapixels", "0.025"), "FLUX.1 [dev]"),
        Endpoint(
            "fal-ai/flux/schnell",
            "image",
            SCHNELL,
            _price("megapixels", "0.003"),
            "FLUX.1 [schnell]",
        ),
        Endpoint(
            "fal-ai/flux/dev/image-to-image", "image", FLUX_IMAGE, _price("megapixels", "0.03")
        ),
        Endpoint("fal-ai/luma-dream-machine", "video", LUMA, _price("videos", "0.5")),
        Endpoint(
            "fal-ai/luma-dream-machine/image-to-video",
            "video",
            LUMA | FROM_IMAGE,
            _price("videos", "0.5"),
        ),
        Endpoint("fal-ai/luma-dream-machine/ray-2-flash", "video", RAY, _price("seconds", "0.04")),
        Endpoint(
            "fal-ai/luma-dream-machine/ray-2-flash/image-to-video",
            "video",
            RAY | FROM_IMAGE,
            _price("seconds", "0.04"),
        ),
        Endpoint("fal-ai/luma-dream-machine/ray-2", "video", RAY, _price("seconds", "0.1")),
        Endpoint(
            "fal-ai/luma-dream-machine/ray-2/image-to-video",
            "video",
            RAY | FROM_IMAGE,
            _price("seconds", "0.1"),
        ),
        Endpoint(
            "fal-ai/recraft/v3/text-to-image",
            "image",
            RECRAFT,
            _price("images", "0.04"),
            "Recraft V3",
        ),
        Endpoint("fal-ai/fast-sdxl", "image", SDXL, _price("compute seconds", "0.00111"), "SDXL"),
        Endpoint("fal-ai/nano-banana", "image", BANANA, _price("images", "0.039"), "Nano Banana"),
        Endpoint(
            "fal-ai/nano-banana/edit",
            "image",
            BANANA | {"image_urls": Field("images", required=True, minimum=1)},
            _price("images", "0.039"),
            "Nano Banana Edit",
        ),
        Endpoint(
            "fal-ai/kling-video/v2.5-turbo/pro/text-to-video",
            "video",
            KLING,
            _price("seconds", "0.07"),
            "Kling 2.5 Turbo Pro",
        ),
        Endpoint(
            "fal-ai/kling-video/v2.5-turbo/pro/image-to-video",
            "video",
            KLING_IMAGE,
            _price("seconds", "0.07"),
            "Kling 2.5 Turbo Pro",
        ),
        Endpoint("fal-ai/veo3/fast", "video", VEO, _price("seconds", "0.1"), "Veo 3 Fast"),
        Endpoint(
            "fal-ai/flux-pro/v1/fill", "image", FILL, _price("megapixels", "0.05"), "FLUX.1 Fill"
        ),
        Endpoint(
            "fal-ai/birefnet",
            "image",
            {"image_url": IMAGE},
            _price("images", "0.001"),
            "Birefnet",
        ),
        Endpoint(
            "fal-ai/fast-lcm-diffusion",
            "image",
            SDXL,
            _price("images", "0.001"),
            "LCM",
            "deprecated",
        ),
        Endpoint("fal-ai/triposr", "3d", {"image_url": IMAGE}, _price("models", "0.07"), "TripoSR"),
    )
}
