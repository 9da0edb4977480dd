"""The memcached backend: the contract; several servers, foreign values, marks that went stale."""

from __future__ import annotations

import pickle
import secrets
import struct
import time
from collections.abc import Iterator

import pymemcache
import pytest
from servers import HOST, Server
from wire import Wire

from sessions_wsgi.backends import GONE, Backend, Conflict, Lists, Purges
from sessions_wsgi.backends.memcached import MemcachedBackend
from sessions_wsgi.errors import BackendError, ConfigError
from sessions_wsgi.testing import BackendContract, ManualClock

KEY = secrets.token_hex(32)


class TestContract(BackendContract):
    precision = 0

    @pytest.fixture(autouse=True)
    def _set_up(self, memcached_server: Server) -> Iterator[None]:
        self.address, self.made = memcached_server.address, []
        super().setup_method()
        yield
        for backend in self.made:
            backend.close()

    def setup_method(self) -> None:
        """The fixture does it, as it knows the server."""

    def make(self, clock: ManualClock) -> Backend:
        self.made.append(MemcachedBackend(self.address, clock=clock))
        return self.made[-1]

    def broken(self) -> Backend:
        return MemcachedBackend(f"{HOST}:1", timeout=0.2)


@pytest.fixture
def client(memcached_server: Server) -> Iterator[pymemcache.PooledClient]:
    client = pymemcache.PooledClient(memcached_server.address, default_noreply=False)
    client.flush_all()
    yield client
    client.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(time.time())


@pytest.fixture
def backend(memcached_server: Server, clock: ManualClock, client: object) -> Iterator[MemcachedBackend]:
    """A backend on an empty server."""
    backend = MemcachedBackend(memcached_server.address, clock=clock)
    yield backend
    backend.close()


def create(backend: MemcachedBackend, data: bytes = b"data", expires: float | None = None) -> bytes:
    version = backend.create(KEY, data, backend._clock() + 100 if expires is None else expires)
    assert isinstance(version, bytes)
    return version


# What is stored


def test_it_may_forget() -> None:
    """It drops live sessions when memory runs out, cannot list, and needs no purge."""
    assert (MemcachedBackend.name, MemcachedBackend.evicts) == ("memcached", True)
    assert not issubclass(MemcachedBackend, Lists)
    assert not issubclass(MemcachedBackend, Purges)


def test_a_record_is_one_value(backend: MemcachedBackend, client: pymemcache.PooledClient) -> None:
    """Deadline, version and data under prefix and key."""
    expires = time.time() + 100.123456
    version = create(backend, expires=expires)
    assert client.get(f"sessions:{KEY}") == b"SWM1" + struct.pack(">d", expires) + version + b"data"


def test_the_server_drops_what_has_expired(
    backend: MemcachedBackend, client: pymemcache.PooledClient
) -> None:
    """Soon after its deadline a record takes no memory, also when that was moved."""
    version = create(backend)
    assert backend.touch(KEY, time.time() + 0.5, version) is True
    assert client.get(f"sessions:{KEY}") is not None
    time.sleep(4)
    assert client.get(f"sessions:{KEY}") is None


@pytest.mark.parametrize("seconds", [1, 29 * 86400, 31 * 86400, 10_000 * 86400])
def test_any_lifetime(
    backend: MemcachedBackend, client: pymemcache.PooledClient, clock: ManualClock, seconds: int
) -> None:
    """A month and a day, and what ends after 2038, are kept like anything else."""
    create(backend, expires=time.time() + seconds)
    assert client.get(f"sessions:{KEY}") is not None
    assert backend.load(KEY) is not None


def test_a_deadline_long_ago(backend: MemcachedBackend, clock: ManualClock) -> None:
    """What has expired when it is written is not there."""
    for expires in (0.0, 100.0, clock() - 1):
        create(backend, expires=expires)
        assert backend.load(KEY) is None


