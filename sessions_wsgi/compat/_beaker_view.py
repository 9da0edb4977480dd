"""What Beaker's sessions tell, over one of ours."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sessions_wsgi._dictlike import DictLike
from sessions_wsgi.compat._beaker_setup import Setup
from sessions_wsgi.session import Seal, Session


class BeakerView(DictLike):
    """A mapping with Beaker's facts beside it, opened at first use.

    It works on a copy of the values, so that what is not saved is dropped, nested changes included.

    :param setup: what the middleware was told.
    :param open_session: opens the session that this one stands for.
    """

    #: Whether `invalidate` was called in this request.
    was_invalidated = False

    def __init__(self, setup: Setup, open_session: Callable[[], Session]) -> None:
        self._setup, self._open = setup, open_session
        self._opened: Session | None = None
        self._data: dict[Any, Any] = {}
        self._original: dict[Any, Any] = {}
        self._dirty = self._started = self._anchored = False
        self._expires = setup.cookie_expires
        #: Seconds since the epoch of the visit before this one, None in a new session.
        self._last_accessed: float | None = None

    # The mapping

    def __getitem__(self, key: Any) -> Any:
        return self._values()[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._values()[key] = value

    def __delitem__(self, key: Any) -> None:
        del self._values()[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._setup.name!r}{' accessed' if self.accessed() else ''}>"

    def clear(self) -> None:
        """Drop all values; domain and path stay."""
        values = self._values()
        kept = {name: values[name] for name in ("_domain", "_path", "_id") if name in values}
        values.clear()
        values.update(kept)

    def has_key(self, key: Any) -> bool:
        """The same as ``key in session``."""
        return key in self

    # What Beaker tells

    @property
    def id(self) -> str:
        """64 hexadecimal digits, for `get_by_id`; no cookie can be made of them without the key.

        A new session has one at once: its record is made for it, and removed again unless it is saved.
        """
        session = self._session()
        if self._setup.ids is None:
            own: str = self._values()["_id"]
            return own
        if (session.handle is None or session.renewed) and session.seal is Seal.OPEN:
            self._anchor(session)
        if session.handle is None:  # it cannot be saved any more
            return secrets.token_hex(32)
        found: str = session.origin.id.hex()
        return found

    @property
    def is_new(self) -> bool:
        """Whether no session was found in the request."""
        return self._session().is_new or self._anchored

    @property
    def created(self) -> float:
        """Seconds since the epoch."""
        began: float = self._values().get("_creation_time", self._session().created_ms / 1000)
        return began

    @property
    def last_accessed(self) -> float | None:
        """Seconds since the epoch of the visit before this one; None in a new session."""
        self._session()
        return self._last_accessed

    @property
    def key(self) -> str:
        """The name of the cookie."""
        return self._setup.name

    @property
    def timeout(self) -> int | None:
        """Seconds without a visit after which it ends."""
        return self._setup.timeout

    @property
    def auto(self) -> bool:
        """Whether it is saved without `save`."""
        return self._setup.auto

    @property
    def cookie_expires(self) -> bool | timedelta | datetime:
        """How long the browser keeps the cookie; set it and call `save` to change that."""
        return self._expires

    @cookie_expires.setter
    def cookie_expires(self, value: bool | float | timedelta | datetime) -> None:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        self._expires = timedelta(seconds=value) if number else value  # type: ignore[assignment, arg-type]

    @property
    def domain(self) -> str | None:
        """The cookie's domain; set it and call `save` to change it."""
        found: str | None = self._values().get("_domain")
        return found

    @domain.setter
    def domain(self, value: str | None) -> None:
        self._values()["_domain"] = value

    @property
    def path(self) -> str:
        """The cookie's path; set it and call `save` to change it."""
        found: str = self._values().get("_path", "/")
        return found

    @path.setter
    def path(self, value: str) -> None:
        self._values()["_path"] = value

    def accessed(self) -> bool:
        """Whether the application looked at it in this request."""
        return self._opened is not None

    def dirty(self) -> bool:
        """Whether `save` was called."""
        return self._dirty

    # Inside

    def _session(self) -> Session:
        if self._opened is None:
            self._opened = self._open()
            self._take(self._opened)
            self._apply_place(self._opened)
            self._opened.resend = False  # only what was loaded was applied
        return self._opened

    def _values(self) -> dict[Any, Any]:
        self._session()
        return self._data

    def _take(self, session: Session) -> None:
        options, now = self._setup.store.options, self._setup.clock()
        self._data = {
            "_domain": options.domain,
            "_path": options.path,
            "_accessed_time": now,
            "_creation_time": session.created_ms / 1000,
            **deepcopy(session.stored_values),
        }
        if self._setup.ids is None:
            self._data.setdefault("_id", uuid4().hex)
        self._last_accessed = None if session.is_new else session.seen_ms / 1000
        self._original = deepcopy(self._data)

    def _apply_place(self, session: Session) -> None:
        wanted = replace(session.options, domain=self._data.get("_domain"), path=self._data.get("_path", "/"))
        if wanted != session.options:
            session.options = wanted

    def _anchor(self, session: Session) -> None:
        """Store it now, as its id is asked for; its cookie is sent with the response."""
        if session.origin is None:
            session["_creation_time"] = self.created
            self._anchored = True
        self._setup.store.commit(session)
        session.resend = True
