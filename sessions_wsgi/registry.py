"""The sessions of one request: opened when asked for, committed together."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, cast
from weakref import ref

from sessions_wsgi import _advice, _headers, _nested
from sessions_wsgi._commit import Cookies, Opened, abandon, close, commit, raise_failures, report_notes
from sessions_wsgi._takeover import kept_or_new, spare
from sessions_wsgi._where import environ_of, require_response
from sessions_wsgi.cookies import find_cookies, find_others
from sessions_wsgi.errors import BackendError, EventKind, OnEvent, UnknownSessionError, UsageError, logger
from sessions_wsgi.protocols import Store
from sessions_wsgi.session import Seal, Session

_OPEN, _LATE, _SEALED = Seal.OPEN, Seal.LATE, Seal.SEALED

ENVIRON_KEY = "sessions_wsgi.registry"

_VARY = ("Vary", "Cookie")


class Registry:
    """The sessions of one request: ``registry[name]`` opens one, `in` and iteration tell the open ones.

    :param stores: the configured stores by session name.
    :param environ: the request's WSGI environ.
    :param parent: the registry of an outer middleware, which knows other names and shares its sessions.
    """

    _cookies: dict[str, str] | None = None  # the Set-Cookie to send, by cookie name
    _replaced: tuple[str, ...] = ()  # those that were made here before, by explicit saves
    _borrowed: _nested.Borrowed | None = None  # from an outer registry
    _request: Any = None
    _abandoned = holds_back = False  # the latter: a failure must be raised by the one who sends the headers
    #: What may still happen to sessions opened from now on; SEALED: the request is over.
    phase = Seal.OPEN
    #: The failure of a backend while a session was opened, if there was one.
    failure: BackendError | None = None

    def __init__(
        self,
        stores: dict[str, Store],
        environ: dict[str, Any],
        parent: Registry | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        self._stores, self.environ = stores, environ
        self.parent, self._on_event = parent, on_event
        self.opened: dict[str, Opened] = {}

    @property
    def stores(self) -> Mapping[str, Store]:
        """The configured stores by session name; read-only."""
        return MappingProxyType(self._stores)

    # The way in

    def __getitem__(self, name: str) -> Session:
        """The session of this name: an open one, else opened from its configured store."""
        opened = self.opened.get(name)
        if opened is not None:
            return opened[0]
        store = self._stores.get(name)
        if store is not None:
            return self._open(store, name)
        if self.parent is not None and name in self.parent.known():
            return self.parent[name]
        raise UnknownSessionError(name, sorted(self.known()), middleware=bool(self._stores))

    def known(self) -> set[str]:
        """The names that can be asked for here, those of outer middlewares included."""
        outer = self.parent.known() if self.parent is not None else ()
        return {*self._stores, *self.opened, *outer}

    def open(self, store: Store, name: str) -> Session:
        """The session `name` of this store; the same object every time.

        :raises BackendError: the store's backend failed.
        :raises UsageError: the name belongs to another store in this request.
        """
        opened = self.opened.get(name)
        owner = self._stores.get(name) if opened is None else opened[1]
        if owner is not None and owner is not store:
            raise UsageError(
                f"session {name!r} belongs to another store in this request: give one of them another name"
            )
        return self._open(store, name) if opened is None else opened[0]

    def _open(self, store: Store, name: str) -> Session:
        if self.parent is not None and (shared := _nested.from_outside(self, store, name)) is not None:
            return shared
        cookie, header = store.options.cookie_name(name), self.environ.get("HTTP_COOKIE")
        texts = find_cookies(header, cookie) if header else []
        others = getattr(store, "other_cookies", None)
        elsewhere = find_others(header, others(name), texts) if others is not None and header else None
        try:
            session = store.open(name, texts)
            if session.origin is None and not session.is_new:
                session = self._kept_or_new(session, store)
        except BackendError as error:
            self.failure = error if self.holds_back else None  # whose traceback holds this
            raise
        if elsewhere or session.old_cookie is not None:
            spare(_nested.own_cookies(self), session, elsewhere or {})
        # Without a middleware nobody else may keep this registry; with one, the two must not hold each other.
        session.saver = ref(self) if self._stores else lambda: self
        self.opened[name] = opened = (session, store, cookie)
        if self.environ.get("wsgi.multiprocess") and getattr(store, "single_process", False):
            _advice.about_processes(self.environ)
        # What is told at the level of debugging is not even noted when nobody listens.
        session.quiet = self._on_event is None and not logger.isEnabledFor(logging.DEBUG)
        if session.rejected or not session.quiet:
            kind: EventKind = "rejected" if session.rejected else "created" if session.is_new else "opened"
            session.note(kind, session.rejected)
        if self.phase is not _OPEN:
            self._opened_late(opened)
        if session.notes:
            report_notes(session, self._on_event)
        return session

    def _kept_or_new(self, session: Session, store: Store) -> Session:
        """What was taken over, if the store can keep it; Flask's adapter stores it otherwise."""
        return kept_or_new(session, store)

    def _opened_late(self, opened: Opened) -> None:
        """It was opened when the headers had left."""
        self._seal(opened)

    def __contains__(self, name: object) -> bool:
        return name in self.opened

    def __iter__(self) -> Iterator[str]:
        return iter(self.opened)

    def __len__(self) -> int:
        return len(self.opened)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<Registry of {sorted(self._stores)}, open {sorted(self.opened)}>"

    @property
    def sealed(self) -> bool:
        """Whether the headers have left."""
        return self.phase is not _OPEN

    @property
    def request(self) -> Any:
        """The WebOb request, made on first use."""
        if self._request is None and self.phase is _SEALED:
            raise UsageError("the request is over: take registry.request before the application returns")
        if self._request is None:
            from webob import Request

            self._request = Request(self.environ)
        return self._request

    # The way out

    def save(self, response: Any) -> None:
        """Save every open session onto this WebOb response; nothing happens when there is none.

        :raises SessionsError: a session could not be saved; nothing was put onto the response. Several
            failures come as an `ExceptionGroup`.
        """
        self._save(self.opened.values(), response)
        if self.parent is not None and not self.parent.stores:  # without a middleware nobody else saves them
            self.parent.save(response)

    def save_one(self, session: Session, response: Any) -> None:
        """The same as `save` for one of the sessions."""
        self._save([opened for opened in self.opened.values() if opened[0] is session], response)

    def _save(self, opened: Iterable[Opened], response: Any) -> None:
        require_response(response)
        self._commit(opened)
        response.headerlist = self.headers(response.headerlist)

    def commit(self) -> None:
        """Save every open session: first all are encoded and measured, then backends are written."""
        for session, store, _ in self.opened.values():
            if session.settled_by is not store or session.touched or session.resend:
                self._commit(self.opened.values())
                return

    def _commit(self, opened: Iterable[Opened]) -> None:
        made, failures = commit(opened, self._on_event)
        if made:
            self._keep(made)
        if failures:
            raise_failures(failures)

    def _keep(self, made: Cookies) -> None:
        """Send these cookies, each in place of an earlier one of its name."""
        cookies = self._cookies
        if cookies is None:
            cookies = self._cookies = {}
        for cookie, value in made:
            if cookie in cookies:
                self._replaced = (*self._replaced, cookies[cookie])
            cookies[cookie] = value
        if self.parent is not None:
            _nested.keep_outside(self, made)

    def headers(self, headers: _headers.Headers, cache_control: str | None = "no-store") -> _headers.Headers:
        """These response headers with what the sessions add: cookies, Vary, Cache-Control."""
        if not self.opened:
            return headers
        plain, cookies = _headers.are_plain(headers), self._cookies  # as nearly every response is
        if not cookies:
            return [*headers, _VARY] if plain else _headers.with_vary(headers)
        if self.environ.get("wsgi.url_scheme") == "http":
            _advice.about_plain_http(self.environ, [opened[0].options for opened in self.opened.values()])
        if plain and cache_control:
            headers = [*headers, _VARY]
            for value in cookies.values():
                headers.append(("Set-Cookie", value))
            headers.append(("Cache-Control", cache_control))
            return headers
        headers, foreign, shared = _headers.with_all(headers, cookies, cache_control)
        for value in set(foreign).difference(self._replaced):
            logger.warning(
                "a Set-Cookie of %r that somebody else wrote was replaced", value.partition("=")[0]
            )
        for session, _, cookie in self.opened.values() if shared else ():
            if cookie in cookies:
                session.note("uncacheable", "shared caching was allowed")
                report_notes(session, self._on_event)
        return headers

    def seal(self, *, last: bool = False) -> None:
        """The headers have left: from now on only what needs no cookie may change.

        :param last: nothing of this request will follow, so nothing may change at all.
        """
        self.phase = _SEALED if last else max(self.phase, _LATE)
        for opened in self.opened.values():
            self._seal(opened)

    def release(self) -> None:
        """Nothing of this request will follow: let go of the environ, which holds this registry."""
        environ, self.phase = self.environ, _SEALED
        self.environ = {"HTTP_COOKIE": environ.get("HTTP_COOKIE")}  # sessions may still be read
        if self.parent is not None and self.parent.phase is _OPEN:
            environ[ENVIRON_KEY] = self.parent
            _nested.give_back(self)

    def _seal(self, opened: Opened) -> None:
        session, store, _ = opened
        # Of what another request renewed nothing can be saved, but a log-out follows it.
        late = self.phase is _LATE and (session.muted or not session.is_new) and session.adopted is None
        if self.parent is None or _nested.goes_on_outside(self, session) is None:
            session.seal = _LATE if late and getattr(store, "saves_late", False) else _SEALED

    def abandon(self) -> None:
        """The request failed: nothing is saved, but what was destroyed on a server ends."""
        self._abandoned = True
        _nested.roll_back(self)
        gone = {cookie for session, _, cookie in self.opened.values() if session.destroyed}
        self._cookies = {name: value for name, value in (self._cookies or {}).items() if name not in gone}
        abandon(self.opened.values(), self._on_event)

    def close(self) -> None:
        """The body was closed: save again what has a record, tell of what changed too late. Never raises."""
        close(self.opened.values(), self._on_event, abandoned=self._abandoned)
        self.seal(last=True)


def get_registry(where: Any) -> Registry:
    """The registry of a request, an empty one where there is none.

    :param where: a WSGI environ, or a request that has one as ``.environ`` or ``.env``.
    """
    environ = environ_of(where)
    registry = environ.get(ENVIRON_KEY)
    if registry is None:
        registry = environ[ENVIRON_KEY] = Registry({}, environ)
    return cast("Registry", registry)


def get_session(where: Any, name: str = "session") -> Session:
    """The session of this name in this request.

    :param where: a WSGI environ, or a request that has one as ``.environ`` (WebOb, Flask, Pyramid, Django,
        Bottle) or ``.env`` (Falcon).
    :raises UnknownSessionError: no middleware wraps the application, or it has no store of this name.
    :raises BackendError: the store's backend failed.
    """
    environ = where if type(where) is dict else environ_of(where)
    registry: Registry | None = environ.get(ENVIRON_KEY)
    if registry is None:
        raise UnknownSessionError(name, middleware=False)
    return registry[name]