@pytest.mark.parametrize("value", [b"", b"foreign", b"SWM1", b"SWM2" + bytes(30)])
def test_a_foreign_value_is_no_session(
    backend: MemcachedBackend,
    client: pymemcache.PooledClient,
    caplog: pytest.LogCaptureFixture,
    value: bytes,
) -> None:
    """A value that is not ours is none, is logged without its content, and can be replaced."""
    client.set(f"sessions:{KEY}", value)
    assert backend.load(KEY) is None
    assert "foreign: no session" in caplog.text
    assert backend.delete(KEY) is False
    create(backend)
    assert backend.load(KEY).data == b"data"


def test_too_large_for_the_server(backend: MemcachedBackend) -> None:
    """What the server refuses is a `BackendError`, and what was there stays."""
    version = create(backend)
    with pytest.raises(BackendError, match="failed to update"):
        backend.update(KEY, bytes(1_100_000), time.time() + 100, version)
    assert backend.load(KEY).data == b"data"


def test_prefixes_are_apart(memcached_server: Server, backend: MemcachedBackend) -> None:
    """Applications with different prefixes do not see each other's sessions."""
    other = MemcachedBackend(memcached_server.address, prefix="other:")
    create(backend)
    assert other.load(KEY) is None
    other.close()


# Marks: what a loaded version remembers


def test_a_stale_mark_is_no_conflict(backend: MemcachedBackend) -> None:
    """After another's touch, an update of the version that was loaded before it succeeds."""
    create(backend)
    first, second = backend.load(KEY), backend.load(KEY)
    assert backend.touch(KEY, first.expires + 5, first.version) is True
    updated = backend.update(KEY, b"new", first.expires, second.version)
    assert isinstance(updated, bytes)
    assert backend.load(KEY)[:2] == (b"new", updated)
    assert backend.touch(KEY, first.expires, second.version) is False


def test_a_touch_does_not_bring_old_data_back(backend: MemcachedBackend) -> None:
    """A touch of a version that was updated meanwhile changes nothing."""
    create(backend, b"old")
    stale = backend.load(KEY)
    backend.update(KEY, b"new", stale.expires, stale.version)
    assert backend.touch(KEY, stale.expires + 5, stale.version) is False
    assert backend.load(KEY).data == b"new"


def test_a_mark_revives_nothing(backend: MemcachedBackend, clock: ManualClock) -> None:
    """What was loaded in time, and has expired or was deleted since, is gone."""
    create(backend)
    loaded = backend.load(KEY)
    clock.advance(200)
    assert backend.update(KEY, b"", clock() + 100, loaded.version) is GONE
    assert backend.touch(KEY, clock() + 100, loaded.version) is False
    create(backend)
    loaded = backend.load(KEY)
    backend.delete(KEY)
    assert backend.update(KEY, b"", clock() + 100, loaded.version) is GONE
    create(backend, b"other")
    assert isinstance(backend.update(KEY, b"", clock() + 100, loaded.version), Conflict)


def test_a_copied_version_works(backend: MemcachedBackend) -> None:
    """A version that lost its memory on the way is as good, for one round trip more."""
    create(backend)
    loaded = backend.load(KEY)
    for copy in (bytes(loaded.version), pickle.loads(pickle.dumps(bytes(loaded.version)))):
        assert backend.touch(KEY, loaded.expires, copy) is True
    assert isinstance(backend.update(KEY, b"new", loaded.expires, bytes(loaded.version)), bytes)


def test_round_trips(memcached_server: Server, client: object, clock: ManualClock) -> None:
    """What has no mark to go by takes a look first; so does a deletion, and a conflict takes one after."""
    with Wire(memcached_server.port) as wire:
        backend = MemcachedBackend(wire.address, clock=clock)
        version, soon = backend.create(KEY, b"", clock() + 100) or b"", clock() + 100
        assert wire.count(lambda: backend.update(KEY, b"", soon, version)) == 2
        stale = backend.load(KEY).version
        assert wire.count(lambda: backend.touch(KEY, soon, stale)) == 1
        assert wire.count(lambda: backend.update(KEY, b"", soon, stale)) == 3
        assert wire.count(lambda: backend.update(KEY, b"", soon, stale)) == 2
        assert wire.count(lambda: backend.delete(KEY)) == 2
        backend.close()


