"""A WSGI server that does nothing, and the smallest application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.visits import Once, PythonPeer, Work

Application = Callable[[dict[str, Any], Callable[..., Any]], Any]

#: A list of its own for each response, as some middlewares add to it.
HEADERS = (("Content-Type", "text/plain"),)
ENVIRON: dict[str, Any] = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/",
    "QUERY_STRING": "",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "443",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_HOST": "localhost",
    "wsgi.url_scheme": "https",
    "wsgi.multiprocess": False,
}

_last: list[list[tuple[str, str]]] = [[]]


def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
    """Keeps the headers of the last response."""
    _last[0] = headers


def set_header() -> str:
    """The first Set-Cookie of the last response, whole."""
    return next((value for name, value in _last[0] if name.lower() == "set-cookie"), "")


def set_cookie() -> str:
    """Its name and value."""
    return cookie_pair(set_header())


def cookie_pair(header: str) -> str:
    return header.partition(";")[0]


def environ_with(cookie: str) -> dict[str, Any]:
    return {**ENVIRON, "HTTP_COOKIE": cookie} if cookie else dict(ENVIRON)


def bare(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", list(HEADERS))
    return [b"ok"]


def requested(application: Application, cookie: str) -> Once:
    """A request, in an environ of its own."""
    environ = environ_with(cookie)
    return lambda: application(environ.copy(), start_response)


class WSGIPeer(PythonPeer):
    """A peer that is a middleware."""

    base = "bare WSGI application"

    def after(self, work: Work) -> Application:
        """An application that does this to its session."""
        raise NotImplementedError

    def around(self, application: Application) -> Application:
        """The middleware around any application."""
        raise NotImplementedError

    def visit(self, header: str, work: Work | None) -> Once:
        return requested(self.around(bare if work is None else self.after(work)), header)

    def bare_visit(self) -> Once:
        return requested(bare, "a=b")

    def received(self) -> str:
        return set_cookie()
