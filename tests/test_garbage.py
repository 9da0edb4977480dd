"""A request leaves nothing for the garbage collector: an environ holds files, sockets and uploads."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import pytest
from webob import Request, Response

from sessions_wsgi import (
    BackendError,
    CookieStore,
    Key,
    MemoryStore,
    SerializeError,
    SessionMiddleware,
    get_session,
)
from sessions_wsgi.stores._builtin import BuiltinStore

KEY = Key.generate()


def untouched(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [b""]


def as_list(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    get_session(environ)["n"] = 1
    start_response("200 OK", [])
    return [b""]


def as_stream(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    get_session(environ)["n"] = 1
    start_response("200 OK", [])
    yield b""


def restarted(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """With an exception whose traceback holds the frame that holds the environ."""
    start_response("200 OK", [])
    try:
        raise LookupError
    except LookupError:
        start_response("404 Not Found", [], sys.exc_info())
    return [b""]


def restarted_stream(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    yield from restarted(environ, start_response)


def restarted_in_vain(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    get_session(environ)["n"] = object()
    return restarted(environ, start_response)


class Task:
    """A request as servers have it: what it is started with holds its environ."""

    def __init__(self, app: Any, cookie: str = "") -> None:
        self.environ: dict[str, Any] = {"HTTP_COOKIE": cookie}
        self.cookies: list[str] = []
        with suppress(SerializeError, LookupError):
            body = app(self.environ, self.start_response)
            try:
                list(body)
            finally:
                getattr(body, "close", list)()

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        self.cookies += [value.partition(";")[0] for name, value in headers if name == "Set-Cookie"]
        return self.environ.setdefault("written", []).append


def failing(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    get_session(environ)["n"] = 1
    raise LookupError


def failing_stream(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    get_session(environ)["n"] = 1
    start_response("200 OK", [])
    yield b""
    raise LookupError


def with_error_page(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """As frameworks do it; sessions that are not available are told to the visitor all the same."""
    try:
        get_session(environ)["n"] = 1
    except BackendError:
        start_response("500 Oops", [])
        return [b""]
    start_response("404 Not Found", [])
    return [b""]


def as_if_nothing_were(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    with suppress(BackendError):
        get_session(environ)["n"] = 1
    start_response("200 OK", [])
    return [b""]


STARTED = [restarted, restarted_stream, restarted_in_vain, failing, failing_stream]
APPS = [untouched, as_list, as_stream, with_error_page, as_if_nothing_were, *STARTED]


def left_by(visit: Callable[[], object]) -> int:
    """How many objects some calls leave to the garbage collector."""
    visit()
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            visit()
        return gc.collect()
    finally:
        gc.enable()


@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("make", [CookieStore, MemoryStore])
def test_a_request_makes_no_reference_cycle(app: Any, make: Any) -> None:
    wrapped = SessionMiddleware(app, make(KEY))
    assert left_by(lambda: Task(wrapped)) == 0


@pytest.mark.parametrize("make", [CookieStore, MemoryStore])
def test_a_cookie_that_is_refused_makes_none(make: Callable[[Key], BuiltinStore]) -> None:
    store = make(KEY)
    assert left_by(lambda: store.open("session", ["x" * 60 + "." + "y" * 43])) == 0


@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("operation", ["load", "update", "create"])
@pytest.mark.parametrize("broken", [1, 2])
def test_a_failing_backend_makes_none(app: Any, operation: str, broken: int, broken_store: Any) -> None:
    stores = {"session": broken_store(), "other": broken_store()}
    wrapped = SessionMiddleware(both(app), stores)
    first = Task(wrapped)
    for store in list(stores.values())[:broken]:
        store.backend.broken = {operation}
    cookie = "" if operation == "create" else "; ".join(first.cookies)
    assert left_by(lambda: Task(wrapped, cookie)) == 0


def both(app: Any) -> Any:
    """The application, behind one that writes into another session first."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with suppress(BackendError):
            get_session(environ, "other")["n"] = [1]
        return app(environ, start_response)  # type: ignore[no-any-return]

    return application


def test_without_a_middleware_a_failing_backend_makes_none(broken_store: Any) -> None:
    store = broken_store()
    request, response = Request.blank("/"), Response()
    store.get(request, "session")["n"] = 1
    store.get(request, "session").save(response)
    cookie = response.headers["Set-Cookie"].partition(";")[0]
    store.backend.broken = {"load"}

    def visit() -> None:
        with suppress(BackendError):
            store.get({"HTTP_COOKIE": cookie}, "session")

    assert left_by(visit) <= 20 * 4  # an environ and its registry hold each other, as they must

    def fails() -> None:
        with suppress(BackendError):
            store.new({"HTTP_COOKIE": cookie}, "session")

    assert left_by(fails) <= 20 * 4


class SomethingError(Exception):
    """That can be followed by a weak reference."""


def test_an_exception_is_let_go_when_the_headers_leave() -> None:
    """Not at the end of a stream that may last for hours."""
    followed: list[weakref.ref[SomethingError]] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            raise SomethingError
        except SomethingError as error:
            followed.append(weakref.ref(error))
            start_response("404 Not Found", [], sys.exc_info())
        yield b"a"
        yield b"b"

    body = iter(SessionMiddleware(app, CookieStore(KEY))({}, lambda *_: list))
    assert next(body) == b"a"
    assert followed[0]() is None
