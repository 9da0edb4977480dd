"""The servers of the tests, for the benchmarks: started by the same code, one that is not installed is told.

They run as in the tests, on loopback and without syncing to disk: what is compared is the work of the store
and of the wire, not the disk of the database.
"""

from __future__ import annotations

import inspect
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from glob import glob
from importlib import import_module
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent.parent / "tests"
NAMES = {"redis": "Redis", "memcached": "memcached", "postgresql": "PostgreSQL", "mariadb": "MariaDB"}
_DRIVERS = {"redis": "redis", "memcached": "pymemcache", "postgresql": "psycopg", "mariadb": "pymysql"}


class Missing(Exception):  # noqa: N818 - a finding, not a failure
    """A server, or the driver for it, is not installed."""


@contextmanager
def running(names: list[str]) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """URLs of the servers that could be started, and the reasons why others could not."""
    urls: dict[str, str] = {}
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        try:
            fixtures = _Fixtures(stack)
        except (ImportError, Missing) as reason:
            yield {}, {NAMES[name]: str(reason) for name in names}
            return
        for name in names:
            try:
                urls[NAMES[name]] = fixtures.url(name)
            except (ImportError, Missing, AssertionError, OSError) as reason:
                missing[NAMES[name]] = str(reason).partition("\n")[0]
        yield urls, missing


class _Fixtures:
    """Calls the functions below pytest's fixtures."""

    def __init__(self, stack: ExitStack) -> None:
        sys.path.append(str(TESTS))
        try:
            self._module = import_module("servers")
        finally:
            sys.path.remove(str(TESTS))
        self._scratch = self._entered(stack, "scratch")
        self._launch = self._entered(stack, "launch", self._scratch)

    def url(self, name: str) -> str:
        import_module(_DRIVERS[name])
        if name == "redis":
            launch_redis = self._function("launch_redis")(_find, self._scratch, self._launch)
            server = self._function("redis_server")(launch_redis)
        elif name == "memcached":
            server = self._function("memcached_server")(_find, self._launch)
        else:
            server = self._function(f"{name}_server")(_find, self._scratch, self._launch)
        return str(server.url)

    def _function(self, name: str) -> Callable[..., Any]:
        return inspect.unwrap(getattr(self._module, name))

    def _entered(self, stack: ExitStack, name: str, *given: Any) -> Any:
        return stack.enter_context(contextmanager(self._function(name))(*given))


def _find(name: str) -> str:
    places = [*os.get_exec_path(), "/usr/sbin", *sorted(glob("/usr/lib/postgresql/*/bin"), reverse=True)]
    path = shutil.which(name, path=os.pathsep.join(places))
    if path is None:
        raise Missing(f"{name} is not installed")
    return path
