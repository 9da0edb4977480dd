"""What is left of a session that ended a moment ago: its end, or the key under which it goes on.

Requests on their way with the old id learn from it that they must set no cookie, and a log-out finds by it
what the session was renewed to at the same moment.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Literal

from sessions_wsgi.backends import Backend, Conflict, Gone, Record, Version
from sessions_wsgi.errors import BackendError

#: Seconds for which an ended id is remembered.
REMEMBERED_SECONDS = 120.0

#: How it begins: no envelope does, nor a sealed record.
_MARK, _MOVED = b"\x00sessions_wsgi/ended/1\x00", b"\x00sessions_wsgi/moved/1\x00"
#: How often a session's newer ids are followed.
TRIES = 25

#: The first byte of both: what begins otherwise needs no closer look.
FIRST_BYTE = b"\x00"


def tombstone(successor: str = "") -> bytes:
    """The record of a session that ended, or goes on under the key `successor`."""
    return _MARK + bytes.fromhex(successor)


def successor_in(data: bytes) -> str | None:
    """The key that `tombstone` was told; empty: it ended. None: `data` is of a session that lives."""
    if data.startswith(_MOVED):
        return ""
    return data.removeprefix(_MARK).hex() if data.startswith(_MARK) else None


def moved(handle: str) -> bytes:
    """The record of a session that another store took over, where it has this handle, if any."""
    return _MOVED + bytes.fromhex(handle)


def moved_in(data: bytes) -> str | None:
    """The handle that `moved` was told; None for everything else."""
    return data.removeprefix(_MOVED).hex() if data.startswith(_MOVED) else None


def end(
    backend: Backend,
    key: str,
    now: float,
    version: Version | None = None,
    left: bytes = _MARK,
    *,
    awaited: bool = False,
) -> bool:
    """End the session with this key, under whatever id it lives by now; False when it had ended.

    By version, so that no id is missed that another request gives it at this moment.

    :param version: the one that was loaded, if there is one: most often nothing else is needed.
    :param left: what is left of it, when it did not simply end.
    :param awaited: the key is a successor's, whose record may be on its way.
    """
    expires = now + REMEMBERED_SECONDS
    for _ in range(TRIES):
        record = backend.load(key) if version is None else _update(backend, key, left, expires, version)
        if record is True:
            return True
        version = None
        if record is None:
            if not awaited:
                return False
            # Another request is about to create it, and fails when it finds this in its place.
            if backend.create(key, left, expires) is not None:
                return True
        elif (successor := successor_in(record.data)) is None:
            version = record.version
        elif successor:
            key, awaited = successor, True
        else:
            return False
    record = backend.load(key)
    if record is not None and successor_in(record.data):
        raise BackendError(
            str(getattr(backend, "name", type(backend).__name__)), "end a session: it never rests"
        )
    return backend.delete(key)  # writers that never rest must not keep it alive


def _update(
    backend: Backend, key: str, left: bytes, expires: float, version: Version
) -> Record | Literal[True] | None:
    """True: it has ended now. Else what stands there instead."""
    try:
        outcome = backend.update(key, left, expires, version)
    except BackendError:
        # What is full has no room for what would be left, and takes a deletion: it ends, told or not.
        with suppress(BackendError):
            record = backend.load(key) if left == _MARK else None
            if record is not None and record.version == version:
                backend.delete(key)
        raise
    if isinstance(outcome, Conflict):
        return outcome.record
    return None if isinstance(outcome, Gone) else True
