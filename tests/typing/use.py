"""Plain use of the API. Only the type checker runs this."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from webob import Request, Response

from sessions_wsgi import (
    CBORSerializer,
    CookieOptions,
    CookieStore,
    Event,
    FileStore,
    Key,
    KeyRing,
    Lifetime,
    MemoryStore,
    ServerStore,
    Session,
    SessionInfo,
    SessionMiddleware,
    SignedCodec,
    SQLiteStore,
    Store,
    get_registry,
    get_session,
    store_from_url,
)
from sessions_wsgi.backends import Backend
from sessions_wsgi.backends.memory import MemoryBackend

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


@dataclass
class Person:
    name: str


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    session: Session = get_session(environ)
    session["n"] = session.get("n", 0) + 1
    session[42] = 43
    session |= {"a": [1]}
    session.flash("saved", "info")
    messages: list[Any] = session.flashes("info")
    items: list[tuple[str, Any]] = session.flash_items()
    session.max_age = timedelta(days=30)
    seconds: float | None = session.max_age
    session.options = replace(session.options, samesite="Strict")
    session.login("7")
    session.label = "a phone"
    since: datetime | None = session.authenticated_at
    token: str = session.csrf_token()
    good: bool = session.check_csrf(token)
    names: list[str] = list(get_registry(environ))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr((messages, items, seconds, since, good, names)).encode()]


keys = KeyRing(["a" * 40, Key.generate(), Key("b" * 40, not_before=datetime(2030, 1, 1, tzinfo=UTC))])
backend: Backend = MemoryBackend(max_bytes=None)
stores: Mapping[str, Store] = {
    "session": CookieStore(keys, encrypt=True, options=CookieOptions(prefix="__Host-"), revocations=backend),
    "cart": FileStore("/tmp/sessions", keys, lifetime=Lifetime.AAL2, durability="host"),
    "memory": MemoryStore(keys, serializer=CBORSerializer({"person/1": Person})),
    "sqlite": SQLiteStore("sessions.db", keys, sweep_every=100),
    "server": ServerStore(backend, keys, conflict=lambda key, base, mine, theirs: theirs),
    "url": store_from_url("cookie:", keys),
}
seen: list[Event] = []
wrapped: WSGIApplication = SessionMiddleware(application, stores, on_event=seen.append)
alone: WSGIApplication = SessionMiddleware(application, MemoryStore("c" * 40), unavailable=application)


def without_middleware(store: MemoryStore) -> None:
    request, response = Request.blank("/"), Response()
    session = store.get(request, "session")
    session.save(response)
    get_registry(request).save(response)
    store.revoke("7", keep=session)
    devices: list[SessionInfo] = store.sessions_of("7")
    ended: bool = store.end("7", devices[0].handle)
    progress: Callable[[int], None] = print
    removed: int = store.purge(progress)
    print(ended, removed)


codec = SignedCodec(keys, "invitation")
text: str = codec.seal("to", b"somebody")
data: bytes = codec.open("to", text)
