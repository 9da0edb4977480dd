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
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

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
        options["revocations"] = backend_from_url(options["revocations"])
    if _scheme(url) == "cookie":
        _nothing(url)
        _require_known(options, _COMMON | {"revocations"})
        return CookieStore(keys, **options)
    known = _kind(url).options
    _require_known(options, _COMMON | {"conflict"} | known)
    if "sweep_every" in known:
        options.setdefault("sweep_every", SWEEP_EVERY)
    backend = backend_from_url(url, **{name: options[name] for name in known & options.keys()})
    rest = {name: value for name, value in options.items() if name == "clock" or name not in known}
    return ServerStore(backend, keys, **rest)


def backend_from_url(url: str, **options: Any) -> Backend:
    """The backend that a URL names.

    :raises ConfigError: as `store_from_url`.
    """
    kind = _kind(url)
    module, _, name = kind.factory.partition(":")
    factory: Callable[..., Backend] = getattr(import_module(module), name)
    return factory(*kind.arguments(url), **options)


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
            raise ConfigError(f"this store has no option {name!r}{_nearest(name, known)}", name)


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
    "timeout": _duration,
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
    try:
        for group, option, kind in (("cookie", "options", CookieOptions), ("lifetime", "lifetime", Lifetime)):
            names = [name for name in values if name.startswith(f"{group}.")]
            if names:
                values[option] = kind(**{name.partition(".")[2]: values.pop(name) for name in names})
        return store_from_url(values.pop("url"), values.pop("keys"), **values)
    except ConfigError as error:
        raise _in_terms_of(error, given, named) from error


def _in_terms_of(error: ConfigError, given: Mapping[str, str], named: Callable[[str], str]) -> ConfigError:
    """The same error, with the option as it was set."""
    option = "keys" if error.option == "secret" else error.option or ""
    full = next((name for name in given if name.rpartition(".")[2] == option), option)
    return ConfigError(str(error).replace(repr(error.option), repr(named(full)), 1), named(full))


def _value(option: str, text: str, named: Callable[[str], str]) -> Any:
    read = _OPTIONS.get(option)
    if read is None:
        raise ConfigError(
            f"unknown setting {named(option)!r}{_nearest(option, _OPTIONS, named)}", named(option)
        )
    if not isinstance(text, str):
        raise ConfigError(f"{named(option)!r} must be a str (got {type(text).__name__})", named(option))
    try:
        return read(text)
    except ValueError as error:
        raise ConfigError(f"{named(option)!r} {error}", named(option)) from None


def _nearest(name: str, known: Iterable[str], named: Callable[[str], str] = str) -> str:
    close = get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    return (
        f"; did you mean {named(close[0])!r}?"
        if close
        else f"; known: {', '.join(map(named, sorted(known)))}"
    )


# URLs


_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")


class _Kind(NamedTuple):
    """What a URL's scheme stands for."""

    factory: str
    arguments: Callable[[str], tuple[Any, ...]]
    options: frozenset[str]


def _scheme(url: str) -> str:
    scheme, colon, _ = url.partition(":") if isinstance(url, str) else ("", "", "")
    if not colon or _SCHEME.fullmatch(scheme) is None:
        raise ConfigError("'url' must be a URL such as cookie:, memory:, file:///directory", "url")
    return scheme.lower()


def _kind(url: str) -> _Kind:
    scheme = _scheme(url)
    kind = _KINDS.get(scheme)
    if kind is None and "+" in scheme and not scheme.startswith("redis"):
        return _SQL  # SQLAlchemy's dialect+driver
    if kind is None:
        raise ConfigError(
            f"'url' has the unknown scheme {scheme!r}{_nearest(scheme, [*_KINDS, 'cookie'])}", "url"
        )
    return kind


def _nothing(url: str) -> tuple[Any, ...]:
    if url.partition(":")[2].strip("/"):
        raise ConfigError(f"'url': nothing may follow {_scheme(url)!r} and the colon; use options", "url")
    return ()


def _directory(url: str) -> tuple[Any, ...]:
    parts = urlsplit(url)
    if parts.netloc or not parts.path or parts.query or parts.fragment:
        raise ConfigError(
            "'url' must be 'file:' and a path: file:///var/lib/sessions has three slashes", "url"
        )
    return (unquote(parts.path),)


def _file(url: str) -> tuple[Any, ...]:
    path = unquote(urlsplit(url).path).removeprefix("/")
    if urlsplit(url).netloc or not path or path == ":memory:":
        raise ConfigError("'url' must be as in sqlite:///relative.db or sqlite:////absolute/path.db", "url")
    return (path,)


def _whole(url: str) -> tuple[Any, ...]:
    return (url,)


_MEMORY = _Kind("sessions_wsgi.backends.memory:MemoryBackend", _nothing, frozenset({"max_bytes", "clock"}))
_FILE = _Kind(
    "sessions_wsgi.backends.file:FileBackend", _directory, frozenset({"durability", "sweep_every", "clock"})
)
_SQLITE = _Kind(
    "sessions_wsgi.backends.sqlite:SQLiteBackend", _file, frozenset({"timeout", "sweep_every", "clock"})
)
_REDIS = _Kind("sessions_wsgi.backends.redis:RedisBackend", _whole, frozenset({"prefix", "timeout"}))
_SQL = _Kind("sessions_wsgi.backends.sql:SQLBackend", _whole, frozenset({"table", "timeout", "clock"}))
_MEMCACHED = _Kind(
    "sessions_wsgi.backends.memcached:MemcachedBackend", _whole, frozenset({"prefix", "timeout", "clock"})
)

_KINDS = {
    "memory": _MEMORY,
    "file": _FILE,
    "sqlite": _SQLITE,
    **dict.fromkeys(("redis", "rediss", "redis+sentinel", "rediss+sentinel"), _REDIS),
    **dict.fromkeys(("redis+cluster", "rediss+cluster"), _REDIS),
    **dict.fromkeys(("postgresql", "mysql", "mariadb"), _SQL),
    "memcached": _MEMCACHED,
}
