"""What the command line said, and cookies for it to look at."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from sessions_wsgi import CookieStore, ServerStore

NOW = 1_800_000_000.0


class Done(NamedTuple):
    """What a command said."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


def cookie(store: CookieStore | ServerStore, *, name: str = "session", principal: str | None = None) -> str:
    """The text of a cookie with some values."""
    session = store.open(name, [])
    session.update({"cart": ["apple"], 42: 43, "pair": (1, 2)})
    session.flash("welcome")
    if principal is not None:
        session.login(principal)
    return store.commit(session) or ""
