"""Ids that were replaced a moment ago."""

from __future__ import annotations

from sessions_wsgi.envelope import Ended

#: Seconds for which a replaced id is remembered, so that requests on their way with it set no cookie.
REPLACED_SECONDS = 120.0


class Replaced(Ended):
    """The text holds an id that another request has replaced a moment ago."""

    def __init__(self) -> None:
        super().__init__("expired")
