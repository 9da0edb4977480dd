"""Ids of cookie sessions that ended before their time: the server-side state that cookies lack."""

from __future__ import annotations

from sessions_wsgi.backends import Backend
from sessions_wsgi.envelope import Ended
from sessions_wsgi.errors import ConfigError, DecodeError
from sessions_wsgi.stores._ended import Replaced
from sessions_wsgi.stores._records import record_key
from sessions_wsgi.stores._tombstones import REMEMBERED_SECONDS

_DESTROYED, _REPLACED = b"destroyed", b"replaced"


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
        kind, _, moment = record.data.partition(b" ")
        if kind == _REPLACED and now < float(moment) + REMEMBERED_SECONDS:
            raise Replaced
        raise Ended("revoked")

    def has(self, handle: str) -> bool:
        """Whether this id has ended."""
        return self._backend.load(handle) is not None

    def add(self, handle: str, until: float, *, replaced_at: float | None = None) -> bool:
        """End an id; False when it had ended before. `until` in seconds since the epoch."""
        data = _DESTROYED if replaced_at is None else b"%s %f" % (_REPLACED, replaced_at)
        return self._backend.create(handle, data, until) is not None
