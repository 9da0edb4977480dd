"""What an operator should hear, once in the life of a process."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from sessions_wsgi.cookies import CookieOptions
from sessions_wsgi.errors import logger


def about_plain_http(environ: dict[str, Any], options: Iterable[CookieOptions]) -> None:
    """Warn of a Secure cookie on plain http, as this request is: no browser takes it, but from localhost."""
    if any(each.secure for each in options) and not _is_local(_host(environ)):
        _plain_http()


def about_processes(environ: dict[str, Any]) -> None:
    """Warn of sessions in the memory of one of several processes."""
    if environ.get("wsgi.multiprocess"):
        _processes()


@cache
def about_flask_session() -> None:
    """Warn of settings of Flask-Session, which nobody reads."""
    logger.warning(
        "SESSION_TYPE is a setting of Flask-Session and not read: give the store itself, as in "
        "SessionInterface(store_from_url('redis://localhost', keys)), and remove the setting"
    )


@cache
def _plain_http() -> None:
    logger.warning(
        "a Secure session cookie was set over plain http, where browsers drop it: let the proxy tell the "
        "scheme (X-Forwarded-Proto, and the server's option to trust it), or, in development, use "
        "CookieOptions(secure=False)"
    )


@cache
def _processes() -> None:
    logger.warning(
        "sessions are in memory, but several processes serve them, each with its own; use a file store"
    )


def _host(environ: dict[str, Any]) -> str:
    host: str = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
    return host.lower() if host.startswith("[") else host.partition(":")[0].lower()


def _is_local(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost") or host.startswith(("127.", "[::1]"))
