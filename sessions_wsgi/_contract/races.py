"""Many threads on one record. What several processes do is for a backend's own tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sessions_wsgi._contract.hooks import Hooks
from sessions_wsgi.backends import Conflict, Gone, Record, Version

_T = TypeVar("_T")

_THREADS = 8
_ROUNDS = 25


def together(*calls: Callable[[], _T]) -> list[_T]:
    """Make these calls at the same moment, each in a thread; their results, or the exception of one."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], _T]) -> _T:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


class Races(Hooks):
    """The part of the contract that says what happens when several write at once."""

    def test_no_update_is_lost(self) -> None:
        """Of many updates at once, each that succeeded was made to what the one before it left."""
        self._create_for_long(b"0")
        together(*[self._count] * _THREADS)
        assert self.load().data == b"%d" % (_THREADS * _ROUNDS)
        self.delete()

    def test_one_create_wins(self) -> None:
        """Of many that create the same key at once, one succeeds, and its data is there."""
        for _ in range(_ROUNDS):
            versions = together(*[self._creator(number) for number in range(_THREADS)])
            won = [number for number, version in enumerate(versions) if version is not None]
            assert len(won) == 1
            assert self.load()[:2] == (b"%d" % won[0], versions[won[0]])
            self.delete()

    def test_deleted_stays_deleted(self) -> None:
        """No update and no touch that races with a deletion brings the record back."""
        for _ in range(_ROUNDS):
            self._create_for_long(b"0")
            self._in_use = threading.Event()
            together(self._update_until_gone, self._touch_until_gone, self._delete_in_use)
            assert self.backend.load(self.key) is None

    def _create_for_long(self, data: bytes) -> Version | None:
        return self.backend.create(self.key, data, self.clock() + 600)

    def _creator(self, number: int) -> Callable[[], Version | None]:
        return lambda: self._create_for_long(b"%d" % number)

    def _count(self) -> None:
        done = 0
        for _ in range(_ROUNDS * _THREADS * 10):  # each conflict is somebody's success, so this is plenty
            record = self.load()
            more = b"%d" % (int(record.data) + 1)
            result = self.backend.update(self.key, more, record.expires, record.version)
            assert not isinstance(result, Gone)
            done += not isinstance(result, Conflict)
            if done == _ROUNDS:
                return
        raise AssertionError("conflicts without end")

    def _update_until_gone(self) -> None:
        for record in self._until_gone():
            self.backend.update(self.key, record.data + b"0", record.expires, record.version)

    def _touch_until_gone(self) -> None:
        for record in self._until_gone():
            self.backend.touch(self.key, record.expires + 1, record.version)

    def _delete_in_use(self) -> None:
        self._in_use.wait(10)
        self.backend.delete(self.key)

    def _until_gone(self) -> Iterator[Record]:
        for _ in range(200):  # a record that was brought back would stay
            record = self.backend.load(self.key)
            if record is None:
                return
            self._in_use.set()
            yield record
