"""Starlette's session middleware, which is ASGI: nothing waits here, so its coroutines are driven by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.places import Places
from harness.visits import Once, PythonPeer, Work
from harness.wsgi import cookie_pair
from starlette.middleware.sessions import SessionMiddleware

PACKAGE = "starlette"

_HEADERS = [(b"content-type", b"text/plain")]


class Starlette(PythonPeer):
    """The middleware over the smallest ASGI application."""

    name = "Starlette"
    base = "bare ASGI application"

    def __init__(self) -> None:
        self._last: list[tuple[bytes, bytes]] = []

    def visit(self, header: str, work: Work | None) -> Once:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if work is not None:
                work.act(scope["session"])
            await _answer(send)

        return self._once(SessionMiddleware(app, secret_key="s" * 40), header)

    def bare_visit(self) -> Once:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await _answer(send)

        return self._once(app, "a=b")

    def _once(self, app: Any, header: str) -> Once:
        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"cookie", header.encode())],
        }

        async def send(message: dict[str, Any]) -> None:
            if "headers" in message:
                self._last = message["headers"]

        def once() -> None:
            try:
                app(scope.copy(), None, send).send(None)
            except StopIteration:
                return
            raise RuntimeError("it waits for something")

        return once

    def received(self) -> str:
        return cookie_pair(dict(self._last).get(b"set-cookie", b"").decode())


async def _answer(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
    await send({"type": "http.response.body", "body": b"ok"})


def make(places: Places) -> Iterator[Starlette]:
    yield Starlette()
