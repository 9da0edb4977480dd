"""The Redis backend: the contract on one server, a cluster, behind Sentinel; URLs, clients, expiry."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from servers import HOST, Server
from wire import Wire

from sessions_wsgi.backends import Backend, Entry, Gone, Lists, Purges
from sessions_wsgi.backends.redis import RedisBackend
from sessions_wsgi.errors import BackendError, ConfigError
from sessions_wsgi.testing import BackendContract, ManualClock

KEY = secrets.token_hex(32)


def soon() -> float:
    return time.time() + 600


class Contract(BackendContract):
    """The contract, for a server whose own clock decides: what is stored is aged instead."""

    precision = 0
    client: Any

    def setup_method(self) -> None:
        """The fixtures of the subclasses do it, as they know the server."""

    def set_up(self, url: str, client: Any) -> Iterator[None]:
        self.url, self.client, self.made = url, client, []
        super().setup_method()
        yield
        for backend in self.made:
            backend.close()
        client.close()

    def make(self, clock: ManualClock) -> Backend:
        self.made.append(RedisBackend(self.url, prefix="contract:"))
        return self.made[-1]

    def broken(self) -> Backend:
        return RedisBackend(f"redis://{HOST}:1/0", timeout=0.2)

    def advance(self, seconds: float) -> None:
        for key in self.client.scan_iter("contract:*"):
            self._age(key, seconds)

    def _age(self, key: bytes, seconds: float) -> None:
        for member, _ in self.client.zscan_iter(key) if key.endswith(b":deadlines") else ():
            self.client.zincrby(key, -seconds, member)
        self.client.pexpire(key, self.client.pttl(key) - round(seconds * 1000))


class TestServer(Contract):
    @pytest.fixture(autouse=True)
    def _set_up(self, redis_server: Server) -> Iterator[None]:
        yield from self.set_up(redis_server.url, redis.Redis.from_url(redis_server.url))


class TestCluster(Contract):
    @pytest.fixture(autouse=True)
    def _set_up(self, redis_cluster: list[Server]) -> Iterator[None]:
        yield from self.set_up(redis_cluster[0].url, redis.RedisCluster(HOST, redis_cluster[0].port))

    def broken(self) -> Backend:
        return RedisBackend(f"redis+cluster://{HOST}:1,{HOST}:2", timeout=0.2)


class TestSentinel(Contract):
    @pytest.fixture(autouse=True)
    def _set_up(self, redis_sentinel: Server, redis_server: Server) -> Iterator[None]:
        yield from self.set_up(redis_sentinel.url, redis.Redis.from_url(redis_server.url))

    def broken(self) -> Backend:
        return RedisBackend(f"redis+sentinel://{HOST}:1,{HOST}:2/main", timeout=0.2)


@pytest.fixture
def client(redis_server: Server) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_server.url) as client:
        yield client


@pytest.fixture
def backend(redis_server: Server, client: redis.Redis) -> Iterator[RedisBackend]:
    """A backend on an empty server."""
    client.flushall()
    backend = RedisBackend(redis_server.url, timeout=1)
    yield backend
    backend.close()


# What is stored


def test_it_lists_and_needs_no_purge() -> None:
    """Sessions expire by themselves; nothing else is dropped."""
    assert issubclass(RedisBackend, Lists)
    assert not issubclass(RedisBackend, Purges)
    assert (RedisBackend.name, RedisBackend.evicts) == ("redis", False)


def test_a_record_is_one_hash(backend: RedisBackend, client: redis.Redis) -> None:
    """Version, data and exact deadline in a hash under prefix and key, which expires at the deadline."""
    expires = soon() + 0.123456
    version = backend.create(KEY, b"data", expires)
    assert client.keys() == [b"sessions:" + KEY.encode()]
    stored = client.hgetall("sessions:" + KEY)
    assert stored == {b"v": version, b"d": b"data", b"e": repr(expires).encode()}
    assert 0 <= client.pexpiretime("sessions:" + KEY) / 1000 - expires < 0.002


def test_records_expire_by_themselves(backend: RedisBackend, client: redis.Redis) -> None:
    """At the deadline the server drops a record, also one that was updated or touched."""
    versions = {name: backend.create(name * 64, b"", soon()) for name in "abc"}
    moment = time.time() + 0.2
    backend.update("a" * 64, b"", moment, versions["a"])
    backend.touch("b" * 64, moment, versions["b"])
    backend.create("d" * 64, b"", moment)
    time.sleep(0.25)
    assert client.keys() == [b"sessions:" + b"c" * 64]


def test_a_list_expires_with_its_last_entry(backend: RedisBackend, client: redis.Redis) -> None:
    """Nothing is left of a list when none of its entries lives, in whatever order they were linked."""
    backend.link(KEY, Entry("1" * 64, b"", time.time() + 0.3))
    backend.link(KEY, Entry("2" * 64, b"", time.time() + 0.1))
    assert len(client.keys()) == 2
    time.sleep(0.15)
    assert [entry.key for entry in backend.linked(KEY)] == ["1" * 64]
    time.sleep(0.2)
    assert client.keys() == []


def test_to_link_drops_what_has_expired(backend: RedisBackend, client: redis.Redis) -> None:
    """A list that is linked to for ever does not grow for ever."""
    backend.link(KEY, Entry("1" * 64, b"", time.time() + 0.1))
    time.sleep(0.15)
    backend.link(KEY, Entry("2" * 64, b"", soon()))
    (notes,) = client.keys("*:notes")
    assert client.hkeys(notes) == [b"2" * 64]


def test_prefixes_are_apart(redis_server: Server, backend: RedisBackend) -> None:
    """Applications with different prefixes do not see each other's sessions."""
    other = RedisBackend(redis_server.url, prefix="other:")
    backend.create(KEY, b"data", soon())
    assert other.load(KEY) is None
    other.close()


