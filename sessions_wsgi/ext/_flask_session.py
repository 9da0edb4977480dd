"""`flask.session`: Flask's surface over a `Session`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar

from flask.sessions import SessionMixin

from sessions_wsgi._commit import close, commit, report_notes
from sessions_wsgi._dictlike import DictLike
from sessions_wsgi.cookies import set_cookie
from sessions_wsgi.errors import SessionSealedError, UsageError
from sessions_wsgi.ext._flask_values import as_stored, restore_flashes, restore_values
from sessions_wsgi.ext._plain import Keeps, kept_by
from sessions_wsgi.protocols import Store
from sessions_wsgi.registry import ENVIRON_KEY, Registry
from sessions_wsgi.session import Seal, Session

_FLASHES = "_flashes"  # the key under which Flask keeps them
_SETTABLE = frozenset({"label", "max_age", "options"})


T = TypeVar("T")


class _once(Generic[T]):  # noqa: N801 - a decorator
    """Computed at its first use.

    On Python 3.11 `functools.cached_property` has one lock for all instances: threads would wait for each
    other's backends.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute, self._name = compute, compute.__name__

    def __get__(self, instance: Any, owner: type) -> T:
        value = vars(instance)[self._name] = self._compute(instance)
        return value


class FlaskSession(DictLike, SessionMixin):
    """What `flask.session` is: Flask's `permanent`, `modified`, `accessed` and `new`, and all of a `Session`.

    Opened at its first use. A write counts as a change, as in Flask; so does one inside a value, without any
    flag. ``modified = False`` drops what was written so far.
    """

    accessed = False
    _modified: bool | None = None  # None: as the values tell
    #: The store's backend did not answer.
    failed = False
    #: The response is done.
    over = False
    #: The cookie that went onto it: name and text, an empty one to delete.
    sent: Sequence[tuple[str, str]] = ()
    #: The Set-Cookies that delete what it was taken over from.
    deleted: Sequence[str] = ()

    def __init__(self, store: Store, name: str, environ: dict[str, Any]) -> None:
        self._store, self._name, self._environ = store, name, environ
        self._keeps = kept_by(store)

    @_once
    def _inner(self) -> Session:
        self.accessed = True
        # A registry of its own, as Flask opens a session anew whenever it is asked to.
        outer: Registry | None = self._environ.get(ENVIRON_KEY)
        if outer is not None and outer.stores.get(self._name) is self._store:
            raise UsageError(
                f"SessionMiddleware and SessionInterface share the store of {self._name!r}, and would undo "
                "what the other saves: keep one of them, or give the middleware's another name"
            )
        self.failed = True  # unless it is opened
        inner = _Opening(self._keeps, self._environ).open(self._store, self._name)
        self.failed = False
        inner.saver = None
        if inner.origin is not None:  # else an importer made it, of the values themselves
            restore_values(inner)
            restore_flashes(inner)
        for pair in inner.stored_values.pop(_FLASHES, ()):  # an importer may leave them where Flask had them
            inner.extras.setdefault("flashes", []).append(list(pair))
        if self.over:
            self._seal(inner)
        return inner

    @property
    def opened(self) -> bool:
        """Whether it was used."""
        return "_inner" in vars(self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what Python itself looks for
            raise AttributeError(name)
        return getattr(self._inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _SETTABLE:
            setattr(self._inner, name, value)
        else:
            super().__setattr__(name, value)

    # The mapping

    def __getitem__(self, key: Any) -> Any:
        flashes = self._flashes if key == _FLASHES else None
        return flashes or self._inner[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        if key == _FLASHES:
            pairs = [(category, message) for category, message in value]
            self._inner.flash_items()
            for category, message in pairs:
                self._inner.flash(message, category)
        else:
            self._inner[key] = value
        self._modified = True

    def __delitem__(self, key: Any) -> None:
        if key == _FLASHES and self._flashes:
            self._take_flashes()
        else:
            del self._inner[key]
        self._modified = True

    def __iter__(self) -> Iterator[Any]:
        yield from self._inner
        if self._flashes:
            yield _FLASHES

    def __len__(self) -> int:
        return len(self._inner) + bool(self._flashes)

    def __contains__(self, key: object) -> bool:
        return bool(self._flashes) if key == _FLASHES else key in self._inner

    def update(self, *others: Any, **values: Any) -> None:
        """Take over what is in another mapping; a change even if that is empty, as in Flask."""
        super().update(*others, **values)
        self._modified = True

    def __repr__(self) -> str:
        return repr(self._inner) if self.opened else f"<Session {self._name!r}, not opened>"

    def clear(self) -> None:
        """Drop everything and end the session; what is written next begins another one, with a new id."""
        self._inner.destroy()
        self._modified = True

    @property
    def _flashes(self) -> list[tuple[str, Any]]:
        return [(category, message) for category, message in self._inner.extras.get("flashes", ())]

    def _take_flashes(self) -> None:
        try:
            self._inner.flash_items()
        except SessionSealedError:  # a streamed template shows them; Flask would show them again, too
            self._inner.note("late_change", "lost")
            report_notes(self._inner, None)

    # What Flask asks for

    @property
    def new(self) -> bool:  # type: ignore[override]
        """Whether it was never saved."""
        return self._inner.is_new

    @property
    def modified(self) -> bool:
        """Whether it must be saved."""
        if self._modified is not None or not self.opened:
            return bool(self._modified)
        inner = self._inner
        if inner.resend or inner.renewed or inner.destroyed:
            return True
        return inner.state == "changed" and self._ask("changed")

    @modified.setter
    def modified(self, value: bool) -> None:
        self._modified = bool(value)

    @property
    def vacant(self) -> bool:
        """Whether nothing is in it, nobody is signed in, and no form carries its CSRF token."""
        extras = self._inner.extras
        return not self and not any(extras.get(part) for part in ("principal", "csrf", "label"))

    @property
    def due(self) -> bool:
        """Whether the store wants to save it for reasons of its own: a newer key, an end that moves."""
        return self.opened and self._modified is not False and self._ask("prepare")

    def _ask(self, question: str) -> bool:
        answer: Callable[[Session], Any] | None = getattr(self._store, question, None)
        if answer is None:  # a store whose commit decides
            return True
        with self._as_stored() as inner:
            return answer(inner) not in (None, False)

    def commit(self, *, resend: bool) -> Sequence[tuple[str, str]]:
        """Save it; what is `sent`.

        :param resend: the browser gets a cookie even if nothing changed.
        :raises SessionsError: it could not be saved.
        """
        with self._as_stored() as inner:
            inner.resend = inner.resend or (resend and not inner.destroyed)
            cookies, failures = commit([(inner, self._store, self._cookie)], None)
        if failures:
            raise failures[0]
        self.deleted = [header for name, header in cookies if self._is_foreign(name, header)]
        self.sent = [
            (name, header.partition(";")[0].partition("=")[2])
            for name, header in cookies
            if header not in self.deleted
        ]
        return self.sent

    def _is_foreign(self, name: str, header: str) -> bool:
        """Whether it deletes a cookie that has attributes of its own, and not those of Flask's settings."""
        return name != self._cookie and header != set_cookie(name, "", self._store.options, None, 0)

    def finish(self) -> None:
        """The headers are done: from now on only what is stored on the server may change, until `close`."""
        self.over = True
        if self.opened:
            self._seal(self._inner)

    def close(self) -> None:
        """The body was sent: save what changed meanwhile, if there is a record. Never raises."""
        if self.opened:
            with self._as_stored() as inner:
                close([(inner, self._store, self._cookie)], None)
            self._inner.seal = Seal.SEALED

    @property
    def _cookie(self) -> str:
        return self._store.options.cookie_name(self._name)

    def _seal(self, inner: Session) -> None:
        late = (inner.muted or not inner.is_new) and getattr(self._store, "saves_late", False)
        inner.seal = Seal.LATE if late else Seal.SEALED

    def _as_stored(self) -> AbstractContextManager[Session]:
        return as_stored(self._inner, self._keeps)


class _Opening(Registry):
    """What Flask keeps and the store does not is no reason to refuse a session of Flask's own."""

    def __init__(self, keeps: Keeps, environ: dict[str, Any]) -> None:
        super().__init__({}, environ)
        self._keeps = keeps

    def _kept_or_new(self, session: Session, store: Store) -> Session:
        with as_stored(session, self._keeps):
            return super()._kept_or_new(session, store)
