"""The contract of backends finds each fault, and finds none where there is none."""

from __future__ import annotations

import inspect
import itertools
import threading
import time
import unittest
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sessions_wsgi.backends import GONE, Backend, Conflict, Entry, Gone, Lists, Purges, Record, Version
from sessions_wsgi.errors import BackendError
from sessions_wsgi.testing import BackendContract, ManualClock


class Right:
    """A backend in the simplest words; each faulty one changes a method of it."""

    def __init__(self, clock: ManualClock, storage: dict[str, Any]) -> None:
        self.clock = clock
        self.records: dict[str, Record] = storage.setdefault("records", {})
        self.lists: dict[str, dict[str, Entry]] = storage.setdefault("lists", {})
        self.versions: Iterator[int] = storage.setdefault("versions", itertools.count(1))
        self.lock = storage.setdefault("lock", threading.RLock())

    def live(self, key: str) -> Record | None:
        record = self.records.get(key)
        return record if record is not None and record.expires > self.clock() else None

    def put(self, key: str, data: bytes, expires: float) -> Version:
        version = next(self.versions)
        self.records[key] = Record(data, version, expires)
        return version

    def load(self, key: str) -> Record | None:
        return self.live(key)

    def create(self, key: str, data: bytes, expires: float) -> Version | None:
        with self.lock:
            return None if self.live(key) else self.put(key, data, expires)

    def update(self, key: str, data: bytes, expires: float, version: Version) -> Version | Conflict | Gone:
        with self.lock:
            record = self.live(key)
            if record is None:
                return GONE
            return self.put(key, data, expires) if record.version == version else Conflict(record)

    def touch(self, key: str, expires: float, version: Version) -> bool:
        with self.lock:
            record = self.live(key)
            if record is None or record.version != version:
                return False
            self.records[key] = record._replace(expires=expires)
            return True

    def delete(self, key: str) -> bool:
        with self.lock:
            was_live = self.live(key) is not None
            self.records.pop(key, None)
            return was_live

    def purge(self, limit: int) -> int:
        with self.lock:
            expired = [key for key in self.records if self.live(key) is None][:limit]
            for key in expired:
                del self.records[key]
            return len(expired)

    def link(self, owner: str, entry: Entry) -> None:
        self.lists.setdefault(owner, {})[entry.key] = entry

    def unlink(self, owner: str, key: str) -> None:
        self.lists.get(owner, {}).pop(key, None)

    def linked(self, owner: str) -> list[Entry]:
        return [entry for entry in self.lists.get(owner, {}).values() if entry.expires > self.clock()]


def _down(*_: object) -> Any:
    try:
        raise ConnectionRefusedError
    except OSError as error:
        raise BackendError("right", "reach its server") from error


FAULTS: list[tuple[str, type[Right]]] = []


def caught_by(*checks: str) -> Callable[[type[Right]], type[Right]]:
    """Each of these checks must fail for the backend that is decorated."""

    def register(faulty: type[Right]) -> type[Right]:
        FAULTS.extend((f"test_{check}", faulty) for check in checks)
        return faulty

    return register


class Down(Right):
    """What `broken` gives: its server is not there."""

    load = create = update = touch = delete = purge = link = unlink = linked = _down


# Faults in records


@caught_by("expired_is_none")
class ExpiredIsLoaded(Right):
    def load(self, key):
        return self.records.get(key)


@caught_by("missing_is_none")
class MissingIsEmpty(Right):
    def load(self, key):
        return self.live(key) or Record(b"", 0, self.clock() + 1)


@caught_by("any_bytes_are_kept")
class Truncates(Right):
    def put(self, key, data, expires):
        return super().put(key, data[:65536], expires)


@caught_by("any_bytes_are_kept")
class DecodesText(Right):
    def put(self, key, data, expires):
        return super().put(key, data.decode("utf-8", "replace").encode(), expires)


@caught_by("any_bytes_are_kept")
class StripsSpace(Right):
    def put(self, key, data, expires):
        return super().put(key, data.strip(b"\r\n "), expires)


@caught_by("deadline_is_kept")
class RoundsDeadlines(Right):
    def put(self, key, data, expires):
        return super().put(key, data, int(expires))


@caught_by("similar_keys_are_apart")
class CutsKeys(Right):
    def put(self, key, data, expires):
        return super().put(key[:-1], data, expires)

    def live(self, key):
        return super().live(key[:-1])


@caught_by("create_keeps_a_live_record")
class CreateOverwrites(Right):
    def create(self, key, data, expires):
        return self.put(key, data, expires)


