"""Django's session middleware over a view, on its own requests: signed cookies, and files."""

from __future__ import annotations

import io
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from harness.places import Places
from harness.visits import Once, PythonPeer, Work
from harness.wsgi import cookie_pair, environ_with

PACKAGE = "Django"

if not settings.configured:
    settings.configure(SECRET_KEY="s" * 50, SESSION_COOKIE_NAME="session", ALLOWED_HOSTS=["*"])
    django.setup()

from django.contrib.sessions.middleware import SessionMiddleware  # noqa: E402
from django.core.handlers.wsgi import WSGIRequest  # noqa: E402
from django.http import HttpResponse  # noqa: E402


class Django(PythonPeer):
    """The middleware with one engine."""

    base = "bare Django request"

    def __init__(self, name: str, engine: str, directory: Path | None = None) -> None:
        self.name = name
        store = import_module(f"django.contrib.sessions.backends.{engine}").SessionStore
        # Engines read the directory from the settings once, and keep it in the class.
        attributes = {} if directory is None else {"_storage_path": str(directory)}
        self._store = type("SessionStore", (store,), attributes)
        self._last: Any = None

    def visit(self, header: str, work: Work | None) -> Once:
        def view(request: Any) -> HttpResponse:
            if work is not None:
                work.act(request.session)
            return HttpResponse(b"ok")

        middleware = SessionMiddleware(view)
        middleware.SessionStore = self._store
        return self._once(middleware, header)

    def bare_visit(self) -> Once:
        return self._once(lambda request: HttpResponse(b"ok"), "a=b")

    def _once(self, answer: Any, header: str) -> Once:
        environ = {**environ_with(header), "wsgi.input": io.BytesIO()}

        def once() -> None:
            self._last = answer(WSGIRequest(environ.copy()))

        return once

    def received(self) -> str:
        return cookie_pair(self._last.cookies["session"].OutputString() if self._last.cookies else "")


def make(places: Places) -> Iterator[Django]:
    yield Django("Django, signed cookie", "signed_cookies")
    for kind, _ in places.directories():
        yield Django(f"Django, files, {kind}", "file", places.new("django", kind))
