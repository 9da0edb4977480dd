"""What the backends on servers check when they are made."""

from __future__ import annotations

import os
import re
from importlib import import_module
from typing import Any, NoReturn

from sessions_wsgi.errors import ConfigError

#: Seconds. What waits for longer is meant to be something else.
_LONGEST_WAIT = 60
_URL = re.compile("[a-z][a-z0-9+.-]+:/")  # C:/ is a drive


def driver(module: str, extra: str) -> Any:
    """Import the driver; where it is missing, `ConfigError` tells what to install."""
    try:
        return import_module(module)
    except ImportError as error:
        fix = f"pip install 'sessions-wsgi[{extra}]'"
        package = module.partition(".")[0]
        raise ConfigError(f"this backend needs the package {package!r}: {fix}") from error


def refuse(option: str, reason: str) -> NoReturn:
    """Raise `ConfigError`, without the error at hand: drivers quote URLs, and those hold passwords."""
    raise ConfigError(f"{option!r} {reason}", option) from None


def kind_of(value: object) -> str:
    """The name of a type, as messages show it."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def seconds(timeout: float, *, or_none_at_all: bool = False) -> float:
    """The timeout, which must be a number of seconds that a request can wait; 0 only if that is allowed."""
    if not isinstance(timeout, int | float) or not (
        0 < timeout < float("inf") or (or_none_at_all and timeout == 0)
    ):
        rule = "a number of seconds, zero or more" if or_none_at_all else "a positive number of seconds"
        refuse("timeout", f"must be {rule}; got {timeout!r}")
    if timeout > _LONGEST_WAIT:
        refuse(
            "timeout",
            f"is how long to wait for the server, at most {_LONGEST_WAIT} seconds; got {timeout!r}; "
            "when a session ends is lifetime.idle: Lifetime(idle=…)",
        )
    return timeout


def path_of(option: str, path: str | os.PathLike[str]) -> str:
    """The path, which must be no URL; the message does not show it, as it may hold a password."""
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str) or "\0" in text:
        refuse(option, f"must be a path: a str without NUL, or a Path (got {kind_of(path)})")
    if _URL.match(text):
        refuse(option, "must be a path, and this is a URL: it goes through store_from_url(url, keys)")
    return text


def without_secrets(url: str) -> str:
    """The URL as it may be shown: no user, no password, no options."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"
