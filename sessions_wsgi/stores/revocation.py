"""Who is signed in where: log out everywhere, list the devices, end one of them.

Each principal has a record with a random epoch. A session that somebody signs in with carries a copy;
another one, or none, means that it was revoked. So one write ends any number of sessions, in cookies as well
as on servers, without comparing any clocks (OWASP ASVS 7.4.1, 7.4.2).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

from sessions_wsgi.backends import Backend, Conflict, Entry, Gone, Lists, Record
from sessions_wsgi.envelope import SKEW_MS, Ended, Span
from sessions_wsgi.errors import BackendError, Event, UsageError, report
from sessions_wsgi.serializers import Serializer
from sessions_wsgi.session import Session, require_principal

_TRIES = 10


class SessionInfo(NamedTuple):
    """One of a principal's sessions, as a page of "your devices" shows it."""

    #: What `end` takes; the same as in events.
    handle: str
    created: datetime
    last_seen: datetime
    label: str | None


class Listed(NamedTuple):
    """What a list itself says of a session."""

    handle: str
    created_ms: int
    seen_ms: int
    extras: dict[str, Any]
    label: str | None

    def info(self) -> SessionInfo:
        """The same for the application."""
        created, seen = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (self.created_ms, self.seen_ms))
        return SessionInfo(self.handle, created, seen, self.label)


