"""What the tests of the front door share: keys, stores, a server that is strict about PEP 3333, a visitor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from hypothesis import settings

from sessions_wsgi import BackendError, CookieStore, MemoryStore, ServerStore, SessionMiddleware
from sessions_wsgi.backends.memory import MemoryBackend

pytest_plugins = ["servers"]

# Every run tries the same examples, however slow the machine.
settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.load_profile("fixed")

KEY = "tGq7dYw2Lk0vXo4sRz9BfUc1MhJe6NpAiKx3WyTb5Qg"
OTHER_KEY = "Zr8nVt5xHq2JmLw0EoKb7CsPd4YgXf9UaTi1NvRh6Mk"


class Server:
    """A WSGI server for one request that takes one step at a time and keeps to PEP 3333."""

    def __init__(self, app: Any, environ: dict[str, Any]) -> None:
        self.app, self.environ, self.body = app, environ, ()
        self.starts: list[tuple[Any, ...]] = []  # every call of start_response, as it came
        self.chunks: list[bytes] = []  # what was sent; the headers left with the first one that is not empty
        self.headers_left = False

    def begin(self) -> Server:
        """Call the application."""
        self.body = self.app(self.environ, self.start_response)
        return self

    def start_response(self, status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
        if exc_info and self.headers_left:
            raise exc_info[0][1].with_traceback(exc_info[0][2])
        assert exc_info or not self.starts, "start_response was called twice without exc_info"
        self.starts.append((status, headers, *exc_info))
        return self.send

    def send(self, data: bytes) -> None:
        assert self.starts, "the body came before start_response"
        self.headers_left = self.headers_left or bool(data)
        self.chunks.append(data)

    def finish(self) -> Reply:
        """Send the rest of the body, close it whatever happens, and tell what the visitor got."""
        try:
            for data in self.body:
                self.send(data)
        finally:
            self.close()
        return self.reply

    def close(self) -> None:
        if hasattr(self.body, "close"):
            self.body.close()

    @property
    def reply(self) -> Reply:
        status, headers, *_ = self.starts[-1]
        return Reply(status, headers, b"".join(self.chunks))


@dataclass
class Reply:
    """What one request got."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        """The values of every header of this name."""
        return [value for header, value in self.headers if header.lower() == name]

    @property
    def cookies(self) -> dict[str, str]:
        """Name → value of the cookies that it sets; no name may come twice."""
        pairs = [value.split(";")[0].split("=", 1) for value in self.all("set-cookie")]
        assert len({name for name, _ in pairs}) == len(pairs), "one cookie was set twice"
        return dict(pairs)


class Visitor:
    """A browser without rules: it keeps every cookie and sends it back."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.jar: dict[str, str] = {}
        self.server: Any = None  # of the last request, also when that one failed

    def environ(self, path: str = "/", **more: Any) -> dict[str, Any]:
        environ: dict[str, Any] = {"SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": ""}
        environ["wsgi.url_scheme"] = "https"
        if self.jar:
            environ["HTTP_COOKIE"] = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        environ |= more
        setup_testing_defaults(environ)
        return environ

    def start(self, path: str = "/", **more: Any) -> Server:
        """Call the application, and leave its body alone."""
        self.server = Server(self.app, self.environ(path, **more))
        return self.server.begin()

    def get(self, path: str = "/", **more: Any) -> Reply:
        reply = self.start(path, **more).finish()
        for name, value in reply.cookies.items():
            self.jar.pop(name, None)
            if value:
                self.jar[name] = value
        return reply


class BrokenBackend(MemoryBackend):
    """Remembers the operations, and fails in those that are named."""

    def __init__(self, *broken: str) -> None:
        super().__init__()
        self.broken: set[str] = set(broken)
        self.calls: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        if name in ("load", "create", "update", "touch", "delete"):
            self.calls.append(name)
            if name in self.broken:
                return self._fail
        return super().__getattribute__(name)

    def _fail(self, *_: Any) -> Any:
        raise BackendError("broken", "answer") from OSError("the driver's own words")


MAKERS: dict[str, Callable[..., Any]] = {
    "cookie": CookieStore,
    "encrypted": lambda keys, **options: CookieStore(keys, encrypt=True, **options),
    "memory": MemoryStore,
}


@pytest.fixture
def key() -> str:
    return KEY


@pytest.fixture
def other_key() -> str:
    return OTHER_KEY


@pytest.fixture
def make_store(key: str) -> Callable[..., Any]:
    """Makes a store of a kind; every call another one, under the same key unless told otherwise."""

    def make(kind: str, keys: Any = key, **options: Any) -> Any:
        return MAKERS[kind](keys, **options)

    return make


@pytest.fixture(params=["cookie", "memory"])
def store(request: pytest.FixtureRequest, make_store: Callable[..., Any]) -> Any:
    return make_store(request.param)


@pytest.fixture
def memory_store(make_store: Callable[..., Any]) -> Any:
    return make_store("memory")


@pytest.fixture
def cookie_store(make_store: Callable[..., Any]) -> Any:
    return make_store("cookie")


@pytest.fixture
def broken_store(key: str) -> Callable[..., ServerStore]:
    """Makes a server-side store whose backend fails in the named operations, which can be changed later."""

    def make(*broken: str, **options: Any) -> ServerStore:
        store = ServerStore(BrokenBackend(*broken), key, **options)
        store.backend.calls.clear()
        return store

    return make


@pytest.fixture
def visit() -> Callable[..., Visitor]:
    """Makes a visitor of a whole WSGI application."""
    return Visitor


@pytest.fixture
def validated() -> Callable[..., Visitor]:
    """Makes a visitor of an application behind the middleware, with PEP 3333 checked on both of its sides."""

    def make(app: Any, stores: Any, **options: Any) -> Visitor:
        return Visitor(validator(SessionMiddleware(validator(app), stores, **options)))

    return make


@pytest.fixture
def plain() -> Callable[..., Visitor]:
    """Makes a visitor of an application behind the middleware and nothing else."""

    def make(app: Any, stores: Any, **options: Any) -> Visitor:
        return Visitor(SessionMiddleware(app, stores, **options))

    return make


@pytest.fixture
def events() -> list[Any]:
    """Takes what happens: `on_event=events.append`."""
    return []
