"""Sessions in an SQL database: PostgreSQL, MySQL, MariaDB; SQLite too, for which `SQLiteBackend` is faster.

Each operation is one statement and a transaction of its own, so none is open between two of them.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from typing import Any

from sessions_wsgi._named import known_options
from sessions_wsgi.backends import GONE, Conflict, Entry, Gone, Record, Version
from sessions_wsgi.backends._failures import Failures
from sessions_wsgi.backends._options import refuse, seconds
from sessions_wsgi.backends._process import PerProcess
from sessions_wsgi.backends._sql_engine import source

try:
    from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

    from sessions_wsgi.backends._sql_errors import is_passing, is_table_missing
    from sessions_wsgi.backends._sql_statements import DIALECTS, Statements
except ImportError:  # told when a backend is made
    SQLAlchemyError = OSError  # type: ignore[assignment, misc]

__all__ = ["SQLBackend"]

_failures = Failures("sql", SQLAlchemyError)

# PostgreSQL cuts names off after 63 characters, and ours add some.
_TABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,39}\.)?[A-Za-z_][A-Za-z0-9_]{0,39}")
# Writers may wait while a batch is removed: a few milliseconds.
_BATCH = 200


@known_options
class SQLBackend:
    """Keeps sessions in two tables of a database: one round trip for every operation that succeeds.

    The tables are made by the first operation that misses them. Where the application's user may not make
    any, call `init` as one who may.

    :param url_or_engine: ``postgresql://user:password@host/database``, ``mysql://…``, ``mariadb://…``,
        ``sqlite:///file``, for psycopg 3, PyMySQL and the standard library unless another driver is named,
        with the driver's options as ``?name=value``. Or your own `sqlalchemy.Engine`, whose timeouts are
        yours; with ``isolation_level="AUTOCOMMIT"``, ``pool_reset_on_return=None`` and
        ``skip_autocommit_rollback=True`` it needs no round trips of its own.
    :param table: the name of the table, ``schema.table`` if need be. A second one has ``_entries`` added.
    :param timeout: seconds to wait for a connection (at least 2 by psycopg), and for an answer.
    :param clock: gives seconds since the epoch.
    :raises ConfigError: an option is wrong, or a driver is not installed. Nothing is connected yet.
    """

    name = "sql"
    #: Nothing is dropped but what has expired.
    evicts = False

    def __init__(
        self,
        url_or_engine: Any,
        *,
        table: str = "sessions",
        timeout: float = 2.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if _TABLE.fullmatch(table) is None:
            rule = "must be a name, or schema.name, of letters, digits and '_', 40 characters at most"
            refuse("table", f"{rule}; got {table!r}")
        found = source(url_or_engine, seconds(timeout))
        if found.dialect.name not in DIALECTS:
            refuse("url", f"must be that of one of {', '.join(sorted(DIALECTS))}")
        self._shown = f"{found.shown}, table={table!r}"
        self._timeout, self._clock = timeout, clock
        self._engine = PerProcess(found.make, found.close)
        self._sql = Statements(table, found.dialect)

    def __repr__(self) -> str:
        return f"SQLBackend({self._shown})"

    @_failures("init")
    def init(self) -> None:
        """Make tables and indexes, if they are not there."""
        self._sql.make_tables(self._engine())

    def close(self) -> None:
        """Close this process's connections; an operation opens its own again."""
        self._engine.close()

    @_failures("load")
    def load(self, key: str) -> Record | None:
        """The record, or None."""
        rows = self._run(self._sql.load, id=key, now=self._clock())
        return Record(*rows[0]) if rows else None

    @_failures("create")
    def create(self, key: str, data: bytes, expires: float) -> Version | None:
        """Store a new record, unless a live one is there."""
        version, now = _new_version(), self._clock()
        values = {"id": key, "version": version, "data": data, "expires": expires, "now": now}
        try:
            stored = self._run(self._sql.create, **values)
        except IntegrityError:
            stored = self._run(self._sql.replace_expired, **values)
        return version if stored or self._has(key, version) else None

    @_failures("update")
    def update(self, key: str, data: bytes, expires: float, version: Version) -> Version | Conflict | Gone:
        """Replace the record, if it still has this version."""
        new, now = _new_version(), self._clock()
        values = {"id": key, "version": new, "data": data, "expires": expires, "old_version": version}
        if self._run(self._sql.update, **values, now=now):
            return new
        record = self.load(key)
        if record is None:
            return GONE
        return new if record.version == new else Conflict(record)

    @_failures("touch")
    def touch(self, key: str, expires: float, version: Version) -> bool:
        """Move the deadline, if the record still has this version."""
        values = {"id": key, "version": version, "expires": expires}
        return bool(self._run(self._sql.touch, **values, now=self._clock()))

    @_failures("delete")
    def delete(self, key: str) -> bool:
        """Remove the record."""
        return bool(self._run(self._sql.delete, id=key, now=self._clock()))

    @_failures("purge")
    def purge(self, limit: int) -> int:
        """Remove at most `limit` expired records and list entries, in small batches; fewer: none are left."""
        removed = 0
        for statement in self._sql.purges:
            while (batch := min(limit - removed, _BATCH)) > 0:
                count = self._run(statement, now=self._clock(), limit=batch)
                removed += count
                if count < batch:
                    break
        return removed

    @_failures("link")
    def link(self, owner: str, entry: Entry) -> None:
        """Add an entry to the owner's list, or replace the one with the same key."""
        self._run(self._sql.link, owner=owner, id=entry.key, note=entry.note, expires=entry.expires)

    @_failures("unlink")
    def unlink(self, owner: str, key: str) -> None:
        """Remove an entry from the owner's list, if it is there."""
        self._run(self._sql.unlink, owner=owner, id=key)

    @_failures("list")
    def linked(self, owner: str) -> list[Entry]:
        """The entries whose deadline has not passed."""
        return [Entry(*row) for row in self._run(self._sql.linked, owner=owner, now=self._clock())]

    def _has(self, key: str, version: Version) -> bool:
        record = self.load(key)
        return record is not None and record.version == version

    def _run(self, statement: Any, **values: object) -> Any:
        """The rows that a statement gives, or how many it changed.

        Tried again where that may help. If the first try was carried out and its answer lost, the second
        finds the version that it was to write, so nothing is done twice.
        """
        give_up = time.monotonic() + self._timeout
        try:
            return self._execute(statement, values)
        except DBAPIError as error:
            error.hide_parameters = True  # on an engine that is not ours, too
            if is_table_missing(error):
                self.init()
            elif not is_passing(error) or time.monotonic() > give_up:
                raise
        return self._execute(statement, values)

    def _execute(self, statement: Any, values: dict[str, object]) -> Any:
        with self._engine().connect() as connection:
            result = connection.execute(statement, values)
            return result.all() if result.returns_rows else result.rowcount


def _new_version() -> int:
    return int.from_bytes(os.urandom(8), "big") >> 1  # what a column of integers holds; never the same twice
