"""A visitor's session, opened from outside of the application."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import urljoin

from webob import Request

from sessions_wsgi._client.cookie import parse
from sessions_wsgi._nearest import nearest
from sessions_wsgi.errors import UsageError
from sessions_wsgi.middleware import SessionMiddleware
from sessions_wsgi.protocols import Store
from sessions_wsgi.registry import Registry
from sessions_wsgi.session import Session


class _Visitor(Protocol):
    """A `Client`, as seen from here."""

    base_url: str

    def cookies_for(self, url: str = "/", *, script: bool = False) -> dict[str, str]: ...
    def receive(self, header: str) -> None: ...


def make_cookie(store: Store, name: str, values: Mapping[Any, Any], *, principal: str | None = None) -> str:
    """The value of the cookie of a session that holds these values; a server-side store keeps its record.

    The cookie's name is ``store.options.cookie_name(name)``.

    :param principal: signs this visitor in, as `Session.login` does.
    :raises UsageError: there is nothing to store.
    :raises CookieTooLargeError: the values are too many for a cookie.
    """
    session = store.open(name, [])
    session.update(values)
    if principal is not None:
        session.login(principal)
    text = store.commit(session)
    if not text:
        raise UsageError("'values' must hold something: a session that is new and empty is never stored")
    return text


@contextmanager
def open_session(client: Any, store: Store, name: str = "session") -> Generator[Session, None, None]:
    """Open a visitor's session for reading and writing; it is saved at the end, unless something was raised.

    :param client: a `Client`, or a `webtest.TestApp`.
    :raises UsageError: `client` is something else, its application, a `SessionMiddleware`, has no session of
        this name, or a browser would refuse the session's cookie.
    """
    visitor = _as_visitor(client)
    _require_known(name, getattr(client, "app", None))
    url = urljoin(visitor.base_url, store.options.path)
    sent = "; ".join(f"{cookie}={text}" for cookie, text in visitor.cookies_for(url).items())
    registry = Registry({}, Request.blank(url, headers={"Cookie": sent}).environ)
    yield registry.open(store, name)
    registry.commit()
    registry.seal(last=True)  # what is written later would be lost
    for header, value in registry.headers([]):
        if header == "Set-Cookie":
            visitor.receive(value)


def _require_known(name: str, app: Any) -> None:
    known: list[str] = []
    while isinstance(app, SessionMiddleware):
        known += app.stores
        app = app._app
    if known and name not in known:
        near = nearest(name, known)
        raise UsageError(f"'name': the application has no session {name!r}{near}")


def _as_visitor(client: Any) -> _Visitor:
    if hasattr(client, "cookiejar") and hasattr(client, "set_cookie"):
        return _TestApp(client)
    if not hasattr(client, "cookies_for"):
        raise UsageError(f"'client' must be a Client or a webtest.TestApp (got {type(client).__name__})")
    visitor: _Visitor = client
    return visitor


class _TestApp:
    """The cookies of a `webtest.TestApp`: they go by name, as its jar does not keep hosts apart."""

    base_url = "https://localhost"

    def __init__(self, app: Any) -> None:
        self._app = app

    def cookies_for(self, url: str = "/", *, script: bool = False) -> dict[str, str]:  # noqa: ARG002
        found: dict[str, str] = self._app.cookies
        return found

    def receive(self, header: str) -> None:
        name, value, _ = parse(header)
        for cookie in [each for each in self._app.cookiejar if each.name == name]:
            self._app.cookiejar.clear(cookie.domain, cookie.path, cookie.name)
        if value:
            self._app.set_cookie(name, value)
