"""An SQLite file with our tables: made if it is not there, opened, set up."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from contextlib import suppress

_PRAGMAS = (
    # Readers and one writer at a time do not wait for each other.
    "PRAGMA journal_mode = WAL",
    # Flushed when the log is moved into the database, not at each commit, which would take 10 times as long.
    "PRAGMA synchronous = NORMAL",
)
# Records keep their row id: without it, those of 1 kB and more take several pages and three times as long.
_RECORDS = """
    CREATE TABLE IF NOT EXISTS records (
        key TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL, data BLOB NOT NULL, expires REAL NOT NULL
    )"""
_ENTRIES = """
    CREATE TABLE IF NOT EXISTS entries (
        owner TEXT NOT NULL, key TEXT NOT NULL, note BLOB NOT NULL, expires REAL NOT NULL,
        PRIMARY KEY (owner, key)
    ) WITHOUT ROWID"""
_INDEXES = (
    "CREATE INDEX IF NOT EXISTS records_expires ON records (expires)",
    "CREATE INDEX IF NOT EXISTS entries_expires ON entries (expires)",
)
#: What SQLite keeps beside a database.
_BESIDE = ("-wal", "-shm", "-journal")
_SET_UP = (*_PRAGMAS, _RECORDS, _ENTRIES, *_INDEXES)


def connect(path: str, timeout: float) -> sqlite3.Connection:
    """A connection that any thread may use, each statement a transaction; the tables are there."""
    _make_file(path)
    connection = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
    try:
        _set_up(connection, time.monotonic() + timeout)
        _require_private(path)  # what SQLite has opened by now, too
    except BaseException:
        connection.close()
        raise
    return connection


def _make_file(path: str) -> None:
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    # Only if it is new: to close a descriptor of a file that SQLite has open drops its locks (POSIX).
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    _require_private(path)


def _require_private(path: str) -> None:
    """Refuse files that others may write: they could read everything, and sign in as anybody.

    The log and the shared memory are as good as the database, and SQLite takes those that it finds.
    """
    if not hasattr(os, "geteuid"):
        return
    for each in (path, *(path + end for end in _BESIDE)):
        try:
            found = os.lstat(each)
        except FileNotFoundError:
            continue
        mine = found.st_uid in {os.geteuid(), 0}
        if not stat.S_ISREG(found.st_mode) or not mine or found.st_mode & 0o022:
            raise PermissionError(f"{each} is a link, or another user's, or others may write it: chmod 600")


def _set_up(connection: sqlite3.Connection, give_up: float) -> None:
    # Tried again, as the change to WAL does not wait for those who make the same file at the same time.
    while True:
        try:
            for statement in _SET_UP:
                connection.execute(statement)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return
