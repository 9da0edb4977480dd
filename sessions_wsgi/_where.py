"""Where a request's environ is: in the request, whatever framework made it."""

from __future__ import annotations

from typing import Any

from sessions_wsgi.errors import UsageError


def environ_of(where: Any) -> dict[str, Any]:
    """The environ itself, or that of a request which has one as ``.environ`` or ``.env``."""
    if isinstance(where, dict):
        return where
    environ = getattr(where, "environ", None)
    if environ is None:
        environ = getattr(where, "env", None)
    if not isinstance(environ, dict):
        raise UsageError(
            f"'where' must be a WSGI environ or a request that has one (got {type(where).__name__})"
        )
    return environ


def require_response(response: object) -> None:
    """Raise `UsageError` for what is no WebOb response."""
    if not isinstance(getattr(response, "headerlist", None), list):
        raise UsageError(
            f"'response' must be a WebOb response (got {type(response).__name__}); "
            "behind SessionMiddleware sessions are saved by themselves"
        )
