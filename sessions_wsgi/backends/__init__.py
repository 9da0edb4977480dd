"""Where server-side sessions live: bytes by key, with a version and a deadline.

A backend knows nothing of cookies, requests, users or encryption. Everything that follows is tested by
``sessions_wsgi.testing.BackendContract``; three lines give your own backend the whole battery.

- Keys are 64 lower-case hexadecimal digits. Data is any bytes, empty or a megabyte, kept exactly.
- ``expires`` is in seconds since the epoch. A record whose deadline has passed is not there: missing,
  expired and deleted are one case, ``None`` or ``Gone``, and never an error.
- Versions are opaque and compared for equality only. Every successful ``create`` or ``update`` of a key
  yields one that this key never had before, also when it was deleted in between.
- Each operation is atomic against all others on the same key, from any thread and any process that the
  backend serves.
- A driver's failure is a ``BackendError`` raised from it; nothing else is raised.
- Nothing is connected, opened or created before the first operation, and a process that was forked opens
  its own connections.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol, runtime_checkable

__all__ = ["GONE", "Backend", "Conflict", "Entry", "Gone", "Lists", "Purges", "Record", "Version"]

Version = int | str | bytes


class Record(NamedTuple):
    """What a backend holds under a key."""

    data: bytes
    version: Version
    #: Seconds since the epoch.
    expires: float

    def __repr__(self) -> str:  # data must not reach a traceback
        return f"<Record of {len(self.data)} bytes, expires {self.expires}>"


class Conflict(NamedTuple):
    """Another writer was first; here is what he left."""

    record: Record


class Gone(NamedTuple):
    """There is nothing to update: never stored, expired or deleted."""


#: The one `Gone` there needs to be.
GONE: Final = Gone()


class Backend(Protocol):
    """Stores records. See the module for what holds for all of them.

    Two attributes are looked at where a backend has them: `name`, a short text for error messages, and
    `evicts`, true for one that may drop live records, as a bounded cache does.
    """

    def load(self, key: str) -> Record | None:
        """The record, or None when there is none or its deadline has passed."""

    def create(self, key: str, data: bytes, expires: float) -> Version | None:
        """Store a new record; None when the key is taken by a live one, which stays as it is."""

    def update(self, key: str, data: bytes, expires: float, version: Version) -> Version | Conflict | Gone:
        """Replace data and deadline if the record still has this version. Never creates."""

    def touch(self, key: str, expires: float, version: Version) -> bool:
        """Move the deadline only, the version stays; False when the record is gone or moved on."""

    def delete(self, key: str) -> bool:
        """Remove the record; False when there was none, which is no error."""


@runtime_checkable
class Purges(Protocol):
    """A backend that does not drop expired records by itself."""

    def purge(self, limit: int) -> int:
        """Remove at most `limit` expired records and list entries, and say how many.

        Fewer than `limit` means that no more are left.
        """


class Entry(NamedTuple):
    """One session in the list of an owner."""

    key: str
    note: bytes
    #: Seconds since the epoch; the entry may be dropped after it.
    expires: float


@runtime_checkable
class Lists(Protocol):
    """A backend that can list the sessions of an owner (64 hexadecimal digits, a hashed principal).

    Entries may outlive their record: whoever lists must look at the record too.
    """

    def link(self, owner: str, entry: Entry) -> None:
        """Add the entry, or replace the one with the same key. Idempotent."""

    def unlink(self, owner: str, key: str) -> None:
        """Remove the entry; nothing happens when there is none."""

    def linked(self, owner: str) -> Iterable[Entry]:
        """The entries whose deadline has not passed, in no particular order."""
