"""Sessions on memcached: fast, and gone when the server runs out of memory or ends.

Use it where a visitor who is logged out now and then is no harm. It cannot say what was revoked, nor list.

A value is ``SWM1`` ‖ deadline (a double) ‖ version (12) ‖ data. The server's own mark of a value, its "cas
unique", decides whether a change is made. It is no version, as a touch must change it, too.
"""

from __future__ import annotations

import math
import os
import re
import struct
import time
from collections.abc import Callable
from typing import Any

from sessions_wsgi._named import known_options
from sessions_wsgi.backends import GONE, Conflict, Gone, Record, Version
from sessions_wsgi.backends._failures import Failures
from sessions_wsgi.backends._memcached_client import Clients
from sessions_wsgi.backends._options import refuse, seconds
from sessions_wsgi.errors import logger

try:
    from pymemcache import MemcacheError
except ImportError:  # told when a backend is made
    MemcacheError = OSError

__all__ = ["MemcachedBackend"]

# A pool that may not grow further raises a RuntimeError.
_failures = Failures("memcached", MemcacheError, OSError, RuntimeError)

_HEADER = struct.Struct(">4sd12s")
_MAGIC = b"SWM1"
_PREFIX = re.compile(r"[!-~]{0,100}")
_MONTH = 30 * 24 * 3600


class _Version(bytes):
    """A version that remembers the record it was loaded with: what it takes to write without another look."""

    mark: bytes | None = None
    data, expires = b"", 0.0


@known_options
class MemcachedBackend:
    """Keeps sessions on memcached servers. Each key is on one of them; one that is down is not replaced.

    A load is one round trip, and so are a create, and the first update or touch of what was loaded. A
    delete is two, and so is an update that follows another; a conflict costs one more.

    :param servers_or_client: ``host:port,host:port``, with ``memcached://`` before it or not, or a list of
        these; ``unix:/path``. Or your own `pymemcache.PooledClient`, whose timeouts are then yours.
    :param prefix: what all keys begin with; applications that share a server need different ones.
    :param timeout: seconds to wait for a connection, and for an answer.
    :param clock: gives seconds since the epoch.
    :raises ConfigError: an option is wrong, or pymemcache is not installed. Nothing is connected yet.

    A session larger than the server's limit, 1 MiB unless it was started with ``-I``, is a `BackendError`.
    """

    name = "memcached"
    #: Live records may be dropped, so that a missing one need not have ended.
    evicts = True

    def __init__(
        self,
        servers_or_client: Any,
        *,
        prefix: str = "sessions:",
        timeout: float = 2.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if _PREFIX.fullmatch(prefix) is None:
            refuse("prefix", f"must be at most 100 ASCII characters, without spaces; got {prefix!r}")
        self._clients = Clients(servers_or_client, seconds(timeout))
        self._prefix, self._clock = prefix, clock

    def __repr__(self) -> str:
        return f"MemcachedBackend({self._clients.shown}, prefix={self._prefix!r})"

    def close(self) -> None:
        """Close this process's connections; an operation opens its own again."""
        self._clients.close()

    @_failures("load")
    def load(self, key: str) -> Record | None:
        """The record, or None, also for a value that is not ours (logged)."""
        return self._look(key)[0]

    @_failures("create")
    def create(self, key: str, data: bytes, expires: float) -> Version | None:
        """Store a new record, unless a live one is there."""
        version = _Version(os.urandom(12))
        while not self._write("add", key, version, data, expires):
            record, mark = self._look(key)
            if record is not None:
                return version if record.version == version else None
            if mark is not None and self._write("cas", key, version, data, expires, mark):
                break
        return version

    @_failures("update")
    def update(self, key: str, data: bytes, expires: float, version: Version) -> Version | Conflict | Gone:
        """Replace the record, if it still has this version."""
        new_version, mark = _Version(os.urandom(12)), self._mark(version)
        while mark is None or not self._write("cas", key, new_version, data, expires, mark):
            record, mark = self._look(key)
            if record is None:
                return GONE
            if record.version == new_version:
                break  # we were not told that it had been done
            if record.version != version:
                return Conflict(record)
        return new_version

    @_failures("touch")
    def touch(self, key: str, expires: float, version: Version) -> bool:
        """Move the deadline, if the record still has this version. The data is sent again."""
        mark, data = self._mark(version), getattr(version, "data", b"")
        while mark is None or not self._write("cas", key, version, data, expires, mark):
            record, mark = self._look(key)
            if record is None or record.version != version:
                return False
            data = record.data
        return True

    @_failures("delete")
    def delete(self, key: str) -> bool:
        """Remove the record."""
        record, _ = self._look(key)
        return record is not None and bool(self._clients.call("delete", self._prefix + key, noreply=False))

    def _mark(self, version: Version) -> bytes | None:
        return version.mark if isinstance(version, _Version) and version.expires > self._clock() else None

    def _look(self, key: str) -> tuple[Record | None, bytes | None]:
        value, mark = self._clients.call("gets", self._prefix + key)
        record = None if mark is None else _parse(value, mark)
        return (record if record is not None and record.expires > self._clock() else None), mark

    def _write(self, command: str, key: str, version: Any, data: bytes, expires: float, *mark: bytes) -> bool:
        value = _HEADER.pack(_MAGIC, expires, version) + data
        options = {"expire": _native(expires), "noreply": False}
        return bool(self._clients.call(command, self._prefix + key, value, *mark, **options))


def _parse(value: bytes, mark: bytes) -> Record | None:
    if len(value) < _HEADER.size or not value.startswith(_MAGIC):
        logger.warning("a value on memcached is damaged or foreign: no session")
        return None
    _, expires, version = _HEADER.unpack_from(value)
    loaded = _Version(version)
    loaded.mark, loaded.data, loaded.expires = mark, value[_HEADER.size :], expires
    return Record(loaded.data, loaded, expires)


def _native(expires: float) -> int:
    # A second late, as the server counts whole ones. It takes a month or less for a duration, and 31 bits.
    return min(max(math.ceil(expires) + 1, _MONTH + 1), 2**31 - 1)
