"""The command line: what it says, what it returns, and that it can be stopped at any moment."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.__main__ import main
from bot.sandbox import Sandbox
from bot.serving import StartError
from bot.settings import Settings
from db.connection import connect, migrate
from db.lock import only_process
from tests.support.running import ADMIN_ID, assert_books, let_in, running_bot

ROOT = Path(__file__).parents[2]
SECRET = "s3cret-that-nobody-may-see"
TOKEN, KEY = f"1234:{SECRET}", f"id:{SECRET}"
REQUIRED = {"TELEGRAM_BOT_TOKEN": TOKEN, "FAL_KEY": KEY, "ADMIN_IDS": "1"}


# -------------------------------------------------------------------------------- as a process


@asynccontextmanager
async def process(
    *arguments: str, cwd: Path, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m bot …` with nothing but this environment; ended if it still runs."""
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bot", *arguments),
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
            await started.communicate()


async def ended(running: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    """The exit code and what was printed, once it has ended by itself."""
    out, err = await running.communicate()
    return running.returncode, out.decode(), err.decode()


def assert_no_secret(*texts: str) -> None:
    for text in texts:
        assert SECRET not in text
        assert "Traceback" not in text


async def test_settings_that_are_missing_are_named_one_a_line(tmp_path: Path) -> None:
    async with process(cwd=tmp_path) as running:
        assert await ended(running) == (
            2,
            "",
            "TELEGRAM_BOT_TOKEN is not set: expected the token that @BotFather gives, "
            "digits:letters\n"
            "FAL_KEY is not set: expected a fal.ai key of API scope\n"
            "ADMIN_IDS is not set: expected Telegram user ids (numbers), separated by commas\n",
        )


async def test_a_setting_that_is_malformed_is_named_and_not_repeated(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"FAL_KEY={KEY}\nADMIN_IDS=1\nTELEGRAM_BOT_TOKEN={SECRET} !\n")
    line = (
        "TELEGRAM_BOT_TOKEN is malformed: expected the token that @BotFather gives, "
        "digits:letters\n"
    )
    async with process("migrate", cwd=tmp_path) as running:
        assert await ended(running) == (2, "", line)
    async with process("doctor", cwd=tmp_path) as running:
        assert await ended(running) == (1, f"WRONG settings: {line}", "")


def environment(sandbox: Sandbox, folder: Path) -> dict[str, str]:
    """The settings of a bot on the sandbox that logs all it can."""
    return {
        **sandbox.environment(),
        "ADMIN_IDS": str(ADMIN_ID),
        "DATABASE_URL": f"sqlite://{folder / 'data' / 'bot.sqlite3'}",
        "LISTEN": "",
        "LOG_LEVEL": "DEBUG",
    }


async def is_serving(sandbox: Sandbox) -> None:
    """Wait until a bot asks for updates; a process takes a while to start."""
    await sandbox.telegram.wait_for(
        lambda: sandbox.telegram.updates.polling, 60, "a bot that asks for updates"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_with_zero(
    sandbox: Sandbox, tmp_path: Path, number: signal.Signals
) -> None:
    async with process(cwd=tmp_path, **environment(sandbox, tmp_path)) as running:
        await is_serving(sandbox)
        asked_at = time.monotonic()
        running.send_signal(number)
        code, out, err = await ended(running)
    assert time.monotonic() - asked_at < 10
    assert (code, out) == (0, "")
    assert "Traceback" not in err
    for secret in (sandbox.telegram.token, sandbox.fal.account.api_key):
        assert secret not in err


async def test_a_job_under_way_is_finished_by_the_next_start(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.fal.pace = "manual"
    settings = environment(sandbox, tmp_path)
    bea = sandbox.telegram.person(id=701, name="Bea", language="en")
    (tmp_path / "data").mkdir()
    async with connect(settings["DATABASE_URL"]) as connection:
        await migrate(connection)
        await let_in(bea, budget_nanos=10**9)
    async with process(cwd=tmp_path, **settings) as running:
        await bea.sends("/image a red fox")
        [request] = await sandbox.fal.wait_for_requests(timeout=60)
        sandbox.fal.start(request)
        asked_at = time.monotonic()
        running.terminate()
        code, _, err = await ended(running)
        assert (code, "Traceback" in err) == (0, False)
        assert time.monotonic() - asked_at < 10
    sandbox.fal.complete(request)
    async with process(cwd=tmp_path, **settings) as running:
        await bea.chat.wait_for_media(timeout=60)
        running.terminate()
        assert (await ended(running))[0] == 0
    assert [message.kind for message in bea.chat.from_bot] == ["photo"]
    assert len(sandbox.fal.requests) == 1
    async with connect(settings["DATABASE_URL"]) as connection:
        await assert_books(connection)


# --------------------------------------------------------------------------- in this process


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logging_as_before: None) -> Path:
    """An empty folder to be in, and the settings that are required."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PTB_TIMEDELTA", "true")
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TELEGRAM_BOT_TOKEN", f"{SECRET}"),
        ("TELEGRAM_BOT_TOKEN", f"1234 {SECRET}"),
        ("FAL_KEY", f"{SECRET} {SECRET}"),
        ("FAL_ADMIN_KEY", f"{SECRET}\n"[:-1] + " x"),
        ("ADMIN_IDS", "@ada"),
        ("ADMIN_IDS", "1;2"),
        ("ADMIN_IDS", "-5"),
        ("DATABASE_URL", f"mysql://me:{SECRET}@host/bot"),
        ("DATABASE_URL", "bot.sqlite3"),
        ("LANGUAGE", "de"),
        ("CURRENCY", "dollars"),
        ("USD_RATE", "0"),
        ("USD_RATE", "0.92"),
        ("ALERT_PERCENTS", "a quarter"),
        ("ALERT_PERCENTS", "101"),
        ("ACCOUNT_LOW_BALANCE", "-1"),
        ("BUDGET_SELF_SERVICE", "perhaps"),
        ("DEFAULT_BUDGET", "NaN"),
        ("DEFAULT_BUDGET", "1e9"),
        ("MAX_ACTIVE_JOBS", "0"),
        ("COMMANDS_PER_MINUTE", "many"),
        ("NOTICE_INTERVAL", "0"),
        ("LIVE_INTERVAL", "inf"),
        ("TELEGRAM_API_URL", f"ftp://{SECRET}"),
        ("FAL_QUEUE_URL", "queue.fal.run"),
        ("PUBLIC_URL", f"http://me:{SECRET}@bot.example"),
        ("LISTEN", "everywhere"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_each_malformed_setting_is_one_line_with_its_name(
    alone: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
) -> None:
    monkeypatch.setenv(name, value)
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith(f"{name} is malformed: expected ")
    assert_no_secret(err)
    assert list(alone.iterdir()) == []


def test_every_setting_that_is_required_is_asked_for(
    alone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    required = {name for name, field in Settings.model_fields.items() if field.is_required()}
    assert {name.upper() for name in required} == set(REQUIRED)
    for name in REQUIRED:
        monkeypatch.setenv(name, "  ")
        assert main([]) == 2
        assert capsys.readouterr().err.startswith(f"{name} is not set: expected ")
        monkeypatch.setenv(name, REQUIRED[name])


def test_an_env_file_that_is_no_text_is_told(
    alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (alone / ".env").write_bytes(b"\xff\xfe\x00")
    assert main([]) == 2
    assert capsys.readouterr().err == ".env: expected a readable text file in UTF-8\n"


def test_migrate_brings_the_database_up_to_date_once(
    alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["migrate"]) == 0
    assert "applied" in capsys.readouterr().out
    assert (alone / "data" / "bot.sqlite3").exists()
    assert main(["migrate"]) == 0
    assert capsys.readouterr().out == "The database is up to date.\n"


@pytest.mark.parametrize("arguments", [[], ["run"], ["migrate"]])
def test_a_second_process_on_the_same_file_is_told(
    alone: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with only_process("sqlite://data/bot.sqlite3"):
        assert main(arguments) == 2
    assert capsys.readouterr().err == (
        "Another process uses this database: stop it first, or use PostgreSQL.\n"
    )


@pytest.mark.parametrize("arguments", [[], ["migrate"]])
def test_a_file_that_is_no_database_is_told_and_left_alone(
    alone: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    (alone / "data").mkdir()
    file = alone / "data" / "bot.sqlite3"
    file.write_text("a letter\n" * 1000)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("The database cannot be ")
    assert err.count("\n") == 1
    assert_no_secret(err)
    assert file.read_text() == "a letter\n" * 1000


def test_a_database_of_a_newer_version_is_told_and_left_alone(
    alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["migrate"]) == 0
    with sqlite3.connect(alone / "data" / "bot.sqlite3") as connection:
        connection.execute(
            "INSERT INTO tortoise_migrations (app, name, applied_at) "
            "SELECT app, '9999_future', applied_at FROM tortoise_migrations LIMIT 1"
        )
    connection.close()
    capsys.readouterr()
    for arguments in ([], ["migrate"]):
        assert main(arguments) == 2
        assert capsys.readouterr().err == (
            "The database was made by a newer version (it has the step 9999_future); "
            "update the program.\n"
        )


def test_a_command_that_there_is_not_is_told(
    alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["fly"])
    assert stopped.value.code == 2
    assert "invalid choice: 'fly'" in capsys.readouterr().err


# ------------------------------------------------------------------------------- what it cannot use


async def test_a_token_that_telegram_refuses_is_told(sandbox: Sandbox, tmp_path: Path) -> None:
    settings = environment(sandbox, tmp_path) | {"TELEGRAM_BOT_TOKEN": TOKEN}
    async with process(cwd=tmp_path, **settings) as running:
        code, out, err = await ended(running)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == "TELEGRAM_BOT_TOKEN was refused by Telegram."
    assert_no_secret(err)


async def test_a_second_process_with_the_same_token_is_told(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    telegram = sandbox.telegram
    async with running_bot(sandbox, f"sqlite://{tmp_path / 'bot.sqlite3'}") as running:
        for _ in range(3):
            await telegram.wait_for(lambda: telegram.updates.polling)
            await telegram.updates.poll()  # somebody else's
        bot, running._task = running._task, None
        assert bot is not None
        with pytest.raises(StartError, match="Another process runs this bot"):
            await bot