def test_a_foreign_key_is_an_error(backend: RedisBackend, client: redis.Redis) -> None:
    """What is no hash under a key of ours is neither read nor written over."""
    client.set("sessions:" + KEY, "foreign")
    for operation in (lambda: backend.load(KEY), lambda: backend.create(KEY, b"", soon())):
        with pytest.raises(BackendError):
            operation()
    assert client.get("sessions:" + KEY) == b"foreign"


@pytest.mark.parametrize(
    "fields",
    [{"v": "x"}, {"v": "x", "d": "y"}, {"v": "x", "e": "2e12"}, {"v": "x", "d": "y", "e": "zz"}],
    ids=repr,
)
def test_a_damaged_record_is_none(
    fields: dict[str, str], backend: RedisBackend, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever may write there can do that by hand; no request fails."""
    client.hset(f"sessions:{KEY}", mapping=fields)
    assert backend.load(KEY) is None
    assert isinstance(backend.update(KEY, b"data", soon(), b"other"), Gone)
    assert "damaged record" in caplog.text


def test_scripts_that_the_server_forgot(backend: RedisBackend, client: redis.Redis) -> None:
    """A server that was restarted, or told to, is given the scripts again."""
    backend.create(KEY, b"data", soon())
    client.script_flush()
    assert backend.create(KEY, b"data", soon()) is None


def test_a_script_that_is_sent_twice(backend: RedisBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that lost an answer and asks again is told that it succeeded."""
    evalsha = redis.Redis.evalsha

    def twice(*args: Any) -> Any:
        evalsha(*args)
        return evalsha(*args)

    first = backend.create(KEY, b"", soon())
    backend.update(KEY, b"", soon(), first)
    backend.delete(KEY)
    monkeypatch.setattr(redis.Redis, "evalsha", twice)
    version = backend.create(KEY, b"data", soon())
    assert version is not None
    version = backend.update(KEY, b"new", soon(), version)
    assert backend.load(KEY).version == version


# URLs and clients


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "must begin with"),
        ("http://host", "must begin with"),
        ("redis:host", "must begin with"),
        ("redis://host:port", "malformed"),
        ("redis://host:99999999", "malformed"),
        ("redis://[::1", "malformed"),
        ("redis+sentinel://:s3cr3t@[::1/main", "malformed"),
        ("redis+cluster://:s3cr3t@℀one,two", "malformed"),
        ("redis://host/zero", "number of a database"),
        ("redis://host?unknown=1", "does not know: 'unknown'"),
        ("redis://host?socket_timeout=soon", "malformed"),
        ("redis://host?decode_responses=true", "decode_responses"),
        ("redis://user:s3cr3t/s3cr3t@host", "%2F"),
        ("redis://user:1?s3cr3t@host", "%3F"),
        ("redis://user:1#s3cr3t@host", "%23"),
        ("redis+sentinel://host:26379", "service"),
        ("redis+sentinel:///main", "servers"),
        ("redis+sentinel://one,,two/main", "servers"),
        ("redis+sentinel://one,two/main/zero", "number of a database"),
        ("redis+cluster://", "servers"),
        ("redis+cluster://one,two/1", "a cluster has one only"),
        ("redis+cluster://one,two:port", "malformed"),
        ("redis+cluster://user:s3cr3t@one,two?unknown=1", "does not know: 'unknown'"),
    ],
)
def test_wrong_urls_are_refused(url: str, reason: str) -> None:
    """A wrong URL is a `ConfigError` with the reason, which shows nothing of a password."""
    with pytest.raises(ConfigError, match=reason) as caught:
        RedisBackend(url)
    assert caught.value.option == "url"
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:s3cr3t@host:6380/3?client_name=s3cr3t", "redis://host:6380/3"),
        ("rediss://:s3cr3t@host", "rediss://host"),
        ("unix:///run/redis.sock?password=s3cr3t", "unix:///run/redis.sock"),
        (
            "redis+sentinel://:s3cr3t@one:1,two:2/main/0?sentinel_password=s3cr3t",
            "redis+sentinel://one:1,two:2/main/0",
        ),
        ("rediss+cluster://:s3cr3t@one,two", "rediss+cluster://one,two"),
    ],
)
def test_repr_shows_no_secret(url: str, shown: str) -> None:
    """The repr tells where the sessions are, and no more."""
    assert repr(RedisBackend(url, prefix="x:")) == f"RedisBackend('{shown}', prefix='x:')"


