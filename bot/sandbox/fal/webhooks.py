"""fal's callbacks: signed, retried, and repeated if a test wants it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import httpx

from bot.sandbox.fal.jobs import FalRequest
from bot.sandbox.wire import dumps

if TYPE_CHECKING:
    from bot.sandbox.fal.world import FalWorld


@dataclass(frozen=True)
class Attempt:
    """One try to call back; `status` None: no answer."""

    request_id: str
    status: int | None


class Webhooks:
    """Calls back for requests that have ended.

    Real fal retries 10 times over 2 hours; `retry_seconds` makes that bearable. `enabled` False
    is a callback that never comes, `without_payload` one that asks to fetch the result.
    """

    def __init__(self, world: FalWorld) -> None:
        self.world = world
        self.enabled = True
        self.without_payload = False
        self.retries = 10
        self.retry_seconds = 0.2
        self.answer_seconds = 15.0
        self.attempts: list[Attempt] = []
        self._client: httpx.AsyncClient | None = None

    @cached_property
    def _key(self) -> Any:
        from nacl.signing import SigningKey

        return SigningKey.generate()

    def jwks(self) -> dict[str, Any]:
        """The public keys (RFC 8037): the one in use, after an old one."""
        old = hashlib.sha256(b"a key that was retired").digest()
        now = bytes(self._key.verify_key)
        keys = [
            {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(raw).decode()}
            for raw in (old, now)
        ]
        keys[1]["x"] = keys[1]["x"].rstrip("=")
        return {"keys": keys}

    def body(self, request: FalRequest) -> bytes:
        """The JSON of the callback for `request`."""
        error = None if request.ok else f"Unexpected status code: {request.status_code}"
        payload = None if self.without_payload else request.output
        return dumps(
            {
                "request_id": request.request_id,
                "gateway_request_id": request.gateway_request_id,
                "status": "OK" if request.ok else "ERROR",
                "payload": payload,
                "error": error,
                "payload_error": "Payload is too large" if self.without_payload else None,
            }
        ).encode()

    def sign(self, request_id: str, body: bytes, timestamp: int | None = None) -> dict[str, str]:
        """The headers that make `body` genuine; `timestamp` in seconds, now unless given."""
        timestamp = int(self.world.clock.now().timestamp()) if timestamp is None else timestamp
        user = self.world.account.user_id
        digest = hashlib.sha256(body).hexdigest()
        message = "\n".join((request_id, user, str(timestamp), digest)).encode()
        return {
            "X-Fal-Webhook-Request-Id": request_id,
            "X-Fal-Webhook-User-Id": user,
            "X-Fal-Webhook-Timestamp": str(timestamp),
            "X-Fal-Webhook-Signature": self._key.sign(message).signature.hex(),
        }

    async def deliver(self, request: FalRequest) -> None:
        """Call back until the answer is 2xx or the retries are used up."""
        if not self.enabled:
            return
        for attempt in range(self.retries + 1):
            if attempt:
                await asyncio.sleep(self.retry_seconds)
            status = await self.send(request)
            if status is not None and 200 <= status < 300:
                return

    async def send(self, request: FalRequest) -> int | None:
        """Call back once, again if it was done before; returns the answer's status."""
        if request.webhook_url is None:
            raise ValueError(f"{request!r} wants no callback")
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=self.answer_seconds, trust_env=False)
        body = self.body(request)
        headers = {"Content-Type": "application/json", **self.sign(request.request_id, body)}
        status = None
        try:
            answer = await self._client.post(request.webhook_url, content=body, headers=headers)
            status = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL):
            pass
        self.attempts.append(Attempt(request.request_id, status))
        self.world.changes.notify()
        return status

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
