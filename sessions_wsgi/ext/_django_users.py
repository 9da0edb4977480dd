"""Who is signed in: what `django.contrib.auth` puts into a session is the principal of the session behind it.

So `store.revoke(str(user.pk))`, `sessions_of` and ``sessions-wsgi list`` know Django's users.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase

from sessions_wsgi.errors import EventKind, UsageError
from sessions_wsgi.protocols import Imported
from sessions_wsgi.session import Session, require_principal


class UserSession(SessionBase):
    """The part of the engine's session that is as our own: what `revoke` and `sessions_of` work with."""

    # What the values were loaded from, or last saved to; None: nothing, or an end of it.
    _inner: Session | None = None
    # Who was in the values then: only what Django changes is told to the session behind.
    _user: str | None = None
    _label: str | None = None

    @property
    def principal(self) -> str | None:
        """The primary key of the user who is signed in, as text."""
        return user_in(self._session)

    @property
    def handle(self) -> str | None:
        """What `sessions_of` and `end` call this session; None before it is saved, and in plain cookies."""
        return self._loaded.handle

    @property
    def label(self) -> str | None:
        """A short public text for listings, such as "Firefox on Linux"."""
        return self._loaded.label if self._label is None else self._label

    @label.setter
    def label(self, value: str) -> None:
        if not isinstance(value, str):
            raise UsageError(f"'label' must be a str (got {type(value).__name__})")
        if value != self.label:
            self._label, self.modified = value, True

    # What `revoke` does to the session that it keeps

    @property
    def extras(self) -> dict[str, Any]:
        return self._loaded.extras

    def mark_changed(self) -> None:
        self.modified = True

    def note(self, kind: EventKind, reason: str | None = None) -> None:
        self._loaded.note(kind, reason)

    def lose(self) -> None:
        self._loaded.lose()

    # Inside

    def _tell_user(self, inner: Session, values: Mapping[Any, Any]) -> None:
        """Whose these values are is known to the store once they are saved."""
        user = user_in(values)
        if user != self._user:
            name_user(inner, user, now_ms=int(inner.now() * 1000))
            self._user = user
        if self._label is not None:
            inner.label, self._label = self._label, None

    @property
    def _loaded(self) -> Session:
        self._session  # noqa: B018 - loads it
        return Session("") if self._inner is None else self._inner


def user_in(values: Mapping[Any, Any]) -> str | None:
    """Whose session it is; None: nobody's, or what no principal can be called."""
    user = values.get(SESSION_KEY)
    if user is None:
        return None
    try:
        require_principal(str(user))
    except UsageError:
        return None
    return str(user)


def name_user(inner: Session, user: str | None, *, now_ms: int | None) -> bool:
    """Make this user the principal of the session behind it; whether it was another one.

    Django gives a session a new key before it puts a user in. Where somebody else was signed in, or is no
    more, and it did not, it is done here.

    :param now_ms: when the user signed in; None: some time ago.
    """
    before = inner.principal
    if user == before:
        return False
    for name in ("principal", "epoch", "authenticated_ms"):
        inner.extras.pop(name, None)
    if user is not None:
        inner.extras["principal"] = user
        if now_ms is not None:
            inner.extras["authenticated_ms"] = now_ms
    if before is not None:
        inner.regenerate()
    return True


class NamingImporter:
    """An importer in `SESSIONS_WSGI_ACCEPT`: its sessions are of the users in them, so `revoke` ends them."""

    def __init__(self, importer: Any) -> None:
        self._read = importer.read
        #: As of the importer: the foreign cookie, if it has another name or other attributes.
        self.cookie, self.options = getattr(importer, "cookie", None), getattr(importer, "options", None)

    def read(self, text: str, now: float) -> Imported:
        found: Imported = self._read(text, now)
        return found if found.principal is not None else found._replace(principal=user_in(found.values))