# Servers and clients


def test_keys_are_spread_over_servers(memcached_server: Server, clock: ManualClock) -> None:
    """Each of several servers has a part of the keys; one that is down fails those, and no others."""
    with Wire(memcached_server.port) as one, Wire(memcached_server.port) as two:
        backend = MemcachedBackend(f"memcached://{one.address},{two.address}", clock=clock, timeout=0.3)
        keys = [secrets.token_hex(32) for _ in range(40)]
        for key in keys:
            assert backend.create(key, b"", clock() + 100)
        assert one.round_trips > 5
        assert two.round_trips > 5
        on_one = [key for key in keys if one.count(lambda key=key: backend.load(key))]
        backend.close()
        one.silent = True
        for key in keys[:6]:
            if key in on_one:
                with pytest.raises(BackendError):
                    backend.load(key)
            else:
                assert backend.load(key) is not None
        one.silent = False
        assert all(backend.load(key) is not None for key in keys)
        backend.close()


def test_a_server_more_moves_few_keys() -> None:
    """To add a server moves its share of the keys to it, and none between the others."""
    two, three = MemcachedBackend("a,b"), MemcachedBackend(["a", "b", "c"])
    keys = [secrets.token_hex(32) for _ in range(300)]
    moved = [
        three._clients._client_of(key).server
        for key in keys
        if three._clients._client_of(key).server != two._clients._client_of(key).server
    ]
    assert {server[0] for server in moved} == {"c"}
    assert 50 < len(moved) < 150


def test_your_own_client(client: pymemcache.PooledClient, clock: ManualClock) -> None:
    """A client of the application's is used as it is, and not closed."""
    backend = MemcachedBackend(client, clock=clock)
    create(backend)
    backend.close()
    assert client.client_pool.free
    assert repr(backend) == "MemcachedBackend(PooledClient, prefix='sessions:')"


@pytest.mark.parametrize(
    ("servers", "reason"),
    [
        ("", "not host:port"),
        ("memcached://", "not host:port"),
        ("host:port", "not host:port"),
        ("host:0", "not host:port"),
        ("host:99999", "not host:port"),
        ("one,,two", "not host:port"),
        ("memcached://user:s3cr3t@host", "not host:port"),
        ("memcached://host/1", "not host:port"),
        ("memcached://host?x=s3cr3t", "not host:port"),
        ([], "got a builtins.list"),
        ([1], "not host:port"),
        (None, "got a builtins.NoneType"),
        (pymemcache.Client("host"), "got a pymemcache"),
        (pymemcache.HashClient(["host"]), "got a pymemcache"),
        (pymemcache.PooledClient("host", ignore_exc=True), "ignore_exc"),
    ],
)
def test_wrong_servers_are_refused(servers: object, reason: str) -> None:
    """What does not name servers, or would take a dead one for an empty one, is a `ConfigError`."""
    with pytest.raises(ConfigError, match=reason) as caught:
        MemcachedBackend(servers)
    assert caught.value.option == "servers"
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("prefix", ["a b", "ä", "x" * 101, "\n"])
def test_prefixes_are_checked(prefix: str) -> None:
    """A prefix is what memcached takes for a key."""
    with pytest.raises(ConfigError, match="'prefix'"):
        MemcachedBackend("host", prefix=prefix)


def test_repr_shows_the_servers() -> None:
    """The repr tells where the sessions are."""
    shown = repr(MemcachedBackend("memcached://one:1,two,[::1]:3,unix:/run/m.sock", prefix="x:"))
    assert shown == "MemcachedBackend('one:1,two,[::1]:3,unix:/run/m.sock', prefix='x:')"
