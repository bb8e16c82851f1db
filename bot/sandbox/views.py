"""The sandbox's worlds as JSON, for the chat page and for tests against a real process."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bot.sandbox.fal import FalRequest, FalWorld
from bot.sandbox.faults import Order
from bot.sandbox.telegram import Chat, Content, Message, Person, TelegramWorld


def person_json(person: Person) -> dict[str, Any]:
    return {
        "id": person.id,
        "name": person.first_name,
        "last_name": person.last_name,
        "username": person.username,
        "language": person.language,
        "started": person.started,
        "blocked": person.blocked,
        "chat_id": person.chat.id,
    }


def chat_json(chat: Chat) -> dict[str, Any]:
    last = chat.visible[-1] if chat.visible else None
    return {
        "id": chat.id,
        "type": chat.type,
        "title": chat.title or (chat.person.first_name if chat.person else ""),
        "members": list(chat.members),
        "topics": {str(thread): name for thread, name in chat.topics.items()},
        "migrated_to": chat.migrated_to.id if chat.migrated_to else None,
        "last_message": message_json(last) if last else None,
    }


def content_json(content: Content) -> dict[str, Any]:
    """What a message shows at one time; entity offsets are UTF-16, as in JavaScript strings."""
    file = content.media
    return {
        "kind": file.kind if file else ("service" if content.extra else "text"),
        "text": content.text,
        "entities": content.entities,
        "media": None
        if file is None
        else {
            "url": f"/control/media/{file.file_id}",
            "width": file.width,
            "height": file.height,
            "name": file.name,
            "mime": file.mime or ("image/jpeg" if file.kind == "photo" else None),
            "size": file.size,
        },
        "buttons": (content.markup or {}).get("inline_keyboard", []),
        "service": content.extra or None,
        "at": content.at.isoformat() if content.at else None,
    }


def message_json(message: Message) -> dict[str, Any]:
    """A message as it looks now, with `versions`, oldest first, if it was edited."""
    sender = message.sender
    return {
        **content_json(message.content),
        "id": message.id,
        "chat_id": message.chat.id,
        "from_bot": message.from_bot,
        "sender": {"id": sender.id, "name": sender.first_name} if sender else None,
        "date": message.date.isoformat(),
        "edited": len(message.versions) > 1,
        "deleted": message.deleted,
        "reply_to": message.reply_to.id if message.reply_to else None,
        "thread_id": message.thread_id,
        "album": message.album,
        "reactions": message.reactions,
        "versions": [content_json(one) for one in message.versions],
    }


def telegram_json(telegram: TelegramWorld) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for call in telegram.calls:
        counts[call.method] = counts.get(call.method, 0) + 1
    return {
        "bot": telegram.bot_json(),
        "people": [person_json(person) for person in telegram.people.values()],
        "chats": [chat_json(chat) for chat in telegram.chats.values()],
        "calls": counts,
        "complaints": telegram.complaints,
        "pending_updates": len(telegram.updates.pending),
        "conflicts": telegram.updates.conflicts,
        "webhook": telegram.updates.webhook.url if telegram.updates.webhook else None,
    }


def request_json(fal: FalWorld, request: FalRequest) -> dict[str, Any]:
    bill = fal.bill_of(request)
    return {
        "request_id": request.request_id,
        "endpoint_id": request.endpoint_id,
        "arguments": _short(request.arguments),
        "headers": request.headers,
        "state": request.state,
        "position": fal.position(request) if request.state == "queued" else None,
        "status_code": request.status_code,
        "units": str(request.units) if request.units is not None else None,
        "billed_nanos": bill.total_nanos if bill else 0,
        "cancel_asked": request.cancel_asked,
        "logs": [line["message"] for line in request.logs],
        "sent_at": request.sent_at.isoformat(),
        "started_at": request.started_at.isoformat() if request.started_at else None,
        "ended_at": request.ended_at.isoformat() if request.ended_at else None,
        "output": request.output,
        "webhook_url": request.webhook_url,
    }


def _short(value: Any) -> Any:
    """`value` without data URIs, which would be megabytes."""
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    return f"{value[:60]}…" if isinstance(value, str) and value.startswith("data:") else value


def fal_json(fal: FalWorld) -> dict[str, Any]:
    """Money is in nano-US-dollars; prices and units are decimal numbers as text."""
    return {
        "pace": fal.pace,
        "tempo": {kind: asdict(tempo) for kind, tempo in fal.tempo.items()},
        "concurrency": fal.concurrency,
        "balance_nanos": fal.balance_nanos,
        "bill_total_nanos": fal.bill_total_nanos,
        "billing_delay_seconds": fal.account.billing_delay_seconds,
        "discount": str(fal.discount),
        "locked": fal.account.locked,
        "prices": {
            name: {"unit": price.unit, "unit_price": str(price.unit_price)}
            for name, price in fal.prices.items()
        },
        "requests": [request_json(fal, request) for request in fal.requests],
        "bills": [
            {
                "request_id": bill.request_id,
                "endpoint_id": bill.endpoint_id,
                "units": str(bill.units),
                "unit_price": str(bill.unit_price),
                "total_nanos": bill.total_nanos,
                "at": bill.at.isoformat(),
            }
            for bill in fal.account.bills
        ],
        "complaints": fal.complaints,
    }


def order_json(side: str, order: Order) -> dict[str, Any]:
    return {
        "side": side,
        "kind": order.fault.kind,
        "where": order.where,
        "times": order.times,
        "hits": order.hits,
    }
