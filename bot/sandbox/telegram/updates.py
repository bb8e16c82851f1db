"""Updates on their way to the bot: long polling and webhook."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx

from bot.sandbox.changes import Changes
from bot.sandbox.telegram.errors import Refusal

UPDATE_KINDS = [
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "business_connection",
    "business_message",
    "edited_business_message",
    "deleted_business_messages",
    "guest_message",
    "message_reaction",
    "message_reaction_count",
    "inline_query",
    "chosen_inline_result",
    "callback_query",
    "shipping_query",
    "pre_checkout_query",
    "purchased_paid_media",
    "poll",
    "poll_answer",
    "my_chat_member",
    "chat_member",
    "chat_join_request",
    "chat_boost",
    "removed_chat_boost",
    "managed_bot",
]
ONLY_ON_REQUEST = {"chat_member", "message_reaction", "message_reaction_count"}
LIMIT = 100
LONGEST_WAIT = 50


@dataclass
class Webhook:
    """Where updates are posted to. `secret` goes along in a header."""

    url: str
    secret: str | None = None
    max_connections: int = 40
    last_error: str | None = None
    last_error_at: int | None = None


@dataclass
class Delivery:
    """One attempt to hand over an update by webhook. `status` None: no answer came."""

    update_id: int
    status: int | None
    headers: dict[str, str] = field(default_factory=dict)


class Updates:
    """The bot's queue of updates. An update stays until an offset or a 2xx confirms it."""

    def __init__(self, changes: Changes) -> None:
        self.changes = changes
        self.pending: list[dict[str, Any]] = []
        self.allowed: list[str] | None = None
        self.webhook: Webhook | None = None
        self.deliveries: list[Delivery] = []
        self.retry_seconds = 0.2
        self.attempts = 20
        self.answer_seconds = 60.0
        self.conflicts = 0
        self._next_id = 700_000_000
        self._poller: asyncio.Event | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._client: httpx.AsyncClient | None = None

    # -- filling -----------------------------------------------------------------------------

    def push(self, kind: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        """Queue an update of `kind`; None if the bot does not want to hear of that kind."""
        update = {"update_id": self._next_id, kind: payload}
        self._next_id += 1
        if not self.wants(kind):
            return None
        return self.push_raw(update)

    def push_raw(self, update: dict[str, Any]) -> dict[str, Any]:
        """Queue `update` as it is, also one whose update_id was delivered before."""
        update.setdefault("update_id", self._next_id)
        self._next_id = max(self._next_id, update["update_id"] + 1)
        self.pending.append(update)
        self.changes.notify()
        self._deliver()
        return update

    def wants(self, kind: str) -> bool:
        """Whether updates of `kind` are delivered (Bot API, allowed_updates)."""
        return kind in self.allowed if self.allowed else kind not in ONLY_ON_REQUEST

    def allow(self, kinds: list[str] | None) -> None:
        """Remember allowed_updates; None leaves what was set before, unknown ones are ignored."""
        if kinds is not None:
            self.allowed = [kind for kind in kinds if kind in UPDATE_KINDS] or None

    def drop(self) -> None:
        """Forget all that is pending."""
        self.pending.clear()

    @property
    def polling(self) -> bool:
        """Whether somebody waits in getUpdates right now."""
        return self._poller is not None

    # -- long polling ------------------------------------------------------------------------

    async def poll(
        self, offset: int = 0, limit: int = LIMIT, timeout: int = 0
    ) -> list[dict[str, Any]]:
        """Answer getUpdates. A newer poller ends this one with a 409, as Telegram does."""
        if self.webhook is not None:
            raise Refusal(
                409,
                "Conflict: can't use getUpdates method while webhook is active; "
                "use deleteWebhook to delete the webhook first",
            )
        if self._poller is not None:
            self.conflicts += 1
            self._poller.set()
        mine = self._poller = asyncio.Event()
        self.changes.notify()
        if offset < 0:
            self.pending = self.pending[offset:]
        elif offset:
            self.pending = [u for u in self.pending if u["update_id"] >= offset]
        try:
            return await self._collect(mine, min(max(limit, 1), LIMIT), min(timeout, LONGEST_WAIT))
        finally:
            if self._poller is mine:
                self._poller = None
                self.changes.notify()

    async def _collect(self, mine: asyncio.Event, limit: int, timeout: int) -> list[dict[str, Any]]:
        def ready() -> bool:
            return bool(self.pending) or mine.is_set()

        if not ready() and timeout > 0:
            replaced = asyncio.ensure_future(mine.wait())
            replaced.add_done_callback(lambda _: self.changes.notify())
            try:
                await self.changes.wait_for(ready, timeout)
            except TimeoutError:
                return []
            finally:
                replaced.cancel()
        if mine.is_set():
            raise Refusal(
                409,
                "Conflict: terminated by other getUpdates request; "
                "make sure that only one bot instance is running",
            )
        return self.pending[:limit]

    # -- webhook -----------------------------------------------------------------------------

    def set_webhook(self, webhook: Webhook | None) -> None:
        """Switch to `webhook`, or back to long polling with None."""
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()
        self.webhook = webhook
        self._deliver()

    def _deliver(self) -> None:
        if self.webhook is None:
            return
        for update in self.pending:
            if len(self._tasks) >= self.webhook.max_connections:
                break
            if update["update_id"] not in self._tasks:
                task = asyncio.ensure_future(self._hand_over(self.webhook, update))
                self._tasks[update["update_id"]] = task

    async def _hand_over(self, webhook: Webhook, update: dict[str, Any]) -> None:
        for attempt in range(self.attempts):
            if attempt:
                await asyncio.sleep(self.retry_seconds * min(attempt, 5))
            status = await self._post(webhook, update)
            self.deliveries.append(Delivery(update["update_id"], status))
            self.changes.notify()
            if status is not None and 200 <= status < 300:
                break
        # Delivered, or given up, which Telegram does after a while too.
        self.pending = [other for other in self.pending if other is not update]
        self._tasks.pop(update["update_id"], None)
        self.changes.notify()
        self._deliver()

    async def _post(self, webhook: Webhook, update: dict[str, Any]) -> int | None:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=self.answer_seconds, trust_env=False)
        headers = {}
        if webhook.secret:
            headers["X-Telegram-Bot-Api-Secret-Token"] = webhook.secret
        try:
            answer = await self._client.post(webhook.url, json=update, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            webhook.last_error = f"Connection failed: {type(error).__name__}"
            return None
        if answer.status_code >= 300:
            reason = f"{answer.status_code} {answer.reason_phrase}"
            webhook.last_error = f"Wrong response from the webhook: {reason}"
        return answer.status_code

    async def close(self) -> None:
        """Stop delivering."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
