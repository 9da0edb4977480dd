"""What the author of a backend fills in, and what all tests of the contract use."""

from __future__ import annotations

import secrets
import time
import unittest

from sessions_wsgi.backends import Backend, Conflict, Gone, Record, Version


class ManualClock:
    """Seconds since the epoch, which pass only when told to."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.now += seconds


class Hooks:
    """The hooks; only `make` has to be filled in."""

    #: Whether all backends that `make` gives work on the same storage.
    shares = True
    #: How long records live in the tests, in seconds: a second or less where `advance` has to wait.
    lifetime = 60.0
    #: How exactly deadlines are kept, in seconds.
    precision = 0.001

    def make(self, clock: ManualClock) -> Backend:
        """A backend that goes by this clock."""
        raise NotImplementedError

    def advance(self, seconds: float) -> None:
        """Let time pass. Where a server's clock decides, override it: wait, or age what is stored."""
        self.clock.advance(seconds)

    def broken(self) -> Backend | None:
        """A backend whose storage cannot be reached; None skips the test that needs it."""
        return None

    def setup_method(self) -> None:
        """Before each test. The clock starts at the real time, since servers know no other."""
        self.clock = ManualClock(time.time())
        self.backend = self.make(self.clock)
        self.key = secrets.token_hex(32)

    # What follows is for the tests.

    def soon(self) -> float:
        """A deadline one lifetime from now."""
        return self.clock() + self.lifetime

    def create(self, data: bytes = b"", key: str | None = None) -> Version:
        """Create a record that lives for one lifetime."""
        version = self.backend.create(key or self.key, data, self.soon())
        assert version is not None, "create gave None for a free key"
        return version

    def load(self, key: str | None = None) -> Record:
        """Load a record that has to be there."""
        record = self.backend.load(key or self.key)
        assert record is not None, "load gave None for a live record"
        return record

    def update(self, data: bytes, version: Version, expires: float | None = None) -> Version:
        """Make an update that has to succeed."""
        result = self.backend.update(self.key, data, expires or self.soon(), version)
        assert not isinstance(result, Conflict | Gone), "update of the current version failed"
        return result

    def expire(self) -> None:
        """Let the record's lifetime pass."""
        self.advance(self.lifetime * 1.5)

    def delete(self) -> None:
        """Delete the record."""
        self.backend.delete(self.key)

    def assert_same(self, record: Record | None, other: Record | None) -> None:
        """These are the same record in the same state."""
        assert record is not None
        assert other is not None
        assert record[:2] == other[:2]
        self.assert_deadline(record, other.expires)

    def assert_deadline(self, record: Record, expires: float) -> None:
        """The record has this deadline, as exactly as the backend keeps it."""
        assert abs(record.expires - expires) <= self.precision

    def assert_conflict(self, result: object, winner: Record) -> None:
        """This result of an update is a `Conflict` that carries the winner's record."""
        assert isinstance(result, Conflict)
        self.assert_same(result.record, winner)

    def assert_gone(self, version: Version) -> None:
        """There is no record: an update of this version says so and creates none."""
        assert isinstance(self.backend.update(self.key, b"mine", self.soon(), version), Gone)
        assert self.backend.load(self.key) is None


def skip(reason: str) -> unittest.SkipTest:
    """To be raised; pytest knows it too, and need not be installed to import this."""
    return unittest.SkipTest(reason)
