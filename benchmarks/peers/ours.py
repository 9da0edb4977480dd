"""This library, with every store of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

from harness.places import Places
from harness.visits import Work
from harness.wsgi import HEADERS, Application, WSGIPeer

from sessions_wsgi import (
    CookieStore,
    FileStore,
    Key,
    MemoryStore,
    SessionMiddleware,
    SQLiteStore,
    get_session,
    store_from_url,
)

PACKAGE = "sessions-wsgi"


class Ours(WSGIPeer):
    """The middleware over one store."""

    def __init__(self, name: str, store: Any) -> None:
        self.name, self.store = name, store

    def around(self, application: Application) -> Application:
        return SessionMiddleware(application, self.store)

    def after(self, work: Work) -> Application:
        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
            work.act(get_session(environ))
            start_response("200 OK", list(HEADERS))
            return [b"ok"]

        return application


def version() -> str:
    try:
        return metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        return "of this tree"


def make(places: Places) -> Iterator[Ours]:
    key = Key.generate()
    yield Ours("signed cookie", CookieStore(key))
    yield Ours("encrypted cookie", CookieStore(key, encrypt=True))
    yield Ours("memory", MemoryStore(key))
    for kind, _ in places.directories():
        yield Ours(f"files, {kind}", FileStore(places.new("files", kind), key))
        yield Ours(f"SQLite, {kind}", SQLiteStore(places.new("sqlite", kind) / "sessions.db", key))
    for name, url in places.servers.items():
        yield Ours(name, store_from_url(url, key))