@caught_by("create_keeps_a_live_record")
class CreateMovesDeadline(Right):
    def create(self, key, data, expires):
        with self.lock:
            record = self.live(key)
            if record is not None:
                self.records[key] = record._replace(expires=expires)
                return None
            return self.put(key, data, expires)


@caught_by("create_replaces_an_expired_record")
class ExpiredBlocksCreate(Right):
    def create(self, key, data, expires):
        return None if key in self.records else self.put(key, data, expires)


@caught_by("created_is_loaded")
class CreateGivesAnotherVersion(Right):
    def create(self, key, data, expires):
        version = super().create(key, data, expires)
        return None if version is None else version + 1000


@caught_by("update_of_missing_is_gone")
class UpdateCreates(Right):
    def update(self, key, data, expires, version):
        result = super().update(key, data, expires, version)
        return self.put(key, data, expires) if result is GONE and key not in self.records else result


@caught_by("update_of_expired_is_gone")
class UpdateRevives(Right):
    def update(self, key, data, expires, version):
        result = super().update(key, data, expires, version)
        return self.put(key, data, expires) if result is GONE and key in self.records else result


@caught_by("stale_update_conflicts")
class StaleUpdateWins(Right):
    def update(self, key, data, expires, version):
        return GONE if self.live(key) is None else self.put(key, data, expires)


@caught_by("stale_update_conflicts")
class ConflictIsGone(Right):
    def update(self, key, data, expires, version):
        result = super().update(key, data, expires, version)
        return GONE if isinstance(result, Conflict) else result


@caught_by("stale_update_conflicts")
class ConflictWithoutRecord(Right):
    def update(self, key, data, expires, version):
        result = super().update(key, data, expires, version)
        return Conflict(None) if isinstance(result, Conflict) else result


@caught_by("stale_update_conflicts")
class ConflictWithMine(Right):
    def update(self, key, data, expires, version):
        result = super().update(key, data, expires, version)
        return Conflict(Record(data, version, expires)) if isinstance(result, Conflict) else result


@caught_by("update_replaces")
class UpdateKeepsDeadline(Right):
    def update(self, key, data, expires, version):
        record = self.live(key)
        return super().update(key, data, record.expires if record else expires, version)


@caught_by("update_replaces")
class UpdateKeepsLaterDeadline(Right):
    def update(self, key, data, expires, version):
        record = self.live(key)
        return super().update(key, data, max(expires, record.expires) if record else expires, version)


@caught_by("versions_never_repeat")
class UpdateKeepsVersion(Right):
    def update(self, key, data, expires, version):
        result = super().update(key, data, expires, version)
        if isinstance(result, Conflict | Gone):
            return result
        self.records[key] = self.records[key]._replace(version=version)
        return version


@caught_by("versions_never_repeat", "update_of_recreated_conflicts")
class VersionsPerRecord(Right):
    """Counts from 1 again after a deletion."""

    def put(self, key, data, expires):
        record = self.live(key)
        self.records[key] = Record(data, record.version + 1 if record else 1, expires)
        return self.records[key].version


@caught_by("touch_moves_only_the_deadline", "update_after_touch")
class TouchChangesVersion(Right):
    def touch(self, key, expires, version):
        touched = super().touch(key, expires, version)
        if touched:
            self.records[key] = self.records[key]._replace(version=next(self.versions))
        return touched


@caught_by("stale_touch_is_false")
class TouchIgnoresVersion(Right):
    def touch(self, key, expires, version):
        record = self.live(key)
        return record is not None and super().touch(key, expires, record.version)


@caught_by("touch_never_revives")
class TouchRevives(Right):
    def touch(self, key, expires, version):
        record = self.records.get(key)
        if record is None:
            return False
        self.records[key] = record._replace(expires=expires)
        return record.version == version


@caught_by("touch_moves_only_the_deadline")
class TouchDoesNothing(Right):
    def touch(self, key, expires, version):
        record = self.live(key)
        return record is not None and record.version == version


@caught_by("touch_may_shorten")
class TouchOnlyProlongs(Right):
    def touch(self, key, expires, version):
        record = self.live(key)
        return super().touch(key, max(expires, record.expires) if record else expires, version)


@caught_by("touch_moves_only_the_deadline")
class TouchLosesData(Right):
    def touch(self, key, expires, version):
        touched = super().touch(key, expires, version)
        if touched:
            self.records[key] = self.records[key]._replace(data=b"")
        return touched


