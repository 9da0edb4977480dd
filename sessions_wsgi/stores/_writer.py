"""Sessions into a backend: created, updated, renewed, touched, ended; each by version, none twice.

The promise: a change to a key by a request that returned is visible to every later load, or was overwritten
by a later write to the same key, or the session was ended or given a new id; a session that was ended is
never written again.
"""

from __future__ import annotations

import random
import secrets
import time

from sessions_wsgi import envelope
from sessions_wsgi.backends import Backend, Conflict, Gone, Record
from sessions_wsgi.codecs import SignedCodec
from sessions_wsgi.envelope import Span
from sessions_wsgi.errors import BackendError, DecodeError
from sessions_wsgi.serializers import Serializer
from sessions_wsgi.session import Session
from sessions_wsgi.stores._origin import Origin, Renewed, end_in_source, noted
from sessions_wsgi.stores._records import ID_BYTES, Records, record_key
from sessions_wsgi.stores._tombstones import REMEMBERED_SECONDS, end, moved, successor_in, tombstone
from sessions_wsgi.stores.merge import BothChanged, ConflictPolicy, Merged, Side, changes, merge
from sessions_wsgi.stores.revocation import Principals

_TRIES = 5
_LOST = (Conflict, Gone)


class Writer:
    """Carries out what a `ServerStore` has decided, and keeps the session's books."""

    def __init__(
        self,
        backend: Backend,
        ids: SignedCodec,
        records: Records,
        *,
        span: Span,
        serializer: Serializer,
        conflict: ConflictPolicy,
        principals: Principals,
    ) -> None:
        self._backend, self._ids, self._records = backend, ids, records
        self._span, self._serializer, self._conflict = span, serializer, conflict
        self._principals = principals
        self._name = str(getattr(backend, "name", type(backend).__name__))

    def dumps(self, session: Session, seen_ms: int) -> bytes:
        """The session's envelope.

        :raises SerializeError: a value cannot be kept as it is.
        """
        return envelope.dumps(session, self._serializer, seen_ms)

    def unchanged(self, session: Session, origin: Origin, data: bytes) -> bool:
        """Whether `data` holds what the backend does, the time aside."""
        return envelope.unchanged(session, self._serializer, origin.data, origin.seen_ms, data)

    def drop(self, session: Session) -> bool:
        """End what was destroyed; a request that still holds it finds it gone. False: it had ended before.

        :raises BackendError: it could not be ended, and may live on.
        """
        done = end_in_source(session)
        ended: Origin | Renewed | None = session.ended
        if ended is None:
            return done is True
        version = ended.version if isinstance(ended, Origin) else None
        left = tombstone() if session.moved_to is None else moved(session.moved_to)
        awaited = version is None
        was_there = end(self._backend, ended.key, self._ids.now(), version, left, awaited=awaited)
        if isinstance(ended, Origin):
            self._unlink(ended)
        session.note("destroyed", handle=ended.key)
        session.ended = None
        return was_there

    def create(self, session: Session, data: bytes, now_ms: int) -> str:
        """A new record under a new id; the text of its cookie."""
        self.drop(session)
        for _ in range(_TRIES):
            text = self._created(session, data, now_ms, secrets.token_bytes(ID_BYTES))
            if text is not None:
                return text
        raise BackendError(self._name, "create: every new id was taken")

    def _created(self, session: Session, data: bytes, now_ms: int, raw_id: bytes) -> str | None:
        """None: the key is taken."""
        now, expires = now_ms / 1000, self._span.deadline(session, now_ms)
        cookie = session.options.cookie_name(session.name)
        text = self._ids.seal_at(cookie, raw_id, now)
        key, sealed = record_key(raw_id), self._records.seal(cookie, raw_id, data, now)
        version = self._backend.create(key, sealed, expires)
        if version is None:
            return None
        origin = Origin(raw_id, key, version, expires, data, now_ms, text, True, True, noted(session))
        self._stands(session, origin, now_ms)
        self._principals.link(session, now_ms)
        return text

    def update(self, session: Session, data: bytes, now_ms: int) -> str | None:
        send, cookie = self._cookie_due(session, now_ms), session.options.cookie_name(session.name)
        relist = self._relist_due(session, now_ms)
        for attempt in range(_TRIES):
            origin = session.origin
            sealed = self._records.seal(cookie, origin.id, data, now_ms / 1000)
            expires = self._span.deadline(session, now_ms)
            outcome = self._backend.update(origin.key, sealed, expires, origin.version)
            if not isinstance(outcome, _LOST):
                text = self._text(session, now_ms) if send else None
                old, told = session.origin, noted(session)
                stands = Origin(
                    old.id, old.key, outcome, expires, data, now_ms, old.text, old.fresh, True, told
                )
                self._stands(session, stands, now_ms)
                if relist or old.noted != told:
                    self._principals.link(session, now_ms)
                return text
            winner = self._winner(origin.key, outcome, attempt)
            if winner is None or not self._merge(session, winner, now_ms):
                self._gone(session)
                return None
            data = self.dumps(session, now_ms)
        raise BackendError(self._name, f"update: {_TRIES} conflicts in a row")

    def renew(self, session: Session, data: bytes, now_ms: int) -> str | None:
        """Old id dead first, by version, so that a crash in between leaves none alive, never two.

        What is left of the old one tells the key of the new one: who logs out meanwhile ends that, too.
        """
        raw_id = secrets.token_bytes(ID_BYTES)
        replaced = tombstone(record_key(raw_id))
        for attempt in range(_TRIES):
            origin = session.origin
            outcome = self._backend.update(
                origin.key, replaced, now_ms / 1000 + REMEMBERED_SECONDS, origin.version
            )
            if isinstance(outcome, Conflict):
                winner = self._winner(origin.key, outcome, attempt)
                if winner is not None and self._merge(session, winner, now_ms):
                    data = self.dumps(session, now_ms)
                    continue
            self._unlink(origin)
            if not isinstance(outcome, _LOST):
                return self._renewed(session, data, now_ms, raw_id)
            if not self._start_over(session):
                return None
            session.note("regenerated")
            return self.create(session, self.dumps(session, now_ms), now_ms)
        raise BackendError(self._name, f"update: {_TRIES} conflicts in a row")

    def _renewed(self, session: Session, data: bytes, now_ms: int, raw_id: bytes) -> str | None:
        session.note("regenerated")
        text = self._created(session, data, now_ms, raw_id)
        if text is None:  # nobody else knows its key: a log-out followed here and came first
            self._gone(session)
        return text

    def touch_due(self, session: Session, now_ms: int) -> bool:
        """Whether an unchanged session should be marked as seen, and can be: its end may stand already."""
        if not self._span.touch_due(session.seen_ms, session.extras, now_ms):
            return False
        origin: Origin = session.origin
        return self._span.deadline(session, now_ms) > origin.expires

    def touch(self, session: Session, now_ms: int) -> str | None:
        origin, send = session.origin, self._cookie_due(session, now_ms)
        relist = self._relist_due(session, now_ms)
        expires = self._span.deadline(session, now_ms)
        if not self._backend.touch(origin.key, expires, origin.version):
            return None  # gone, or changed and so seen by another request, whose cookie is newer
        session.origin, session.seen_ms = origin._replace(expires=expires), now_ms
        if relist:
            self._principals.link(session, now_ms)
        return self.resend(session, now_ms) if send else None

    def resend(self, session: Session, now_ms: int) -> str:
        session.cookie_age = self._span.cookie_age(session, now_ms)
        session.committed(stored=True)
        return self._text(session, now_ms)

    # Steps

    def _unlink(self, origin: Origin) -> None:
        """Take what ended off its principal's list."""
        if self._principals.lists:
            *_, extras = envelope.loads(origin.data, self._serializer)
            self._principals.unlink(extras.get("principal"), origin.key)

    def _cookie_due(self, session: Session, now_ms: int) -> bool:
        """Whether the browser must get the cookie again: new attributes, a newer key, a later Max-Age."""
        if session.resend or not session.origin.fresh:
            return True
        return "max_age" in session.extras and self._span.touch_due(session.seen_ms, session.extras, now_ms)

    def _relist_due(self, session: Session, now_ms: int) -> bool:
        """Whether its place on a list must be prolonged: only what has no end of its own needs that."""
        if not self._span.endless:
            return False
        before, now = (self._span.period(ms, session.extras) for ms in (session.seen_ms, now_ms))
        return before != now

    def _text(self, session: Session, now_ms: int) -> str:
        origin: Origin = session.origin
        if not origin.fresh:
            text = self._ids.seal_at(session.options.cookie_name(session.name), origin.id, now_ms / 1000)
            session.origin = origin = origin._replace(text=text, fresh=True)
        return origin.text

    def _stands(self, session: Session, origin: Origin, now_ms: int) -> None:
        session.origin, session.handle, session.seen_ms = origin, origin.key, now_ms
        session.cookie_age = self._span.cookie_age(session, now_ms) if session.extras else None
        session.note("saved")
        session.committed(stored=True)

    def _winner(self, key: str, outcome: Conflict | Gone, attempt: int) -> Record | None:
        """What to merge with; None when the session ended. Waits before it looks, never after."""
        if isinstance(outcome, Gone):
            return None
        if attempt == 0:
            return outcome.record
        _wait(attempt)
        return self._backend.load(key)

    def _merge(self, session: Session, record: Record, now_ms: int) -> bool:
        """Bring in what another request stored; False: it ended the session."""
        origin: Origin = session.origin
        if successor_in(record.data) is not None:
            return False
        try:
            cookie = session.options.cookie_name(session.name)
            data, record_fresh = self._records.open(cookie, origin.id, record.data, now_ms / 1000)
            base, (_, seen_ms, *theirs) = (
                envelope.loads(each, self._serializer) for each in (origin.data, data)
            )
        except DecodeError:
            return False
        merged = self._merged(session, Side(*base[2:]), Side(*theirs))
        session.note("conflict", "a key was changed on both sides" if merged.disputed else "merged")
        session.stored_values, session.extras = merged.values, merged.extras
        session.origin = origin._replace(
            version=record.version,
            expires=record.expires,
            data=data,
            seen_ms=seen_ms,
            record_fresh=record_fresh,
        )
        return True

    def _merged(self, session: Session, base: Side, theirs: Side) -> Merged:
        mine = Side(session.stored_values, session.extras)
        if session.cleared:
            return Merged(*mine, disputed=True)
        try:
            merged = merge(base, mine, theirs, self._serializer.dumps, self._conflict)
        except BothChanged:
            raise BackendError(self._name, "merge: a key was changed on both sides") from None
        if session.renewed:  # not the secret from before
            merged.extras.pop("csrf", None)
            merged.extras.update({k: v for k, v in mine.extras.items() if k == "csrf"})
        return merged

    def _start_over(self, session: Session) -> bool:
        """What was to be renewed is gone: a `login` keeps what this request wrote, `regenerate` nothing."""
        base = Side(*envelope.loads(session.origin.data, self._serializer)[2:])
        mine = Side(session.stored_values, session.extras)
        if session.renewed != "login":
            self._gone(session)
            return False
        session.note("gone")
        if not session.cleared:
            session.stored_values, session.extras = changes(base, mine, self._serializer.dumps)
        session.origin = session.handle = None
        return True

    def _gone(self, session: Session) -> None:
        """Drop the changes and send nothing: even a deletion could hit a newer cookie."""
        session.note("gone")
        record = self._backend.load(session.origin.key) if isinstance(session.origin, Origin) else None
        renewed = None if record is None else successor_in(record.data)
        session.lose(Renewed(renewed) if renewed else None)


def _wait(attempt: int) -> None:
    time.sleep(random.uniform(0, 0.008 * 2**attempt))  # noqa: S311 - jitter, not a secret
