"""`doctor` proves the books by themselves: without any network, on either database, untouched."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bot.doctor import examine
from bot.sandbox import Sandbox
from db.connection import connect
from db.models import ContentJob, LedgerEntry, Person
from tests.bot.accountant import DOLLAR, accountant
from tests.support.running import settings_for

Says = Callable[..., Awaitable[tuple[int, list[str]]]]


@pytest.fixture
def says(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Says:
    """The exit code, and the lines without the mark at their beginning that is checked here."""
    monkeypatch.setenv("PTB_TIMEDELTA", "true")

    async def ask(database_url: str, **settings: object) -> tuple[int, list[str]]:
        code = await examine(settings_for(sandbox, database_url, **settings))
        lines = capsys.readouterr().out.splitlines()
        assert code == (1 if any(line.startswith("WRONG ") for line in lines) else 0)
        assert all(line.startswith(("ok    ", "WRONG ")) for line in lines)
        return code, [line[6:] for line in lines]

    return ask


async def stored() -> list[dict[str, object]]:
    return [
        row for model in (Person, ContentJob, LedgerEntry) for row in await model.all().values()
    ]


async def test_the_books_are_proved_and_not_touched(
    sandbox: Sandbox, database_url: str, says: Says
) -> None:
    async with accountant(sandbox, database_url) as office:
        bea = await office.person(DOLLAR)
        await office.make(bea)
        await office.reconciler.reconcile()
        before = await stored()
    code, lines = await says(database_url)
    assert code == 0
    assert "books: every counter equals its entries" in lines
    async with connect(database_url):
        assert await stored() == before


async def test_every_contradiction_has_its_line(
    sandbox: Sandbox, database_url: str, says: Says
) -> None:
    async with accountant(sandbox, database_url) as office:
        bea = await office.person(DOLLAR)
        job = await office.make(bea)
        await Person.filter(id=bea.id).update(spent_nanos=1, active_jobs=2)
        await ContentJob.filter(id=job.id).update(cost_nanos=3)
    code, lines = await says(database_url)
    assert code == 1
    assert [line for line in lines if line.startswith("books")] == [
        f"books: person {bea.id}: spent is 1, its entries say 25000000",
        f"books: person {bea.id}: jobs under way is 2, its entries say 0",
        f"books: job {job.id}: cost is 3, its entries say 25000000",
    ]
    assert len(lines) == 2 + 3 + 3  # the settings and the database, the findings, three services


async def test_the_books_are_proved_without_any_network(
    sandbox: Sandbox, database_url: str, says: Says
) -> None:
    sandbox.telegram.faults.add("reset", "getMe", times=None)
    for operation in ("pricing", "billing"):
        sandbox.fal.faults.add("reset", operation, times=None)
    code, lines = await says(database_url)
    assert code == 1
    assert "books: every counter equals its entries" in lines
    assert [line.partition(":")[0] for line in lines[-3:]] == ["Telegram", "fal", "fal account"]


async def test_the_balance_is_told_to_an_admin_key(
    sandbox: Sandbox, database_url: str, says: Says
) -> None:
    sandbox.fal.balance_nanos = 12_345_678_901
    code, lines = await says(database_url)
    assert (code, lines[-1]) == (0, "fal account: the balance is $12.345678901")


async def test_an_admin_key_without_the_scope_is_told(
    sandbox: Sandbox, database_url: str, says: Says
) -> None:
    code, lines = await says(database_url, fal_admin_key=sandbox.fal.account.api_key)
    assert code == 1
    assert lines[-1] == "fal account: refuses FAL_ADMIN_KEY (HTTP 403)"


async def test_a_model_that_fal_has_taken_away_is_not_blamed_on_the_key(
    sandbox: Sandbox, database_url: str, says: Says
) -> None:
    del sandbox.fal.prices["fal-ai/flux/dev"]
    code, lines = await says(database_url)
    assert code == 1
    assert lines[-2] == "fal: does not know all of the catalog (HTTP 404)"


@pytest.mark.sqlite_only
@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"SQLite format 3\0" + b"x" * 4080])
async def test_a_file_without_books_is_told_in_one_line(
    tmp_path: Path, says: Says, content: bytes
) -> None:
    path = tmp_path / "other.sqlite3"
    path.write_bytes(content)
    code, lines = await says(f"sqlite://{path}")
    assert code == 1
    assert len([line for line in lines if line.startswith("database")]) == 1


async def test_the_books_are_proved_while_the_bot_works(
    sandbox: Sandbox, database_url: str, says: Says
) -> None:
    sandbox.fal.pace = "manual"
    async with accountant(sandbox, database_url) as office:
        await office.order(await office.person(DOLLAR))
        [request] = await sandbox.fal.wait_for_requests()
        code, lines = await says(database_url)
        assert code == 0
        assert "database: 1 jobs, 1 under way" in lines
        sandbox.fal.complete(request)
        await office.settled()
