"""What all tests share: a database of each kind, the sandbox, no way out of this machine, no luck.

`database_url` runs a test on SQLite and on PostgreSQL, each with the present schema and nothing in
it, or without even that for a test that is marked `empty_database`; `postgres_url` is an empty
database of PostgreSQL's. `sandbox` is the other end of the wire, and `ada` writes to the bot.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest
import pytest_asyncio

from bot.i18n import LANGUAGES
from bot.sandbox import Sandbox
from bot.sandbox.fal import FalWorld
from bot.sandbox.telegram import Person, TelegramWorld
from bot.settings import Settings
from db.connection import connect, migrate
from tests.support.network import only_this_machine
from tests.support.postgres import Databases, shared_server_url

# The same examples in each run, as long as nobody asks for others: HYPOTHESIS_PROFILE=explore
# And none fails because the machine had something else to do.
hypothesis.settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=2000, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what needs a `database_url` on each kind of database, unless it is about one of them.

    A conversation in both languages is held in one of them on each kind: what is said has nothing
    to do with where it is kept.
    """
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    kinds = [
        kind
        for kind, other in (("sqlite", "postgres"), ("postgres", "sqlite"))
        if f"{other}_only" not in marks
    ]
    names = metafunc.fixturenames
    by_hand = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    is_bilingual = "language" in names and not any("language" in args for args in by_hand)
    if is_bilingual and "database_url" in names:
        both = list(zip(LANGUAGES, (kinds[0], kinds[-1]), strict=True))
        metafunc.parametrize(("language", "database_url"), both, indirect=True)
    elif is_bilingual:
        metafunc.parametrize("language", LANGUAGES, indirect=True)
    elif "database_url" in names:
        metafunc.parametrize("database_url", kinds, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure no coverage in slow tests: others cover the same, and it takes half as long again."""
    for item in items:
        if item.get_closest_marker("slow") is not None:
            item.add_marker("no_cover")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Stand-ins for Telegram and fal."""
    async with Sandbox() as running:
        yield running


@pytest.fixture
def world(sandbox: Sandbox) -> TelegramWorld:
    """The one for Telegram."""
    return sandbox.telegram


@pytest.fixture
def fal(sandbox: Sandbox) -> FalWorld:
    """The one for fal."""
    return sandbox.fal


@pytest.fixture
def ada(world: TelegramWorld) -> Person:
    """Somebody who has written to the bot before."""
    return world.person(id=1001, name="Ada", username="ada", language="en", started=True)


@pytest.fixture
def language(request: pytest.FixtureRequest) -> str:
    """Both languages, one after the other."""
    return str(request.param)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without a row: a file of SQLite's, or PostgreSQL's."""
    is_empty = request.node.get_closest_marker("empty_database") is not None
    if request.param == "sqlite":
        path = tmp_path / "bot.sqlite3"
        if not is_empty:
            shutil.copyfile(request.getfixturevalue("ready_sqlite_file"), path)
        return f"sqlite://{path}"
    url: str = request.getfixturevalue("postgres_url" if is_empty else "ready_postgres_url")
    return url


@pytest.fixture(scope="session")
def ready_sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the present schema, to be copied: making it anew takes most of a start."""
    path = tmp_path_factory.mktemp("ready") / "bot.sqlite3"

    async def make() -> None:
        async with connect(f"sqlite://{path}") as connection:
            await migrate(connection)

    asyncio.run(make())
    return path


@pytest_asyncio.fixture
async def ready_postgres_url(postgres_databases: Databases) -> AsyncIterator[str]:
    """The same of PostgreSQL's; what is left connected to it is cut off."""
    async with postgres_databases.ready() as url:
        yield url


@pytest_asyncio.fixture
async def postgres_url(postgres_databases: Databases) -> AsyncIterator[str]:
    """The `postgres://` URL of an empty database; what is left connected to it is cut off."""
    async with postgres_databases.empty() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_databases(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Iterator[Databases]:
    """The databases of this worker, on the server that the whole run shares."""
    own = os.environ.get("TEST_DATABASE_URL")
    if own is None:
        alone = worker_id == "master"
        folder = tmp_path_factory.getbasetemp()
        server_url = shared_server_url(
            folder if alone else folder.parent, os.getpid() if alone else os.getppid()
        )
    else:
        server_url = own.replace("postgresql://", "postgres://", 1)
    databases = Databases(server_url, f"fal_budget_bot_test_{os.getpid()}")
    yield databases
    if own is not None:
        asyncio.run(databases.drop_all())


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the person who runs the tests has set is not what is tested."""
    for name in (*Settings.model_fields, *_PROXIES):
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def outside() -> Iterator[list[str]]:
    """Nothing leaves this machine. Yields the hosts that were refused; any fails the test.

    A test that provokes a refusal takes it out of the list.
    """
    with only_this_machine() as refused:
        yield refused
    assert not refused, f"the test wanted to reach {refused}"


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """Undo what `configure_logging` does to the process."""
    root = logging.getLogger()
    loggers = [root, *(log for log in root.manager.loggerDict.values() if hasattr(log, "level"))]
    levels = {logger: logger.level for logger in loggers if isinstance(logger, logging.Logger)}
    handlers, factory = list(root.handlers), logging.getLogRecordFactory()
    hooks = sys.excepthook, threading.excepthook
    yield
    sys.excepthook, threading.excepthook = hooks
    logging.captureWarnings(False)
    logging.setLogRecordFactory(factory)
    root.handlers[:] = handlers
    for logger in root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.setLevel(levels.get(logger, logging.NOTSET))
    root.setLevel(levels[root])
