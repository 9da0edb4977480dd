"""The store of each type that Beaker knows."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

from sessions_wsgi.compat._beaker_options import wrong
from sessions_wsgi.keys import Key
from sessions_wsgi.stores import CookieStore, FileStore, MemoryStore, ServerStore, SQLiteStore

Options = Mapping[str, Any]

_TABLE = "beaker_sessions"


def _needs(options: Options, name: str) -> Any:
    if name not in options:
        raise wrong(name, "must be set for this type")
    return options[name]


def _directory(options: Options) -> str:
    return os.path.join(os.fspath(_needs(options, "data_dir")), "sessions_wsgi")


def _encrypt(options: Options, common: dict[str, Any]) -> dict[str, Any]:
    return {**common, "encrypt": "encrypt_key" in options}


def _cookie(options: Options, key: Key, common: dict[str, Any]) -> CookieStore:
    return CookieStore(key, **_encrypt(options, common))


def _memory(options: Options, key: Key, common: dict[str, Any]) -> ServerStore:
    return MemoryStore(key, **_encrypt(options, common))


def _file(options: Options, key: Key, common: dict[str, Any]) -> ServerStore:
    return FileStore(_directory(options), key, **_encrypt(options, common))


def _dbm(options: Options, key: Key, common: dict[str, Any]) -> ServerStore:
    directory = _directory(options)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    return SQLiteStore(os.path.join(directory, "sessions.db"), key, **_encrypt(options, common))


def _server(
    backend: Callable[[Options, dict[str, Any]], Any], options: Options, key: Key, common: dict[str, Any]
) -> ServerStore:
    clock = {"clock": common["clock"]} if "clock" in common else {}
    return ServerStore(backend(options, clock), key, **_encrypt(options, common))


def _backend(module: str, name: str) -> Any:
    """A backend that may need a driver, so it is loaded only now."""
    return getattr(import_module(f"sessions_wsgi.backends.{module}"), name)


def _redis(options: Options, _: dict[str, Any]) -> Any:
    return _backend("redis", "RedisBackend")(_needs(options, "url"))


def _redis_cluster(options: Options, _: dict[str, Any]) -> Any:
    urls = options["urls"] if "urls" in options else _needs(options, "url")
    if isinstance(urls, str):
        nodes = [each.strip().partition("://") for each in urls.split(",")]
        scheme = "rediss" if any(node[0] == "rediss" for node in nodes) else "redis"
        urls = f"{scheme}+cluster://" + ",".join(node[2] or node[0] for node in nodes)
    return _backend("redis", "RedisBackend")(urls)


def _memcached(options: Options, clock: dict[str, Any]) -> Any:
    url = _needs(options, "url")
    return _backend("memcached", "MemcachedBackend")(
        url.replace(";", ",") if isinstance(url, str) else url, **clock
    )


def _sql(options: Options, clock: dict[str, Any]) -> Any:
    """Tables of our own: Beaker's hold pickles."""
    named = options.get("table_name") or getattr(options.get("table"), "name", None)
    table = f"{named}_sessions" if named else _TABLE
    if "schema_name" in options:
        table = f"{options['schema_name']}.{table}"
    sa = options.get("sa_opts") or {name: value for name, value in options.items() if name.startswith("sa.")}
    if "bind" not in options and set(sa) - {"sa.url"}:
        raise wrong("sa_opts", "cannot be used; give your own engine as bind, or the URL as url")
    source = options.get("bind") or options.get("url") or sa.get("sa.url") or _needs(options, "url")
    return _backend("sql", "SQLBackend")(source, table=table, **clock)


KINDS: dict[str, Callable[[Options, Key, dict[str, Any]], CookieStore | ServerStore]] = {
    "cookie": _cookie,
    "memory": _memory,
    "file": _file,
    "dbm": _dbm,
    "ext:memcached": partial(_server, _memcached),
    "ext:redis": partial(_server, _redis),
    "ext:rediscluster": partial(_server, _redis_cluster),
    "ext:database": partial(_server, _sql),
    "ext:sqla": partial(_server, _sql),
}
