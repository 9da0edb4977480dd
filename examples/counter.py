"""Counter: values keep their types, nested changes are saved. Run it: python examples/counter.py 8000"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from wsgiref.simple_server import make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from sessions_wsgi import CookieStore, Key, KeyRing, Lifetime, SessionMiddleware, get_session


def counter(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Count the visits, and remember when the last three were."""
    session = get_session(environ)
    session[42] = session.get(42, 0) + 1  # int keys stay int keys

    times = session.setdefault("times", [])
    times.append(datetime.now(UTC))  # no flag: the session is compared with what was loaded
    del times[:-3]  # and a datetime stays a datetime

    lines = [f"Visit {session[42]}.", *(f"{time:%H:%M:%S}" for time in times)]
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return ["\n".join(lines).encode()]


def make_app(keys: KeyRing) -> WSGIApplication:
    """The counter; a session ends after an hour without a visit, and after a day in any case."""
    lifetime = Lifetime(idle=timedelta(hours=1), absolute=timedelta(days=1))
    return SessionMiddleware(counter, CookieStore(keys, lifetime=lifetime))


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    ring = KeyRing(os.environ.get("SESSION_KEYS") or Key.generate())
    with suppress(KeyboardInterrupt), make_server("localhost", port, make_app(ring)) as server:
        print(f"http://localhost:{port}", flush=True)
        server.serve_forever()
