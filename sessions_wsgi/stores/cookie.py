"""The whole session in the cookie, signed or encrypted."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Unpack

from sessions_wsgi import envelope
from sessions_wsgi.backends import Backend
from sessions_wsgi.codecs import EncryptedCodec, Opened, SignedCodec
from sessions_wsgi.cookies import MAX_COOKIE_BYTES
from sessions_wsgi.errors import CookieTooLargeError
from sessions_wsgi.keys import Keys
from sessions_wsgi.protocols import Finish
from sessions_wsgi.session import Session
from sessions_wsgi.stores._builtin import BuiltinStore, CommonOptions
from sessions_wsgi.stores._checked import flag, require_backend
from sessions_wsgi.stores._denylist import DenyList
from sessions_wsgi.stores._origin import Renewed, end_in_source
from sessions_wsgi.stores._records import ID_BYTES
from sessions_wsgi.stores.merge import Side, changes
from sessions_wsgi.stores.revocation import Listed, Principals, SessionInfo


class CookieStore(BuiltinStore):
    """Sessions in at most 4096 bytes of cookie, name included.

    Signed, visitors can read what it holds; encrypted, they cannot. Without `revocations` there is no state
    on the server, so an old copy of a cookie counts until its lifetime ends: a log-out only asks the browser.

    :param keys: see `KeyRing`.
    :param encrypt: hide the values from the visitor.
    :param revocations: a backend that remembers which sessions ended: then `destroy`, `regenerate` and
        `revoke` end every copy of a cookie (OWASP ASVS 7.4.1), at one read per request, two when signed in.
    :param common: the options of every store, see `CommonOptions`.
    """

    def __init__(
        self,
        keys: Keys,
        *,
        encrypt: bool = False,
        revocations: Backend | None = None,
        **common: Unpack[CommonOptions],
    ) -> None:
        super().__init__(**common)
        codec = EncryptedCodec if flag("encrypt", encrypt) else SignedCodec
        self._codec = codec(keys, "session", audience=self._audience, clock=self._clock)
        self._denied: DenyList | None = None
        if revocations is not None:
            require_backend(revocations, "revocations")
            self.single_process = bool(getattr(revocations, "single_process", False))
            self._denied, self._server_side = DenyList(revocations), revocations
            self._principals = Principals(
                revocations, "cookie", audience=self._audience, serializer=self._serializer, span=self._span
            )

    # The way in

    def _read(self, name: str, text: str, now_ms: int) -> Session:
        origin = self._codec.open_at(self.options.cookie_name(name), text, now_ms / 1000)
        loaded = envelope.loads(origin[0], self._serializer)
        session = self._alive(name, loaded, now_ms, origin, None, origin[1])
        if self._denied is not None:
            self._require_not_ended(session, self._denied, now_ms)
        return session

    def _require_not_ended(self, session: Session, denied: DenyList, now_ms: int) -> None:
        session_id = session.extras.get("id")
        if session_id is not None:
            session.handle = denied.handle(session_id)
            denied.require(session.handle, now_ms / 1000)
        if "principal" in session.extras:
            self._signed_in.require(session, now_ms)

    # The way out

    def prepare(self, session: Session) -> Finish | None:
        if type(session.origin) is Renewed:  # for a log-out only, which has taken it by now
            session.origin = None
        if session.destroyed and not session.has_content:
            return partial(self._destroy, session)
        if session.muted and session.renewed != "login":
            return None if session.ended is None else partial(self._end_only, session)
        now_ms, origin = int(self._clock() * 1000), session.origin
        if session.settled_by is None or session.resend or origin is None:
            wanted = self._must_send(session, origin, now_ms)
        else:  # as said when it was opened
            wanted = False
        if not wanted and not session.touched:
            return None
        data = envelope.dumps(session, self._serializer, now_ms)
        # Whether the browser holds this already, or there is nothing to hold.
        if not wanted and (
            origin is None or envelope.unchanged(session, self._serializer, origin[0], session.seen_ms, data)
        ):
            return None
        if self._denied is None:
            return partial(self._sent, session, data, self._sealed(session, data, now_ms), now_ms)
        return self._prepare_revocable(session, self._denied, now_ms)

    def _must_send(self, session: Session, origin: Opened | None, now_ms: int) -> bool:
        """Whether the browser gets a cookie even if nothing in it changed."""
        if origin is None:
            return session.has_content or not session.is_new
        if session.resend or session.renewed or not origin[1]:
            return True
        return self._span.touch_due(session.seen_ms, session.extras, now_ms)

    def _end_only(self, session: Session) -> None:
        self.drop(session)

    def changed(self, session: Session) -> bool:
        if session.state == "clean" or isinstance(session.origin, Renewed):
            return False
        data = envelope.dumps(session, self._serializer, session.seen_ms)
        return session.has_content if session.origin is None else data != session.origin[0]

    def _sealed(self, session: Session, data: bytes, now_ms: int) -> str:
        cookie = self.options.cookie_name(session.name)
        text = self._codec.seal_at(cookie, data, now_ms / 1000)
        size = len(cookie) + 1 + len(text)
        if size > MAX_COOKIE_BYTES:
            sizes = envelope.sizes(session, self._serializer)
            raise CookieTooLargeError(cookie, size, MAX_COOKIE_BYTES, sizes)
        return text

    def _sent(self, session: Session, data: bytes, text: str, now_ms: int) -> str:
        if session.ended is not None:
            self.drop(session)
        if session.renewed and self._denied is None and session.origin is not None:
            session.note("regenerated")
        session.note("saved")
        session.origin, session.seen_ms = (data, True), now_ms
        session.cookie_age = self._span.cookie_age(session, now_ms) if session.extras else None
        session.committed(stored=True)
        return text

    # With revocations

    def drop(self, session: Session) -> bool:
        """End every copy of the cookie of what was destroyed, where there is any state on the server.

        False: another request had ended it before.
        """
        done = end_in_source(session)
        if self._denied is None or session.ended is None:
            return done is not False
        ended, session.ended = session.ended, None
        now_ms = int(self._clock() * 1000)
        if isinstance(ended, Renewed):
            session.note("destroyed", handle=ended.key)
            return self._denied.add(ended.key, self._span.longest(now_ms))
        extras = envelope.loads(ended[0], self._serializer)[3]
        if "id" not in extras:
            return True
        handle = self._denied.handle(extras["id"])
        until = self._span.longest(now_ms)
        if session.moved_to is not None:
            was_there = self._denied.replace(handle, until, now_ms / 1000, session.moved_to, moved=True)
        else:
            was_there = self._denied.add(handle, until)
        self._unlink(extras.get("principal"), handle)
        session.note("destroyed", handle=handle)
        return was_there

    def _prepare_revocable(self, session: Session, denied: DenyList, now_ms: int) -> Finish:
        old = session.handle
        if old is None or session.renewed:
            session.extras["id"] = secrets.token_hex(ID_BYTES)
        self._signed_in.enter(session, now_ms)
        data = envelope.dumps(session, self._serializer, now_ms)
        text = self._sealed(session, data, now_ms)
        return partial(self._sent_unless_ended, session, denied, old, data, text, now_ms)

    def _sent_unless_ended(
        self, session: Session, denied: DenyList, old: str | None, data: bytes, text: str, now_ms: int
    ) -> str | None:
        self.drop(session)
        if old is not None and self._has_ended(session, denied, old, now_ms):
            session.note("gone")
            if session.renewed != "login":  # a deletion could hit a newer cookie
                renewed = denied.successor(old)
                session.lose(Renewed(renewed) if renewed else None)
                return None
            data, text = self._only_written(session, now_ms)
        elif old is not None and session.renewed:
            self._unlink(session.principal, old)
            session.note("regenerated")
        session.handle = denied.handle(session.extras["id"])
        if old != session.handle or self._relist_due(session, now_ms):
            self._signed_in.link(session, now_ms)
        return self._sent(session, data, text, now_ms)

    def _relist_due(self, session: Session, now_ms: int) -> bool:
        """Whether its place on a list shows what was, or must be prolonged."""
        if session.principal is None or not self._signed_in.lists:
            return False
        *_, extras = envelope.loads(session.origin[0], self._serializer)
        if any(extras.get(name) != session.extras.get(name) for name in ("principal", "label", "max_age")):
            return True
        return self._span.period(session.seen_ms, extras) != self._span.period(now_ms, extras)

    def _has_ended(self, session: Session, denied: DenyList, old: str, now_ms: int) -> bool:
        """Whether somebody else ended the old id; if not, a renewed session ends it here."""
        if not session.renewed:
            return denied.has(old)
        until = self._span.last_end(session.created_ms, session.extras, now_ms)
        successor = denied.handle(session.extras["id"])
        return not denied.replace(old, until, now_ms / 1000, successor)

    def _only_written(self, session: Session, now_ms: int) -> tuple[bytes, str]:
        """What this request wrote into a session that somebody else ended meanwhile."""
        base = Side(*envelope.loads(session.origin[0], self._serializer)[2:])
        mine = Side(session.stored_values, session.extras)
        if not session.cleared:
            session.stored_values, session.extras = changes(base, mine, self._serializer.dumps)
        data = envelope.dumps(session, self._serializer, now_ms)
        return data, self._sealed(session, data, now_ms)

    def _unlink(self, principal: str | None, handle: str) -> None:
        self._signed_in.unlink(principal, handle)

    def _info(self, principal: str, listed: Listed) -> SessionInfo | None:
        if self._denied is None or self._denied.has(listed.handle):
            self._unlink(principal, listed.handle)
            return None
        idle = self._span.idle_ms(listed.extras) or 0  # it is listed anew at least so often
        return self._living(listed, int(self._clock() * 1000), idle)

    def _end(self, handle: str) -> bool:
        if self._denied is None:
            return False
        return self._denied.add(handle, self._span.longest(int(self._clock() * 1000)))
