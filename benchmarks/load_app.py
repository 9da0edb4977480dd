"""The application under load: /read and /write, with the sessions that the environment names, or without.

``LOAD_STORE``: the URL of a store, or nothing for no middleware at all. ``LOAD_KEYS``: its keys.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from sessions_wsgi import SessionMiddleware, get_session, store_from_url

VALUES = {"user": "ada@example.org", "n": 42, "theme": "dark"}


def plain(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]


def with_session(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    session = get_session(environ)
    if environ["PATH_INFO"] == "/new":
        session.update(VALUES)
    elif environ["PATH_INFO"] == "/write":
        session["n"] += 1
    elif session["n"] < 42:
        raise AssertionError("the session was lost")
    return plain(environ, start_response)


_url = os.environ.get("LOAD_STORE", "")
application: Any = plain
if _url:
    application = SessionMiddleware(with_session, store_from_url(_url, os.environ["LOAD_KEYS"]))
