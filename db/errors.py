"""What can be wrong with the database before anything is served."""

from __future__ import annotations


class DatabaseError(Exception):
    """The database cannot be used. The message is one sentence without secrets."""


class DatabaseTooNew(DatabaseError):
    """A newer version of the program has migrated this database."""


class DatabaseUnusable(DatabaseError):
    """The database cannot be opened, read or written."""
