"""A session as Pyramid's `ISession` has it."""

from __future__ import annotations

from collections.abc import Iterator
from secrets import token_hex
from typing import Any

from pyramid.interfaces import ISession
from zope.interface import implementer

from sessions_wsgi._dictlike import DictLike
from sessions_wsgi.session import Session

_CSRF = "_csrft_"  # the key that Pyramid's own sessions and its CSRF policy keep the token under
_QUEUE = "_f_"  # before a queue's name: where an importer of Pyramid's cookies leaves flashes


@implementer(ISession)
class PyramidSession(DictLike):
    """What ``request.session`` is: `ISession`, and everything of our own `Session`: `login`, `max_age` …

    What has a class of its own, such as a translation string, is stored as the plain text that it is, as in
    Pyramid's own sessions.
    """

    __slots__ = ("_session",)
    _session: Session

    def __init__(self, session: Session) -> None:
        object.__setattr__(self, "_session", session)

    # ISession

    @property
    def created(self) -> int:
        """When it began, seconds since the epoch."""
        return self._session.created_ms // 1000

    @property
    def new(self) -> bool:
        """Whether it was not stored before."""
        return self._session.is_new

    def changed(self) -> None:
        """Nobody needs to call it: a change inside a value is noticed."""
        self._session.mark_changed()

    def invalidate(self) -> None:
        """`destroy`: it ends on both sides; what is written afterwards begins a fresh one."""
        self._session.destroy()

    def flash(self, msg: Any, queue: str = "", allow_duplicate: bool = True) -> None:
        """Leave a message in this queue, a category of `Session.flash`."""
        if allow_duplicate or msg not in self.peek_flash(queue):
            self._session.flash(msg, queue)

    def pop_flash(self, queue: str = "") -> list[Any]:
        """The messages of this queue; they are gone with it."""
        return [*self._session.pop(_QUEUE + queue, ()), *self._session.flashes(queue)]

    def peek_flash(self, queue: str = "") -> list[Any]:
        """The messages of this queue; they stay."""
        return [*self._session.get(_QUEUE + queue, ()), *self._session.peek_flashes(queue)]

    def new_csrf_token(self) -> str:
        """A new token; unlike `Session.csrf_token` the same text until the next one."""
        self[_CSRF] = token = token_hex(20)
        return token

    def get_csrf_token(self) -> str:
        """The token, made if there is none."""
        token: str | None = self.get(_CSRF)
        return token or self.new_csrf_token()

    # The mapping

    def __getitem__(self, key: Any) -> Any:
        return self._session[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._session[key] = value

    def __delitem__(self, key: Any) -> None:
        del self._session[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._session)

    def __len__(self) -> int:
        return len(self._session)

    def __contains__(self, key: object) -> bool:
        return key in self._session

    def clear(self) -> None:
        """Values, flashes and the CSRF token go, as with Pyramid's own sessions; who is signed in stays."""
        self._session.clear()
        self._session.flash_items()

    def __repr__(self) -> str:
        return repr(self._session)

    # Our own

    def login(self, principal: str) -> None:
        """As `Session.login`; the CSRF token is renewed, too."""
        self._session.login(principal)
        self._session.pop(_CSRF, None)

    def regenerate(self) -> None:
        """As `Session.regenerate`; the CSRF token is renewed, too."""
        self._session.regenerate()
        self._session.pop(_CSRF, None)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"a session has no attribute {name!r}")
        return getattr(self._session, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in {"label", "max_age", "options"}:
            raise AttributeError(f"a session takes no attribute {name!r}")
        setattr(self._session, name, value)
