"""What can go wrong with Telegram, on order.

Each kind is a thing that really happens on the wire:

- `flood`: 429 with `retry_after` seconds
- `server_error`: 500; `bad_gateway`: 502 with a page of HTML instead of JSON
- `blocked`: 403, bot was blocked by the user
- `not_modified`: the edit is made, and answered like one that was made before
- `answer_lost`: done, then the connection is reset; `answer_hangs`: done, but never answered
- `reset`: the connection is reset and nothing done; `hang`: nothing done and never answered
- `migrated`: the group becomes a supergroup at this moment
- `message_deleted`: the message that is to be edited is deleted at this moment
- `refused`: 400 with `message`
"""

from __future__ import annotations

from bot.sandbox.faults import Fault, FaultBook, Order

ALWAYS = frozenset(
    [
        "flood",
        "server_error",
        "bad_gateway",
        "blocked",
        "answer_lost",
        "answer_hangs",
        "reset",
        "hang",
        "refused",
    ]
)
EDITS = frozenset({"not_modified", "message_deleted"})
KINDS = ALWAYS | EDITS | {"migrated"}


class TelegramFaults(FaultBook):
    """The faults of the Telegram side."""

    def add(
        self,
        fault: Fault | str,
        method: str | None = None,
        chat_id: int | None = None,
        times: int | None = 1,
    ) -> Order:
        """Order `fault` for the next `times` calls (None: all) of `method` in `chat_id`.

        None as method means any but getUpdates; `method="file"` is a download.
        """
        fault = Fault(fault) if isinstance(fault, str) else fault
        if fault.kind not in KINDS:
            raise ValueError(f"Telegram has no fault {fault.kind!r}; it has {sorted(KINDS)}")
        if fault.kind in EDITS and method is not None and not method.startswith("editMessage"):
            raise ValueError(f"{fault.kind} can only happen to an edit")
        return self.order(fault, times, method=method, chat_id=chat_id)

    def next(self, method: str, chat_id: int | None, group: bool) -> Fault | None:
        """The fault for this call, if one is due."""
        kinds = ALWAYS
        if method.startswith("editMessage"):
            kinds = kinds | EDITS
        if group:
            kinds = kinds | {"migrated"}
        if method == "getUpdates":
            # A fault for "whatever comes next" is about what the bot does, not about its polling.
            orders = [o for o in self.orders if o.where.get("method") == "getUpdates"]
            if not any(order.matches({"method": method, "chat_id": chat_id}) for order in orders):
                return None
            kinds = ALWAYS - {"blocked"}
        return self.take(kinds, method=method, chat_id=chat_id)
