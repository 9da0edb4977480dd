"""The memory backend: the contract, and what being bounded means."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from processes import fork, join

from sessions_wsgi._contract.races import together
from sessions_wsgi.backends import Backend, Entry
from sessions_wsgi.backends.memory import MemoryBackend
from sessions_wsgi.errors import BackendError, ConfigError
from sessions_wsgi.testing import BackendContract, ManualClock

#: What one record of no bytes takes.
EMPTY = 512


class TestContract(BackendContract):
    shares = False
    precision = 0

    def make(self, clock: ManualClock) -> Backend:
        return MemoryBackend(clock=clock)


class TestContractUnbounded(BackendContract):
    shares = False
    precision = 0

    def make(self, clock: ManualClock) -> Backend:
        return MemoryBackend(max_bytes=None, clock=clock)


def room_for(count: int, clock: ManualClock | None = None) -> MemoryBackend:
    return MemoryBackend(max_bytes=count * (EMPTY + 100), clock=clock or ManualClock(0))


def fill(backend: MemoryBackend, keys: Iterable[str], expires: float = 1000) -> None:
    for key in keys:
        assert backend.create(key, b"x" * 100, expires) is not None


def left(backend: MemoryBackend, keys: Iterable[str]) -> str:
    return "".join(key for key in keys if backend.load(key) is not None)


def test_it_evicts_only_when_bounded() -> None:
    """`evicts` says whether a live record may be dropped."""
    assert MemoryBackend().evicts is True
    assert MemoryBackend(max_bytes=None).evicts is False


@pytest.mark.parametrize("max_bytes", [0, -1])
def test_a_bound_must_be_positive(max_bytes: int) -> None:
    """A bound that nothing fits in is refused at once."""
    with pytest.raises(ConfigError) as caught:
        MemoryBackend(max_bytes=max_bytes)
    assert caught.value.option == "max_bytes"


def test_the_least_recently_used_goes_first() -> None:
    """When it is full, what was not loaded, written or touched for the longest time is dropped."""
    backend = room_for(5)
    fill(backend, "abcd")
    version = backend.create("e", b"x" * 100, 1000)
    backend.load("a")
    record = backend.load("b")
    assert record is not None
    backend.update("b", b"y" * 100, 1000, record.version)
    assert version is not None
    backend.touch("e", 1001, version)
    fill(backend, "fg")
    assert left(backend, "abcdefg") == "abefg"


def test_the_expired_go_before_the_living() -> None:
    """When it is full, no live record is dropped while there are expired ones."""
    clock = ManualClock(0)
    backend = room_for(4, clock)
    fill(backend, "ab")
    fill(backend, "cd", expires=10)
    clock.advance(11)
    fill(backend, "ef")
    assert left(backend, "abcdef") == "abef"


def test_a_moved_deadline_counts() -> None:
    """A record whose deadline was moved is not taken for expired."""
    clock = ManualClock(0)
    backend = room_for(2, clock)
    version = backend.create("a", b"", 10)
    assert version is not None
    backend.touch("a", 1000, version)
    fill(backend, "b", expires=10)
    clock.advance(11)
    fill(backend, "c")
    assert left(backend, "abc") == "ac"


def test_a_record_that_never_fits_is_an_error() -> None:
    """A record larger than the bound is refused, and what was there stays."""
    backend = room_for(1)
    version = backend.create("a", b"small", 1000)
    assert version is not None
    for operation in (
        lambda: backend.create("b", b"x" * 101, 1000),
        lambda: backend.update("a", b"x" * 101, 1000, version),
        lambda: backend.link("owner", Entry("a", b"x" * 101, 1000)),
    ):
        with pytest.raises(BackendError) as caught:
            operation()
        assert "max_bytes" in str(caught.value.__cause__)
    record = backend.load("a")
    assert record is not None
    assert record.data == b"small"


def test_a_growing_record_drops_others() -> None:
    """The bound holds for updates, too."""
    backend = room_for(3)
    fill(backend, "abc")
    record = backend.load("c")
    assert record is not None
    backend.update("c", b"x" * (EMPTY + 200), 1000, record.version)
    assert left(backend, "abc") == "bc"


def test_what_was_removed_leaves_room() -> None:
    """Deleted, purged, unlinked and replaced data is not counted any more."""
    clock = ManualClock(0)
    backend = room_for(4, clock)
    for _ in range(20):
        fill(backend, "ab", expires=clock() + 10)
        backend.link("owner", Entry("c", b"x" * 100, clock() + 10))
        backend.link("owner", Entry("c", b"y" * 100, clock() + 10))
        backend.link("owner", Entry("d", b"y" * 100, clock() + 10))
        assert (left(backend, "ab"), len(backend.linked("owner"))) == ("ab", 2)
        backend.delete("a")
        backend.unlink("owner", "c")
        clock.advance(11)
        assert backend.purge(10) == 2


def test_entries_count() -> None:
    """Entries of lists take room like records, and are dropped like them."""
    backend = room_for(3)
    for key in "abcde":
        backend.link("owner", Entry(key, b"x" * 100, 1000))
    assert [entry.key for entry in backend.linked("owner")] == ["c", "d", "e"]


def test_a_deadline_that_stays_is_noted_once() -> None:
    """Updates at the same deadline take no room, and the record is found when it has passed."""
    clock = ManualClock(0)
    backend = room_for(10, clock)
    version = backend.create("a", b"", 10)
    for _ in range(3):
        assert isinstance(version, int)
        version = backend.update("a", b"", 10, version)  # type: ignore[assignment]
    assert len(backend._deadlines) == 1
    clock.advance(11)
    assert (backend.purge(10), backend._deadlines) == (1, [])


def test_a_deadline_that_comes_back_is_noted_again() -> None:
    """Moved away and back, and meanwhile passed over: it counts."""
    clock = ManualClock(0)
    backend = room_for(10, clock)
    version = backend.create("a", b"", 10)
    assert version is not None
    backend.touch("a", 30, version)
    clock.advance(11)
    assert backend.purge(10) == 0
    backend.touch("a", 20, version)
    backend.touch("a", 30, version)
    clock.advance(20)
    assert backend.purge(10) == 1


def test_touching_takes_no_memory() -> None:
    """A record that is touched all the time takes no more room for it."""
    backend = room_for(10)
    version = backend.create("a", b"", 1000)
    assert version is not None
    for step in range(5000):
        backend.touch("a", 1000 + step, version)
    assert len(backend._deadlines) < 100


def test_the_bound_holds_under_threads() -> None:
    """Many threads that fill, change and empty it at once leave it within its bound, and consistent."""
    clock = ManualClock(0)
    backend = room_for(20, clock)
    keys = [f"{number:064x}" for number in range(50)]

    def churn() -> None:
        rng = random.Random()
        for step in range(500):
            key = rng.choice(keys)
            version = backend.create(key, b"x" * rng.randrange(200), step + 100)
            if version is not None:
                backend.update(key, b"y" * rng.randrange(200), step + 100, version)
            backend.link(rng.choice("ab"), Entry(key, b"", step + 100))
            backend.delete(rng.choice(keys))
            backend.purge(1)
            clock.now = step

    together(*[churn] * 8)
    clock.now = 10_000
    assert backend.purge(1_000_000) <= 20 * (EMPTY + 100) // EMPTY
    assert backend._bytes == 0


def test_a_fork_has_a_copy() -> None:
    """A forked process goes on with what was there; what it changes, the parent does not see."""
    backend = MemoryBackend(clock=ManualClock(0))
    fill(backend, "a")

    def work() -> None:
        assert left(backend, "a") == "a"
        assert backend.delete("a")

    join(fork(work))
    assert left(backend, "a") == "a"


def test_a_fork_inherits_no_lock() -> None:
    """A process forked while other threads are busy does not wait for them for ever."""
    backend = MemoryBackend(clock=ManualClock(0))

    def churn() -> None:
        for step in range(3000):
            fill(backend, [f"{step:064x}"], expires=-1)

    def forks() -> None:
        for _ in range(30):
            join(fork(lambda: fill(backend, ["child"])), timeout=5)

    together(churn, churn, forks)


def test_repr_shows_no_data() -> None:
    """The repr tells the bound, and nothing of what is held."""
    backend = room_for(1)
    fill(backend, "a")
    assert repr(backend) == "MemoryBackend(max_bytes=612)"
