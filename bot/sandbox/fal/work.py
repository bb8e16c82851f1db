"""What a model does with a request: look at the input, make the output or fail."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

from bot.sandbox.fal.errors import FalError, model_error
from bot.sandbox.fal.jobs import FalRequest
from bot.sandbox.fal.media import black, derive, draw_scene, picture_size, sample_video
from bot.sandbox.fal.schemas import size_of
from bot.sandbox.fal.storage import Storage
from bot.sandbox.faults import Fault

FLAGGED_WORD = "nsfw"
SMALLEST_SIDE = 16
CANCELLED = FalError(499, "Request was cancelled", "client_cancelled")
LIFECYCLE = "x-fal-object-lifecycle-preference"


def failure(fault: Fault) -> FalError:
    """The error that a `fails` fault orders."""
    status = fault.status or 422
    if status >= 500:
        return FalError(status, "Something went wrong", fault.message or "runner_disconnected")
    kind = fault.message or "content_policy_violation"
    return model_error(kind, "The content could not be processed.", ["prompt"], status=status)


def progress_line(request: FalRequest, step: int, steps: int) -> str:
    """A line of the logs such as models print it: percent, a bar, steps done of all."""
    total = request.complete.get("num_inference_steps", steps)
    done = total * step // steps
    percent = 100 * done // total
    return f"{percent:3d}%|{'█' * (percent // 10):<10}| {done}/{total}"


def source_url(request: FalRequest) -> str | None:
    """The picture that a request starts from; of several the first."""
    several = request.complete.get("image_urls") or [None]
    url: str | None = request.complete.get("image_url") or several[0]
    return url


def check_source(storage: Storage, request: FalRequest) -> None:
    """Fetch the input picture; raises FalError 422 if there is none to work with."""
    url = source_url(request)
    if url is None:
        return
    data = storage.fetch_input(url, "image_url")
    try:
        size = picture_size(data)
    except (OSError, SyntaxError, ValueError):
        raise model_error("image_load_error", "Failed to load the image.", ["image_url"]) from None
    if min(size) < SMALLEST_SIDE:
        raise model_error(
            "image_too_small",
            "Image dimensions are too small.",
            ["image_url"],
            min_width=SMALLEST_SIDE,
            min_height=SMALLEST_SIDE,
        )
    request.sizes = [size]


def make_output(storage: Storage, request: FalRequest, fault: Fault | None) -> dict[str, Any]:
    """The result's JSON; its media are drawn when somebody downloads them."""
    if request.endpoint.kind == "video":
        return _video(storage, request)
    flagged = fault is not None and fault.kind == "flagged"
    prompt = request.complete["prompt"]
    if request.complete.get("enable_safety_checker") is not False:
        flagged = flagged or FLAGGED_WORD in prompt.lower().split()
    return _images(storage, request, prompt, flagged)


def _images(storage: Storage, request: FalRequest, prompt: str, flagged: bool) -> dict[str, Any]:
    complete = request.complete
    seed = complete.get("seed")
    seed = seed if seed is not None else random.randrange(2**32)
    kind = complete.get("output_format", "jpeg").upper()
    url = source_url(request)
    source = storage.fetch_input(url, "image_url") if url else None
    size = request.sizes[0] if source else size_of(complete.get("image_size", "landscape_4_3"))
    count = complete.get("num_images", 1)
    request.sizes = [size] * count

    def content(number: int) -> bytes:
        if flagged:
            return black(size, kind)
        if source is not None:
            return derive(source, prompt, seed + number, kind)
        return draw_scene(prompt, seed + number, size, kind)

    images = []
    for number in range(count):
        extension = "jpg" if kind == "JPEG" else "png"
        file = storage.add(
            partial(content, number),
            f"image/{kind.lower()}",
            f"image_{number}.{extension}",
            request.headers.get(LIFECYCLE),
        )
        images.append(
            {
                "url": storage.url(file),
                "width": size[0],
                "height": size[1],
                "content_type": file.content_type,
            }
        )
    return {
        "images": images,
        "timings": {"inference": request.seconds or 1.25},
        "seed": seed,
        "has_nsfw_concepts": [flagged] * count,
        "prompt": prompt,
    }


def _video(storage: Storage, request: FalRequest) -> dict[str, Any]:
    request.sizes = []
    lifecycle = request.headers.get(LIFECYCLE)
    file = storage.add(sample_video, "video/mp4", "output.mp4", lifecycle)
    return {
        "video": {
            "url": storage.url(file),
            "content_type": "video/mp4",
            "file_name": "output.mp4",
            "file_size": len(sample_video()),
        }
    }
