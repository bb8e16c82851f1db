"""Updates as nobody has seen them: of every type that Telegram has, mutated, forged, in any script.

`updates.json` is an extract of the machine-readable description of Bot API 10.1: all types that an
update is made of, each field as [types, 1 if required, its only value].
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from handlers.commands import ADMIN_COMMANDS, MEMBER_COMMANDS

Json = dict[str, Any]

DEEPEST = 2
MOST_EXTRAS = 3
SOMEBODY = ("from", "user", "actor", "via_bot")
# Right to left, left to right, isolates, overrides, joiners, combining marks, astral, nothing.
BIDIRECTIONAL = (
    "مرحبا",
    "שלום",
    "\u202e",
    "\u202d",
    "\u2066",
    "\u2069",
    "\u200d",
    "\u200b",
    "e\u0301\u0301\u0301",
    "🦊🏴\U000e0067",
    "\ufffd",
    "\u0000",
)
LONGEST = 4096


@cache
def types() -> dict[str, Json]:
    """The types of the Bot API by name: their `fields`, or which `one_of` they are."""
    loaded: Json = json.loads(Path(__file__).with_name("updates.json").read_text("utf-8"))
    described: dict[str, Json] = loaded["types"]
    return described


def update_kinds() -> list[str]:
    """Every kind of update that there is."""
    return [name for name in types()["Update"]["fields"] if name != "update_id"]


# ---------------------------------------------------------------------------------------- text


def texts(names: Iterable[str] = ()) -> st.SearchStrategy[str]:
    """What people type, and what they do not: commands with anything behind, any script, long."""
    commands = sorted({"start", *MEMBER_COMMANDS, *ADMIN_COMMANDS, "nothing", ""})
    anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    odd = st.lists(st.sampled_from(BIDIRECTIONAL) | anything, max_size=4).map("".join)
    words = st.sampled_from([*names, "5", "off", "auto", "-1", "1e9", "--ar 9:16", "--n 9"]) | odd
    command = st.builds(
        lambda name, to, said: f"/{name}{to} {' '.join(said)}",
        st.sampled_from(commands),
        st.sampled_from(["", "@fal_budget_bot", "@other_bot"]),
        st.lists(words, max_size=2),
    )
    long = st.builds(lambda part: ((part or "x") * LONGEST)[:LONGEST], odd)
    return st.one_of(command, odd, anything, long)


def button_data(numbers: Iterable[int]) -> st.SearchStrategy[str]:
    """Data of buttons that others were shown, with numbers that mean something, and made up."""
    number = st.sampled_from([*map(str, numbers), "0", "-1", "9" * 18, "9" * 40, "x", ""])
    head = st.sampled_from(
        [
            *("approve", "deny", "charge", "release", "cancel", "redo", "vary", "animate"),
            *("file", "again", "draft", "forget", "history", "users", "model", "set", "csv"),
        ]
    )
    tail = st.sampled_from(["", ":1", ":5", ":image", ":video", ":fr", ":is_admin:true"])
    forged = st.builds(lambda way, one, rest: f"{way}:{one}{rest}", head, number, tail)
    odd = st.lists(st.sampled_from(BIDIRECTIONAL), min_size=1, max_size=8).map("".join)
    return forged | odd | st.text(max_size=64)


# --------------------------------------------------------------------------- whatever there is


@st.composite
def value(draw: st.DrawFn, kind: str, depth: int = DEEPEST) -> Any:
    """Something of a type of the Bot API."""
    if kind.startswith("Array of "):
        count = draw(st.integers(0, 2)) if depth > 0 else 0
        return [draw(value(kind.removeprefix("Array of "), depth - 1)) for _ in range(count)]
    simple: dict[str, st.SearchStrategy[Any]] = {
        "Integer": st.sampled_from([0, 1, -1, 5, 2**31 - 1]),
        "Float": st.sampled_from([0.0, -1.5, 1e9]),
        "Boolean": st.booleans(),
        "True": st.just(True),
        "String": st.sampled_from(["", "x", "/image x", *BIDIRECTIONAL]),
    }
    if kind in simple:
        return draw(simple[kind])
    described = types()[kind]
    if "one_of" in described:
        return draw(value(draw(st.sampled_from(described["one_of"])), depth))
    fields = described["fields"]
    optional = [name for name, spec in fields.items() if len(spec) == 1]
    extras: set[str] = set()
    if depth > 0 and optional:
        extras = draw(st.sets(st.sampled_from(optional), max_size=MOST_EXTRAS))
    made = {}
    for name, (kinds, *needed) in fields.items():
        if len(needed) == 2:
            made[name] = needed[1]
        elif needed or name in extras:
            made[name] = draw(value(draw(st.sampled_from(kinds)), depth - 1))
    return made


@st.composite
def mutated(draw: st.DrawFn, strategy: st.SearchStrategy[Json]) -> Json:
    """One of `strategy`, in which something is missing, or is something else."""
    made = copy.deepcopy(draw(strategy))
    for _ in range(draw(st.integers(1, 3))):
        where: Any = made
        while True:
            keys = list(where) if isinstance(where, dict) else list(range(len(where)))
            keys = [key for key in keys if key != "update_id"]
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(where[key], dict | list) and draw(st.booleans()):
                where = where[key]
                continue
            if draw(st.booleans()):
                del where[key]
            else:
                where[key] = draw(st.sampled_from([None, 0, "", [], {}, "x", True, -(2**63)]))
            break
    return made


# ------------------------------------------------------------------------------- whole updates


@st.composite
def updates(draw: st.DrawFn, people: list[Json], chats: dict[int, list[Json]]) -> Json:
    """An update of any kind, from one of `people`, in one of the `chats` that they are in."""
    kind = draw(st.sampled_from(update_kinds()))
    [declared] = types()["Update"]["fields"][kind][0]
    payload = draw(value(declared))
    person = draw(st.sampled_from(people))
    _put_in(payload, person, draw(st.sampled_from(chats[person["id"]])))
    return {kind: payload}


@st.composite
def messages(
    draw: st.DrawFn, people: list[Json], chats: dict[int, list[Json]], names: list[str]
) -> Json:
    """A message with a text or a caption, from one of `people`, perhaps as an answer to another."""
    person = draw(st.sampled_from(people))
    payload: Json = {"message_id": draw(st.integers(1, 2**31)), "date": 1_700_000_000}
    payload[draw(st.sampled_from(["text", "caption"]))] = draw(texts(names))
    for extra in draw(
        st.sets(st.sampled_from(["photo", "document", "sticker", "reply_to_message", "quote"]))
    ):
        payload[extra] = draw(value(types()["Message"]["fields"][extra][0][0], 1))
    _put_in(payload, person, draw(st.sampled_from(chats[person["id"]])))
    return {draw(st.sampled_from(["message", "message", "edited_message"])): payload}


@st.composite
def presses(
    draw: st.DrawFn, people: list[Json], chats: dict[int, list[Json]], numbers: list[int]
) -> Json:
    """A press of a button, whoever was shown it, by one of `people`."""
    person = draw(st.sampled_from(people))
    chat = draw(st.sampled_from(chats[person["id"]]))
    message = {"message_id": draw(st.integers(1, 50)), "date": draw(st.sampled_from([0, 1]))}
    payload: Json = {"id": str(draw(st.integers(1, 2**62))), "chat_instance": "1"}
    payload["data"] = draw(button_data(numbers))
    payload["from"] = person
    if draw(st.integers(0, 9)):
        payload["message"] = {**message, "chat": chat}
    return {"callback_query": payload}


def _put_in(payload: Json, person: Json, chat: Json) -> None:
    for name in SOMEBODY:
        if name in payload:
            payload[name] = person
    payload["from"] = person
    if "chat" in payload or "message_id" in payload:
        payload["chat"] = chat
    if isinstance(message := payload.get("message"), dict):
        message["chat"] = chat
