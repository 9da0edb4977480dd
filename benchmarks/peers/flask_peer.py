"""Flask's session interface on its requests and responses, without routing and contexts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Flask, Request, Response
from harness.places import Places
from harness.visits import Once, PythonPeer, Work
from harness.wsgi import cookie_pair, environ_with

PACKAGE = "Flask"


class FlaskPeer(PythonPeer):
    """The default interface: a session is opened for every request."""

    name = "Flask"
    base = "bare Flask request"

    def __init__(self) -> None:
        self._app = Flask("benchmark")
        self._app.secret_key = "s" * 40
        self._last: Any = None

    def visit(self, header: str, work: Work | None) -> Once:
        environ, app, interface = environ_with(header), self._app, self._app.session_interface

        def once() -> None:
            request = Request(environ.copy())
            session = interface.open_session(app, request)
            if work is not None:
                work.act(session)
            response = Response(b"ok")
            interface.save_session(app, session, response)  # type: ignore[arg-type]
            self._last = response

        return once

    def bare_visit(self) -> Once:
        environ = environ_with("a=b")

        def once() -> None:
            Request(environ.copy())
            self._last = Response(b"ok")

        return once

    def received(self) -> str:
        return cookie_pair(self._last.headers.get("Set-Cookie", ""))


def make(places: Places) -> Iterator[FlaskPeer]:
    yield FlaskPeer()
