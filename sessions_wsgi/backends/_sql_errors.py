"""What the errors of databases mean."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

# Serialization failure and deadlock of PostgreSQL, deadlock of MySQL: nothing was done, it may go well now.
_PASSING = {"40001", "40P01", 1213}
_NO_TABLE = {"42P01", 1146}


def is_passing(error: DBAPIError) -> bool:
    """Whether the same statement may go well at once, such as after the pool gave a dead connection."""
    return error.connection_invalidated or not _PASSING.isdisjoint(_codes(error))


def is_table_missing(error: DBAPIError) -> bool:
    """Whether the tables have not been made yet."""
    return not _NO_TABLE.isdisjoint(_codes(error)) or "no such table" in str(error.orig)


def _codes(error: DBAPIError) -> list[object]:
    return [getattr(error.orig, "sqlstate", None), *getattr(error.orig, "args", ())]
