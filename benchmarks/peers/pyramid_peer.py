"""Pyramid's signed cookie factory, on Pyramid's requests and without its router."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.places import Places
from harness.visits import Once, PythonPeer, Work
from harness.wsgi import cookie_pair, environ_with
from pyramid.request import Request
from pyramid.response import Response
from pyramid.session import SignedCookieSessionFactory

PACKAGE = "pyramid"


class Pyramid(PythonPeer):
    """The factory with one set of options."""

    base = "bare Pyramid request"

    def __init__(self, name: str, **options: Any) -> None:
        self.name = name
        self._factory = SignedCookieSessionFactory("s" * 40, **options)
        self._last: Any = None

    def visit(self, header: str, work: Work | None) -> Once:
        environ, factory = environ_with(header), self._factory

        def once() -> None:
            request = Request(environ.copy())
            response = Response(b"ok")
            if work is not None:  # the attribute is made on first use
                work.act(factory(request))
            request._process_response_callbacks(response)
            self._last = response

        return once

    def bare_visit(self) -> Once:
        environ = environ_with("a=b")

        def once() -> None:
            request = Request(environ.copy())
            response = Response(b"ok")
            request._process_response_callbacks(response)
            self._last = response

        return once

    def received(self) -> str:
        return cookie_pair(self._last.headers.get("Set-Cookie", ""))


def make(places: Places) -> Iterator[Pyramid]:
    yield Pyramid("Pyramid")
    # By default, reading sends the cookie again.
    yield Pyramid("Pyramid, no reissue", reissue_time=None)
