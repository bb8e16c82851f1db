"""Text as Telegram reads it: HTML into entities, commands and links found by themselves.

Offsets and lengths are in UTF-16 code units (Bot API, "MessageEntity"). The messages of the
errors are TDLib's.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from bot.sandbox.telegram.errors import Refusal, bad_request

Entity = dict[str, Any]

SIMPLE_TAGS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "code": "code",
    "pre": "pre",
}
OTHER_TAGS = {"a", "span", "tg-emoji", "blockquote"}
TAG = re.compile(r"<(/?)([^\s>/]*)((?:\s+[^>]*)?)>", re.DOTALL)
ATTRIBUTE = re.compile(r"""\s*([^\s=>]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+))?""")
CHARACTER = re.compile(r"&(?:lt|gt|amp|quot|#\d{1,7}|#x[0-9a-fA-F]{1,6});")
FOUND = (
    ("url", re.compile(r"https?://[^\s<>]+[^\s<>.,;:!?)]")),
    ("bot_command", re.compile(r"(?<![\w/.])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?(?!\w)")),
    ("mention", re.compile(r"(?<![\w@/])@[A-Za-z][A-Za-z0-9_]{3,31}\b")),
)


def units(text: str) -> int:
    """The length of `text` in UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


def parse_html(source: str) -> tuple[str, list[Entity]]:
    """The plain text and the entities of Telegram's HTML; raises Refusal as Telegram does."""
    plain: list[str] = []
    length = 0
    stack: list[tuple[str, Entity | None, int]] = []
    entities: list[Entity] = []
    position = 0
    while position < len(source):
        character = source[position]
        if character == "<":
            match = TAG.match(source, position)
            if match is None:
                raise _broken(f"Unclosed start tag at byte offset {_offset(source, position)}")
            closing, name, attributes = match.group(1), match.group(2).lower(), match.group(3)
            if closing:
                _close(stack, name, entities, length, _offset(source, position))
            else:
                opened = _entity(name, attributes, stack, _offset(source, position))
                stack.append((name, opened, length))
            position = match.end()
            continue
        reference = CHARACTER.match(source, position) if character == "&" else None
        piece = unescape(reference.group()) if reference else character
        position = reference.end() if reference else position + 1
        plain.append(piece)
        length += 2 if ord(piece) > 0xFFFF else 1
    if stack:
        raise _broken(f'Can\'t find end tag corresponding to start tag "{stack[-1][0]}"')
    return "".join(plain), entities


def _offset(source: str, position: int) -> int:
    return len(source[:position].encode())


def _broken(reason: str) -> Refusal:
    return bad_request(f"can't parse entities: {reason}")


def _close(
    stack: list[tuple[str, Entity | None, int]],
    name: str,
    entities: list[Entity],
    length: int,
    offset: int,
) -> None:
    if not stack:
        raise _broken(f"Unexpected end tag at byte offset {offset}")
    opened, entity, start = stack.pop()
    if name not in ("", opened):
        raise _broken(
            f'Unmatched end tag at byte offset {offset}, expected "</{opened}>", found "</{name}>"'
        )
    if entity is not None and length > start:
        entities.append({**entity, "offset": start, "length": length - start})


def _entity(
    name: str, attributes: str, stack: list[tuple[str, Entity | None, int]], offset: int
) -> Entity | None:
    """The entity that the start tag opens; None for a link without an address."""
    if name not in SIMPLE_TAGS and name not in OTHER_TAGS:
        raise _broken(f'Unsupported start tag "{name}" at byte offset {offset}')
    given = {
        found.group(1).lower(): unescape((found.group(2) or "").strip("\"'"))
        for found in ATTRIBUTE.finditer(attributes)
    }
    if name == "span":
        if given.get("class") != "tg-spoiler":
            raise _broken(f'Tag "span" must have class "tg-spoiler" at byte offset {offset}')
        return {"type": "spoiler"}
    if name == "tg-emoji":
        if not given.get("emoji-id"):
            raise _broken(f'Tag "tg-emoji" must have attribute "emoji-id" at byte offset {offset}')
        return {"type": "custom_emoji", "custom_emoji_id": given["emoji-id"]}
    if name == "blockquote":
        return {"type": "expandable_blockquote" if "expandable" in given else "blockquote"}
    if name == "a":
        return {"type": "text_link", "url": given["href"]} if given.get("href") else None
    language = given.get("class", "").removeprefix("language-")
    if name == "code" and language and stack and stack[-1][1] == {"type": "pre"}:
        stack[-1][1]["language"] = language
        return None
    return {"type": SIMPLE_TAGS[name]}


def read_text(
    source: str, parse_mode: str | None, given: list[Entity] | None
) -> tuple[str, list[Entity]]:
    """The text and entities of what a bot sends; raises Refusal.

    Of the parse modes only HTML is spoken here.
    """
    if parse_mode and parse_mode.lower() == "html":
        text, entities = parse_html(source)
    elif parse_mode:
        raise bad_request(f"unsupported parse_mode (the sandbox reads HTML only, not {parse_mode})")
    else:
        text, entities = source, list(given or [])
    return trimmed(text, entities)


def trimmed(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """`text` without white space at its ends, and its entities, with the found ones added."""
    lead = units(text) - units(text.lstrip())
    text = text.strip()
    end = units(text)
    kept = []
    for entity in entities:
        start = max(entity["offset"] - lead, 0)
        stop = min(entity["offset"] - lead + entity["length"], end)
        if stop > start:
            kept.append({**entity, "offset": start, "length": stop - start})
    kept += found_entities(text, kept)
    return text, sorted(kept, key=lambda entity: (entity["offset"], -entity["length"]))


def found_entities(text: str, taken: list[Entity]) -> list[Entity]:
    """Commands, mentions and links that Telegram marks by itself, outside those in `taken`."""
    quiet = [e for e in taken if e["type"] in ("code", "pre", "text_link")]
    found: list[Entity] = []
    for kind, pattern in FOUND:
        for match in pattern.finditer(text):
            start = units(text[: match.start()])
            entity = {"type": kind, "offset": start, "length": units(match.group())}
            if not any(_overlap(entity, other) for other in [*quiet, *found]):
                found.append(entity)
    return found


def _overlap(one: Entity, other: Entity) -> bool:
    return bool(
        one["offset"] < other["offset"] + other["length"]
        and other["offset"] < one["offset"] + one["length"]
    )
