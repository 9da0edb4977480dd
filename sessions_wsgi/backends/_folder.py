"""Folders of sessions: made for ourselves only, locked, searched for what has expired. POSIX only."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Generator
from contextlib import closing, suppress

from sessions_wsgi.backends._record_file import is_stale, is_temporary, remove, sync
from sessions_wsgi.errors import UsageError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW


class Locked:
    """Holds the lock of a folder for one operation, making it if need be; gives its path.

    The kernel frees the lock of a process that ends, whatever its end is.
    """

    __slots__ = ("_durable", "_fd", "_path")

    def __init__(self, path: str, *, durable: bool) -> None:
        self._path, self._durable = path, durable

    def __enter__(self) -> str:
        try:
            fd = self._fd = self._open()
        except FileNotFoundError:
            make(self._path, durable=self._durable)
            fd = self._fd = self._open()
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
        except BaseException:
            os.close(fd)
            raise
        return self._path

    def __exit__(self, *_: object) -> None:
        # Closing is not enough: a child that was forked meanwhile has the descriptor too, hence the lock.
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        os.close(self._fd)

    def _open(self) -> int:
        # The file is never removed: it is what all of them lock.
        return os.open(f"{self._path}/.lock", _LOCK, 0o600)


def of(root: str, key: str) -> str:
    """The folder in which the file of a key is."""
    return f"{root}/{checked(key)[:2]}"


def checked(key: str) -> str:
    """The key; what is none must not become a path."""
    try:
        if len(bytes.fromhex(key)) == 32 and len(key) == 64:  # it skips spaces
            return key
    except ValueError:
        pass
    raise UsageError("a backend's keys are 64 hexadecimal digits")


def make(path: str, *, durable: bool) -> None:
    """Make a folder, and those above it that are missing."""
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        make(parent, durable=durable)
    with suppress(FileExistsError):
        os.mkdir(path, 0o700)
        if durable:
            sync(parent)


def complaint(path: str) -> str | None:
    """Why this directory may not hold sessions, and the fix; None when it may, or is not there yet."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"cannot be looked at ({error.strerror}): let this user reach it, or name another path"
    if not stat.S_ISDIR(found.st_mode):
        return "is not a directory: name another path, it will be made"
    if found.st_uid not in (os.geteuid(), 0):
        return (
            f"belongs to user {found.st_uid}, who could plant sessions: run as that user, or name another one"
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        mode = f"{stat.S_IMODE(found.st_mode):o}"
        return f"is writable by others (mode {mode}), who could plant sessions: chmod 700, or name one inside"
    return None


def purge(path: str, limit: int, now: float) -> int:
    """Remove at most `limit` expired files, and what killed writers left; say how many of the former."""
    removed = 0
    with closing(_stale(path, now)) as names:
        while removed < limit and (name := next(names, None)) is not None:
            removed += _remove_stale(path, name, now)
    return removed


def _remove_stale(path: str, name: str, now: float) -> bool:
    # Looked at again, as it was found without the lock. Locked for each, so that no writer waits for long.
    with Locked(path, durable=False):
        if not is_stale(f"{path}/{name}", now):
            return False
        remove(path, name, durable=False)
    return not is_temporary(name)


def _stale(path: str, now: float) -> Generator[str, None, None]:
    try:
        folder = os.open(path, _FOLDER)
    except FileNotFoundError:
        return
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_stale(entry.name, now, folder):
                    yield entry.name
    finally:
        os.close(folder)
