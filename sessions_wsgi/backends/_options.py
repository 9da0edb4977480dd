"""What the backends on servers check when they are made."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NoReturn

from sessions_wsgi.errors import ConfigError


def driver(module: str, extra: str) -> Any:
    """Import the driver; where it is missing, `ConfigError` tells what to install."""
    try:
        return import_module(module)
    except ImportError as error:
        fix = f"pip install 'sessions-wsgi[{extra}]'"
        raise ConfigError(f"this backend needs the package {module!r}: {fix}") from error


def refuse(option: str, reason: str) -> NoReturn:
    """Raise `ConfigError`, without the error at hand: drivers quote URLs, and those hold passwords."""
    raise ConfigError(f"{option!r} {reason}", option) from None


def kind_of(value: object) -> str:
    """The name of a type, as messages show it."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def seconds(timeout: float) -> float:
    """The timeout, which must be a positive number of seconds."""
    if not isinstance(timeout, int | float) or not 0 < timeout < float("inf"):
        refuse("timeout", f"must be a positive number of seconds; got {timeout!r}")
    return timeout


def without_secrets(url: str) -> str:
    """The URL as it may be shown: no user, no password, no options."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"