@caught_by("delete_of_nothing_is_false")
class DeleteRaises(Right):
    def delete(self, key):
        if key not in self.records:
            raise KeyError(key)
        return super().delete(key)


@caught_by("delete_of_nothing_is_false")
class DeleteIsAlwaysTrue(Right):
    def delete(self, key):
        super().delete(key)
        return True


@caught_by("delete_of_nothing_is_false")
class DeleteOfExpiredIsTrue(Right):
    def delete(self, key):
        return self.records.pop(key, None) is not None


@caught_by("delete_removes")
class DeleteDoesNothing(Right):
    def delete(self, key):
        return self.live(key) is not None


@caught_by("update_of_deleted_is_gone")
class UpdateUndeletes(Right):
    """Keeps a mark of what was deleted, which an update takes for the record."""

    def delete(self, key):
        was_live = super().delete(key)
        self.records[key] = Record(b"", 0, 0)
        return was_live

    def update(self, key, data, expires, version):
        if self.records.get(key) == Record(b"", 0, 0):
            return self.put(key, data, expires)
        return super().update(key, data, expires, version)


# Faults of threads: right, but for a moment between looking and writing


@caught_by("no_update_is_lost")
class RacyUpdate(Right):
    def update(self, key, data, expires, version):
        record = self.live(key)
        time.sleep(0.001)
        if record is None:
            return GONE
        if record.version != version:
            return Conflict(record)
        with self.lock:
            return self.put(key, data, expires) if key in self.records else GONE


@caught_by("one_create_wins")
class RacyCreate(Right):
    def create(self, key, data, expires):
        taken = self.live(key)
        time.sleep(0.001)
        return None if taken else self.put(key, data, expires)


@caught_by("deleted_stays_deleted")
class UpdateResurrects(Right):
    """An upsert after a look."""

    def update(self, key, data, expires, version):
        if self.live(key) is None:
            return GONE
        time.sleep(0.001)
        with self.lock:
            record = self.live(key)
            stale = record is not None and record.version != version
            return Conflict(record) if stale else self.put(key, data, expires)


@caught_by("deleted_stays_deleted")
class TouchResurrects(Right):
    def touch(self, key, expires, version):
        record = self.live(key)
        time.sleep(0.001)
        if record is None:
            return False
        with self.lock:
            self.records[key] = record._replace(expires=expires)
            return True


# Faults in purging, listing, failing, sharing


@caught_by("purge_is_bounded")
class PurgeIgnoresLimit(Right):
    def purge(self, limit):
        return super().purge(1_000_000)


@caught_by("purge_keeps_what_lives")
class PurgeRemovesLive(Right):
    def purge(self, limit):
        removed = list(self.records)[:limit]
        for key in removed:
            del self.records[key]
        return len(removed)


@caught_by("purge_is_bounded")
class PurgeMiscounts(Right):
    def purge(self, limit):
        super().purge(limit)
        return 0


@caught_by("purge_is_bounded")
class PurgeDoesNothing(Right):
    def purge(self, limit):
        return 0


@caught_by("purge_is_bounded")
class PurgeNeverEnds(Right):
    def purge(self, limit):
        super().purge(limit)
        return limit


@caught_by("purge_keeps_what_lives")
class PurgeGoesByFirstDeadline(Right):
    """Forgets that touching moved it."""

    def put(self, key, data, expires):
        self.firsts = {**getattr(self, "firsts", {}), key: expires}
        return super().put(key, data, expires)

    def purge(self, limit):
        expired = [key for key in self.records if self.firsts.get(key, 0) <= self.clock()][:limit]
        for key in expired:
            del self.records[key]
        return len(expired)


@caught_by("link_is_idempotent")
class LinkDuplicates(Right):
    def link(self, owner, entry):
        self.lists.setdefault(owner, {})[len(self.lists[owner])] = entry

    def unlink(self, owner, key):
        kept = [entry for entry in self.lists.get(owner, {}).values() if entry.key != key]
        self.lists[owner] = dict(enumerate(kept))


@caught_by("link_replaces")
class LinkKeepsTheFirst(Right):
    def link(self, owner, entry):
        self.lists.setdefault(owner, {}).setdefault(entry.key, entry)


@caught_by("linked_entries_are_listed")
class LinkCutsNotes(Right):
    def link(self, owner, entry):
        super().link(owner, entry._replace(note=entry.note[:1000]))


@caught_by("expired_entries_are_not_listed")
class LinkedHasExpired(Right):
    def linked(self, owner):
        return list(self.lists.get(owner, {}).values())


