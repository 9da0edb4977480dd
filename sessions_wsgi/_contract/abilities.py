"""What a backend may offer besides: to purge, to list; and how it fails."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from sessions_wsgi._contract.hooks import Hooks, skip
from sessions_wsgi.backends import Backend, Entry, Lists, Purges
from sessions_wsgi.errors import BackendError


class Abilities(Hooks):
    """The part of the contract that is about `Purges`, `Lists` and `BackendError`."""

    # Purges

    def test_purge_is_bounded(self) -> None:
        """A purge removes as many expired records as it may; fewer mean that none are left."""
        backend = self._purges()
        self._leave_expired(5)
        counts = self._purge_all(backend, 2)
        assert max(counts) == 2
        assert sum(counts) >= 5
        assert backend.purge(2) == 0

    def test_purge_keeps_what_lives(self) -> None:
        """A purge removes nothing but what has expired; what was touched in time has not."""
        backend = self._purges()
        self._leave_expired(1)
        live, touched = secrets.token_hex(32), secrets.token_hex(32)
        version = self.create(b"touched", touched)
        self.advance(self.lifetime / 2)
        self.backend.touch(touched, self.soon() + self.lifetime, version)
        self.advance(self.lifetime)
        self.create(b"live", live)
        assert sum(self._purge_all(backend, 100)) >= 1
        assert (self.load(live).data, self.load(touched).data) == (b"live", b"touched")
        assert self.backend.delete(live) and self.backend.delete(touched)

    # Lists

    def test_linked_entries_are_listed(self) -> None:
        """A list holds the entries that were linked: keys, notes byte for byte, deadlines."""
        lists = self._lists()
        entries = [self._entry(note) for note in (b"", b"\0\xff", secrets.token_bytes(2000))]
        for entry in entries:
            lists.link(self.key, entry)
        assert self._listed(self.key) == {entry.key: entry.note for entry in entries}
        for entry in lists.linked(self.key):
            assert abs(entry.expires - self.soon()) <= self.precision

    def test_unknown_owner_has_no_entries(self) -> None:
        """The list of an owner for whom nothing was linked is empty."""
        assert list(self._lists().linked(self.key)) == []

    def test_link_is_idempotent(self) -> None:
        """To link the same entry again changes nothing."""
        lists, entry = self._lists(), self._entry(b"note")
        lists.link(self.key, entry)
        lists.link(self.key, entry)
        assert [listed.key for listed in lists.linked(self.key)] == [entry.key]

    def test_link_replaces(self) -> None:
        """To link an entry with a key that is there replaces note and deadline."""
        lists, entry = self._lists(), self._entry(b"old")
        lists.link(self.key, entry)
        lists.link(self.key, Entry(entry.key, b"new", self.soon() + self.lifetime))
        assert self._listed(self.key) == {entry.key: b"new"}
        self.expire()
        assert self._listed(self.key) == {entry.key: b"new"}

    def test_unlink_removes_one(self) -> None:
        """To unlink removes the entry with that key, and nothing else."""
        lists, one, other = self._lists(), self._entry(b"one"), self._entry(b"other")
        lists.link(self.key, one)
        lists.link(self.key, other)
        lists.unlink(self.key, one.key)
        assert self._listed(self.key) == {other.key: b"other"}

    def test_unlink_of_missing_does_nothing(self) -> None:
        """To unlink what is not there, or not there any more, is no error."""
        lists, entry = self._lists(), self._entry(b"note")
        lists.unlink(self.key, entry.key)
        lists.link(self.key, entry)
        lists.unlink(self.key, entry.key)
        lists.unlink(self.key, entry.key)
        assert self._listed(self.key) == {}

    def test_expired_entries_are_not_listed(self) -> None:
        """An entry is listed until its deadline."""
        lists = self._lists()
        lists.link(self.key, self._entry(b"expired"))
        self.expire()
        live = self._entry(b"live")
        lists.link(self.key, live)
        assert self._listed(self.key) == {live.key: b"live"}

    def test_owners_are_apart(self) -> None:
        """The same key may be in the lists of several owners, however alike they are."""
        lists, entry = self._lists(), self._entry(b"note")
        owners = [self.key[:-1] + "0", self.key[:-1] + "1"]
        for owner in owners:
            lists.link(owner, entry._replace(note=owner.encode()))
        lists.unlink(owners[0], entry.key)
        assert [self._listed(owner) for owner in owners] == [{}, {entry.key: owners[1].encode()}]

    def test_entries_are_no_records(self) -> None:
        """Entries and records have nothing to do with each other, even under the same keys."""
        lists, entry = self._lists(), Entry(self.key, b"note", self.soon())
        lists.link(self.key, entry)
        assert self.backend.load(self.key) is None
        self.create(b"data")
        lists.unlink(self.key, self.key)
        assert self.load().data == b"data"

    # Failing

    def test_failure_is_a_backend_error(self) -> None:
        """When the storage cannot be reached, making a backend works; each operation is a `BackendError`."""
        backend = self.broken()
        if backend is None:
            raise skip("this backend has no storage that could be out of reach")
        for operation in self._operations(backend):
            self._assert_fails(operation)

    def _operations(self, backend: Backend) -> list[Callable[[], object]]:
        key, version = self.key, self.create()
        operations: list[Callable[[], object]] = [
            lambda: backend.load(key),
            lambda: backend.create(key, b"", self.soon()),
            lambda: backend.update(key, b"", self.soon(), version),
            lambda: backend.touch(key, self.soon(), version),
            lambda: backend.delete(key),
        ]
        if isinstance(backend, Purges):
            operations.append(lambda: backend.purge(10))
        if isinstance(backend, Lists):
            operations.append(lambda: backend.link(key, self._entry(b"")))
            operations.append(lambda: backend.unlink(key, key))
            operations.append(lambda: list(backend.linked(key)))
        return operations

    def _assert_fails(self, operation: Callable[[], object]) -> None:
        try:
            result = operation()
        except BackendError as error:
            assert error.__cause__ is not None, "the driver's error is lost"
        else:
            raise AssertionError(f"no BackendError, but {result!r}")

    def _purges(self) -> Purges:
        if not isinstance(self.backend, Purges):
            raise skip("this backend does not purge")
        # What other tests left must not be counted.
        self.advance(self.lifetime * 5)
        self._purge_all(self.backend, 100)
        return self.backend

    def _purge_all(self, backend: Purges, limit: int) -> list[int]:
        counts = [backend.purge(limit)]
        while counts[-1] >= limit:
            assert len(counts) < 1000, "purge never says that nothing is left"
            counts.append(backend.purge(limit))
        return counts

    def _leave_expired(self, count: int) -> None:
        for _ in range(count):
            self.create(b"", secrets.token_hex(32))
        self.expire()

    def _lists(self) -> Lists:
        if not isinstance(self.backend, Lists):
            raise skip("this backend does not list")
        return self.backend

    def _entry(self, note: bytes) -> Entry:
        return Entry(secrets.token_hex(32), note, self.soon())

    def _listed(self, owner: str) -> dict[str, bytes]:
        return {entry.key: entry.note for entry in self._lists().linked(owner)}
