"""Methods about the bot itself, its updates, chats and files."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bot.sandbox.telegram.calls import Call
from bot.sandbox.telegram.errors import bad_request
from bot.sandbox.telegram.files import DOWNLOAD_BYTES
from bot.sandbox.telegram.targets import find_chat, find_message
from bot.sandbox.telegram.updates import Webhook

if TYPE_CHECKING:
    from bot.sandbox.telegram.world import TelegramWorld

Handler = Callable[["TelegramWorld", Call], Awaitable[Any]]

ANSWER_CHARACTERS = 200
SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
COMMAND = re.compile(r"[a-z0-9_]{1,32}")
ACTIONS = [
    "typing",
    "upload_photo",
    "record_video",
    "upload_video",
    "record_voice",
    "upload_voice",
    "upload_document",
    "choose_sticker",
    "find_location",
    "record_video_note",
    "upload_video_note",
]


async def get_me(world: TelegramWorld, call: Call) -> Any:
    return {
        **world.bot_json(),
        "can_join_groups": True,
        "can_read_all_group_messages": not world.privacy,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
    }


async def get_updates(world: TelegramWorld, call: Call) -> Any:
    params = call.params
    world.updates.allow(params.get("allowed_updates"))
    return await world.updates.poll(
        params.get("offset", 0), params.get("limit", 100), params.get("timeout", 0)
    )


async def set_webhook(world: TelegramWorld, call: Call) -> Any:
    params = call.params
    url = urlsplit(params["url"])
    if params["url"] and url.scheme != "https" and url.hostname not in ("127.0.0.1", "localhost"):
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    secret = params.get("secret_token")
    if secret is not None and not SECRET.fullmatch(secret):
        raise bad_request("secret token contains unallowed characters")
    if params.get("drop_pending_updates"):
        world.updates.drop()
    world.updates.allow(params.get("allowed_updates"))
    connections = min(max(params.get("max_connections", 40), 1), 100)
    hook = Webhook(params["url"], secret, connections) if params["url"] else None
    world.updates.set_webhook(hook)
    return True


async def delete_webhook(world: TelegramWorld, call: Call) -> Any:
    if call.params.get("drop_pending_updates"):
        world.updates.drop()
    world.updates.set_webhook(None)
    return True


async def get_webhook_info(world: TelegramWorld, call: Call) -> Any:
    hook = world.updates.webhook
    info: dict[str, Any] = {
        "url": hook.url if hook else "",
        "has_custom_certificate": False,
        "pending_update_count": len(world.updates.pending),
    }
    if hook is not None:
        info["max_connections"] = hook.max_connections
        if hook.last_error:
            info |= {
                "last_error_message": hook.last_error,
                "last_error_date": int(world.clock.now().timestamp()),
            }
    if world.updates.allowed:
        info["allowed_updates"] = world.updates.allowed
    return info


async def get_file(world: TelegramWorld, call: Call) -> Any:
    file = world.files.get(call.params["file_id"])
    if file is None:
        raise bad_request("invalid file_id")
    if (file.size or 0) > DOWNLOAD_BYTES:
        raise bad_request("file is too big")
    return {
        "file_id": file.file_id,
        "file_unique_id": file.file_unique_id,
        "file_size": file.size if file.size is not None else len(file.data),
        "file_path": file.path,
    }


async def answer_callback_query(world: TelegramWorld, call: Call) -> Any:
    query = world.queries.get(call.params["callback_query_id"])
    oldest = world.clock.now() - timedelta(seconds=world.query_seconds)
    if query is None or query.answers or query.at < oldest:
        raise bad_request("query is too old and response timeout expired or query ID is invalid")
    if len(call.params.get("text", "")) > ANSWER_CHARACTERS:
        raise bad_request("MESSAGE_TOO_LONG")
    query.answers.append(call.params)
    world.changes.notify(
        {
            "type": "answer",
            "chat_id": query.message.chat.id,
            "person_id": query.person.id,
            "text": query.text,
            "alert": query.alert,
        }
    )
    return True


async def send_chat_action(world: TelegramWorld, call: Call) -> Any:
    chat = find_chat(world, call.params["chat_id"])
    action = call.params["action"]
    if action not in ACTIONS:
        raise bad_request("wrong parameter action in request")
    chat.actions.append((action, world.clock.now()))
    world.changes.notify({"type": "action", "chat_id": chat.id, "action": action})
    return True


async def get_chat(world: TelegramWorld, call: Call) -> Any:
    chat = find_chat(world, call.params["chat_id"], writing=False)
    return {
        **chat.json(),
        "accent_color_id": 0,
        "max_reaction_count": 11,
        "accepted_gift_types": {
            "unlimited_gifts": False,
            "limited_gifts": False,
            "unique_gifts": False,
            "premium_subscription": False,
            "gifts_from_channels": False,
        },
    }


async def get_chat_member(world: TelegramWorld, call: Call) -> Any:
    chat = find_chat(world, call.params["chat_id"], writing=False)
    user_id = call.params["user_id"]
    if user_id == world.bot_id:
        return {"user": world.bot_json(), "status": "member"}
    person = world.people.get(user_id)
    if person is None:
        raise bad_request("invalid user_id specified")
    status = chat.members.get(user_id, "left")
    extra = {"is_anonymous": False} if status == "creator" else {}
    return {"user": person.json(), "status": status, **extra}


async def set_message_reaction(world: TelegramWorld, call: Call) -> Any:
    chat = find_chat(world, call.params["chat_id"])
    message = find_message(chat, call.params["message_id"], "message to react not found")
    message.reactions = call.params.get("reaction") or []
    world.changed("edit", message)
    return True


async def set_my_commands(world: TelegramWorld, call: Call) -> Any:
    commands = call.params["commands"]
    if len(commands) > 100:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    for command in commands:
        if not COMMAND.fullmatch(command["command"]):
            raise bad_request("BOT_COMMAND_INVALID")
        if not 1 <= len(command["description"]) <= 256:
            raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    scope = call.params.get("scope")
    if scope and "chat_id" in scope:
        find_chat(world, scope["chat_id"], writing=False)
        scope = {**scope, "chat_id": int(scope["chat_id"])}
    key = world.profile.key(scope, call.params.get("language_code"))
    world.profile.commands[key] = commands
    world.changes.notify({"type": "commands"})
    return True


async def get_my_commands(world: TelegramWorld, call: Call) -> Any:
    key = world.profile.key(call.params.get("scope"), call.params.get("language_code"))
    return world.profile.commands.get(key, [])


async def delete_my_commands(world: TelegramWorld, call: Call) -> Any:
    key = world.profile.key(call.params.get("scope"), call.params.get("language_code"))
    world.profile.commands.pop(key, None)
    return True


def _setter(field: str, limit: int) -> Handler:
    async def set_text(world: TelegramWorld, call: Call) -> Any:
        text = call.params.get(field, "")
        if len(text) > limit:
            raise bad_request(f"{field} is too long")
        language = call.params.get("language_code", "")
        world.profile.texts[field, language] = text
        if field == "name" and not language:
            world.profile.name = text
        return True

    return set_text


def _getter(field: str) -> Handler:
    async def get_text(world: TelegramWorld, call: Call) -> Any:
        texts = world.profile.texts
        language = call.params.get("language_code", "")
        return {field: texts.get((field, language)) or texts.get((field, ""), "")}

    return get_text


async def set_chat_menu_button(world: TelegramWorld, call: Call) -> Any:
    chat_id = call.params.get("chat_id", 0)
    world.profile.menu_buttons[chat_id] = call.params.get("menu_button") or {"type": "default"}
    return True


async def get_chat_menu_button(world: TelegramWorld, call: Call) -> Any:
    return world.profile.menu_buttons.get(call.params.get("chat_id", 0), {"type": "default"})


ACCOUNT: dict[str, Handler] = {
    "getMe": get_me,
    "getUpdates": get_updates,
    "setWebhook": set_webhook,
    "deleteWebhook": delete_webhook,
    "getWebhookInfo": get_webhook_info,
    "getFile": get_file,
    "answerCallbackQuery": answer_callback_query,
    "sendChatAction": send_chat_action,
    "getChat": get_chat,
    "getChatMember": get_chat_member,
    "setMessageReaction": set_message_reaction,
    "setMyCommands": set_my_commands,
    "getMyCommands": get_my_commands,
    "deleteMyCommands": delete_my_commands,
    "setMyName": _setter("name", 64),
    "getMyName": _getter("name"),
    "setMyDescription": _setter("description", 512),
    "getMyDescription": _getter("description"),
    "setMyShortDescription": _setter("short_description", 120),
    "getMyShortDescription": _getter("short_description"),
    "setChatMenuButton": set_chat_menu_button,
    "getChatMenuButton": get_chat_menu_button,
}
