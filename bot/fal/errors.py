"""What can go wrong on the way to fal and back, told apart by what may be done next."""

from __future__ import annotations

from decimal import Decimal


class FalError(Exception):
    """Anything that fal or the way to it did. Its text is for logs: no keys, no prompts."""


class NotSent(FalError):
    """Nothing reached fal (connection refused): it may be tried again."""


class AnswerLost(FalError):
    """The request may have reached fal, its answer did not arrive or cannot be read.

    It must never be sent again before it was looked up.
    """


class Unavailable(FalError):
    """A question (status, result, list, price) got no usable answer: ask again later.

    `retry_after_seconds` is what the server asked for, if it did.
    """

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Refused(FalError):
    """fal said no, for good: to a submit, or as the result of a job.

    `status` is the HTTP status; `types` are the machine-readable error types (fal
    documentation, "Errors": branch on `type`, never on `msg`); `units` are billed units.
    """

    def __init__(
        self,
        status: int,
        types: tuple[str, ...] = (),
        detail: str = "",
        units: Decimal | None = None,
    ) -> None:
        super().__init__(f"HTTP {status} {' '.join(types)}".strip())
        self.status = status
        self.types = types
        self.detail = detail
        self.units = units

    @property
    def reason(self) -> str:
        """Why, as one of the words that `locales` have a sentence for (`failed.*`)."""
        types = " ".join(self.types)
        if self.status == 401:
            return "key"
        if self.status == 403:
            # fal documentation: "User is locked. Reason: Exhausted balance …" and its like.
            return "account_locked" if "lock" in self.detail.lower() else "key"
        if self.status == 429:
            return "busy"
        if "content_policy" in types:
            return "policy"
        if "image" in types or "file_" in types:
            return "picture"
        if "timeout" in types:
            return "timeout"
        if self.status >= 500:
            return "fal_down"
        return "invalid"


class MediaTooLarge(FalError):
    """A file at fal is larger than may be sent on."""
