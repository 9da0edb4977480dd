"""Stores from texts: a URL, the settings of an ini file, environment variables.

================== =============================================================
URL                store
================== =============================================================
``cookie:``        `CookieStore`
``memory:``        `MemoryBackend`: one process
``file:///dir``    `FileBackend`: one machine
``sqlite:///file`` `SQLiteBackend`: one machine; four slashes for an absolute path
``redis://host``   `RedisBackend`; ``rediss``, ``redis+sentinel``, ``redis+cluster``
``postgresql://…`` `SQLBackend`; ``mysql``, ``mariadb``, and what SQLAlchemy knows
``memcached://…``  `MemcachedBackend`
================== =============================================================
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from sessions_wsgi._urls import kind_of, nearest, nothing_more, scheme_of
from sessions_wsgi.backends import Backend
from sessions_wsgi.cookies import CookieOptions
from sessions_wsgi.envelope import Lifetime
from sessions_wsgi.errors import ConfigError
from sessions_wsgi.keys import Keys
from sessions_wsgi.serializers import CBORSerializer, JSONSerializer
from sessions_wsgi.stores import CookieStore, ServerStore
from sessions_wsgi.stores._builtin import CommonOptions
from sessions_wsgi.stores.embedded import SWEEP_EVERY

_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def store_from_url(url: str, keys: Keys, **options: Any) -> CookieStore | ServerStore:
    """The store that a URL names; the same application runs on any of them.

    :param options: those of the store, and of its backend: ``store_from_url("file:///var/lib/x", keys,
        encrypt=True, durability="host")``. ``revocations`` may be a URL, too.
    :raises ConfigError: the URL or an option is wrong, or a needed package is not installed. No message
        holds the URL, as it may hold a password.
    """
    if isinstance(options.get("revocations"), str):
        with _told_as(lambda wrong: "revocations" if wrong == "url" else wrong):
            options["revocations"] = _revocations(options["revocations"])
    if scheme_of(url) == "cookie":
        nothing_more(url)
        _require_known(options, _COMMON | {"revocations"})
        return CookieStore(keys, **options)
    known = kind_of(url).options
    _require_known(options, _COMMON | {"conflict"} | known)
    if "sweep_every" in known:
        options.setdefault("sweep_every", SWEEP_EVERY)
    backend = backend_from_url(url, **{name: options[name] for name in known & options.keys()})
    rest = {name: value for name, value in options.items() if name == "clock" or name not in known}
    return ServerStore(backend, keys, **rest)


def _revocations(url: str) -> Backend:
    if url.partition(":")[0].lower() == "cookie":
        raise ConfigError("'url' must name a backend, as in sqlite:///revocations.db", "url")
    return backend_from_url(url)


def backend_from_url(url: str, **options: Any) -> Backend:
    """The backend that a URL names.

    :raises ConfigError: as `store_from_url`.
    """
    return kind_of(url).make(url, **options)


def store_from_settings(settings: Mapping[str, str], prefix: str = "sessions.") -> CookieStore | ServerStore:
    """The store that settings describe: ``sessions.url``, ``sessions.keys``, ``sessions.cookie.secure`` …

    :param settings: those that do not begin with `prefix` are not looked at.
    :raises ConfigError: a setting is unknown or its value wrong; `option` is its name.
    """
    given = {name.removeprefix(prefix): text for name, text in settings.items() if name.startswith(prefix)}
    return _store(given, lambda option: prefix + option)


def store_from_env(
    prefix: str = "SESSIONS_", environ: Mapping[str, str] | None = None
) -> CookieStore | ServerStore:
    """The store that environment variables describe: ``SESSIONS_URL``, ``SESSIONS_COOKIE_SECURE`` …

    :raises ConfigError: a variable with this prefix is unknown or its value wrong.
    """
    names = {_variable(option): option for option in _OPTIONS}
    environ = os.environ if environ is None else environ
    found = {name.removeprefix(prefix): text for name, text in environ.items() if name.startswith(prefix)}
    given = {names.get(name, name): text for name, text in found.items()}
    return _store(given, lambda option: prefix + _variable(option))


def _variable(option: str) -> str:
    return option.replace(".", "_").upper()


_COMMON = frozenset({*CommonOptions.__annotations__, "encrypt"})


def _require_known(options: Mapping[str, Any], known: frozenset[str]) -> None:
    for name in options:
        if name not in known:
            raise ConfigError(f"this store has no option {name!r}{nearest(name, known)}", name)


# Options from strings: one table


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


def _serializer(text: str) -> Any:
    made = {"cbor": CBORSerializer, "json": JSONSerializer}.get(text.strip().lower())
    if made is None:
        raise ValueError("must be cbor or json")
    return made()


_OPTIONS: dict[str, Callable[[str], Any]] = {
    "url": str.strip,
    "keys": str,
    "encrypt": _flag,
    "audience": str,
    "serializer": _serializer,
    "revocations": str.strip,
    "conflict": str.strip,
    "durability": str.strip,
    "sweep_every": _count,
    "max_bytes": _count,
    "timeout": _wait,
    "prefix": str,
    "table": str.strip,
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


def _store(given: Mapping[str, str], named: Callable[[str], str]) -> CookieStore | ServerStore:
    values = {option: _value(option, text, named) for option, text in given.items()}
    for option in ("url", "keys"):
        if option not in values:
            raise ConfigError(f"{named(option)!r} must be set", named(option))
    for group, option, kind in (("cookie", "options", CookieOptions), ("lifetime", "lifetime", Lifetime)):
        names = [name for name in values if name.startswith(f"{group}.")]
        if names:
            chosen = {name.partition(".")[2]: values.pop(name) for name in names}
            with _told_as(partial(_in_group, group, named)):
                values[option] = kind(**chosen)
    with _told_as(lambda wrong: named("keys" if wrong == "secret" else wrong)):
        return store_from_url(values.pop("url"), values.pop("keys"), **values)


def _in_group(group: str, named: Callable[[str], str], option: str) -> str:
    return named(f"{group}.{option}")


@contextmanager
def _told_as(name: Callable[[str], str]) -> Iterator[None]:
    """Name the option of a `ConfigError` as it was set."""
    try:
        yield
    except ConfigError as error:
        option = error.option or ""
        raise ConfigError(str(error).replace(repr(option), repr(name(option)), 1), name(option)) from None


def _value(option: str, text: str, named: Callable[[str], str]) -> Any:
    read = _OPTIONS.get(option)
    if read is None:
        raise ConfigError(
            f"unknown setting {named(option)!r}{nearest(option, _OPTIONS, named)}", named(option)
        )
    if not isinstance(text, str):
        raise ConfigError(f"{named(option)!r} must be a str (got {type(text).__name__})", named(option))
    try:
        return read(text)
    except ValueError as error:
        raise ConfigError(f"{named(option)!r} {error}", named(option)) from None
