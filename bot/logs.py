"""Logging for all of the process, with everything secret taken out before any handler sees it."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any
from urllib.parse import quote, quote_plus

from bot.settings import Settings

HIDDEN = "[hidden]"

# What gives a secret away by its form alone, registered or not: a Bot API URL (a file's to its
# end, since nobody but the bot may fetch it), a bot token, the password in a URL, a fal key in a
# header.
_FORMS = (
    (re.compile(r"/file/bot[^\s'\"<>]+"), f"/file/bot{HIDDEN}"),
    (re.compile(r"/bot\d+(?::|%3A)[\w%-]+", re.ASCII | re.IGNORECASE), f"/bot{HIDDEN}"),
    (re.compile(r"\b\d{6,}(?::|%3A)[\w-]{30,}", re.ASCII | re.IGNORECASE), HIDDEN),
    (re.compile(r"(://[^\s/:@'\"]*:)[^\s/@'\"]+@"), rf"\g<1>{HIDDEN}@"),
    (re.compile(r"\bKey [\w-]+:[\w-]{8,}", re.ASCII), f"Key {HIDDEN}"),
)
# A shorter one would be found inside ordinary words; in a URL its form gives it away anyway.
_SHORTEST_SECRET = 4

# They tell each request or each statement, which is only of use to whoever looks for a fault.
_CHATTY = (
    "aiosqlite",
    "apscheduler",
    "asyncio",
    "httpcore",
    "httpx",
    "telegram",
    "tortoise",
    "uvicorn.access",
)
# At DEBUG they fill pages with fonts and image formats.
_NEVER_BELOW_INFO = ("matplotlib", "PIL")

_RecordFactory = Callable[..., logging.LogRecord]


class Redactor:
    """Takes secrets out of texts: those that were added, and whatever has the form of one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._secrets: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None

    def add(self, *secrets: str) -> None:
        """From now on these are hidden, also as they stand in a URL or in JSON."""
        spellings = {
            spelling
            for secret in secrets
            for spelling in (
                secret,
                quote(secret, safe=""),
                quote(secret),
                quote_plus(secret),
                json.dumps(secret)[1:-1],
            )
            if len(spelling) >= _SHORTEST_SECRET
        }
        with self._lock:
            self._secrets |= spellings
            # The longest first, so that nothing is left over of one that contains another.
            longest_first = sorted(self._secrets, key=lambda secret: (-len(secret), secret))
            if longest_first:
                self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def redact(self, text: str) -> str:
        """The text with `[hidden]` in the place of every secret."""
        for form, replacement in _FORMS:
            text = form.sub(replacement, text)
        return self._pattern.sub(HIDDEN, text) if self._pattern else text


class JsonFormatter(logging.Formatter):
    """One line of JSON for each record: `at`, `level`, `logger`, `message`, perhaps `traceback`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_text:
            line["traceback"] = record.exc_text
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(line, ensure_ascii=False)


def configure_logging(settings: Settings) -> Redactor:
    """Log to standard error as the settings say. Returns the redactor, for more secrets.

    Secrets are taken out where a record is made, so handlers that others add get none either.
    """
    redactor = Redactor()
    redactor.add(*settings.secrets)
    logging.setLogRecordFactory(_redacting(redactor))

    handler = logging.StreamHandler(sys.stderr)
    if settings.log_format == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-8s %(name)s: %(message)s"))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    for name in _CHATTY:
        quiet = logging.NOTSET if settings.log_level == "DEBUG" else logging.WARNING
        logging.getLogger(name).setLevel(quiet)
    for name in _NEVER_BELOW_INFO:
        logging.getLogger(name).setLevel(logging.INFO)

    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread
    return redactor


def _redacting(redactor: Redactor) -> _RecordFactory:
    formatter = logging.Formatter()

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = logging.LogRecord(*args, **kwargs)
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 -- whatever the arguments do, logging must not raise
            record.msg, record.args = f"{record.msg} (with arguments that do not fit)", ()
            message = record.msg
        clean = redactor.redact(message)
        if clean != message:
            record.msg, record.args = clean, ()
        if record.exc_info:
            # Formatters take this text as it is and do not look at the exception again.
            record.exc_text = redactor.redact(formatter.formatException(record.exc_info))
        if record.stack_info:
            record.stack_info = redactor.redact(record.stack_info)
        return record

    return factory


def _log_uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    logging.getLogger(__name__).critical("Not expected", exc_info=(kind, error, traceback))


def _log_uncaught_in_thread(report: threading.ExceptHookArgs) -> None:
    if report.exc_value is not None:
        _log_uncaught(report.exc_type, report.exc_value, report.exc_traceback)
