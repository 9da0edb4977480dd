"""Options from texts: one table for settings, environment variables and Paste Deploy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pkgutil import resolve_name
from typing import Any

from sessions_wsgi._nearest import nearest
from sessions_wsgi.errors import ConfigError
from sessions_wsgi.serializers import CBORSerializer, JSONSerializer

#: An option's name as it was set, such as ``sessions.url`` or ``SESSIONS_URL``.
Named = Callable[[str], str]

_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def _flag(text: str) -> bool:
    if text.strip().lower() not in _TRUE | _FALSE:
        raise ValueError("must be true or false")
    return text.strip().lower() in _TRUE


def _duration(text: str) -> float | None:
    """Seconds; a unit may follow: 90s, 15m, 12h, 30d, 2w. "none" is None."""
    text = text.strip().lower()
    if text == "none":
        return None
    number = text.rstrip("smhdw ")
    try:
        return float(number) * _UNITS[text[len(number) :].strip()]
    except (ValueError, KeyError):
        raise ValueError("must be seconds, or a number and a unit as in 90s, 15m, 12h, 30d") from None


def _wait(text: str) -> float:
    seconds = _duration(text)
    if seconds is None:
        raise ValueError("must be a number of seconds")
    return seconds


def _count(text: str) -> int | None:
    if text.strip().lower() == "none":
        return None
    if not text.strip().isdecimal():
        raise ValueError("must be a whole number, or none")
    return int(text)


def _header(text: str) -> str | None:
    return None if text.strip().lower() == "none" else text.strip()


def _object(text: str) -> Any:
    """What ``package.module:name`` names."""
    if ":" not in text:
        raise ValueError("must name an object, as in package.module:name")
    try:
        return resolve_name(text.strip())
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"names what cannot be imported ({error})") from None


def _objects(text: str) -> list[Any]:
    return [_object(each) for each in text.split()]


def _serializer(text: str) -> Any:
    made = {"cbor": CBORSerializer, "json": JSONSerializer}.get(text.strip().lower())
    if made is None and ":" not in text:
        raise ValueError("must be cbor or json, or name an object, as in package.module:name")
    return _object(text) if made is None else made()


def _policy(text: str) -> Any:
    return _object(text) if ":" in text else text.strip()


#: What every store can be told; where there are several sessions, they share it.
SHARED: dict[str, Callable[[str], Any]] = {
    "keys": str,
    "encrypt": _flag,
    "audience": str,
    "serializer": _serializer,
    "accept": _objects,
    "cookie.path": str.strip,
    "cookie.domain": str.strip,
    "cookie.max_age": _duration,
    "cookie.secure": _flag,
    "cookie.httponly": _flag,
    "cookie.samesite": str.strip,
    "cookie.partitioned": _flag,
    "cookie.prefix": str.strip,
    "lifetime.absolute": _duration,
    "lifetime.idle": _duration,
    "lifetime.touch_after": _duration,
}

STORE: dict[str, Callable[[str], Any]] = {
    "url": str.strip,
    **SHARED,
    "revocations": str.strip,
    "conflict": _policy,
    "durability": str.strip,
    "sweep_every": _count,
    "max_bytes": _count,
    "timeout": _wait,
    "prefix": str,
    "table": str.strip,
}

MIDDLEWARE: dict[str, Callable[[str], Any]] = {
    "name": str.strip,
    "cache_control": _header,
    "save_on_error": _flag,
    "unavailable": _object,
    "on_event": _object,
}

ALL = {**STORE, **MIDDLEWARE}


def value(option: str, text: str, named: Named, known: Mapping[str, Callable[[str], Any]]) -> Any:
    """What the text of an option of this table means.

    :raises ConfigError: it has no such option, or the text is wrong.
    """
    read = known.get(option)
    if read is None:
        raise unknown(option, named, known)
    if not isinstance(text, str):
        raise ConfigError(f"{named(option)!r} must be a str (got {type(text).__name__})", named(option))
    try:
        return read(text)
    except ValueError as error:
        raise ConfigError(f"{named(option)!r} {error}", named(option)) from None


def unknown(option: str, named: Named, known: Iterable[str], hint: str = "") -> ConfigError:
    """The error for an option that there is not, with the nearest that there is."""
    return ConfigError(
        f"unknown setting {named(option)!r}{nearest(option, known, named)}{hint}", named(option)
    )
