"""What is left of a session that ended, and how a log-out follows it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from test_merge import Scripted

from sessions_wsgi import BackendError
from sessions_wsgi.backends import Record
from sessions_wsgi.stores._tombstones import end, successor_in, tombstone

NOW, LATER = 1_800_000_000.0, 1_800_003_600.0
OLD, NEW, NEWEST = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def backend() -> Scripted:
    return Scripted()


def alive(backend: Scripted, key: str) -> bool:
    record = backend.load(key)
    return record is not None and successor_in(record.data) is None


def test_it_tells_where_the_session_goes_on() -> None:
    assert successor_in(tombstone(NEW)) == NEW


def test_it_tells_that_the_session_ended() -> None:
    assert successor_in(tombstone()) == ""


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x85\x01", b"\x01sealed"])
def test_what_lives_is_no_tombstone(data: bytes) -> None:
    assert successor_in(data) is None


def test_a_log_out_is_one_update_when_nobody_else_is_there(backend: Scripted) -> None:
    version = backend.create(OLD, b"\x85", LATER)
    backend.calls.clear()
    assert end(backend, OLD, NOW, version)
    assert backend.calls == ["update"]
    assert not alive(backend, OLD)


def test_a_log_out_ends_what_another_request_has_changed(backend: Scripted) -> None:
    version = backend.create(OLD, b"\x85", LATER)
    assert version is not None
    backend.update(OLD, b"\x85changed", LATER, version)
    assert end(backend, OLD, NOW, version)
    assert not alive(backend, OLD)


def test_a_log_out_follows_to_the_newest_id(backend: Scripted) -> None:
    version = backend.create(OLD, b"\x85", LATER)
    assert version is not None
    backend.update(OLD, tombstone(NEW), LATER, version)
    backend.create(NEW, tombstone(NEWEST), LATER)
    backend.create(NEWEST, b"\x85", LATER)
    assert end(backend, OLD, NOW, version)
    assert not alive(backend, NEWEST)


def test_an_id_that_is_about_to_be_created_cannot_be_any_more(backend: Scripted) -> None:
    backend.create(OLD, tombstone(NEW), LATER)
    assert end(backend, OLD, NOW)
    assert backend.create(NEW, b"\x85", LATER) is None


@pytest.mark.parametrize("records", [[], [(OLD, tombstone())], [(OLD, tombstone(NEW)), (NEW, tombstone())]])
def test_what_had_ended_does_not_end_again(backend: Scripted, records: list[tuple[str, bytes]]) -> None:
    for key, data in records:
        backend.create(key, data, LATER)
    assert not end(backend, OLD, NOW)


def test_writers_that_never_rest_do_not_keep_it_alive(backend: Scripted) -> None:
    version = backend.create(OLD, b"\x85", LATER)

    def again() -> None:
        record: Record | None = backend._inner.load(OLD)
        assert record is not None
        backend._inner.update(OLD, record.data + b".", LATER, record.version)
        backend.before["update"] = again

    again()
    assert end(backend, OLD, NOW, version)
    assert backend.load(OLD) is None


def test_a_log_out_reaches_a_session_that_is_renewed_again_and_again(backend: Scripted) -> None:
    keys = iter(f"{n:064x}" for n in range(1, 200))
    version = backend.create(OLD, b"\x85", LATER)
    place = [OLD]

    def renewed() -> None:
        record: Record | None = backend._inner.load(place[0])
        assert record is not None
        following = next(keys)
        backend._inner.update(place[0], tombstone(following), LATER, record.version)
        backend._inner.create(following, b"\x85", LATER)
        place[0] = following
        backend.before["update"] = renewed

    renewed()
    with suppress(BackendError):  # or the operator hears of it
        assert end(backend, OLD, NOW, version)
        assert not alive(backend, place[0])
