"""One process to one SQLite file: a second one would send the same notices and resume the same
jobs. PostgreSQL is made for many.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from db.connection import sqlite_path
from db.errors import DatabaseUnusable


@contextmanager
def only_process(url: str) -> Iterator[None]:
    """Hold the database for this process. Raises `DatabaseUnusable` if another one has it.

    The lock is the kernel's (flock) and ends with the process, however it ends.
    """
    path = sqlite_path(url)
    if path is None:
        yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.with_name(path.name + ".lock").open("a")
    except OSError as error:
        raise DatabaseUnusable(
            f"The folder of the database cannot be written to ({error.strerror})."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DatabaseUnusable(
                "Another process uses this database: stop it first, or use PostgreSQL."
            ) from error
        yield
