"""Sessions on Redis or Valkey: one server, a fail-over set watched by Sentinel, or a cluster.

Sessions expire by themselves. The server must not drop them before: set ``maxmemory-policy noeviction``, as
a session that was dropped is a visitor who is logged out, and a revocation that was dropped is void. What a
server has not yet copied when it dies is lost with it; ``appendonly yes`` and a replica keep that small.
"""

from __future__ import annotations

import math
import os
from typing import Any

from sessions_wsgi._named import known_options
from sessions_wsgi.backends import GONE, Conflict, Entry, Gone, Record, Version
from sessions_wsgi.backends._failures import Failures
from sessions_wsgi.backends._options import driver, seconds, without_secrets
from sessions_wsgi.backends._process import PerProcess
from sessions_wsgi.backends._redis_client import check_client, client_maker
from sessions_wsgi.backends._redis_scripts import CREATE, LINK, LINKED, TOUCH, UNLINK, UPDATE, Script
from sessions_wsgi.errors import logger

try:
    from redis.exceptions import RedisClusterException, RedisError

    _errors: tuple[type[Exception], ...] = (RedisError, RedisClusterException, OSError)
except ImportError:
    _errors = (OSError,)

__all__ = ["RedisBackend"]

_failures = Failures("redis", *_errors)


@known_options
class RedisBackend:
    """Keeps sessions on a Redis or Valkey server, one key each: one round trip for every operation.

    :param url_or_client: ``redis://user:password@host:6379/0``, ``rediss://`` (TLS), ``unix:///path``,
        ``redis+sentinel://host:26379,host:26379/service/0`` (options ``sentinel_username`` and
        ``sentinel_password`` for the sentinels themselves), ``redis+cluster://host:6379,host:6379``; TLS for
        these two as ``rediss+…``. Options follow as ``?name=value``: those of redis-py's connections, and
        ``max_connections`` (50). Or your own ``redis.Redis`` or ``redis.RedisCluster``, whose timeouts and
        retries are then yours.
    :param prefix: what all keys begin with; applications that share a server need different ones.
    :param timeout: seconds to wait for a connection, and for an answer. Sentinels, and the nodes of a
        cluster, are given half of it each, as one that is dead is found out before another is asked.
    :raises ConfigError: an option is wrong, or redis-py is not installed. Nothing is connected yet.
    """

    name = "redis"
    #: Nothing is dropped but what has expired, if the server is set up so.
    evicts = False

    def __init__(self, url_or_client: Any, *, prefix: str = "sessions:", timeout: float = 2.0) -> None:
        self._unknown = driver("redis.exceptions", "redis").NoScriptError
        self._prefix, timeout = prefix, seconds(timeout)
        if isinstance(url_or_client, str):
            self._shown = repr(without_secrets(url_or_client))
            self._client = PerProcess(client_maker(url_or_client, timeout), lambda client: client.close())
        else:
            self._shown = type(check_client(url_or_client)).__name__
            # Its pool notices a fork by itself. It is not ours to close.
            self._client = PerProcess(lambda: url_or_client, lambda _: None)

    def __repr__(self) -> str:
        return f"RedisBackend({self._shown}, prefix={self._prefix!r})"

    def close(self) -> None:
        """Close this process's connections; an operation opens its own again."""
        self._client.close()

    @_failures("load")
    def load(self, key: str) -> Record | None:
        """The record, or None."""
        version, data, expires = self._client().hmget(self._prefix + key, ["v", "d", "e"])
        return None if version is None else _record(version, data, expires)

    @_failures("create")
    def create(self, key: str, data: bytes, expires: float) -> Version | None:
        """Store a new record, unless a live one is there."""
        version = os.urandom(12)  # never the same twice
        stored = self._run(CREATE, key, version, data, repr(expires), _milliseconds(expires))
        return version if stored else None

    @_failures("update")
    def update(self, key: str, data: bytes, expires: float, version: Version) -> Version | Conflict | Gone:
        """Replace the record, if it still has this version."""
        new_version = os.urandom(12)
        answer = self._run(UPDATE, key, new_version, data, repr(expires), _milliseconds(expires), version)
        if isinstance(answer, int):
            return new_version if answer else GONE
        theirs = _record(*answer)
        return GONE if theirs is None else Conflict(theirs)

    @_failures("touch")
    def touch(self, key: str, expires: float, version: Version) -> bool:
        """Move the deadline, if the record still has this version."""
        return bool(self._run(TOUCH, key, repr(expires), _milliseconds(expires), version))

    @_failures("delete")
    def delete(self, key: str) -> bool:
        """Remove the record."""
        return bool(self._client().delete(self._prefix + key))

    @_failures("link")
    def link(self, owner: str, entry: Entry) -> None:
        """Add an entry to the owner's list, or replace the one with the same key."""
        self._run_on_list(LINK, owner, entry.key, repr(entry.expires), entry.note)

    @_failures("unlink")
    def unlink(self, owner: str, key: str) -> None:
        """Remove an entry from the owner's list, if it is there."""
        self._run_on_list(UNLINK, owner, key)

    @_failures("list")
    def linked(self, owner: str) -> list[Entry]:
        """The entries whose deadline has not passed, by the server's clock."""
        found = iter(self._run_on_list(LINKED, owner))
        return [
            Entry(key.decode(), note, float(expires))
            for key, expires, note in zip(found, found, found, strict=True)
        ]

    def _run(self, script: Script, key: str, *values: object) -> Any:
        return script(self._client(), self._unknown, [self._prefix + key], *values)

    def _run_on_list(self, script: Script, owner: str, *values: object) -> Any:
        # What stands in braces decides on the slot: both keys are in the same one.
        tagged = f"{self._prefix}list:{{{owner}}}"
        return script(self._client(), self._unknown, [f"{tagged}:deadlines", f"{tagged}:notes"], *values)


def _record(version: bytes, data: bytes | None, expires: bytes | None) -> Record | None:
    """The record; None for a hash that somebody else wrote, or damaged."""
    try:
        if data is not None and expires is not None:
            return Record(data, version, float(expires))
    except ValueError:
        pass
    logger.warning("a damaged record in Redis was taken for none")
    return None


def _milliseconds(expires: float) -> int:
    return math.ceil(expires * 1000)
