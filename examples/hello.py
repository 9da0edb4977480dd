"""Hello: one line gives any WSGI application sessions. Run it: python examples/hello.py 8000"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from wsgiref.simple_server import make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from sessions_wsgi import CookieStore, Key, KeyRing, SessionMiddleware, get_session


def hello(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """A plain WSGI application; nothing in it knows where sessions are kept."""
    session = get_session(environ)
    greeting = "Hello again!" if "met" in session else "Hello, stranger!"
    session["met"] = True
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [greeting.encode()]


def make_app(keys: KeyRing) -> WSGIApplication:
    """The application with sessions in signed cookies: the one line."""
    return SessionMiddleware(hello, CookieStore(keys))


def serve(app: WSGIApplication) -> None:
    """Serve on the port that the command line names."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    with suppress(KeyboardInterrupt), make_server("localhost", port, app) as server:
        print(f"http://localhost:{port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    serve(make_app(KeyRing(os.environ.get("SESSION_KEYS") or Key.generate())))
