"""SQLite connections: one for each thread of each process, and none while a process forks.

SQLite counts the locks of a file in the memory of the process. A child forked beside an open connection takes
its parent's locks for its own and sets none itself: the next process to close the database then believes it
is the last one and removes the log that the child goes on writing to. Seen, not feared. So all connections
are closed before a fork, and open again when they are needed.
"""

from __future__ import annotations

import atexit
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakSet

_guard = threading.Lock()  # of the sets of pools and connections
_pools: WeakSet[Connections] = WeakSet()
_paused: list[Connection] = []
_abandoned: list[sqlite3.Connection] = []


class Connections:
    """The connections of one database; call it for that of this thread."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._local = threading.local()
        self._all: WeakSet[Connection] = WeakSet()
        with _guard:
            _pools.add(self)

    def __call__(self) -> Connection:
        """The connection of this thread, opened by ``with`` if it is not."""
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = Connection(self._connect)
            with _guard:
                self._all.add(connection)
        return connection

    def all(self) -> list[Connection]:
        """Those of all threads."""
        return list(self._all)

    def close(self) -> None:
        """Close those of all threads, as soon as they are idle."""
        with _guard:
            connections = self.all()
        for connection in connections:
            connection.pause()
            connection.resume()


class Connection:
    """One thread's connection; ``with`` gives its cursor, and nobody closes it inside.

    The cursor is kept, as to make one takes a tenth of the time of a read. Fetch all that it gives: rows that
    are left keep their read transaction open, which keeps the log from being moved into the database.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        #: What its thread read last, a key and a deadline: a hint, as it may be another one meanwhile.
        self.seen = ("", 0.0)
        self._connect = connect
        self._lock = threading.RLock()
        self._open: sqlite3.Connection | None = None
        self._cursor: sqlite3.Cursor | None = None
        self._process = 0

    def __enter__(self) -> sqlite3.Cursor:
        self._lock.acquire()
        if self._cursor is not None and self._process == os.getpid():
            return self._cursor
        try:
            self._close()
            self._process, self._open = os.getpid(), self._connect()
            self._cursor = self._open.cursor()
        except BaseException:
            self._lock.release()
            raise
        return self._cursor

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __del__(self) -> None:
        self._close()  # its thread has ended

    def pause(self) -> None:
        """Close it, and keep its thread from opening it again until `resume`."""
        self._lock.acquire()
        self._close()

    def resume(self) -> None:
        """Let its thread go on."""
        self._lock.release()

    def _close(self) -> None:
        connection, self._open, self._cursor = self._open, None, None
        if connection is None:
            return
        if self._process == os.getpid():
            with suppress(sqlite3.Error):
                connection.close()
        else:
            # From a fork that did not tell Python (uWSGI): to close it would end the parent's transactions.
            _abandoned.append(connection)


def _pause_all() -> None:
    _guard.acquire()
    for pool in list(_pools):
        for connection in pool.all():
            connection.pause()
            _paused.append(connection)


def _resume_all() -> None:
    while _paused:
        _paused.pop().resume()
    _guard.release()


@atexit.register
def _close_all() -> None:
    for pool in list(_pools):
        pool.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_pause_all, after_in_parent=_resume_all, after_in_child=_resume_all)
