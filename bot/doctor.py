"""`python -m bot doctor`: is everything as it must be? One line each; nothing is changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from bot.catalog import load_catalog
from bot.fal.errors import FalError, Refused
from bot.fal.platform import Platform
from bot.money import Currency, format_amount
from bot.screen.wire import introduce
from bot.settings import Settings
from db.audit import verify
from db.connection import STORAGE_ERRORS, connect, pending_migrations, sqlite_path
from db.errors import DatabaseError
from db.models import ContentJob


class Check(NamedTuple):
    """What was looked at, whether it is well, and what is to be said of it."""

    subject: str
    is_well: bool
    words: str


async def examine(settings: Settings) -> int:
    """Print every check; 1 if one of them failed, else 0."""
    code = 0
    async for check in _checks(settings):
        print(f"{'ok   ' if check.is_well else 'WRONG'} {check.subject}: {check.words}")
        code = code if check.is_well else 1
    return code


async def _checks(settings: Settings) -> AsyncIterator[Check]:
    yield Check("settings", True, f"{len(settings.admin_ids)} admin(s), {settings.currency}")
    async for check in _database(settings):
        yield check
    yield await _telegram(settings)
    yield await _fal(settings)
    if settings.fal_admin_key is not None:
        yield await _account(settings.fal_admin_key.get_secret_value(), settings)


async def _database(settings: Settings) -> AsyncIterator[Check]:
    path = sqlite_path(settings.database_url)
    if path is not None and not path.exists():
        yield Check("database", True, "not there yet; the first start makes it")
        return
    try:
        async with connect(settings.database_url, read_only=True) as connection:
            pending = await pending_migrations(connection)
            if pending:
                yield Check("database", False, f"{len(pending)} steps behind: run migrate")
                return
            jobs = await ContentJob.all().count()
            waiting = await ContentJob.filter(shown_at=None).count()
            yield Check("database", True, f"{jobs} jobs, {waiting} under way")
            findings = await verify(connection)
            for finding in findings:
                yield Check("books", False, str(finding))
            if not findings:
                yield Check("books", True, "every counter equals its entries")
    except (DatabaseError, *STORAGE_ERRORS) as error:
        lines = str(error).strip().splitlines()
        yield Check("database", False, lines[0] if lines else type(error).__name__)


async def _telegram(settings: Settings) -> Check:
    token = settings.telegram_bot_token.get_secret_value()
    try:
        name = await introduce(token, settings.telegram_api_url)
    except LookupError as error:
        return Check("Telegram", False, str(error))
    return Check("Telegram", True, f"the bot is {name}")


async def _fal(settings: Settings) -> Check:
    platform = Platform(settings.fal_key.get_secret_value(), settings.fal_platform_url)
    endpoints = load_catalog().endpoint_ids
    try:
        prices = await platform.prices(endpoints)
    except Refused as error:
        words = "does not know all of the catalog" if error.status == 404 else "refuses FAL_KEY"
        return Check("fal", False, f"{words} ({error})")
    except FalError as error:
        return Check("fal", False, f"cannot be reached ({error})")
    finally:
        await platform.aclose()
    return Check("fal", True, f"{len(prices)} of {len(endpoints)} prices are known")


async def _account(admin_key: str, settings: Settings) -> Check:
    platform = Platform(admin_key, settings.fal_platform_url)
    try:
        balance = await platform.balance()
    except Refused as error:
        return Check("fal account", False, f"refuses FAL_ADMIN_KEY ({error})")
    except FalError as error:
        return Check("fal account", False, f"the balance cannot be read ({error})")
    finally:
        await platform.aclose()
    return Check("fal account", True, f"the balance is {format_amount(balance, 'en', Currency())}")
