"""Ids of cookie sessions that ended before their time: the server-side state that cookies lack."""

from __future__ import annotations

from sessions_wsgi.backends import Backend
from sessions_wsgi.envelope import Ended
from sessions_wsgi.errors import ConfigError, DecodeError
from sessions_wsgi.stores._ended import Replaced
from sessions_wsgi.stores._records import record_key
from sessions_wsgi.stores._tombstones import REMEMBERED_SECONDS, TRIES

_DESTROYED, _REPLACED, _MOVED = b"destroyed", b"replaced", b"moved"


class DenyList:
    """One record for each id that ended, kept as long as a copy of its cookie could be valid.

    :raises ConfigError: the backend may drop records: what it forgets would come back to life.
    """

    def __init__(self, backend: Backend) -> None:
        if getattr(backend, "evicts", False):
            raise ConfigError(
                "'revocations' must be a backend that never drops what it was given",
                "revocations",
            )
        self._backend = backend

    def handle(self, session_id: str) -> str:
        """The key of an id, which the backend never sees itself."""
        try:
            return record_key(bytes.fromhex(session_id))
        except ValueError:
            raise DecodeError("unreadable") from None

    def require(self, handle: str, now: float) -> None:
        """Raise `DecodeError` ("revoked"), or `Replaced`, when this id has ended."""
        record = self._backend.load(handle)
        if record is None:
            return
        kind, *told = record.data.split(b" ")
        if kind not in (_REPLACED, _MOVED) or now >= float(told[0]) + REMEMBERED_SECONDS:
            raise Ended("revoked")
        successor = last = told[1].decode()
        for _ in range(TRIES):  # another store may have taken over what it was renewed to
            if kind != _REPLACED or (record := self._backend.load(last)) is None:
                break
            kind, *told = record.data.split(b" ")
            last = told[1].decode() if told else last
        raise Replaced(last, moved=True) if kind == _MOVED else Replaced(successor)

    def successor(self, handle: str) -> str | None:
        """What this id was replaced by; None: it ended, or another store has it."""
        record = self._backend.load(handle)
        if record is None or not record.data.startswith(_REPLACED):
            return None
        return record.data.split(b" ")[2].decode()

    def has(self, handle: str) -> bool:
        """Whether this id has ended."""
        return self._backend.load(handle) is not None

    def replace(self, handle: str, until: float, now: float, successor: str, *, moved: bool = False) -> bool:
        """End an id that goes on as another; False when it had ended before. Seconds since the epoch.

        :param moved: it goes on in another store.
        """
        told = b"%s %f %s" % (_MOVED if moved else _REPLACED, now, successor.encode())
        return self._backend.create(handle, told, until) is not None

    def add(self, handle: str, until: float) -> bool:
        """End an id, and what it was replaced by; False when that had ended before."""
        while self._backend.create(handle, _DESTROYED, until) is None:
            record = self._backend.load(handle)
            if record is None or not record.data.startswith(_REPLACED):
                return False
            handle = record.data.split(b" ")[2].decode()
        return True
