"""Ids that were replaced a moment ago."""

from __future__ import annotations

from collections.abc import Callable

from sessions_wsgi.envelope import Ended
from sessions_wsgi.stores._origin import Renewed


class Replaced(Ended):
    """The text holds an id that another request has replaced a moment ago."""

    def __init__(
        self,
        successor: str | None = None,
        *,
        moved: bool = False,
        end: Callable[[None], bool | Renewed] | None = None,
    ) -> None:
        super().__init__("expired")
        #: Another store took it over: `successor` is its handle there.
        self.moved = moved
        #: The backend's key of the id that replaced it, where that is known.
        self.successor = successor
        #: A source of `accept` renewed it: ends it there.
        self.end = end
