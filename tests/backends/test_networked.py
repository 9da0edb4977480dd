"""What holds for every backend on a server: round trips, outages, forks, several processes."""

from __future__ import annotations

import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from processes import count_up, fork, join
from servers import Server
from wire import Wire

from sessions_wsgi._contract.races import together
from sessions_wsgi.backends import Backend, Entry, Lists
from sessions_wsgi.backends.memcached import MemcachedBackend
from sessions_wsgi.backends.redis import RedisBackend
from sessions_wsgi.backends.sql import SQLBackend
from sessions_wsgi.errors import BackendError, ConfigError

TIMEOUT = 1.0
#: What a slow machine may add to it.
SLACK = 0.9


class Kind(NamedTuple):
    """A backend, the fixture of its server, the extra it needs and the modules of that."""

    make: Callable[[str], Backend]
    server: str
    extra: str
    modules: tuple[str, ...]


KINDS = {
    "redis": Kind(
        lambda address: RedisBackend(f"redis://{address}/0", timeout=TIMEOUT),
        "redis_server",
        "redis",
        ("redis", "redis.exceptions"),
    ),
    "postgresql": Kind(
        lambda address: SQLBackend(f"postgresql://sessions@{address}/postgres", timeout=TIMEOUT),
        "postgresql_server",
        "postgresql",
        ("psycopg",),
    ),
    "mariadb": Kind(
        lambda address: SQLBackend(f"mariadb://sessions:secret@{address}/sessions", timeout=TIMEOUT),
        "mariadb_server",
        "mysql",
        ("pymysql",),
    ),
    "memcached": Kind(
        lambda address: MemcachedBackend(address, timeout=TIMEOUT),
        "memcached_server",
        "memcached",
        ("pymemcache",),
    ),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def server(request: pytest.FixtureRequest, kind: Kind) -> Server:
    return request.getfixturevalue(kind.server)


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    """A relay before the server."""
    with Wire(server.port) as wire:
        yield wire


@pytest.fixture
def backend(kind: Kind, server: Server) -> Iterator[Any]:
    """A backend on the server."""
    backend = kind.make(server.address)
    yield backend
    backend.close()


@pytest.fixture
def wired(kind: Kind, wire: Wire) -> Iterator[Any]:
    """A backend behind the relay."""
    backend = kind.make(wire.address)
    yield backend
    backend.close()


@pytest.fixture
def key() -> str:
    return secrets.token_hex(32)


def soon() -> float:
    return time.time() + 600


def create(backend: Backend, key: str, data: bytes = b"data") -> Any:
    version = backend.create(key, data, soon())
    assert version is not None
    return version


def data_of(backend: Backend, key: str) -> bytes:
    record = backend.load(key)
    assert record is not None
    return record.data


def fails_in_time(operation: Callable[[], object]) -> None:
    """It is a `BackendError`, no later than it may be."""
    began = time.monotonic()
    with pytest.raises(BackendError) as caught:
        operation()
    assert time.monotonic() - began < TIMEOUT + SLACK
    assert caught.value.__cause__ is not None


# Making it


def test_nothing_is_connected_before_the_first_operation(wired: Backend, wire: Wire, key: str) -> None:
    """Making a backend speaks to nobody; the first operation opens a connection."""
    time.sleep(0.05)
    assert wire.connections == 0
    assert wired.load(key) is None
    assert wire.connections == 1


def test_a_missing_package_is_told_when_it_is_made(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its driver, making a backend is a `ConfigError` with the line that installs it."""
    for module in kind.modules:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"pip install 'sessions-wsgi\[{kind.extra}\]'"):
        kind.make("127.0.0.1:1")


@pytest.mark.parametrize("timeout", [0, -1, 60.5, float("inf"), float("nan")])
def test_a_timeout_is_a_number_of_seconds(timeout: float) -> None:
    """Waiting for ever, or not at all, cannot be asked for."""
    for make in (
        lambda: RedisBackend("redis://127.0.0.1", timeout=timeout),
        lambda: SQLBackend("postgresql://127.0.0.1/x", timeout=timeout),
        lambda: MemcachedBackend("127.0.0.1", timeout=timeout),
    ):
        with pytest.raises(ConfigError, match="'timeout'") as caught:
            make()
        assert caught.value.option == "timeout"


def test_a_program_may_just_end(kind: Kind, server: Server) -> None:
    """No warning of a connection that was left open, at the end or where a backend is dropped."""
    code = (
        "import sys, time; sys.path[:0] = sys.argv[2:]; from test_networked import KINDS\n"
        f"make = KINDS[sys.argv[1]].make\n"
        f"make({server.address!r}).load('0' * 64)\n"
        f"backend = make({server.address!r}); backend.load('0' * 64)\n"
    )
    name = next(name for name in KINDS if KINDS[name] is kind)
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", code, name, *sys.path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""


# Round trips


def test_one_round_trip_each(wired: Any, wire: Wire, key: str) -> None:
    """Whatever succeeds, and every load, costs one; a delete costs memcached two."""
    operations: dict[str, Callable[[], Any]] = {
        "create": lambda: wired.create(key, b"data", soon()),
        "load": lambda: wired.load(key),
        "load nothing": lambda: wired.load("0" * 64),
        "delete": lambda: wired.delete(key),
    }
    if isinstance(wired, Lists):
        entry = Entry(key, b"note", soon())
        operations["link"] = lambda: wired.link(key, entry)
        operations["linked"] = lambda: wired.linked(key)
        operations["unlink"] = lambda: wired.unlink(key, key)
    for operation in operations.values():  # tables are made, scripts loaded
        operation()
    counts = {name: wire.count(operation) for name, operation in operations.items()}
    delete = 2 if wired.name == "memcached" else 1
    assert counts == dict.fromkeys(operations, 1) | {"delete": delete}


@pytest.mark.parametrize("verb", ["update", "touch"])
def test_one_round_trip_to_write_what_was_loaded(wired: Any, wire: Wire, key: str, verb: str) -> None:
    """An update of the version that a load gave costs one, and so does a touch."""
    create(wired, key)
    write = {
        "update": lambda version: wired.update(key, b"new", soon(), version),
        "touch": lambda version: wired.touch(key, soon(), version),
    }[verb]
    for _ in range(2):
        version = wired.load(key).version
        trips = wire.count(lambda version=version: write(version))
    assert trips == 1


# Outages


@pytest.fixture
def traffic(backend: Backend, key: str) -> Iterator[list[Any]]:
    """Four threads that load one record; the list takes the errors, with the seconds that each took."""
    create(backend, key)
    stop, failures = threading.Event(), []

    def work() -> None:
        while not stop.is_set():
            began = time.monotonic()
            try:
                backend.load(key)
            except Exception as error:
                failures.append((error, time.monotonic() - began))
                time.sleep(0.02)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    yield failures
    stop.set()
    for thread in threads:
        thread.join()


def test_an_outage_in_mid_traffic(backend: Backend, server: Server, traffic: list[Any], key: str) -> None:
    """While the server is down each operation is a `BackendError`, in time; when it is back, all is well."""
    assert traffic == []
    server.kill()
    try:
        time.sleep(0.3)
        fails_in_time(lambda: backend.create(secrets.token_hex(32), b"", soon()))
    finally:
        server.start()
    other = secrets.token_hex(32)
    create(backend, other)
    assert data_of(backend, other) == b"data"
    time.sleep(0.2)
    count = len(traffic)
    time.sleep(0.2)
    assert count == len(traffic) > 0
    assert {type(error) for error, _ in traffic} == {BackendError}
    assert max(seconds for _, seconds in traffic) < TIMEOUT + SLACK


def test_a_restart_goes_unnoticed(backend: Backend, server: Server, key: str) -> None:
    """Connections that a restart of the server closed fail no request after it."""
    together(*[lambda: backend.load(key)] * 4)
    server.kill()
    server.start()
    assert together(*[lambda: backend.load(key)] * 4) == [None] * 4
    create(backend, key)
    assert backend.delete(key) is True


def test_a_silent_server_is_given_up(wired: Any, wire: Wire, key: str) -> None:
    """A server that takes questions and answers none is a `BackendError` in time; afterwards all is well."""
    version = create(wired, key)
    wire.silent = True
    fails_in_time(lambda: wired.update(key, b"new", soon(), version))
    wire.silent = False
    record = wired.load(key)
    assert record.data in (b"data", b"new")
    assert wired.delete(key) is True


def test_a_silent_server_is_given_up_when_connecting(wired: Any, wire: Wire, key: str) -> None:
    """A connection that is taken and never answered is given up, too."""
    wire.silent = True
    began = time.monotonic()
    with pytest.raises(BackendError):
        wired.load(key)
    # psycopg waits for two seconds at least.
    assert time.monotonic() - began < SLACK + (2 if "psycopg" in repr(wired) else TIMEOUT)
    wire.silent = False
    assert wired.load(key) is None


# Forks and processes


def test_a_child_has_its_own_connection(wired: Any, wire: Wire, key: str) -> None:
    """A forked process opens its own connection, and its parent keeps his."""
    create(wired, key)
    before = wire.connections

    def work() -> None:
        assert data_of(wired, key) == b"data"
        assert wired.delete(key)

    join(fork(work))
    assert wire.connections == before + 1
    assert wired.load(key) is None
    assert wire.connections == before + 1


def test_answers_never_cross(backend: Backend) -> None:
    """Parent and children that work at once, after a fork with connections open, get their own data."""
    together(*[lambda: backend.load("0" * 64)] * 4)

    def work() -> None:
        for _ in range(12):
            key = secrets.token_hex(32)
            create(backend, key, key.encode())
            assert data_of(backend, key) == key.encode()
            assert backend.delete(key)

    children = [fork(lambda: together(work, work)) for _ in range(2)]
    together(work, work)
    join(*children)


def test_a_child_may_fork(backend: Backend, key: str) -> None:
    """A process that was forked and worked can fork in turn."""
    create(backend, key)

    def work() -> None:
        assert data_of(backend, key) == b"data"
        join(fork(lambda: data_of(backend, key)))
        assert data_of(backend, key) == b"data"

    join(fork(work))
    assert data_of(backend, key) == b"data"


def test_no_update_of_any_process_is_lost(backend: Backend, key: str) -> None:
    """Of 8 processes that count up one record 50 times each, none loses a count."""
    create(backend, key, b"0")
    join(*[fork(lambda: count_up(backend, key, 50)) for _ in range(8)], timeout=120)
    assert data_of(backend, key) == b"400"


def test_close_and_go_on(backend: Any, key: str) -> None:
    """After `close`, the next operation opens a connection again."""
    create(backend, key)
    backend.close()
    backend.close()
    assert data_of(backend, key) == b"data"
