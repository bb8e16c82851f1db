"""Is a callback really from fal? ED25519 over the raw body, with fal's published keys.

Facts: fal documentation, "Webhooks": the signed message is request id, user id, timestamp and
the SHA-256 of the body in hex, joined by newlines; keys come as JWKS, any of them may match, and
may be kept for 24 hours.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import logging
import time
from collections.abc import Callable, Mapping

import httpx
from aiolimiter import AsyncLimiter
from nacl.exceptions import CryptoError
from nacl.signing import VerifyKey

from bot.fal.transport import Watched, parse_json, unwatched

logger = logging.getLogger(__name__)

KEYS_PATH = "/.well-known/jwks.json"
KEPT_SECONDS = 24 * 60 * 60
# An unknown signature asks for fresh keys, but a flood of forgeries must not flood fal: so many
# times in so many seconds.
REFETCHES = (10, 60)
TOLERANCE_SECONDS = 300


class Forged(Exception):
    """The callback is not from fal, too old, or malformed. Its text says which, for the log."""


class CallbackVerifier:
    """Checks callbacks against the keys at `rest_url`."""

    def __init__(self, rest_url: str, clock: Callable[[], float] = time.time) -> None:
        self._url = rest_url + KEYS_PATH
        self._clock = clock
        self._http = httpx.AsyncClient(transport=Watched(unwatched), timeout=10)
        self._keys: list[VerifyKey] = []
        self._fetched_at = -float("inf")
        self._fetching = asyncio.Lock()
        self._refetches = AsyncLimiter(*REFETCHES)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def verify(self, headers: Mapping[str, str], body: bytes) -> str:
        """The request id that a genuine callback is about. Raises `Forged`."""
        request_id, message, signature = self._read(headers, body)
        if self._age() > KEPT_SECONDS:
            await self._fetch()
        if not self._matches(message, signature):
            # The keys may have changed: ask once more, then it is a forgery.
            if self._refetches.has_capacity():
                await self._refetches.acquire()
                await self._fetch()
            if not self._matches(message, signature):
                raise Forged("no key of fal's made this signature")
        return request_id

    def _read(self, headers: Mapping[str, str], body: bytes) -> tuple[str, bytes, bytes]:
        try:
            request_id = headers["x-fal-webhook-request-id"]
            user_id = headers["x-fal-webhook-user-id"]
            timestamp = headers["x-fal-webhook-timestamp"]
            signature = binascii.unhexlify(headers["x-fal-webhook-signature"])
            age = abs(self._clock() - int(timestamp))
        except KeyError as error:
            raise Forged(f"{error.args[0]} is missing") from error
        except (ValueError, OverflowError) as error:
            raise Forged("the signature or its time cannot be read") from error
        if age > TOLERANCE_SECONDS:
            raise Forged("too old, or from the future")
        digest = hashlib.sha256(body).hexdigest()
        message = f"{request_id}\n{user_id}\n{timestamp}\n{digest}"
        return request_id, message.encode(), signature

    def _matches(self, message: bytes, signature: bytes) -> bool:
        for key in self._keys:
            try:
                key.verify(message, signature)
            except CryptoError:  # another key's, or no signature at all
                continue
            return True
        return False

    def _age(self) -> float:
        return self._clock() - self._fetched_at

    async def _fetch(self) -> None:
        asked_at = self._clock()
        async with self._fetching:
            if self._fetched_at >= asked_at:
                return  # somebody else has just done it
            try:
                response = await self._http.get(self._url)
                response.raise_for_status()
            except httpx.HTTPError as error:
                logger.warning("fal's keys cannot be read (%s)", type(error).__name__)
                return
            keys = _keys(parse_json(response.content))
            if keys:
                self._keys, self._fetched_at = keys, self._clock()


def _keys(answer: object) -> list[VerifyKey]:
    """The usable keys of a JWKS; base64url with or without padding."""
    listed = answer.get("keys") if isinstance(answer, dict) else None
    keys = []
    for key in listed if isinstance(listed, list) else []:
        text = key.get("x") if isinstance(key, dict) else None
        if not isinstance(text, str):
            continue
        try:
            raw = base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
            keys.append(VerifyKey(raw))
        except ValueError:
            logger.warning("one of fal's keys cannot be read")
    return keys
