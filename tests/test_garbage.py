"""A request leaves nothing for the garbage collector: an environ holds files, sockets and uploads."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from sessions_wsgi import CookieStore, Key, MemoryStore, SessionMiddleware, get_session

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


@pytest.mark.parametrize("app", [untouched, as_list, as_stream])
@pytest.mark.parametrize("make", [CookieStore, MemoryStore])
def test_a_request_makes_no_reference_cycle(app: Any, make: Any) -> None:
    wrapped = SessionMiddleware(app, make(KEY))

    def visit() -> None:
        body = wrapped({}, lambda status, headers, exc_info=None: None)
        list(body)
        getattr(body, "close", list)()

    visit()
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            visit()
        assert gc.collect() == 0
    finally:
        gc.enable()
