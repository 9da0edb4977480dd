"""The sessions of one request: opened when asked for, committed together."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, cast
from weakref import ref

from sessions_wsgi import _advice, _headers
from sessions_wsgi._commit import Opened, abandon, close, commit, report_notes
from sessions_wsgi.cookies import find_cookies
from sessions_wsgi.errors import BackendError, EventKind, OnEvent, UnknownSessionError, UsageError, logger
from sessions_wsgi.protocols import Store
from sessions_wsgi.session import Seal, Session

_LATE, _SEALED = Seal.LATE, Seal.SEALED

ENVIRON_KEY = "sessions_wsgi.registry"


class Registry:
    """The sessions of one request: ``registry[name]`` opens one, `in` and iteration tell the open ones.

    :param stores: the configured stores by session name.
    :param environ: the request's WSGI environ.
    :param parent: the registry of an outer middleware, asked for the names that this one does not know.
    """

    # How every registry begins; most never hold more.
    _cookies: Mapping[str, str] = MappingProxyType({})  # the Set-Cookie to send, by cookie name
    _ours: frozenset[str] = frozenset()  # every Set-Cookie that was made here
    _request: Any = None
    #: The headers have left.
    sealed = False
    closed = _abandoned = _released = False
    #: The failure of a backend while a session was opened, if there was one.
    failure: BackendError | None = None

    def __init__(
        self,
        stores: Mapping[str, Store],
        environ: dict[str, Any],
        parent: Registry | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        self.stores, self.environ = stores, environ
        self.parent, self._on_event = parent, on_event
        self.opened: dict[str, Opened] = {}

    # The way in

    def __getitem__(self, name: str) -> Session:
        """The session of this name: an open one, else opened from its configured store."""
        opened = self.opened.get(name)
        if opened is not None:
            return opened[0]
        store = self.stores.get(name)
        if store is not None:
            return self._open(store, name)
        if self.parent is not None and name in self.parent.known():
            return self.parent[name]
        raise UnknownSessionError(name, sorted(self.known()), middleware=bool(self.stores))

    def known(self) -> set[str]:
        """The names that can be asked for here, those of outer middlewares included."""
        outer = self.parent.known() if self.parent is not None else ()
        return {*self.stores, *self.opened, *outer}

    def open(self, store: Store, name: str) -> Session:
        """The session `name` of this store; the same object every time.

        :raises BackendError: the store's backend failed.
        :raises UsageError: the name belongs to another store in this request.
        """
        opened = self.opened.get(name)
        owner = self.stores.get(name) if opened is None else opened[1]
        if owner is not None and owner is not store:
            raise UsageError(
                f"session {name!r} belongs to another store in this request: give one of them another name"
            )
        return self._open(store, name) if opened is None else opened[0]

    def _open(self, store: Store, name: str) -> Session:
        cookie = store.options.cookie_name(name)
        header = self.environ.get("HTTP_COOKIE")
        texts = find_cookies(header, cookie) if header else []
        if header:
            for other in getattr(store, "other_cookies", _no_others)(name):
                texts.extend(find_cookies(header, other))
        try:
            session = store.open(name, texts)
        except BackendError as error:
            self.failure = error
            raise
        # Without a middleware nobody else may keep this registry; with one, the two must not hold each other.
        session.saver = ref(self) if self.stores else lambda: self
        self.opened[name] = opened = (session, store, cookie)
        if self.sealed:
            self._seal(opened)
        if getattr(store, "single_process", False):
            _advice.about_processes(self.environ)
        if session.rejected or self._on_event is not None or logger.isEnabledFor(logging.DEBUG):
            kind: EventKind = "rejected" if session.rejected else "created" if session.is_new else "opened"
            session.note(kind, session.rejected)
        if session.notes:
            report_notes(session, self._on_event)
        return session

    def __contains__(self, name: object) -> bool:
        return name in self.opened

    def __iter__(self) -> Iterator[str]:
        return iter(self.opened)

    def __len__(self) -> int:
        return len(self.opened)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<Registry of {sorted(self.stores)}, open {sorted(self.opened)}>"

    @property
    def request(self) -> Any:
        """The WebOb request, made on first use."""
        if self._request is None and self._released:
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

    def save_one(self, session: Session, response: Any) -> None:
        """The same as `save` for one of the sessions."""
        self._save([opened for opened in self.opened.values() if opened[0] is session], response)

    def _save(self, opened: Iterable[Opened], response: Any) -> None:
        if not isinstance(getattr(response, "headerlist", None), list):
            raise UsageError(
                f"'response' must be a WebOb response (got {type(response).__name__}); "
                "behind SessionMiddleware sessions are saved by themselves"
            )
        self._commit(opened)
        response.headerlist = self.headers(response.headerlist)

    def commit(self) -> None:
        """Save every open session: first all are encoded and measured, then backends are written."""
        self._commit(self.opened.values())

    def _commit(self, opened: Iterable[Opened]) -> None:
        cookies, failures = commit(opened, self._on_event)
        if cookies:
            self._cookies = {**self._cookies, **dict(cookies)}
            self._ours = self._ours.union(value for _, value in cookies)
        if failures:
            raise (
                failures[0] if len(failures) == 1 else ExceptionGroup("sessions could not be saved", failures)
            )

    def headers(self, headers: _headers.Headers, cache_control: str | None = "no-store") -> _headers.Headers:
        """These response headers with what the sessions add: cookies, Vary, Cache-Control."""
        if not self.opened:
            return headers
        secure = self._cookies and any(session.options.secure for session, _, _ in self.opened.values())
        if secure:
            _advice.about_plain_http(self.environ)
        if cache_control and _headers.are_plain(headers):  # the way of nearly every response
            ours = [("Set-Cookie", value) for value in self._cookies.values()]
            ends = [("Cache-Control", cache_control)] if ours else []
            return [*headers, ("Vary", "Cookie"), *ours, *ends]
        headers = _headers.with_vary(headers)
        if not self._cookies:
            return headers
        headers, replaced = _headers.with_cookies(headers, self._cookies)
        for value in replaced:
            if value not in self._ours:
                logger.warning(
                    "a Set-Cookie of %r that somebody else wrote was replaced", value.partition("=")[0]
                )
        headers, shared = _headers.with_private_cache(headers, cache_control)
        if shared:
            for session, _, cookie in self.opened.values():
                if cookie in self._cookies:
                    session.note("uncacheable", "shared caching was allowed")
                    report_notes(session, self._on_event)
        return headers

    def seal(self, *, last: bool = False) -> None:
        """The headers have left: from now on only what needs no cookie may change.

        :param last: nothing of this request will follow, so nothing may change at all.
        """
        self.sealed, self.closed = True, self.closed or last
        for opened in self.opened.values():
            self._seal(opened)

    def release(self) -> None:
        """Nothing of this request will follow: let go of the environ, which holds this registry."""
        environ = self.environ
        self.closed, self.environ = True, {"HTTP_COOKIE": environ.get("HTTP_COOKIE")}
        self._released = True
        if self.parent is not None and not self.parent.sealed:
            environ[ENVIRON_KEY] = self.parent

    def _seal(self, opened: Opened) -> None:
        session, store, _ = opened
        here = not session.is_new and session.adopted is None
        late = here and not self.closed and getattr(store, "saves_late", False)
        session.seal = _LATE if late else _SEALED

    def abandon(self) -> None:
        """The request failed: nothing is saved, but what was destroyed on a server ends."""
        self._abandoned = True
        gone = {cookie for session, _, cookie in self.opened.values() if session.destroyed}
        self._cookies = {name: value for name, value in self._cookies.items() if name not in gone}
        abandon(self.opened.values(), self._on_event)

    def close(self) -> None:
        """The body was closed: save again what has a record, tell of what changed too late. Never raises."""
        close(self.opened.values(), self._on_event, abandoned=self._abandoned)
        self.seal(last=True)


def _no_others(name: str) -> Iterable[str]:  # noqa: ARG001
    return ()


def get_registry(where: Any) -> Registry:
    """The registry of a request, an empty one where there is none.

    :param where: a WSGI environ, or a request that has one as ``.environ`` or ``.env``.
    """
    environ = _environ(where)
    registry = environ.get(ENVIRON_KEY)
    if registry is None:
        registry = environ[ENVIRON_KEY] = Registry(MappingProxyType({}), environ)
    return cast("Registry", registry)


def get_session(where: Any, name: str = "session") -> Session:
    """The session of this name in this request.

    :param where: a WSGI environ, or a request that has one as ``.environ`` (WebOb, Flask, Pyramid, Django,
        Bottle) or ``.env`` (Falcon).
    :raises UnknownSessionError: no middleware wraps the application, or it has no store of this name.
    :raises BackendError: the store's backend failed.
    """
    registry = _environ(where).get(ENVIRON_KEY)
    if registry is None:
        raise UnknownSessionError(name, middleware=False)
    return cast("Registry", registry)[name]


def _environ(where: Any) -> dict[str, Any]:
    if isinstance(where, dict):
        return where
    environ = getattr(where, "environ", None)
    if environ is None:
        environ = getattr(where, "env", None)
    if not isinstance(environ, dict):
        raise UsageError(
            f"'where' must be a WSGI environ or a request that has one (got {type(where).__name__})"
        )
    return environ
