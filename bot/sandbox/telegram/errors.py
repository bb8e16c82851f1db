"""How Telegram says no."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """An answer with `ok` false. The texts are those that the Bot API server is known to give."""

    def __init__(self, code: int, description: str, **parameters: Any) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters

    def json(self) -> dict[str, Any]:
        """The body of the answer (Bot API, "Making requests")."""
        body: dict[str, Any] = {
            "ok": False,
            "error_code": self.code,
            "description": self.description,
        }
        if self.parameters:
            body["parameters"] = self.parameters
        return body


def bad_request(reason: str, **parameters: Any) -> Refusal:
    """A 400 for `reason`."""
    return Refusal(400, f"Bad Request: {reason}", **parameters)


def forbidden(reason: str) -> Refusal:
    """A 403 for `reason`."""
    return Refusal(403, f"Forbidden: {reason}")


def too_many_requests(seconds: int) -> Refusal:
    """A 429 that asks to wait `seconds`."""
    return Refusal(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)


NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same "
    "as a current content and reply markup of the message"
)
