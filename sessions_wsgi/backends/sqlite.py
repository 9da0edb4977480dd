"""Sessions in one SQLite file: no server, shared by every process of a machine.

Readers go on while one process writes (write-ahead log). A process that is killed loses nothing; a power
failure may lose the last seconds, never the database. For local file systems: a network has no shared memory.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from functools import partial

from sessions_wsgi._named import known_options
from sessions_wsgi.backends import GONE, Conflict, Entry, Gone, Record, Version
from sessions_wsgi.backends._connections import Connections
from sessions_wsgi.backends._failures import Failures
from sessions_wsgi.backends._options import path_of, seconds
from sessions_wsgi.backends._sqlite_file import connect
from sessions_wsgi.backends._sweep import Sweep
from sessions_wsgi.errors import ConfigError

__all__ = ["SQLiteBackend"]

_failures = Failures("sqlite", sqlite3.Error, OSError)

_LOAD = "SELECT data, version, expires FROM records WHERE key = ? AND expires > ?"
_CREATE = (
    "INSERT INTO records (key, version, data, expires) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (key) DO UPDATE SET version = excluded.version, data = excluded.data,"
    " expires = excluded.expires WHERE records.expires <= ?"
)
_UPDATE = (
    "UPDATE records SET version = ?, data = ?, expires = ? WHERE key = ? AND version = ? AND expires > ?"
)
# With the deadline that it has: the index of deadlines, half of what an update writes, is left alone.
_REPLACE = (
    "UPDATE records SET version = ?, data = ? WHERE key = ? AND version = ? AND expires = ? AND expires > ?"
)
_TOUCH = "UPDATE records SET expires = ? WHERE key = ? AND version = ? AND expires > ?"
_DELETE = "DELETE FROM records WHERE key = ? AND expires > ?"
_PURGE = "DELETE FROM records WHERE rowid IN (SELECT rowid FROM records WHERE expires <= ? LIMIT ?)"
_LINK = (
    "INSERT INTO entries (owner, key, note, expires) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (owner, key) DO UPDATE SET note = excluded.note, expires = excluded.expires"
)
_UNLINK = "DELETE FROM entries WHERE owner = ? AND key = ?"
_LINKED = "SELECT key, note, expires FROM entries WHERE owner = ? AND expires > ?"
_PURGE_ENTRIES = (
    "DELETE FROM entries WHERE (owner, key) IN (SELECT owner, key FROM entries WHERE expires <= ? LIMIT ?)"
)
# Writers wait while a batch is removed: a few milliseconds.
_BATCH = 200


@known_options
class SQLiteBackend:
    """Keeps sessions in the SQLite file `path`, which is made at first use, for this user only.

    `timeout`: seconds to wait for other writers. `sweep_every`: after so many writes, remove some expired
    records in passing; None leaves all of it to `purge`. `clock` gives seconds since the epoch.
    """

    name = "sqlite"
    #: Nothing is dropped but what has expired.
    evicts = False

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        timeout: float = 5.0,
        sweep_every: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        timeout = seconds(timeout, or_none_at_all=True)
        self._path = _checked(path)
        self._clock, self._sweep = clock, Sweep(sweep_every)
        self._connection = Connections(partial(connect, self._path, timeout))

    def __repr__(self) -> str:
        return f"SQLiteBackend({self._path!r})"

    @_failures("init")
    def init(self) -> None:
        """Make file, tables and indexes, if they are not there; the first operation does it, too."""
        with self._connection():
            pass

    def close(self) -> None:
        """Close this process's connections; an operation opens its own again."""
        self._connection.close()

    @_failures("load")
    def load(self, key: str) -> Record | None:
        """The record, or None."""
        connection = self._connection()
        with connection as cursor:
            row = cursor.execute(_LOAD, (key, self._clock())).fetchone()  # it looks that there is but one
        if row is None:
            return None
        record = Record(*row)
        connection.seen = key, record.expires
        return record

    @_failures("create")
    def create(self, key: str, data: bytes, expires: float) -> Version | None:
        """Store a new record, unless a live one is there."""
        version = _new_version()
        if not self._write(_CREATE, key, version, data, expires, self._clock()):
            return None
        self._sweep.count(self.purge)
        return version

    @_failures("update")
    def update(self, key: str, data: bytes, expires: float, version: Version) -> Version | Conflict | Gone:
        """Replace the record, if it still has this version."""
        new_version, now = _new_version(), self._clock()
        same = self._connection().seen == (key, expires)
        done = same and self._write(_REPLACE, new_version, data, key, version, expires, now)
        if not done and not self._write(_UPDATE, new_version, data, expires, key, version, now):
            record = self.load(key)
            return GONE if record is None else Conflict(record)
        self._sweep.count(self.purge)
        return new_version

    @_failures("touch")
    def touch(self, key: str, expires: float, version: Version) -> bool:
        """Move the deadline, if the record still has this version."""
        return self._write(_TOUCH, expires, key, version, self._clock()) > 0

    @_failures("delete")
    def delete(self, key: str) -> bool:
        """Remove the record."""
        return self._write(_DELETE, key, self._clock()) > 0

    @_failures("purge")
    def purge(self, limit: int) -> int:
        """Remove at most `limit` expired records and list entries, in small batches; fewer: none are left."""
        removed = 0
        for statement in _PURGE, _PURGE_ENTRIES:
            while (batch := min(limit - removed, _BATCH)) > 0:
                count = self._write(statement, self._clock(), batch)
                removed += count
                if count < batch:
                    break
        return removed

    @_failures("link")
    def link(self, owner: str, entry: Entry) -> None:
        """Add an entry to the owner's list, or replace the one with the same key."""
        self._write(_LINK, owner, *entry)
        self._sweep.count(self.purge)

    @_failures("unlink")
    def unlink(self, owner: str, key: str) -> None:
        """Remove an entry from the owner's list, if it is there."""
        self._write(_UNLINK, owner, key)

    @_failures("list")
    def linked(self, owner: str) -> list[Entry]:
        """The entries whose deadline has not passed."""
        with self._connection() as cursor:
            return [Entry(*row) for row in cursor.execute(_LINKED, (owner, self._clock())).fetchall()]

    def _write(self, statement: str, *values: object) -> int:
        # Each statement is a transaction of its own, which begins as a writer: two never wait for each other.
        with self._connection() as cursor:
            return cursor.execute(statement, values).rowcount


def _new_version() -> int:
    return int.from_bytes(os.urandom(8), "big") >> 1  # what a column of integers holds; never the same twice


def _checked(path: str | os.PathLike[str]) -> str:
    text = path_of("path", path)
    if text in ("", ":memory:") or os.path.isdir(text):
        raise ConfigError(f"'path' is that of a file; got {text!r} (for tests: MemoryBackend)", "path")
    parent = os.path.dirname(text)
    # Only those of an absolute path are made: a relative one may lack a slash, as in a URL with three.
    if not os.path.isabs(text) and not os.path.isdir(parent or "."):
        raise ConfigError(
            f"'path' {text!r} begins in the current directory, which has no {parent!r}: make that, "
            "or begin with '/' (in a URL: sqlite:/// and the path, four slashes in all)",
            "path",
        )
    return os.path.abspath(text)