def test_options_of_the_url(redis_server: Server, client: redis.Redis) -> None:
    """What the URL says about a connection is done: name, database."""
    backend = RedisBackend(f"redis://{redis_server.address}/3?client_name=the-shop")
    backend.load(KEY)
    (mine,) = [each for each in client.client_list() if each["name"] == "the-shop"]
    assert mine["db"] == "3"
    backend.close()


def test_a_password_is_used(redis_server: Server, client: redis.Redis) -> None:
    """User and password of the URL are those of the connection; a wrong one is a `BackendError`."""
    client.acl_setuser("shop", enabled=True, passwords="+p@ss/word", categories=["+@all"], keys="*")
    backend = RedisBackend(f"redis://shop:p%40ss%2Fword@{redis_server.address}/0")
    assert backend.load("0" * 64) is None
    backend.close()
    wrong = RedisBackend(f"redis://shop:wrong@{redis_server.address}/0")
    with pytest.raises(BackendError) as caught:
        wrong.load(KEY)
    assert "wrong" not in str(caught.value.__cause__).lower().replace("wrongpass", "")
    wrong.close()


def test_your_own_client(redis_server: Server) -> None:
    """A client of the application's is used as it is, and not closed."""
    with redis.Redis.from_url(redis_server.url) as client:
        backend = RedisBackend(client)
        version = backend.create(secrets.token_hex(32), b"", soon())
        assert version is not None
        backend.close()
        assert repr(backend) == "RedisBackend(Redis, prefix='sessions:')"
        assert client.connection_pool._available_connections


def test_your_own_cluster_client(redis_cluster: list[Server]) -> None:
    """So is a client of a cluster."""
    with redis.RedisCluster(HOST, redis_cluster[0].port) as client:
        backend = RedisBackend(client)
        assert backend.create(secrets.token_hex(32), b"", soon()) is not None


def test_clients_that_cannot_be_used(redis_server: Server) -> None:
    """A client that decodes, one for asyncio, or something else is refused."""
    with (
        redis.Redis(decode_responses=True) as client,
        pytest.raises(ConfigError, match="decode_responses=True"),
    ):
        RedisBackend(client)
    for wrong in (redis.asyncio.Redis(), None, b"redis://host"):
        with pytest.raises(ConfigError, match=r"must be a URL, a redis\.Redis"):
            RedisBackend(wrong)


# A cluster


def test_keys_are_spread_over_the_cluster(redis_cluster: list[Server]) -> None:
    """Each node has a part of the sessions, and of the lists."""
    backend = RedisBackend(redis_cluster[0].url, prefix=f"{secrets.token_hex(4)}:")
    for _ in range(30):
        backend.create(secrets.token_hex(32), b"", soon())
        backend.link(secrets.token_hex(32), Entry(KEY, b"", soon()))
    for node in redis_cluster:
        with redis.Redis(HOST, node.port) as client:
            names = client.keys(f"{backend._prefix}*")
            assert any(b"list" in name for name in names)
            assert any(b"list" not in name for name in names)
    backend.close()


def test_a_node_that_is_down(redis_cluster: list[Server]) -> None:
    """Sessions on other nodes go on; those on a node that died fail in time, and work when it is back."""
    backend = RedisBackend(redis_cluster[0].url, timeout=1)
    keys = [secrets.token_hex(32) for _ in range(12)]
    for key in keys:
        backend.create(key, b"", soon())
    redis_cluster[2].kill()
    began, failed = time.monotonic(), 0
    try:
        for key in keys:
            try:
                assert backend.load(key) is not None
            except BackendError:
                failed += 1
    finally:
        redis_cluster[2].start()
    assert 0 < failed < len(keys)
    assert time.monotonic() - began < 5
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            assert [backend.load(key) is None for key in keys].count(True) == failed
            break
        except BackendError:
            time.sleep(0.1)
    else:
        raise AssertionError("the node is back, and not used")
    backend.close()


def test_a_client_is_closed_by_its_own_process_only(redis_server: Server) -> None:
    """What a child closes at its end leaves the connections of its parent open."""
    with Wire(redis_server.port) as wire:
        backend = RedisBackend(f"redis://{wire.address}/0")
        backend.load(KEY)
        child = os.fork()
        if child == 0:
            backend.load(KEY)
            backend.close()
            os._exit(0)
        os.waitpid(child, 0)
        backend.load(KEY)
        assert wire.connections == 2
        backend.close()
