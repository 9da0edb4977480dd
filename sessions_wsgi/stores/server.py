"""An id in the cookie, the session in a backend."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Unpack

from sessions_wsgi import envelope
from sessions_wsgi.backends import Backend
from sessions_wsgi.codecs import SignedCodec
from sessions_wsgi.errors import ConfigError, DecodeError
from sessions_wsgi.keys import KeyRing, Keys
from sessions_wsgi.protocols import Finish
from sessions_wsgi.session import Session
from sessions_wsgi.stores._builtin import BuiltinStore, CommonOptions
from sessions_wsgi.stores._checked import flag, require_backend
from sessions_wsgi.stores._ended import Replaced
from sessions_wsgi.stores._origin import Origin, Renewed, noted_in
from sessions_wsgi.stores._records import ID_BYTES, PlainRecords, SealedRecords, record_key
from sessions_wsgi.stores._tombstones import FIRST_BYTE, TRIES, end, moved_in, successor_in
from sessions_wsgi.stores._writer import Writer
from sessions_wsgi.stores.merge import ConflictPolicy
from sessions_wsgi.stores.revocation import Listed, Principals, SessionInfo


class ServerOptions(CommonOptions, total=False):
    """What every store over a backend can be told."""

    #: Seal the records, too.
    encrypt: bool
    #: What becomes of a key that two requests changed at once.
    conflict: ConflictPolicy


class ServerStore(BuiltinStore):
    """Sessions of any size, which the server can end.

    The id is 32 random bytes, signed, so a forged one costs the backend nothing; it sees only the hash.

    :param backend: where the records are; see `sessions_wsgi.backends`.
    :param keys: see `KeyRing`.
    :param encrypt: seal the records, too: a stolen dump and the keys open nothing without the cookies.
    :param conflict: what becomes of a key that two requests changed at once: "mine" lets the later commit
        win, "error" fails it with a `BackendError`, a callable ``(key, base, mine, theirs)`` returns the
        value.
    :param common: the options of every store, see `CommonOptions`.
    """

    saves_late = True

    def __init__(
        self,
        backend: Backend,
        keys: Keys,
        *,
        encrypt: bool = False,
        conflict: ConflictPolicy = "mine",
        **common: Unpack[CommonOptions],
    ) -> None:
        super().__init__(**common)
        require_backend(backend, "backend")
        if conflict not in ("mine", "error") and not callable(conflict):
            raise ConfigError(
                f"'conflict' must be 'mine', 'error' or a callable (got {conflict!r})", "conflict"
            )
        ring = KeyRing.of(keys)
        self.backend = self._server_side = backend
        #: Each process would have sessions of its own.
        self.single_process = bool(getattr(backend, "single_process", False))
        self._ids = SignedCodec(ring, "id", audience=self._audience, clock=self._clock)
        self._records = SealedRecords(ring, self._audience) if flag("encrypt", encrypt) else PlainRecords()
        principals = Principals(
            backend, "server", audience=self._audience, serializer=self._serializer, span=self._span
        )
        self._principals = principals
        self._writer = Writer(
            backend,
            self._ids,
            self._records,
            span=self._span,
            serializer=self._serializer,
            conflict=conflict,
            principals=principals,
        )

    # The way in

    def _read(self, name: str, text: str, now_ms: int) -> Session:
        cookie = self.options.cookie_name(name)
        raw_id, fresh = self._ids.open_at(cookie, text, now_ms / 1000)
        if len(raw_id) != ID_BYTES:
            raise DecodeError("malformed")
        key = record_key(raw_id)
        record = self.backend.load(key)
        if record is None:
            raise DecodeError("expired")
        if record.data[:1] == FIRST_BYTE:
            _require_no_tombstone(record.data, self.backend)
        data, record_fresh = self._records.open(cookie, raw_id, record.data, now_ms / 1000)
        loaded = envelope.loads(data, self._serializer)
        created_ms, saved_ms, values, extras = loaded
        noted = noted_in(extras)
        origin = Origin(
            raw_id, key, record.version, record.expires, data, saved_ms, text, fresh, record_fresh, noted
        )
        seen_ms = self._span.seen_ms(saved_ms, extras, record.expires, now_ms)
        alive = created_ms, seen_ms, values, extras
        session = self._alive(name, alive, now_ms, origin, key, fresh and record_fresh)
        if "principal" in session.extras:
            self._signed_in.require(session, now_ms)
        return session

    # The way out

    def prepare(self, session: Session) -> Finish | None:
        now_ms, origin = int(self._clock() * 1000), session.origin
        if session.muted and session.renewed != "login" and session.state != "destroyed":
            return None if session.ended is None else partial(self._end_only, session)
        if session.state == "destroyed":
            return partial(self._destroy, session)
        self._signed_in.enter(session, now_ms)
        if origin is None or isinstance(origin, Renewed):
            if session.is_new and not session.has_content:
                return None
            return partial(self._writer.create, session, self._writer.dumps(session, now_ms), now_ms)
        if session.renewed:
            return partial(self._writer.renew, session, self._writer.dumps(session, now_ms), now_ms)
        if session.state == "changed" or not origin.record_fresh:
            data = self._writer.dumps(session, now_ms)
            if not (origin.record_fresh and self._writer.unchanged(session, origin, data)):
                return partial(self._writer.update, session, data, now_ms)
        if self._writer.touch_due(session, now_ms) or session.resend or not origin.fresh:
            return partial(self._writer.touch, session, now_ms)
        return None

    def _end_only(self, session: Session) -> None:
        self.drop(session)

    def changed(self, session: Session) -> bool:
        origin: Origin | Renewed | None = session.origin
        if session.state == "clean" or not isinstance(origin, Origin):
            return session.state != "clean" and session.has_content
        return self._writer.dumps(session, origin.seen_ms) != origin.data

    def drop(self, session: Session) -> bool:
        """Carry out a `destroy` on the server, and nothing else; False: it had ended before."""
        return self._writer.drop(session)

    # Who is signed in

    def _info(self, principal: str, listed: Listed) -> SessionInfo | None:
        record = self.backend.load(listed.handle)
        if record is None or successor_in(record.data) is not None:
            self._signed_in.unlink(principal, listed.handle)
            return None
        if isinstance(self._records, PlainRecords):
            with suppress(DecodeError):  # of a store that seals its records
                _, seen_ms, _, extras = envelope.loads(record.data, self._serializer)
                listed = listed._replace(seen_ms=seen_ms, extras=extras, label=extras.get("label"))
        now_ms = int(self._clock() * 1000)
        seen_ms = self._span.seen_ms(listed.seen_ms, listed.extras, record.expires, now_ms)
        return self._living(listed._replace(seen_ms=seen_ms), now_ms)

    def _end(self, handle: str) -> bool:
        return end(self.backend, handle, self._clock())


def _require_no_tombstone(data: bytes, backend: Backend) -> None:
    if (handle := moved_in(data)) is not None:
        raise Replaced(handle, moved=True)
    renewed = successor = successor_in(data)
    if renewed == "":
        raise envelope.Ended("expired")
    for _ in range(TRIES):  # another store may have taken over what it was renewed to
        record = backend.load(successor) if successor else None
        if record is None:
            break
        if (handle := moved_in(record.data)) is not None:
            raise Replaced(handle, moved=True)
        successor = successor_in(record.data)
    if renewed is not None:
        raise Replaced(renewed)
