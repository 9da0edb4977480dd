"""Rotation: nobody is signed out. Run it: python examples/rotation.py 8000

With ``SESSION_KEYS="$NEW $OLD"`` the newest key, the first, seals. The older ones still open, and what they
open is sealed anew in the same response. So: put a new key in front, wait as long as sessions live, take the
old one away.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from wsgiref.simple_server import make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from sessions_wsgi import CookieStore, Key, KeyRing, Lifetime, SessionMiddleware, get_session

LIFETIME = Lifetime(absolute=timedelta(days=7))


def planned(new: str, old: str, at: datetime) -> KeyRing:
    """A ring for a fleet: deployed at leisure, every machine changes over at the same moment.

    Until `at` the new key only opens; a week later every session that the old one sealed has ended.
    """
    return KeyRing([Key(new, not_before=at), Key(old, accept_until=at + timedelta(days=7))])


def rotation(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Show whether the session survived."""
    session = get_session(environ)
    session.setdefault("greeting", "Hello")  # written once: later it is sent again only to be sealed anew
    found = "new" if session.is_new else "found"
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"session: {found}, rejected: {session.rejected}".encode()]


def make_app(keys: KeyRing) -> WSGIApplication:
    """The application on these keys; stores with an id cookie rotate in the same way."""
    return SessionMiddleware(rotation, CookieStore(keys, encrypt=True, lifetime=LIFETIME))


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    ring = KeyRing(os.environ.get("SESSION_KEYS") or Key.generate())
    with suppress(KeyboardInterrupt), make_server("localhost", port, make_app(ring)) as server:
        print(f"http://localhost:{port}", flush=True)
        server.serve_forever()