class Principals:
    """The epochs and lists of those who sign in.

    The epoch's record is ``epoch [b" " handle]``: the session with this handle counts whatever epoch it
    carries, until it is saved with the new one.
    """

    def __init__(
        self, backend: Backend, kind: str, *, audience: str, serializer: Serializer, span: Span
    ) -> None:
        self._backend, self._serializer, self._span = backend, serializer, span
        self._audience, self._list = audience.encode(), f"list/{kind}"
        self._lists: Lists | None = backend if isinstance(backend, Lists) else None
        #: Whether the backend can list.
        self.lists = self._lists is not None

    # Epochs

    def enter(self, session: Session, now_ms: int) -> None:
        """Give a session that somebody signs in with the epoch of its principal."""
        principal = session.principal
        if principal is None or "epoch" in session.extras:
            return
        key, until = self._key("epoch", principal), self._span.farthest(session, now_ms)
        for _ in range(_TRIES):
            record = self._backend.load(key)
            if record is None:
                epoch = secrets.token_hex(16)
                if self._backend.create(key, epoch.encode(), until) is None:
                    continue
            else:
                epoch = self._prolonged(key, record, until)
            session.extras["epoch"] = epoch
            return
        raise BackendError(str(getattr(self._backend, "name", "?")), "create an epoch")

    def require(self, session: Session, now_ms: int) -> None:
        """Raise `Ended` ("revoked") when a session that somebody is signed in with carries another epoch."""
        extras = session.extras
        key = self._key("epoch", extras["principal"])
        record = self._backend.load(key)
        if record is None:
            raise Ended("revoked")
        epoch, kept, _ = _parts(record)
        if extras.get("epoch") != epoch and (not kept or kept != session.handle):
            raise Ended("revoked")
        if record.expires < self._span.deadline(session, now_ms):
            self._prolonged(key, record, self._span.farthest(session, now_ms))
        extras["epoch"] = epoch

    def revoke(self, principal: str, keep: Session | None, until: float, now_ms: int) -> None:
        """End every session of this principal, `keep` excepted, from the very next request on."""
        require_principal(principal)
        if keep is not None and keep.principal != principal:
            raise UsageError("'keep' must be a session that this principal is signed in with")
        if keep is not None:
            keep.mark_changed()  # first, as it is refused for a session that cannot be saved any more
        epoch = secrets.token_hex(16)
        kept = "" if keep is None or keep.handle is None else keep.handle
        data = f"{epoch} {kept} {now_ms}"
        replaced = self._replace(self._key("epoch", principal), data.encode(), until, keep)
        if keep is not None and not replaced:
            keep.note("gone", "revoked")
            keep.lose()
        elif keep is None:
            report(Event("revoked", "", None, "all of a principal"))
        else:
            keep.extras["epoch"] = epoch
            keep.note("revoked", "all others of its principal")

    def _replace(self, key: str, data: bytes, until: float, keep: Session | None) -> bool:
        """Put another epoch in place; False, and nothing was done: `keep` was revoked itself meanwhile."""
        for _ in range(_TRIES):
            record = self._backend.load(key)
            if record is None:
                if self._backend.create(key, data, until) is not None:
                    return True
            else:
                epoch, kept, _ = _parts(record)
                if keep is not None and keep.extras.get("epoch", epoch) != epoch and kept != keep.handle:
                    return False
                outcome = self._backend.update(key, data, max(until, record.expires), record.version)
                if not isinstance(outcome, Conflict | Gone):
                    return True
        raise BackendError(str(getattr(self._backend, "name", "?")), "replace an epoch")

    def _prolonged(self, key: str, record: Record, until: float) -> str:
        """The record's epoch; the record lives at least as long as the sessions that carry it."""
        if record.expires < until:
            self._backend.touch(key, until, record.version)
        return record.data.decode().partition(" ")[0]

    def require_later(self, session: Session) -> None:
        """Raise `Ended` ("revoked") for a session of elsewhere that began before a `revoke` here."""
        *_, revoked_ms = _parts(self._backend.load(self._key("epoch", session.extras["principal"])))
        # Another machine's clock may have been ahead of ours.
        if revoked_ms >= 0 and session.extras.get("authenticated_ms", 0) <= revoked_ms + SKEW_MS:
            raise Ended("revoked")

    # Lists

    def link(self, session: Session, now_ms: int) -> None:
        """Put a stored session on the list of its principal, or bring its entry up to date."""
        if self._lists is None or session.principal is None or session.handle is None:
            return
        extras = session.extras
        times = {name: extras[name] for name in ("max_age", "authenticated_ms") if name in extras}
        note = [session.created_ms, now_ms, extras.get("epoch"), times, session.label]
        entry = Entry(session.handle, self._serializer.dumps(note), self._span.farthest(session, now_ms))
        self._lists.link(self._key(self._list, session.principal), entry)

    def unlink(self, principal: str | None, handle: str) -> None:
        """Take a session off the list of its principal."""
        if self._lists is not None and principal is not None:
            self._lists.unlink(self._key(self._list, principal), handle)

    def entries(self, principal: str) -> Iterator[Listed]:
        """The listed sessions that were not revoked; some may have ended otherwise."""
        if self._lists is None:
            raise UsageError("this backend cannot list sessions; revoke() ends all of a principal's")
        entries = list(self._lists.linked(self._key(self._list, principal)))
        # The epoch after them, or who signs in meanwhile would look revoked.
        epoch, kept, _ = _parts(self._backend.load(self._key("epoch", principal)))
        for entry in entries:
            try:
                created_ms, seen_ms, carried, times, label = self._serializer.loads(entry.note)
            except (ValueError, TypeError):  # of a store with another serializer
                continue
            if carried != epoch and entry.key != kept:
                self.unlink(principal, entry.key)
            else:
                yield Listed(entry.key, created_ms, seen_ms, times, label)

    def has(self, principal: str, handle: str) -> bool:
        """Whether the session with this handle is on the list of this principal."""
        return any(listed.handle == handle for listed in self.entries(principal))

    def _key(self, kind: str, principal: str) -> str:
        text = f"sessions_wsgi/{kind}/1\0".encode() + self._audience + b"\0" + principal.encode()
        return sha256(text).hexdigest()


def _parts(record: Record | None) -> tuple[str, str, int]:
    """Of an epoch's record: the epoch, the handle that is kept, when it was revoked in milliseconds."""
    epoch, kept, revoked_ms = (*(record.data if record else b"").decode().split(" "), "", "")[:3]
    return epoch, kept, int(revoked_ms or -1)
