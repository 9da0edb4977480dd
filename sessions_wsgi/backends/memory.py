"""Sessions in the memory of one process: for tests, development and small applications.

They end with the process, and one that was forked goes on with a copy. What is held is the encoded bytes,
so whatever goes wrong on the way to another backend goes wrong here too.
"""

from __future__ import annotations

import heapq
import itertools
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from sessions_wsgi._named import known_options
from sessions_wsgi.backends import GONE, Conflict, Entry, Gone, Record, Version
from sessions_wsgi.errors import BackendError, ConfigError

__all__ = ["MemoryBackend"]

# What CPython needs beside the data: the key, the record, their places in the order and in the heap.
_OVERHEAD = 512

# A record is filed under ("", key), an entry of a list under (owner, key).
_Name = tuple[str, str]

# One lock for all, as no operation takes more than microseconds. Held during a fork, so that no child
# inherits it locked, for ever, over a change that another thread had half made.
_lock = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


@known_options
class MemoryBackend:
    """Keeps sessions in at most `max_bytes` of memory: drops the expired, then the least recently used.

    `max_bytes` counts the data and what it takes to hold it; None is no bound. A single record that
    exceeds it is a `BackendError`. `clock` gives seconds since the epoch.
    """

    name = "memory"
    #: Each process has sessions of its own.
    single_process = True

    def __init__(
        self, *, max_bytes: int | None = 64 * 1024 * 1024, clock: Callable[[], float] = time.time
    ) -> None:
        counts = isinstance(max_bytes, int) and not isinstance(max_bytes, bool)
        if max_bytes is not None and (not counts or max_bytes < 1):
            rule = "must be a positive number of bytes, or None for no bound"
            raise ConfigError(f"'max_bytes' {rule}; got {max_bytes!r}", "max_bytes")
        #: Whether live records may be dropped, so that a missing one need not have ended.
        self.evicts = max_bytes is not None
        self._max_bytes, self._clock = max_bytes, clock
        self._bytes = 0
        self._items: OrderedDict[_Name, Record | Entry] = OrderedDict()  # the least recently used comes first
        self._lists: dict[str, dict[str, Entry]] = {}
        self._deadlines: list[
            tuple[float, _Name]
        ] = []  # a heap; deadlines that were moved stay in it as well
        self._versions = itertools.count(1)

    def __repr__(self) -> str:
        return f"MemoryBackend(max_bytes={self._max_bytes})"

    def load(self, key: str) -> Record | None:
        """The record, or None; from now on it is the most recently used one."""
        now = self._clock()
        with _lock:
            record = self._live(key, now)
            if record is not None:
                self._items.move_to_end(("", key))
            return record

    def create(self, key: str, data: bytes, expires: float) -> Version | None:
        """Store a new record, unless a live one is there."""
        now = self._clock()
        with _lock:
            if self._live(key, now) is not None:
                return None
            return self._store("create", key, data, expires, now)

    def update(self, key: str, data: bytes, expires: float, version: Version) -> Version | Conflict | Gone:
        """Replace the record, if it still has this version."""
        now = self._clock()
        with _lock:
            record = self._live(key, now)
            if record is None:
                return GONE
            if record.version != version:
                return Conflict(record)
            return self._store("update", key, data, expires, now)

    def touch(self, key: str, expires: float, version: Version) -> bool:
        """Move the deadline, if the record still has this version."""
        now = self._clock()
        with _lock:
            record = self._live(key, now)
            if record is None or record.version != version:
                return False
            self._put(("", key), record._replace(expires=expires))
            return True

    def delete(self, key: str) -> bool:
        """Remove the record."""
        now = self._clock()
        with _lock:
            was_live = self._live(key, now) is not None
            self._drop(("", key))
            return was_live

    def purge(self, limit: int) -> int:
        """Remove at most `limit` expired records and list entries; fewer: no more are left."""
        now = self._clock()
        removed = 0
        with _lock:
            while removed < limit and self._drop_expired(now):
                removed += 1
        return removed

    def link(self, owner: str, entry: Entry) -> None:
        """Add an entry to the owner's list, or replace the one with the same key."""
        now = self._clock()
        with _lock:
            self._check_size("link", entry.note)
            self._put((owner, entry.key), entry)
            self._lists.setdefault(owner, {})[entry.key] = entry
            self._evict(now)

    def unlink(self, owner: str, key: str) -> None:
        """Remove an entry from the owner's list, if it is there."""
        with _lock:
            self._drop((owner, key))

    def linked(self, owner: str) -> list[Entry]:
        """The entries whose deadline has not passed."""
        now = self._clock()
        with _lock:
            return [entry for entry in self._lists.get(owner, {}).values() if entry.expires > now]

    # What follows is called with the lock held.

    def _live(self, key: str, now: float) -> Record | None:
        record = self._items.get(("", key))
        return record if isinstance(record, Record) and record.expires > now else None

    def _store(self, operation: str, key: str, data: bytes, expires: float, now: float) -> Version:
        self._check_size(operation, data)
        version = next(self._versions)
        self._put(("", key), Record(data, version, expires))
        self._evict(now)
        return version

    def _check_size(self, operation: str, data: bytes) -> None:
        size = len(data) + _OVERHEAD
        if self._max_bytes is not None and size > self._max_bytes:
            cause = ValueError(
                f"it needs {size} bytes, 'max_bytes' is {self._max_bytes}: raise it or store less"
            )
            raise BackendError(self.name, operation) from cause

    def _put(self, name: _Name, item: Record | Entry) -> None:
        old = self._items.get(name)
        self._items[name] = item
        self._bytes += _size(item)
        if old is not None:
            self._bytes -= _size(old)
            self._items.move_to_end(name)
        if old is None or old.expires != item.expires:
            heapq.heappush(self._deadlines, (item.expires, name))
            if len(self._deadlines) > 2 * len(self._items) + 64:
                self._deadlines = [(kept.expires, name) for name, kept in self._items.items()]
                heapq.heapify(self._deadlines)

    def _drop(self, name: _Name) -> None:
        item = self._items.pop(name, None)
        if item is not None:
            self._bytes -= _size(item)
        owner, key = name
        entries = self._lists.get(owner)
        if entries is not None:
            entries.pop(key, None)
            if not entries:
                del self._lists[owner]

    def _drop_expired(self, now: float) -> bool:
        while self._deadlines and self._deadlines[0][0] <= now:
            _, name = heapq.heappop(self._deadlines)
            item = self._items.get(name)
            if item is not None and item.expires <= now:
                self._drop(name)
                return True
        return False

    def _evict(self, now: float) -> None:
        while self._max_bytes is not None and self._bytes > self._max_bytes:
            if not self._drop_expired(now):
                self._drop(next(iter(self._items)))


def _size(item: Record | Entry) -> int:
    return _OVERHEAD + len(item.data if isinstance(item, Record) else item.note)
