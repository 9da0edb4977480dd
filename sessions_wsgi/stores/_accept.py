"""Visitors who come with a cookie of another store or another library are not logged out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from sessions_wsgi.cookies import CookieOptions
from sessions_wsgi.errors import ConfigError, DecodeError
from sessions_wsgi.protocols import Importer, Store
from sessions_wsgi.session import Session
from sessions_wsgi.stores._ended import Replaced
from sessions_wsgi.stores._origin import Renewed

Accepted = Sequence[Importer | Store]


class Accept:
    """The sources that a store falls back on, in order; each proves its own texts.

    :raises ConfigError: an entry is neither an importer nor a store.
    """

    def __init__(self, entries: Accepted, options: CookieOptions, clock: Callable[[], float]) -> None:
        if isinstance(entries, str | bytes) or not isinstance(entries, Sequence):
            rule = f"must be a list of importers and stores, also of one (got {type(entries).__name__})"
            raise ConfigError(f"'accept' {rule}", "accept")
        for entry in entries:
            if isinstance(entry, type) or not any(
                callable(getattr(entry, verb, None)) for verb in ("read", "open")
            ):
                kind = f"{entry.__name__} itself" if isinstance(entry, type) else type(entry).__name__
                raise ConfigError(f"'accept' must hold importers and stores (got {kind})", "accept")
        self._entries, self._options, self._clock = tuple(entries), options, clock

    def cookies(self, name: str) -> Iterator[str]:
        """The other cookies to look at for the session `name`."""
        for entry in self._entries:
            cookie = self._cookie(entry, name)
            if cookie != self._options.cookie_name(name):
                yield cookie

    def adopt(self, name: str, texts: Sequence[str], now: float) -> Session | None:
        """The session that a source finds in one of the texts: not new, and not stored here yet."""
        for entry in self._entries:
            for text in texts:
                session = self._read(entry, name, text, now)
                if session is not None:
                    self._retire(session, entry, name)
                    return session
        return None

    def end(self, name: str, texts: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, CookieOptions]]:
        """Log out of the sources that these texts are of, by cookie; tells the cookies to delete."""
        entries: Sequence[Any] = self._entries
        for entry in entries:
            cookie = self._cookie(entry, name)
            for text in texts.get(cookie, ()) if hasattr(entry, "open") else ():
                old = entry.open(name, [text])
                if (old.muted or not old.is_new) and _moved_to(old) is None:
                    _end(entry, old, name, text, None)
            if cookie in texts:
                yield cookie, self._options_of(entry)

    def _read(self, entry: Any, name: str, text: str, now: float) -> Session | None:
        if hasattr(entry, "open"):
            return self._from_store(entry, name, text)
        return self._imported(entry, name, text, now)

    def _from_store(self, store: Any, name: str, text: str) -> Session | None:
        old = store.open(name, [text])
        if old.muted:
            here = _moved_to(old)
            raise Replaced(here, end=None if here else partial(_end, store, old, name, text))
        if old.is_new:
            return None
        extras = {key: value for key, value in old.extras.items() if key not in {"epoch", "id"}}
        session = self._session(name, old.stored_values, extras, old.created_ms)
        session.seen_ms = old.seen_ms
        session.adopted = partial(_end, store, old, name, text)
        return session

    def _imported(self, importer: Any, name: str, text: str, now: float) -> Session | None:
        try:
            found = importer.read(text, now)
        except DecodeError:
            return None
        extras: dict[str, Any] = {}
        if found.flashes:
            extras["flashes"] = [[category, value] for category, value in found.flashes]
        if found.principal is not None:
            extras.update(principal=found.principal, authenticated_ms=int(found.created * 1000))
        if self._options.max_age is not None:
            extras["max_age"] = self._options.max_age
        session = self._session(name, dict(found.values), extras, int(found.created * 1000))
        if found.last_seen is not None:
            session.seen_ms = max(session.created_ms, int(found.last_seen * 1000))
        return session

    def _session(self, name: str, values: dict[Any, Any], extras: dict[str, Any], created_ms: int) -> Session:
        return Session(
            name,
            values,
            options=self._options,
            extras=extras,
            created_ms=created_ms,
            is_new=False,
            clock=self._clock,
        )

    def _retire(self, session: Session, entry: Any, name: str) -> None:
        cookie = self._cookie(entry, name)
        if cookie != self._options.cookie_name(name):
            session.old_cookie = (cookie, self._options_of(entry))

    def _options_of(self, entry: Any) -> CookieOptions:
        return getattr(entry, "options", None) or self._options

    def _cookie(self, entry: Any, name: str) -> str:
        if hasattr(entry, "open"):
            full: str = entry.options.cookie_name(name)
            return full
        return getattr(entry, "cookie", None) or self._options.cookie_name(name)


def _end(store: Any, old: Session, name: str, text: str, handle: str | None) -> bool | Renewed:
    """Remove the record of a session that lives in another store now, under this handle.

    False: another request has ended it, or, as what is returned tells, has taken it over before.
    """
    if old.adopted is not None:  # it was on its way itself
        before: bool | Renewed = old.adopted(handle)
        return before
    old.moved_to = handle
    old.destroy()
    if not hasattr(store, "drop"):
        store.commit(old)
        return True
    if store.drop(old):
        return True
    elsewhere = _moved_to(store.open(name, [text]))
    return Renewed(elsewhere) if elsewhere else False


def _moved_to(old: Session) -> str | None:
    origin = old.origin
    return origin.key if isinstance(origin, Renewed) and origin.moved else None
