"""Sessions in files: one directory, no server, shared by every process of a machine.

A session is ``<directory>/<2 hex>/<62 hex>``, an entry of an owner's list likewise, with ``.<key>`` added.
For local file systems: over NFS the locks may not reach other machines.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Literal

from sessions_wsgi._named import known_options
from sessions_wsgi.backends import GONE, Conflict, Entry, Gone, Record, Version
from sessions_wsgi.backends._failures import Failures
from sessions_wsgi.backends._options import path_of
from sessions_wsgi.backends._sweep import Sweep
from sessions_wsgi.errors import ConfigError

try:
    from sessions_wsgi.backends import _folder, _record_file

    _POSIX = True
except ImportError:  # Windows has no fcntl
    _POSIX = False

__all__ = ["FileBackend"]

_failures = Failures("file", OSError)


@known_options
class FileBackend:
    """Keeps sessions in files under `directory`, which is made at first use, for this user only.

    A process that is killed at any moment leaves every session whole. With `durability` ``"process"`` a
    power failure may lose the last seconds; with ``"host"`` what was written is on the disk, at several
    times the cost.

    `sweep_every`: after so many writes, remove expired files of one of the 256 folders in passing; None
    leaves all of it to `purge`. `clock` gives seconds since the epoch.
    """

    name = "file"
    #: Nothing is dropped but what has expired.
    evicts = False

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        durability: Literal["process", "host"] = "process",
        sweep_every: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        _check_options(durability)
        self._root = _check_directory(directory)
        self._durable = durability == "host"
        self._sweep, self._clock = Sweep(sweep_every), clock
        self._cursor = os.urandom(1)[0]  # not the same folder in every worker
        self._known: set[str] = set()  # folders that were looked at

    def __repr__(self) -> str:
        return f"FileBackend({self._root!r}, durability={'host' if self._durable else 'process'!r})"

    @_failures("load")
    def load(self, key: str) -> Record | None:
        """The record, or None, also for a file that is damaged or not ours (logged)."""
        folder = _folder.of(self._root, key)
        if folder not in self._known and not self._has(folder):
            return None
        record = _record_file.read(f"{folder}/{key[2:]}")
        return record if record is not None and record.expires > self._clock() else None

    @_failures("create")
    def create(self, key: str, data: bytes, expires: float) -> Version | None:
        """Store a new record, unless a live one is there."""
        with self._locked(key) as folder:
            if self._live(f"{folder}/{key[2:]}") is not None:
                return None
            version = _record_file.write(folder, key[2:], data, expires, durable=self._durable)
        self._sweep.count(self._purge_next)
        return version

    @_failures("update")
    def update(self, key: str, data: bytes, expires: float, version: Version) -> Version | Conflict | Gone:
        """Replace the record, if it still has this version."""
        with self._locked(key) as folder:
            record = self._live(f"{folder}/{key[2:]}")
            if record is None:
                return GONE
            if record.version != version:
                return Conflict(record)
            new_version = _record_file.write(folder, key[2:], data, expires, durable=self._durable)
        self._sweep.count(self._purge_next)
        return new_version

    @_failures("touch")
    def touch(self, key: str, expires: float, version: Version) -> bool:
        """Move the deadline, if the record still has this version."""
        with self._locked(key) as folder:
            path = f"{folder}/{key[2:]}"
            return _record_file.touch(path, expires, version, self._clock(), durable=self._durable)

    @_failures("delete")
    def delete(self, key: str) -> bool:
        """Remove the record."""
        with self._locked(key) as folder:
            was_live = self._live(f"{folder}/{key[2:]}") is not None
            _record_file.remove(folder, key[2:], durable=self._durable)
        return was_live

    @_failures("purge")
    def purge(self, limit: int) -> int:
        """Remove at most `limit` expired sessions and list entries; fewer: no more are left.

        Begins where the last call ended. No lock is held for longer than it takes to remove a file.
        """
        self._check_root()
        removed = 0
        for number in [(self._cursor + step) % 256 for step in range(256)]:
            self._cursor = number
            removed += _folder.purge(f"{self._root}/{number:02x}", limit - removed, self._clock())
            if removed >= limit:
                break
        return removed

    @_failures("link")
    def link(self, owner: str, entry: Entry) -> None:
        """Add an entry to the owner's list, or replace the one with the same key."""
        with self._locked(owner) as folder:
            name = f"{owner[2:]}.{_folder.checked(entry.key)}"
            _record_file.write(folder, name, entry.note, entry.expires, durable=self._durable)
        self._sweep.count(self._purge_next)

    @_failures("unlink")
    def unlink(self, owner: str, key: str) -> None:
        """Remove an entry from the owner's list, if it is there."""
        with self._locked(owner) as folder:
            _record_file.remove(folder, f"{owner[2:]}.{_folder.checked(key)}", durable=self._durable)

    @_failures("list")
    def linked(self, owner: str) -> list[Entry]:
        """The entries whose deadline has not passed. Looks through a 256th of all file names."""
        folder = _folder.of(self._root, owner)
        prefix, now = f"{owner[2:]}.", self._clock()
        names = [name for name in os.listdir(folder) if name.startswith(prefix)] if self._has(folder) else []
        found = ((name, _record_file.read(f"{folder}/{name}")) for name in names)
        return [Entry(name[63:], r.data, r.expires) for name, r in found if r is not None and r.expires > now]

    def _locked(self, key: str) -> _folder.Locked:
        folder = _folder.of(self._root, key)
        if folder not in self._known and not self._has(folder):
            _folder.make(folder, durable=self._durable)
            self._has(folder)
        return _folder.Locked(folder, durable=self._durable)

    def _live(self, path: str) -> Record | None:
        record = _record_file.read(path)
        return record if record is not None and record.expires > self._clock() else None

    def _has(self, folder: str) -> bool:
        # Asked once for each folder that is there, as nobody but us can put a symlink in its place.
        self._check_root()
        if not os.path.lexists(folder):
            return False
        if os.path.islink(folder):
            raise NotADirectoryError(f"{folder} is a symlink")
        self._known.add(folder)
        return True

    def _check_root(self) -> None:
        if self._root in self._known:
            return
        _folder.make(self._root, durable=self._durable)
        problem = _folder.complaint(self._root)
        if problem is not None:
            raise PermissionError(f"{self._root} {problem}")
        self._known.add(self._root)

    @_failures("purge")
    def _purge_next(self, limit: int) -> None:
        self._cursor = (self._cursor + 1) % 256
        _folder.purge(f"{self._root}/{self._cursor:02x}", limit, self._clock())


def _check_directory(directory: str | os.PathLike[str]) -> str:
    given = path_of("directory", directory)
    path = os.path.abspath(given)
    problem = "is empty: name one" if not given else _folder.complaint(path)
    if problem is not None:
        raise ConfigError(f"'directory' {given!r} {problem}", "directory")
    return path


def _check_options(durability: str) -> None:
    if not _POSIX:
        raise ConfigError("FileBackend needs the file locks of POSIX, which Windows lacks: use SQLiteBackend")
    if durability not in ("process", "host"):
        raise ConfigError(f"'durability' is 'process' or 'host'; got {durability!r}", "durability")
