"""A request in fal's queue and what becomes of it."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from bot.sandbox.changes import Changes
from bot.sandbox.fal.schemas import RESOLUTION_FACTORS, Endpoint, size_of

State = Literal["queued", "running", "completed", "removed"]


@dataclass(eq=False)
class FalRequest:
    """One submitted request.

    `arguments` are as sent, `complete` with the defaults. `headers` are those of the submit, in
    lower case. `status_code`, `output` and `units` are there once it has ended. `changes` tells of
    this request alone, so that hundreds of watchers do not wake each other.
    """

    endpoint: Endpoint
    arguments: dict[str, Any]
    complete: dict[str, Any]
    headers: dict[str, str]
    webhook_url: str | None
    sent_at: datetime
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    gateway_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    state: State = "queued"
    started_at: datetime | None = None
    ended_at: datetime | None = None
    logs: list[dict[str, str]] = field(default_factory=list)
    cancel_asked: bool = False
    status_code: int | None = None
    output: Any = None
    output_headers: dict[str, str] = field(default_factory=dict)
    units: Decimal | None = None
    sizes: list[tuple[int, int]] = field(default_factory=list)
    changes: Changes = field(default_factory=Changes)

    def __repr__(self) -> str:
        return f"<FalRequest {self.request_id} {self.endpoint.id} {self.state} {self.status_code}>"

    @property
    def endpoint_id(self) -> str:
        return self.endpoint.id

    @property
    def ok(self) -> bool:
        """Whether it ended with a result."""
        return self.status_code == 200

    @property
    def seconds(self) -> float:
        """How long it ran."""
        if self.started_at is None or self.ended_at is None:
            return 0.0
        return round((self.ended_at - self.started_at).total_seconds(), 3)

    def planned_sizes(self) -> list[tuple[int, int]]:
        """The size of each picture, as far as it is known before there is one."""
        count = self.complete.get("num_images", 1)
        return self.sizes or [size_of(self.complete.get("image_size", "landscape_4_3"))] * count

    def log(self, message: str, at: datetime) -> None:
        self.logs.append(
            {
                "timestamp": at.isoformat(),
                "level": "INFO",
                "source": "USER",
                "message": message,
            }
        )


def billable_units(request: FalRequest, unit: str) -> Decimal:
    """How many of `unit` fal bills for a request that was worked on.

    Megapixels are rounded up for each picture; higher video resolutions count several times.
    """
    if unit in ("megapixels", "megapixel"):
        pixels = (math.ceil(Decimal(w * h) / 1_000_000) for w, h in request.planned_sizes())
        return Decimal(sum(pixels))
    if unit in ("images", "image", "videos", "video", "units", "unit"):
        return Decimal(len(request.planned_sizes()))
    length = Decimal(str(request.complete.get("duration", "5s")).removesuffix("s"))
    length *= RESOLUTION_FACTORS.get(request.complete.get("resolution", "540p"), 1)
    if unit in ("seconds", "second"):
        return length
    if unit in ("minutes", "minute"):
        return length / 60
    if unit == "compute seconds":
        return max(Decimal(str(request.seconds)), Decimal("1.5"))
    return Decimal(1)
