"""What the stores check of their options when they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any

from sessions_wsgi._named import unknown
from sessions_wsgi.cookies import CookieOptions
from sessions_wsgi.envelope import Lifetime
from sessions_wsgi.errors import ConfigError
from sessions_wsgi.serializers import CBORSerializer, Serializer


def unknown_to(owner: str, name: str, known: Iterable[str]) -> ConfigError:
    """The error for an option that a store has not, or has as a part of another."""
    for option, kind in (("options", CookieOptions), ("lifetime", Lifetime)):
        if name in kind.__dataclass_fields__:
            fix = f"it is given as {option}={kind.__name__}({name}=…)"
            return ConfigError(f"{owner} has no option {name!r}; {fix}", name)
    return unknown(owner, name, known)


def require_backend(value: Any, option: str) -> None:
    """Raise `ConfigError` for what is no `Backend`."""
    for verb in ("load", "create", "update", "touch", "delete"):
        if isinstance(value, type) or not callable(getattr(value, verb, None)):
            raise ConfigError(
                f"{option!r} must be a backend, with the method {verb} (got {_kind(value)}); "
                "a URL goes through store_from_url",
                option,
            )


def instance(option: str, value: Any, kind: type) -> Any:
    """The value, which must be of this kind; None: the kind's own defaults."""
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise ConfigError(f"{option!r} must be {kind.__name__}(…) or None (got {_kind(value)})", option)
    return value


def flag(option: str, value: object) -> bool:
    """The value, which must be a bool: the text "false" is true, and a variable that is not set is None."""
    if not isinstance(value, bool):
        # Not the value: whoever gave two keys to another library gives the second one here.
        raise ConfigError(f"{option!r} must be True or False (got {_kind(value)})", option)
    return value


def serializer(value: Any) -> Serializer:
    """The serializer; None: CBOR."""
    if value is None:
        return CBORSerializer()
    if isinstance(value, type) or not all(
        callable(getattr(value, verb, None)) for verb in ("dumps", "loads")
    ):
        rule = "must have the methods dumps and loads, as CBORSerializer() has"
        raise ConfigError(f"'serializer' {rule} (got {_kind(value)})", "serializer")
    chosen: Serializer = value
    return chosen


def clock(value: Any) -> Callable[[], float]:
    """The clock, which is asked once."""
    rule = "'clock' must be a callable that returns seconds since the epoch"
    try:
        now = value()
    except Exception as error:
        raise ConfigError(f"{rule}; calling it raised {type(error).__name__}", "clock") from error
    if isinstance(now, bool) or not isinstance(now, int | float) or not isfinite(now):
        raise ConfigError(f"{rule} (got {_kind(now)}); as time.time does", "clock")
    chosen: Callable[[], float] = value
    return chosen


def _kind(value: object) -> str:
    return f"{value.__name__} itself" if isinstance(value, type) else type(value).__name__
