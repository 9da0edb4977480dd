"""A server-side session as it stands in the backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from sessions_wsgi.backends import Version
from sessions_wsgi.session import Session

#: Label, `max_age`, principal.
Noted = tuple[str | None, float | None, str | None]


class Origin(NamedTuple):
    """A session as it stands in the backend."""

    id: bytes
    key: str
    version: Version
    #: Seconds since the epoch.
    expires: float
    #: The envelope's bytes, and the time inside it.
    data: bytes
    seen_ms: int
    #: The text of the id's cookie; whether the key that seals now made it, and the record.
    text: str
    fresh: bool
    record_fresh: bool
    #: What a list of the principal's sessions says of it.
    noted: Noted

    def __repr__(self) -> str:  # the id, and what is in the session, must not reach a traceback
        return f"<Origin {self.key}>"


class Renewed(NamedTuple):
    """Where a session lives on whose old id came: only a log-out may follow."""

    key: str
    #: In another store, which took it over.
    moved: bool = False
    #: Ends it in a source of `accept`, which renewed it; as `Session.adopted`.
    end: Callable[[None], bool | Renewed] | None = None


def end_in_source(session: Session) -> bool | None:
    """End what a source of `accept` renewed; None: what there is to end is in the session's own store."""
    ended = session.ended
    if not isinstance(ended, Renewed) or ended.end is None:
        return None
    session.ended = None
    elsewhere = ended.end(None)
    if not isinstance(elsewhere, bool):  # this very store took it over meanwhile
        session.ended = elsewhere
        return None
    session.note("destroyed")
    return elsewhere


_NOTHING = (None, None, None)


def noted(session: Session) -> Noted:
    """What a list of its principal's sessions says of it, and whose list that is."""
    return noted_in(session.extras)


def noted_in(extras: dict[str, Any]) -> Noted:
    return (extras.get("label"), extras.get("max_age"), extras.get("principal")) if extras else _NOTHING
