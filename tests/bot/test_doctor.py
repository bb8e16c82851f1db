"""`doctor`: a line for each thing, 1 if one is wrong, and nothing changed or given away."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.doctor import examine
from bot.sandbox import Fault, Sandbox
from db.connection import connect, migrate
from db.models import Person
from tests.support.running import settings_for

SECRET = "s3cret-that-nobody-may-see"


@pytest.fixture
async def sandbox(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    monkeypatch.setenv("PTB_TIMEDELTA", "true")
    async with Sandbox() as running:
        yield running


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """A database that is up to date."""
    path = tmp_path / "bot.sqlite3"
    async with connect(f"sqlite://{path}") as connection:
        await migrate(connection)
    return path


class Doctor:
    """Examines, and reads what was said."""

    def __init__(self, sandbox: Sandbox, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._sandbox = sandbox
        self._url = f"sqlite://{path}"
        self._capsys = capsys

    async def says(self, **settings: object) -> tuple[int, dict[str, str]]:
        """The exit code, and each line by its subject: `ok words` or `WRONG words`."""
        code = await examine(settings_for(self._sandbox, self._url, **settings))
        out, err = self._capsys.readouterr()
        assert err == ""
        assert SECRET not in out
        lines = {}
        for line in out.splitlines():
            mark, rest = line[:5].strip(), line[6:]
            assert mark in ("ok", "WRONG"), line
            subject, _, words = rest.partition(": ")
            lines[subject] = f"{mark} {words}"
        assert code == (1 if any(line.startswith("WRONG") for line in lines.values()) else 0)
        return code, lines


@pytest.fixture
def doctor(sandbox: Sandbox, file: Path, capsys: pytest.CaptureFixture[str]) -> Doctor:
    return Doctor(sandbox, file, capsys)


async def test_where_all_is_well_every_line_says_so(doctor: Doctor) -> None:
    code, lines = await doctor.says()
    assert code == 0
    assert lines["settings"] == "ok 1 admin(s), USD"
    assert lines["database"] == "ok 0 jobs, 0 under way"
    assert lines["books"] == "ok every counter equals its entries"
    assert lines["Telegram"] == "ok the bot is @fal_budget_bot"
    assert lines["fal"].startswith("ok ")


async def test_a_database_that_is_not_there_yet_is_no_mistake_and_not_made(
    sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "data" / "bot.sqlite3"
    code, lines = await Doctor(sandbox, path, capsys).says()
    assert (code, lines["database"]) == (0, "ok not there yet; the first start makes it")
    assert not path.parent.exists()


async def test_a_refused_token_is_told_without_the_token(doctor: Doctor) -> None:
    code, lines = await doctor.says(telegram_bot_token=f"1234:{SECRET}")
    assert (code, lines["Telegram"]) == (1, "WRONG TELEGRAM_BOT_TOKEN was refused")
    assert lines["fal"].startswith("ok ")


async def test_a_refused_key_is_told_without_the_key(doctor: Doctor) -> None:
    code, lines = await doctor.says(fal_key=f"id:{SECRET}")
    assert code == 1
    assert lines["fal"].startswith("WRONG ")
    assert "FAL_KEY" in lines["fal"]
    assert lines["Telegram"].startswith("ok ")


async def test_telegram_or_fal_that_cannot_be_reached_is_told(
    doctor: Doctor, sandbox: Sandbox
) -> None:
    sandbox.telegram.faults.add("reset", "getMe", times=None)
    sandbox.fal.faults.add(Fault("reset"), "pricing", times=None)
    code, lines = await doctor.says(fal_platform_url=f"{sandbox.base_url}/fal/v1")
    assert code == 1
    assert lines["Telegram"].startswith("WRONG cannot be reached")
    assert lines["fal"].startswith("WRONG cannot be reached")


async def test_books_that_do_not_hold_are_told_one_line_each(
    doctor: Doctor, file: Path, capsys: pytest.CaptureFixture[str], sandbox: Sandbox
) -> None:
    async with connect(f"sqlite://{file}"):
        await Person.create(id=5, name="Bea", held_nanos=7, spent_nanos=9)
    code = await examine(settings_for(sandbox, f"sqlite://{file}"))
    out = capsys.readouterr().out
    assert code == 1
    assert "WRONG books: person 5: held is 7, its entries say 0\n" in out
    assert "WRONG books: person 5: spent is 9, its entries say 0\n" in out
    assert "every counter" not in out


async def test_a_database_that_is_behind_is_told_and_left_so(doctor: Doctor, file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("DELETE FROM tortoise_migrations")
    connection.close()
    code, lines = await doctor.says()
    assert code == 1
    assert lines["database"].startswith("WRONG ")
    assert "behind: run migrate" in lines["database"]


async def test_a_file_that_is_no_database_is_told_in_one_line(doctor: Doctor, file: Path) -> None:
    file.write_text("a letter\n" * 1000)
    code, lines = await doctor.says()
    assert code == 1
    assert lines["database"].startswith("WRONG ")
    assert lines["Telegram"].startswith("ok ")


async def test_nothing_is_changed(doctor: Doctor, file: Path) -> None:
    before = file.read_bytes()
    await doctor.says()
    assert file.read_bytes() == before
