"""A session with Beaker's methods, over one of ours."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime
from uuid import uuid4

from sessions_wsgi.compat._beaker_setup import Setup
from sessions_wsgi.compat._beaker_view import BeakerView
from sessions_wsgi.errors import UsageError
from sessions_wsgi.session import Seal

# What Beaker keeps among the values.
_OURS = frozenset({"_accessed_time", "_creation_time", "_domain", "_path", "_id"})


class BeakerSession(BeakerView):
    """What ``environ["beaker.session"]`` holds: saved by `save`, or by itself with the option `auto`."""

    def load(self) -> None:
        """Read it again from the store; what was not saved is dropped."""
        session = self._session()
        if session.handle is not None and self._setup.ids is not None:
            session = self._setup.store.open(self._setup.name, [session.origin.text])
        self._take(session)

    def save(self, accessed_only: bool = False) -> None:
        """Have it saved, as it will be when the response starts; with nothing in it, too."""
        if not accessed_only:
            self._dirty = True
            if self._started:
                self._store()

    def revert(self) -> None:
        """Go back to the values as they were loaded."""
        self._session()
        self._data = deepcopy(self._original)

    def delete(self) -> None:
        """End it: record and cookie are gone. What is written and saved afterwards is a new session."""
        self._session().destroy()
        self._dirty = self._anchored = False
        self.clear()

    def invalidate(self) -> None:
        """End it, and begin a new one, which is stored if `save` is called."""
        session = self._session()
        session.destroy()
        self.was_invalidated, self._dirty, self._anchored = True, False, False
        self._take(session)

    def regenerate_id(self) -> None:
        """Give it a new id and keep the values; the old id is dead at once."""
        session = self._session()
        if not session.is_new:
            session.regenerate()
        if self._setup.ids is None:
            self._values()["_id"] = uuid4().hex

    def get_by_id(self, id: str) -> BeakerSession | None:  # noqa: A002 - Beaker's name
        """The stored session with this `id`, which is saved and deleted at once; None when there is none."""
        return find(self._setup, id)

    def lock(self) -> None:
        """Nothing happens, and nobody waits: what two requests change is merged, key by key."""

    def unlock(self) -> None:
        """Nothing happens, as nothing is locked."""

    def persist(self) -> None:
        """Hand what was saved over to the store. The middleware calls it when the response starts."""
        self._started = True
        if self._opened is None:
            return
        if self._dirty or (self.auto and (not self.is_new or self._data.keys() - _OURS)):
            self._store()
        elif self._anchored:
            self._opened.destroy()
            self._setup.store.drop(self._opened)
            self._opened.committed(stored=False)
            self._anchored = False

    def _store(self) -> None:
        session, options = self._session(), self._setup.store.options
        values = deepcopy(self._data)
        values.pop("_accessed_time", None)
        values.setdefault("_creation_time", session.created_ms / 1000)
        for name, usual in (("_domain", options.domain), ("_path", options.path)):
            if values.get(name, usual) == usual:
                values.pop(name, None)
        session.clear()
        session.update(values)
        if session.seal is Seal.OPEN:
            self._apply_place(session)
            if self._expires != self._setup.cookie_expires or isinstance(self._expires, datetime):
                session.max_age = self._setup.age(self._expires)
        self._anchored = False


class DetachedSession(BeakerSession):
    """A session without a cookie: what is done to it is done at once."""

    def save(self, accessed_only: bool = False) -> None:
        """Store it."""
        if not accessed_only:
            self._store()
            self._setup.store.commit(self._session())

    def delete(self) -> None:
        """Remove it from the store."""
        super().delete()
        self._setup.store.commit(self._session())


def find(setup: Setup, id: str) -> DetachedSession | None:  # noqa: A002 - Beaker's name
    """The stored session with this id, None when there is none: an unknown id is never taken over."""
    if setup.ids is None:
        raise UsageError("sessions in cookies cannot be found by their id: the store has none")
    try:
        raw = bytes.fromhex(id)
    except (TypeError, ValueError):
        return None
    text = setup.ids.seal(setup.store.options.cookie_name(setup.name), raw)
    session = setup.store.open(setup.name, [text])
    return None if session.is_new else DetachedSession(setup, lambda: session)


def new(setup: Setup) -> DetachedSession:
    """A session that no cookie leads to."""
    if setup.ids is None:
        raise UsageError("sessions in cookies cannot be without one: the store has none")
    return DetachedSession(setup, lambda: setup.store.open(setup.name, []))
