"""A request leaves nothing for the garbage collector: an environ holds files, sockets and uploads."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from sessions_wsgi import CookieStore, Key, MemoryStore, SessionMiddleware, get_session
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


class Task:
    """A request as servers have it: what it is started with holds its environ."""

    def __init__(self, app: Any) -> None:
        self.environ: dict[str, Any] = {}
        body = app(self.environ, self.start_response)
        list(body)
        getattr(body, "close", list)()

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        return self.environ.setdefault("written", []).append


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


@pytest.mark.parametrize("app", [untouched, as_list, as_stream])
@pytest.mark.parametrize("make", [CookieStore, MemoryStore])
def test_a_request_makes_no_reference_cycle(app: Any, make: Any) -> None:
    wrapped = SessionMiddleware(app, make(KEY))
    assert left_by(lambda: Task(wrapped)) == 0


@pytest.mark.parametrize("make", [CookieStore, MemoryStore])
def test_a_cookie_that_is_refused_makes_none(make: Callable[[Key], BuiltinStore]) -> None:
    store = make(KEY)
    assert left_by(lambda: store.open("session", ["x" * 60 + "." + "y" * 43])) == 0
