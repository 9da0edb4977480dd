"""What both built-in stores share: options, times, and the way from texts to a session."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypedDict

from sessions_wsgi._named import named
from sessions_wsgi.backends import Backend, Purges
from sessions_wsgi.cookies import CookieOptions
from sessions_wsgi.envelope import Ended, Envelope, Lifetime, Span
from sessions_wsgi.errors import ConfigError, DecodeError, Event, UsageError, report
from sessions_wsgi.protocols import Finish
from sessions_wsgi.registry import Registry, get_registry
from sessions_wsgi.serializers import Serializer
from sessions_wsgi.session import Session
from sessions_wsgi.stores import _checked
from sessions_wsgi.stores._accept import Accept, Accepted
from sessions_wsgi.stores._ended import Replaced
from sessions_wsgi.stores._origin import Renewed
from sessions_wsgi.stores.revocation import Listed, Principals, SessionInfo

_BATCH = 200


class CommonOptions(TypedDict, total=False):
    """What every built-in store can be told."""

    #: Attributes of the cookies.
    options: CookieOptions
    #: How long sessions live.
    lifetime: Lifetime
    #: Values to bytes and back; by default CBOR, which keeps types exactly.
    serializer: Serializer
    #: Importers, and other stores, whose sessions are taken over: a text that is none of this store's is
    #: offered to them in order.
    accept: Accepted
    #: Which service the texts are for; stores with other audiences refuse them.
    audience: str
    #: Seconds since the epoch.
    clock: Callable[[], float]


class BuiltinStore:
    """The parts of a store that do not depend on where the session is kept. Options: `CommonOptions`."""

    saves_late = single_process = False

    def __init__(
        self,
        *,
        options: CookieOptions | None = None,
        lifetime: Lifetime | None = None,
        serializer: Serializer | None = None,
        accept: Accepted = (),
        audience: str = "",
        clock: Callable[[], float] = time.time,
        **more: Any,
    ) -> None:
        for name in more:
            raise _unknown(name, type(self))
        self.options: CookieOptions = _checked.instance("options", options, CookieOptions)
        self.lifetime: Lifetime = _checked.instance("lifetime", lifetime, Lifetime)
        self._serializer = _checked.serializer(serializer)
        self._accept = Accept(accept, self.options, clock) if accept not in ((), []) else None
        #: Tells the names of the cookies that may hold a session to take over; None: there are none.
        self.other_cookies: Callable[[str], Iterable[str]] | None = (
            None if self._accept is None else self._accept.cookies
        )
        self._span, self._audience, self._clock = Span(self.lifetime), audience, _checked.clock(clock)

    # Without the middleware

    def get(self, request: Any, name: str) -> Session:
        """The session `name` of this request: the same object every time.

        :param request: a WebOb request, anything else with an environ, or an environ.
        """
        return get_registry(request).open(self, name)

    def new(self, request: Any, name: str) -> Session:
        """The session `name` decoded from the request once more; no other call returns this object."""
        return Registry({}, get_registry(request).environ).open(self, name)

    def save(self, request: Any, response: Any, session: Session) -> None:  # noqa: ARG002 - as the original has it
        """The same as ``session.save(response)``."""
        session.save(response)

    # The way in

    def open(self, name: str, texts: Sequence[str]) -> Session:
        """The session in the first good text, else a new one with the first text's fault in `rejected`."""
        now_ms = int(self._clock() * 1000)
        faults = []
        for text in texts:
            try:
                return self._read(name, text, now_ms)
            except DecodeError as error:
                faults.append(error.with_traceback(None))  # whose frames hold this list
        if self._accept is not None and texts and not any(isinstance(fault, Ended) for fault in faults):
            try:
                adopted = self._adopted(self._accept, name, texts, now_ms)
            except DecodeError as error:
                faults.insert(0, error)  # it was good there, so this is what its visitor misses
            else:
                if adopted is not None:
                    return adopted
        rejected = faults[0].reason if faults else None
        session = Session(
            name, None, self.options, None, now_ms, now_ms, True, None, None, rejected, self._clock
        )
        session.settled_by = self
        for fault in faults:
            if isinstance(fault, Replaced):
                session.muted = True
                if fault.successor or fault.end is not None:
                    session.origin = Renewed(fault.successor or "", fault.moved, fault.end)
        return session

    def _adopted(self, accept: Accept, name: str, texts: Sequence[str], now_ms: int) -> Session | None:
        """A session of elsewhere, held to this store's lifetime and revocations."""
        session = accept.adopt(name, texts, now_ms / 1000)
        if session is not None:
            self._span.require_alive(session.created_ms, session.seen_ms, session.extras, now_ms)
            if session.principal is not None and self._principals is not None:
                self._principals.require_later(session)
        return session

    def end_elsewhere(
        self, name: str, texts: Mapping[str, Sequence[str]]
    ) -> Iterable[tuple[str, CookieOptions]]:
        """End the sessions of other stores in these texts; tells the cookies to delete, with their options.

        :param texts: by cookie, those of `other_cookies`.
        """
        return () if self._accept is None else self._accept.end(name, texts)

    def _read(self, name: str, text: str, now_ms: int) -> Session:
        raise NotImplementedError

    def _alive(
        self, name: str, loaded: Envelope, now_ms: int, origin: object, handle: str | None, fresh: bool
    ) -> Session:
        """A session of what was loaded; `DecodeError` when its time is over.

        :param fresh: the keys that seal now sealed all of it.
        """
        created_ms, seen_ms, values, extras = loaded
        span, clock = self._span, self._clock
        # Most began and were seen in the past, and have one limit.
        if extras or not created_ms <= seen_ms <= now_ms < created_ms + span.sure_ms:
            span.require_alive(created_ms, seen_ms, extras, now_ms)
        session = Session(
            name, values, self.options, extras, created_ms, seen_ms, False, origin, handle, None, clock
        )
        if fresh and span.steady and not extras:  # else a touch may fall due while the request lasts
            session.settled_by = self
        return session

    # Who is signed in

    def revoke(self, principal: str, keep: Session | None = None) -> None:
        """Log this principal out everywhere, from the very next request on; `keep` stays signed in.

        :param keep: the session of this request, say, after a change of password. It is saved with the
            others of its request.
        :raises BackendError: the backend failed, and nobody was logged out.
        """
        now_ms = int(self._clock() * 1000)
        self._signed_in.revoke(principal, keep, self._span.longest(now_ms), now_ms)

    def sessions_of(self, principal: str) -> list[SessionInfo]:
        """The sessions that this principal is signed in with, the latest first; for a page of devices.

        :raises UsageError: the backend cannot list.
        """
        infos = (self._info(principal, listed) for listed in self._signed_in.entries(principal))
        return sorted(filter(None, infos), key=lambda info: info.last_seen, reverse=True)

    def end(self, principal: str, handle: str) -> bool:
        """End one of this principal's sessions; False when it has none with this handle.

        :raises UsageError: the backend cannot list.
        """
        if not self._signed_in.has(principal, handle) or not self._end(handle):
            return False
        self._signed_in.unlink(principal, handle)
        report(Event("destroyed", "", handle, "from another session"))
        return True

    def purge(self, progress: Callable[[int], object] | None = None) -> int:
        """Remove expired records, in small batches that hold nobody up; how many there were.

        Backends that drop them by themselves have nothing to remove.

        :param progress: called after each batch with the number so far.
        """
        backend, removed = self._server_side, 0
        while isinstance(backend, Purges):
            batch = backend.purge(_BATCH)
            removed += batch
            if progress is not None:
                progress(removed)
            if batch < _BATCH:
                break
        return removed

    #: The backend of this store, if it has any.
    _server_side: Backend | None = None

    _principals: Principals | None = None

    @property
    def _signed_in(self) -> Principals:
        if self._principals is None:
            raise UsageError("nothing is kept on the server: give revocations=backend, or use a ServerStore")
        return self._principals

    def _info(self, principal: str, listed: Listed) -> SessionInfo | None:
        raise NotImplementedError

    def _end(self, handle: str) -> bool:
        raise NotImplementedError

    def _living(self, listed: Listed, now_ms: int, later_ms: float = 0) -> SessionInfo | None:
        """What is listed, if it lives; `later_ms`: it may have been seen so much later than the list says."""
        seen_ms = listed.seen_ms + later_ms
        over = now_ms >= self._span.end_ms(listed.created_ms, seen_ms, listed.extras)
        return None if over else listed.info()

    # The way out

    def commit(self, session: Session) -> str | None:
        """Save the session; the text of its cookie, "" to delete it, None to send nothing."""
        finish = self.prepare(session)
        return None if finish is None else finish()

    def _destroy(self, session: Session) -> str:
        self.drop(session)
        if not any(event.kind == "destroyed" for event in session.notes):
            session.note("destroyed")
        session.committed(stored=False)
        return ""

    def drop(self, session: Session) -> bool:
        """Carry out a `destroy` on the server, and nothing else; False: it had ended before."""
        raise NotImplementedError

    def prepare(self, session: Session) -> Finish | None:
        """The first half of `commit`: encode, seal and measure. The second is what it returns, if need be."""
        raise NotImplementedError


def _unknown(name: str, store: type) -> ConfigError:
    own = named(store)
    inherited = (named(each) for each in store.__mro__ if issubclass(each, BuiltinStore))
    # An embedded store makes its backend itself.
    return _checked.unknown_to(store.__name__, name, own.union(*inherited) - ({"backend"} - own))