@caught_by("unknown_owner_has_no_entries")
class LinkedOfUnknownRaises(Right):
    def linked(self, owner):
        return [entry for entry in self.lists[owner].values() if entry.expires > self.clock()]


@caught_by("unlink_of_missing_does_nothing")
class UnlinkOfMissingRaises(Right):
    def unlink(self, owner, key):
        del self.lists[owner][key]


@caught_by("unlink_removes_one")
class UnlinkClears(Right):
    def unlink(self, owner, key):
        self.lists.pop(owner, None)


@caught_by("owners_are_apart")
class OwnersAreCut(Right):
    def link(self, owner, entry):
        super().link(owner[:-1], entry)

    def unlink(self, owner, key):
        super().unlink(owner[:-1], key)

    def linked(self, owner):
        return super().linked(owner[:-1])


@caught_by("entries_are_no_records")
class EntriesAreRecords(Right):
    def link(self, owner, entry):
        super().link(owner, entry)
        self.put(entry.key, entry.note, entry.expires)


@caught_by("backends_share_storage")
class KeepsItsOwnRecords(Right):
    def __init__(self, clock, storage):
        super().__init__(clock, {})


@caught_by("failure_is_a_backend_error")
class LeaksDriverErrors(Down):
    def load(self, key):
        raise ConnectionRefusedError


@caught_by("failure_is_a_backend_error")
class HidesFailures(Down):
    def load(self, key):
        return None


@caught_by("failure_is_a_backend_error")
class LosesTheCause(Down):
    def delete(self, key):
        raise BackendError("right", "delete")


@caught_by("failure_is_a_backend_error")
class PurgeLeaks(Down):
    def purge(self, limit):
        raise ConnectionRefusedError


@caught_by("failure_is_a_backend_error")
class LinkedFailsSilently(Down):
    def linked(self, owner):
        return []


CHECKS = [
    name for name, _ in inspect.getmembers(BackendContract, inspect.isfunction) if name.startswith("test_")
]


def contract(working: type[Right] = Right, down: type[Right] = Down) -> BackendContract:
    storage: dict[str, Any] = {}

    class Contract(BackendContract):
        precision = 0

        def make(self, clock: ManualClock) -> Backend:
            return working(clock, storage)

        def broken(self) -> Backend:
            return down(self.clock, {})

    made = Contract()
    made.setup_method()
    return made


def test_the_protocols_fit() -> None:
    """The backend of these tests purges and lists, so that nothing is skipped."""
    right = Right(ManualClock(), {})
    assert isinstance(right, Purges)
    assert isinstance(right, Lists)


@pytest.mark.parametrize("check", CHECKS)
def test_a_right_backend_passes(check: str) -> None:
    """The contract asks for nothing that a right backend does not do."""
    getattr(contract(), check)()


@pytest.mark.parametrize(("check", "faulty"), FAULTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_fault_is_caught(check: str, faulty: type[Right]) -> None:
    """Each fault fails the check that is about it."""
    battery = contract(down=faulty) if issubclass(faulty, Down) else contract(faulty)
    with pytest.raises((AssertionError, LookupError, ConnectionRefusedError, AttributeError)):
        getattr(battery, check)()


def test_every_check_catches_something() -> None:
    """No check of the contract is there for nothing."""
    assert {check for check, _ in FAULTS} == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_says_what_it_is_about(check: str) -> None:
    """The docstring of a check is one sentence, or two."""
    text = inspect.getdoc(getattr(BackendContract, check))
    assert text is not None
    assert text.endswith(".")
    assert "\n" not in text


def test_what_is_not_offered_is_skipped() -> None:
    """A backend that cannot purge or list, has no storage to lose and shares none, skips those checks."""

    class Least:
        load, create, update, touch, delete = (
            Right.load,
            Right.create,
            Right.update,
            Right.touch,
            Right.delete,
        )

    class Contract(BackendContract):
        shares = False

        def make(self, clock: ManualClock) -> Any:
            return Least()

    least = Contract()
    least.setup_method()
    for check in (
        "purge_is_bounded",
        "owners_are_apart",
        "failure_is_a_backend_error",
        "backends_share_storage",
    ):
        with pytest.raises(unittest.SkipTest):
            getattr(least, f"test_{check}")()


def test_the_clock_stands_still() -> None:
    """Time passes only when it is told to."""
    clock = ManualClock(1000)
    clock.advance(1.5)
    assert (clock(), clock.now) == (1001.5, 1001.5)
