"""How fal says no: its queue and models in one shape, its platform API in another."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

DOCS = "https://docs.fal.ai/errors"
LOCKED = "Exhausted balance. Top up your balance at fal.ai/dashboard/billing."
NO_KEY = "Authentication is required to access this application."
WRONG_KEY = "No user found for Key ID and Secret"
PLATFORM_TYPES = {
    400: "validation_error",
    401: "authorization_error",
    403: "authorization_error",
    404: "not_found",
    429: "rate_limited",
    500: "server_error",
    503: "server_error",
}


class FalError(Exception):
    """An error of the queue or of a model; `detail` is a text or a list of errors."""

    def __init__(
        self,
        status: int,
        detail: Any,
        error_type: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(str(detail))
        self.status = status
        self.detail = detail
        self.error_type = error_type
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The JSON body of the answer."""
        body: dict[str, Any] = {"detail": self.detail}
        if self.error_type:
            body["error_type"] = self.error_type
        return body

    def response(self) -> JSONResponse:
        headers = dict(self.headers)
        if self.error_type:
            headers.setdefault("X-Fal-Error-Type", self.error_type)
        return JSONResponse(self.body(), self.status, headers)


class PlatformError(Exception):
    """An error of the platform API."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers

    def response(self) -> JSONResponse:
        body = {"error": {"type": PLATFORM_TYPES[self.status], "message": self.message}}
        return JSONResponse(body, self.status, self.headers)


def model_error(
    kind: str,
    message: str,
    loc: list[str | int] | None = None,
    value: Any = None,
    status: int = 422,
    **context: Any,
) -> FalError:
    """An error of a model, as a list with one entry (fal's "Model errors")."""
    entry: dict[str, Any] = {
        "loc": ["body", *(loc or [])],
        "msg": message,
        "type": kind,
        "url": f"{DOCS}#{kind}",
    }
    if value is not None:
        entry["input"] = value
    if context:
        entry["ctx"] = context
    return FalError(status, [entry], headers={"X-Fal-Retryable": "false"})
