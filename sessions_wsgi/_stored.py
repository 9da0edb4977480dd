"""What a store sees of a session: its parts, its times, and what the application wants done."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Literal

from sessions_wsgi.cookies import CookieOptions
from sessions_wsgi.errors import Event, EventKind, Reason, SessionSealedError

# Stores pass everything by position: by name, a class costs half as much again to call.
_DEFAULT = CookieOptions()

_new_tuple = tuple.__new__

State = Literal["clean", "changed", "destroyed"]


class Seal(IntEnum):
    """What may still happen to a session, once the response headers have left."""

    OPEN = 0
    #: Its values and flashes are saved again when the body is closed.
    LATE = 1
    SEALED = 2


_OPEN, _SEALED = Seal.OPEN, Seal.SEALED


class Stored:
    """The side of a `Session` that authors of stores work with.

    :param name: the session's name.
    :param values: what was loaded; the session takes it over.
    :param options: the cookie's attributes.
    :param extras: what the library keeps beside the values: flashes, principal and so on.
    :param created_ms: when it began, milliseconds since the epoch; `seen_ms`: when it was last seen.
    :param origin: anything the store needs to save it again, such as an id and a version.
    :param handle: the hashed id, where there is one.
    :param rejected: why a cookie that came was not used.
    """

    __slots__ = (
        "__weakref__", "_clock", "_options", "adopted", "cleared", "cookie_age",
        "created_ms", "destroyed", "elsewhere", "ended", "extras", "handle", "is_new", "moved_to", "muted",
        "name", "notes", "old_cookie", "origin", "quiet", "rejected",
        "renewed", "resend", "saver", "seal", "seen_ms", "settled_by", "stored_values", "touched",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        values: dict[Any, Any] | None = None,
        options: CookieOptions = _DEFAULT,
        extras: dict[str, Any] | None = None,
        created_ms: int | None = None,
        seen_ms: int | None = None,
        is_new: bool = True,
        origin: Any = None,
        handle: str | None = None,
        rejected: Reason | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name, self.is_new, self.rejected = name, is_new, rejected
        self.origin, self.handle = origin, handle
        #: The bare dict behind the mapping, for stores.
        self.stored_values: dict[Any, Any] = {} if values is None else values
        self._options, self._clock = options, clock
        self.extras: dict[str, Any] = self._first_extras() if extras is None else extras
        self.created_ms = int(clock() * 1000) if created_ms is None else created_ms
        self.seen_ms = self.created_ms if seen_ms is None else seen_ms

        #: Something was put in, or handed out that may be changed in place: the commit compares.
        self.touched = False
        #: The store that said, when it opened it, that nothing is left to do at the commit, whatever the time
        #: is then, unless it is touched or sent again. Every intent takes it back.
        self.settled_by: object = None
        #: What may still happen, as the registry says.
        self.seal = _OPEN
        #: Tells the registry that opened it, or None: the two do not always hold each other.
        self.saver: Callable[[], Any] | None = None
        #: What a store carries out: a new id, an end of what was loaded, the cookie once more.
        self.renewed: Literal["", "regenerate", "login"] = ""
        self.destroyed = self.resend = False
        #: `login` found another principal's data and dropped it: what others add to it meanwhile goes, too.
        self.cleared = False
        #: It came with an id that another request replaced: saving it would clobber the newer cookie.
        self.muted = False
        #: It came from another store or library: how its record there is removed, and its cookie. Called with
        #: the handle that it has here, None when it ended; tells whether it was there, or where it went.
        self.adopted: Callable[[str | None], Any] | None = None
        #: The handle under which another store took it over, empty where that has none.
        self.moved_to: str | None = None
        self.old_cookie: tuple[str, CookieOptions] | None = None
        #: Texts by cookie that came along and may hold another session: `destroy` ends those, too.
        self.elsewhere: dict[str, list[str]] | None = None
        #: The origin of what `destroy` ended since the last commit.
        self.ended: Any = None
        #: Seconds that the browser keeps the cookie, as the store decided at the commit.
        self.cookie_age: float | None = None
        #: What happened to it since the registry last asked.
        self.notes: tuple[Event, ...] = ()
        #: Nobody would hear that it was saved.
        self.quiet = False

    @property
    def state(self) -> State:
        """What the commit must do; "changed" means perhaps: only the encoded bytes can tell."""
        if self.destroyed and not self.has_content:
            return "destroyed"
        return "changed" if self.touched or self.renewed else "clean"

    @property
    def has_content(self) -> bool:
        """Whether there is anything to store: a session that is new and has none never is."""
        return bool(self.stored_values) or any(key != "max_age" for key in self.extras)

    def committed(self, *, stored: bool) -> None:
        """Tell the session that it stands in the store as it is now, or not at all."""
        self.is_new = not stored
        self.destroyed = self.resend = self.cleared = False
        self.settled_by = None
        self.renewed, self.ended = "", None

    def lose(self, origin: Any = None) -> None:
        """It is gone, ended by another request: nothing of it is kept, and it is not saved again.

        :param origin: where it lives on under a new id, for a log-out that follows.
        """
        self.stored_values, self.extras = {}, {}
        self.origin, self.handle = origin, None
        self.muted = True
        self.committed(stored=False)

    def now(self) -> float:
        """Seconds since the epoch, by the clock of its store."""
        return self._clock()

    def mark_changed(self) -> None:
        """What is beside the values was changed by the library: it must be saved."""
        self._write()

    def note(self, kind: EventKind, reason: str | None = None, *, handle: str | None = None) -> None:
        """Leave an event for the registry to report."""
        if self.quiet and kind == "saved":
            return
        # As Event(…), without the call of its own constructor: most notes are never looked at.
        event = _new_tuple(Event, (kind, self.name, handle or self.handle, reason))
        self.notes = (*self.notes, event)

    def _write(self) -> None:
        if self.seal is not _OPEN and (self.seal is _SEALED or self.muted):
            raise SessionSealedError(self.name)
        self.touched = True

    def _require_open(self, what: str) -> None:
        if self.seal is not _OPEN:
            raise SessionSealedError(self.name, what)
        self.settled_by = None

    def _set_extra(self, name: str, value: Any) -> None:
        if self.extras.get(name) == value:
            return
        self._write()
        if value is None:
            del self.extras[name]
        else:
            self.extras[name] = value

    def _first_extras(self) -> dict[str, Any]:
        return {} if self._options.max_age is None else {"max_age": self._options.max_age}
