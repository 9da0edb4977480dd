"""One request, answered by an application the way a server would (PEP 3333)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from webob import Response

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication, WSGIEnvironment


def serve(app: WSGIApplication, environ: WSGIEnvironment) -> Response:
    """The whole response. The body is closed whatever happens; what the application raises is raised."""
    started: list[Any] = []
    chunks: list[bytes] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        try:
            if exc_info and any(chunks):  # the headers have left
                raise exc_info[1].with_traceback(exc_info[2])
            if started and not exc_info:
                raise AssertionError("start_response was called a second time without exc_info")
        finally:
            exc_info = None  # a frame that holds its own traceback is never freed
        started[:] = status, list(headers)
        return chunks.append

    body = app(environ, start_response)
    try:
        chunks.extend(body)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()
    if not started:
        raise AssertionError("the application did not call start_response")
    # A body of one item keeps the Content-Length of an answer to HEAD.
    return Response(status=started[0], headerlist=started[1], app_iter=[b"".join(chunks)])
