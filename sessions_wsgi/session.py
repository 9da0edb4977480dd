"""One visitor's session: a mapping, and a few intents that its store carries out.

A `Session` knows no store, no cookie and no request. It records what the application wants (changed,
destroyed, to be renewed); the store that opened it reads that at the commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, Self, overload

from sessions_wsgi import _csrf
from sessions_wsgi._stored import Seal, State, Stored
from sessions_wsgi.cookies import MAX_SECONDS, CookieOptions
from sessions_wsgi.errors import ConfigError, SessionSealedError, UsageError

__all__ = ["Seal", "Session", "State", "require_principal"]

# What cannot change inside: handing these out leaves the session as it is.
_IMMUTABLE = frozenset({str, bytes, int, float, bool, type(None)})
_MISSING = object()


class Session(Stored, MutableMapping[Any, Any]):
    """The values of one visitor.

    Applications get one from `get_session` or ``store.get``; only authors of stores make them. It compares
    like a dict, and like one it is not hashable. It takes no other attributes than those below.
    """

    __slots__ = ()

    # The mapping

    def __getitem__(self, key: Any) -> Any:
        value = self.stored_values[key]
        if type(value) not in _IMMUTABLE:
            self.touched = True
        return value

    def __setitem__(self, key: Any, value: Any) -> None:
        self._write()
        self.stored_values[key] = value

    # As the mixins, which take four times as long.

    def get(self, key: Any, default: Any = None) -> Any:
        """The value of `key`, or `default`."""
        value = self.stored_values.get(key, _MISSING)
        if type(value) not in _IMMUTABLE:
            if value is _MISSING:
                return default
            self.touched = True
        return value

    def update(self, other: Any = (), /, **more: Any) -> None:
        """Put in what a mapping or pairs hold; all of it or, when it cannot be read, nothing."""
        pairs = dict(other, **more)
        if pairs:
            self._write()
            self.stored_values.update(pairs)

    def __delitem__(self, key: Any) -> None:
        self._write()
        del self.stored_values[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.stored_values)

    def __len__(self) -> int:
        return len(self.stored_values)

    def __contains__(self, key: object) -> bool:
        return key in self.stored_values

    def __ior__(self, other: Mapping[Any, Any]) -> Self:
        self.update(other)
        return self

    def __repr__(self) -> str:
        return f"<Session {self.name!r} {'new' if self.is_new else 'stored'}, {len(self)} keys>"

    def __copy__(self) -> dict[Any, Any]:
        return dict(self)  # a second session over the same values would never be saved

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[Any, Any]:
        return deepcopy(dict(self), memo)

    # Times

    @property
    def created(self) -> datetime:
        """When the session began; `regenerate` and `login` keep it."""
        return _datetime(self.created_ms)

    @property
    def last_seen(self) -> datetime:
        """When it was last saved or touched before this request."""
        return _datetime(self.seen_ms)

    @property
    def max_age(self) -> float | None:
        """Seconds that the browser keeps the cookie, None until it closes. Takes a `timedelta`, too.

        Stored with the session and clipped to its lifetime; the server as well ends a session that was not
        seen for so long.
        """
        return self.extras.get("max_age")

    @max_age.setter
    def max_age(self, value: float | timedelta | None) -> None:
        seconds = value.total_seconds() if isinstance(value, timedelta) else value
        if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float)):
            raise UsageError(f"'max_age' must be seconds, a timedelta or None (got {type(value).__name__})")
        if seconds is not None and not 1 <= seconds <= MAX_SECONDS:
            raise UsageError(
                f"'max_age' must be at least a second (got {seconds}); to end a session: destroy()"
            )
        self._require_open("given another max_age")
        if seconds != self.max_age:
            self._set_extra("max_age", seconds)
            self.resend = True

    @property
    def options(self) -> CookieOptions:
        """The cookie's attributes in this response; assign a changed copy."""
        return self._options

    @options.setter
    def options(self, value: CookieOptions) -> None:
        if not isinstance(value, CookieOptions):
            raise UsageError(f"'options' must be CookieOptions (got {type(value).__name__})")
        if value.prefix != self._options.prefix:
            raise UsageError(
                "'options' must keep the prefix: it is part of the name that the cookie is bound to"
            )
        try:
            value.cookie_name(self.name)
        except ConfigError as error:  # a name that begins with a prefix, whose rules these break
            raise UsageError(str(error)) from None
        self._require_open("given other options")
        self._options, self.resend = value, True

    # Flashes

    def flash(self, value: Any, category: str = "") -> None:
        """Leave a message for the next time that somebody reads this category."""
        if not isinstance(category, str):
            raise UsageError(f"'category' must be a str (got {type(category).__name__})")
        self._write()
        self.extras.setdefault("flashes", []).append([category, value])

    def flashes(self, category: str = "") -> list[Any]:
        """The messages of this category in the order of flashing; they are gone with it."""
        return [value for _, value in self._take_flashes(category)]

    def flash_items(self) -> list[tuple[str, Any]]:
        """All messages as ``(category, value)`` in the order of flashing; they are gone with it."""
        return self._take_flashes(None)

    def peek_flashes(self, category: str = "") -> list[Any]:
        """The messages of this category; they stay."""
        found = [value for kind, value in self.extras.get("flashes", ()) if kind == category]
        self.touched = self.touched or bool(found)
        return found

    def _take_flashes(self, category: str | None) -> list[tuple[str, Any]]:
        items = self.extras.get("flashes", ())
        taken = [(kind, value) for kind, value in items if category is None or kind == category]
        if taken:
            rest = [item for item in items if category is not None and item[0] != category]
            self._set_extra("flashes", rest or None)
        return taken

    # Life

    def regenerate(self) -> None:
        """Take a new id and keep the data; the old id is dead at once (OWASP ASVS 7.2.4).

        Call it when the visitor's privileges change; `login` does so itself.
        """
        self._require_open("regenerated")
        self._set_extra("csrf", None)
        self.renewed = self.renewed or "regenerate"

    def login(self, principal: str) -> None:
        """Sign somebody in: `regenerate`, remember who and when, begin the absolute lifetime anew.

        What belonged to another principal is cleared first; what an anonymous visitor gathered stays.
        """
        require_principal(principal)
        self._require_open("logged in")
        if self.principal not in (None, principal):
            self.stored_values, self.extras = {}, self._first_extras()
            self.cleared = True
        self.regenerate()
        self._set_extra("epoch", None)
        self._set_extra("principal", principal)
        self._set_extra("authenticated_ms", int(self.now() * 1000))
        self.renewed, self.muted = "login", False

    def destroy(self) -> None:
        """Log out: the session ends on both sides. What is written afterwards begins a fresh one."""
        if self.seal is Seal.SEALED:
            raise SessionSealedError(self.name, "destroyed")
        if self.seal is Seal.LATE:  # the record can still end, but no fresh one can get a cookie
            self.seal = Seal.SEALED
        self.ended = self.origin if self.ended is None else self.ended
        self.destroyed = self.destroyed or not self.is_new or self.rejected is not None
        self.origin = self.handle = None
        self.is_new, self.renewed = True, ""
        self.resend = self.cleared = self.touched = False
        self.settled_by = None
        self.stored_values, self.extras = {}, self._first_extras()
        self.created_ms = self.seen_ms = int(self.now() * 1000)

    @property
    def principal(self) -> str | None:
        """Who is signed in, as `login` was told."""
        return self.extras.get("principal")

    @property
    def authenticated_at(self) -> datetime | None:
        """When `login` was called (OWASP ASVS 7.5.1: ask again before something grave)."""
        moment = self.extras.get("authenticated_ms")
        return None if moment is None else _datetime(moment)

    @property
    def label(self) -> str | None:
        """A short public text for listings, such as "Firefox on Linux"."""
        return self.extras.get("label")

    @label.setter
    def label(self, value: str | None) -> None:
        if value is not None and not isinstance(value, str):
            raise UsageError(f"'label' must be a str or None (got {type(value).__name__})")
        self._set_extra("label", value)

    def csrf_token(self) -> str:
        """A token for the forms of this session: another text each time, the same secret behind it."""
        secret = self.extras.get("csrf")
        if secret is None:
            secret = _csrf.new_secret()
            self._set_extra("csrf", secret)
        return _csrf.masked(secret)

    def check_csrf(self, token: object) -> bool:
        """Whether `token`, anything at all, came from `csrf_token` since the last `regenerate`."""
        return _csrf.matches(self.extras.get("csrf"), token)

    # Saving

    @overload
    def save(self, response: Any) -> None: ...
    @overload
    def save(self) -> NoReturn: ...
    def save(self, response: Any = None) -> None:
        """Save now, onto this WebOb response. Behind `SessionMiddleware` nobody needs to.

        :raises UsageError: `response` is missing, or is none.
        :raises SessionsError: it could not be saved.
        """
        registry = None if self.saver is None else self.saver()
        if registry is None:
            raise UsageError(
                "only a session from store.get(), or of a registry that still lives, can be saved"
            )
        registry.save_one(self, response)


def require_principal(principal: object) -> None:
    """Raise `UsageError` for what cannot name somebody."""
    if not isinstance(principal, str) or not principal or not principal.isprintable():
        raise UsageError("'principal' must be a non-empty, printable str, such as str(user.id)")


def _datetime(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
