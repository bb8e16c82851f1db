"""What may be sent to each method, from the machine-readable description of Bot API 10.1.

`methods.json` is an extract of it: the methods that the sandbox knows, the types that they take.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from bot.sandbox.telegram.errors import bad_request

SIMPLE = {"Integer", "Float", "String", "Boolean"}


class Unknown(Exception):
    """Something was sent that the description does not have. Telegram itself ignores it."""


class Mismatch(Exception):
    """A value is not of a type that the description allows."""


@cache
def description() -> dict[str, Any]:
    """The extract: `methods` and `types`, each parameter as [types, 1 if required]."""
    loaded: dict[str, Any] = json.loads(Path(__file__).with_name("methods.json").read_text("utf-8"))
    return loaded


def method_named(name: str) -> str | None:
    """The method's proper spelling; names are not case-sensitive in the Bot API."""
    return next(
        (known for known in description()["methods"] if known.lower() == name.lower()), None
    )


def check(method: str, given: dict[str, Any], uploads: set[str]) -> dict[str, Any]:
    """The parameters of `method`, read as the types that they are declared with.

    `given` are the parameters as they came (JSON values or strings), `uploads` the names of the
    parts that carry a file. Raises Unknown for a name that the method does not take and Refusal
    for a missing or wrong one.
    """
    declared = description()["methods"][method]
    unknown = sorted(given.keys() - declared.keys())
    if unknown:
        raise Unknown(f"{method}: unknown parameter {', '.join(unknown)}")
    values: dict[str, Any] = {}
    for name, (types, *required) in declared.items():
        if given.get(name) is not None:
            try:
                values[name] = _read(given[name], types, name)
            except Mismatch as error:
                raise bad_request(str(error)) from error
        elif required and name not in uploads:
            raise bad_request(_missing(name))
    return values


def _missing(name: str) -> str:
    known = {
        "chat_id": "chat_id is empty",
        "text": "message text is empty",
        "user_id": "invalid user_id specified",
        "photo": "there is no photo in the request",
        "video": "there is no video in the request",
        "document": "there is no document in the request",
        "file_id": "file_id not specified",
        "message_id": "message identifier is not specified",
    }
    return known.get(name, f'parameter "{name}" is required')


def _read(value: Any, types: list[str], name: str) -> Any:
    """`value` as the first of `types` that it fits."""
    reasons: list[str] = []
    for kind in types:
        try:
            return _read_one(value, kind, name)
        except Mismatch as error:
            reasons.append(str(error))
    raise Mismatch(reasons[0])


def _read_one(value: Any, kind: str, name: str) -> Any:
    if kind in SIMPLE:
        return _read_simple(value, kind, name)
    if kind == "InputFile":
        if isinstance(value, str):
            return value
        raise Mismatch(f'parameter "{name}" must be a file')
    value = _decoded(value, name)
    if kind.startswith("Array of "):
        if not isinstance(value, list):
            raise Mismatch(f'parameter "{name}" must be an Array')
        return [_read_one(item, kind.removeprefix("Array of "), name) for item in value]
    return _read_object(value, kind, name)


def _read_simple(value: Any, kind: str, name: str) -> Any:
    if isinstance(value, dict | list):
        raise Mismatch(f'parameter "{name}" must be of type {kind}')
    if kind == "String":
        return value if isinstance(value, str) else json.dumps(value)
    text = str(value).strip().lower()
    try:
        if kind == "Boolean":
            return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[
                text
            ]
        return int(text) if kind == "Integer" else float(text)
    except (KeyError, ValueError):
        raise Mismatch(f'parameter "{name}" must be of type {kind}') from None


def _decoded(value: Any, name: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise Mismatch(f'can\'t parse "{name}" JSON object') from None


def _read_object(value: Any, kind: str, name: str) -> Any:
    if not isinstance(value, dict):
        raise Mismatch(f"object expected as {name}")
    known = description()["types"].get(kind)
    if known is None:
        return value
    if "one_of" in known:
        chosen = known["one_of"].get(value.get("type"))
        if chosen is None:
            raise Mismatch(f"{kind} of type {value.get('type')!r} is not known")
        return _read_object(value, chosen, name)
    fields = known["fields"]
    missing = [key for key, (_, *needed) in fields.items() if needed and key not in value]
    if missing:
        raise Mismatch(f'field "{missing[0]}" of {kind} is required')
    unknown = sorted(value.keys() - fields.keys())
    if unknown:
        # An alternative may take it: a reply_markup is one of four kinds.
        raise Mismatch(f"unknown field {unknown[0]!r} in {kind}")
    return {key: _read(item, fields[key][0], key) for key, item in value.items()}
