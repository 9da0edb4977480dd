"""Backends by URL. No message holds any of it: there may be a password, also where none belongs."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from sessions_wsgi._nearest import nearest
from sessions_wsgi.backends import Backend
from sessions_wsgi.errors import ConfigError


class Kind(NamedTuple):
    """What a URL's scheme stands for."""

    factory: str
    arguments: Callable[[str], tuple[Any, ...]]
    options: frozenset[str]

    def make(self, url: str, **options: Any) -> Backend:
        """The backend; its module is loaded only now, as it may need a driver."""
        module, _, name = self.factory.partition(":")
        factory: Callable[..., Backend] = getattr(import_module(module), name)
        return factory(*self.arguments(url), **options)


def kind_of(url: object) -> Kind:
    """What this URL stands for.

    :raises ConfigError: nothing that is known.
    """
    scheme = scheme_of(url)
    kind = KINDS.get(scheme)
    if kind is None and "+" in scheme and scheme.partition("+")[0] not in _OURS:
        return _SQL  # SQLAlchemy's dialect+driver
    if kind is None:
        raise ConfigError(
            f"'url' has an unknown scheme{nearest(scheme, [*KINDS.keys() - {'postgres'}, 'cookie'])}", "url"
        )
    return kind


def scheme_of(url: object) -> str:
    """What stands before the first colon, in lower case."""
    scheme, colon, _ = url.partition(":") if isinstance(url, str) else ("", "", "")
    if not colon or not scheme:
        raise ConfigError(
            "'url' must be a URL and begin with a scheme: cookie:, memory:, file:///directory", "url"
        )
    return scheme.lower()


def nothing_more(url: str) -> tuple[Any, ...]:
    """The arguments of a URL that is a scheme only."""
    if url.partition(":")[2].strip("/"):
        raise ConfigError("'url': nothing may follow this scheme; give options by themselves", "url")
    return ()


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # which quotes what it was given
        raise ConfigError("'url' is not a URL that can be read", "url") from None


def _directory(url: str) -> tuple[Any, ...]:
    parts = _split(url)
    if parts.netloc or not parts.path or parts.query or parts.fragment or "%00" in parts.path:
        raise ConfigError("'url' must be as in file:///var/lib/sessions, with three slashes", "url")
    return (unquote(parts.path),)


def _file(url: str) -> tuple[Any, ...]:
    parts = _split(url)
    path = unquote(parts.path).removeprefix("/")
    if parts.netloc or parts.query or parts.fragment or "\0" in path or path in {"", ":memory:"}:
        raise ConfigError("'url' must be as in sqlite:///relative.db or sqlite:////absolute/path.db", "url")
    return (path,)


def _whole(url: str) -> tuple[Any, ...]:
    _split(url)
    return (url,)


_MEMORY = Kind("sessions_wsgi.backends.memory:MemoryBackend", nothing_more, frozenset({"max_bytes", "clock"}))
_FILE = Kind(
    "sessions_wsgi.backends.file:FileBackend", _directory, frozenset({"durability", "sweep_every", "clock"})
)
_SQLITE = Kind(
    "sessions_wsgi.backends.sqlite:SQLiteBackend", _file, frozenset({"timeout", "sweep_every", "clock"})
)
_REDIS = Kind("sessions_wsgi.backends.redis:RedisBackend", _whole, frozenset({"prefix", "timeout"}))
_SQL = Kind("sessions_wsgi.backends.sql:SQLBackend", _whole, frozenset({"table", "timeout", "clock"}))
_MEMCACHED = Kind(
    "sessions_wsgi.backends.memcached:MemcachedBackend", _whole, frozenset({"prefix", "timeout", "clock"})
)

_OURS = frozenset({"cookie", "memory", "file", "redis", "rediss", "memcached"})

KINDS = {
    "memory": _MEMORY,
    "file": _FILE,
    "sqlite": _SQLITE,
    **dict.fromkeys(("redis", "rediss", "redis+sentinel", "rediss+sentinel"), _REDIS),
    **dict.fromkeys(("redis+cluster", "rediss+cluster"), _REDIS),
    **dict.fromkeys(("postgresql", "postgres", "mysql", "mariadb"), _SQL),
    "memcached": _MEMCACHED,
}
