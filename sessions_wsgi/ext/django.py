"""Django's sessions in any store: ``SESSION_ENGINE = "sessions_wsgi.ext.django"``.

Django's own middleware writes the cookie, with the ``SESSION_COOKIE_*`` settings; `session_key` is its text:
the sealed session of a `CookieStore`, the sealed id of a `ServerStore`. What is saved and when is Django's
contract; that a change inside a value is seen, that two requests at a time keep what both wrote, and that
what was ended stays ended, is ours. The settings: `sessions_wsgi.ext._django_settings`.
"""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.sessions.backends.base import CreateError, UpdateError

from sessions_wsgi._commit import end_source, report_notes
from sessions_wsgi._takeover import kept_or_new, prepares
from sessions_wsgi.cookies import MAX_SECONDS
from sessions_wsgi.errors import SerializeError
from sessions_wsgi.ext._django_settings import current_store
from sessions_wsgi.ext._django_users import UserSession, name_user, user_in
from sessions_wsgi.ext._plain import kept_by, plain
from sessions_wsgi.session import Session

__all__ = ["SessionStore", "current_store"]

# A session of nothing but these cannot change without Django's noticing.
_IMMUTABLE = frozenset({str, bytes, int, float, bool, type(None)})


class SessionStore(UserSession):
    """One visitor's session, as `django.contrib.sessions` defines it.

    Failures of the store are raised: a backend that is down must not look like a log-out.
    """

    # As `_inner`, while it is to be found out whether something inside the values changed.
    _watched: Session | None = None
    _modified = False

    @property
    def modified(self) -> bool:
        """Whether it must be saved: it was said so, or something inside the values changed since the load.

        An assignment of False has the last word on what was loaded before.
        """
        return self._modified or self._changed_inside()

    @modified.setter
    def modified(self, value: bool) -> None:
        self._modified = value
        if not value:
            self._watched = None

    def _changed_inside(self) -> bool:
        changed, inner = getattr(current_store(), "changed", None), self._watched
        if changed is None or inner is None:
            return False
        if all(type(value) in _IMMUTABLE for value in inner.stored_values.values()):
            return False
        inner.mark_changed()
        try:
            return bool(changed(inner))
        except SerializeError:  # a save may still make it plain
            return True

    # Reading

    def load(self) -> dict[Any, Any]:
        inner = self._open(self.session_key)
        if inner.is_new or self._is_over(inner.stored_values):
            self._inner = None
            # A key that another request replaced a moment ago is kept: without one, Django's middleware would
            # delete the cookie, which is a newer one by now.
            if not inner.muted:
                self._session_key = None
            return {}
        self._inner = self._watched = inner
        self._user = user_in(inner.stored_values)
        outdated = _names_its_user(inner, self._user) or _is_outdated(inner)
        self._modified = self._modified or outdated
        return inner.stored_values

    def exists(self, session_key: str | None) -> bool:
        return bool(session_key) and not self._open(session_key).is_new

    def _open(self, session_key: str | None) -> Session:
        texts = [session_key] if session_key else []
        store = current_store()
        inner = kept_or_new(store.open(settings.SESSION_COOKIE_NAME, texts), store)
        if inner.rejected:
            inner.note("rejected", inner.rejected)
        report_notes(inner, None)
        return inner

    def _is_over(self, values: dict[Any, Any]) -> bool:
        """Whether `set_expiry` was given a moment that has passed; spans are the store's business."""
        expiry = values.get("_session_expiry")
        return bool(expiry) and self.get_expiry_age(expiry=expiry) < 0

    # Writing

    def create(self) -> None:
        self._session_key = self._inner = self._user = None
        inner = self._open(None)
        inner.is_new = False  # Django stores an empty session, too
        self._write(inner, self._get_session(no_load=True))
        self.modified = True

    def save(self, must_create: bool = False) -> None:
        if self.session_key is None:
            return self.create()
        if must_create:
            if self.exists(self.session_key):
                raise CreateError
            return self.create()
        values, inner = self._get_session(), self._current()
        if inner is None:
            raise UpdateError
        return self._write(inner, values)

    def cycle_key(self) -> None:
        values, inner = self._session, self._current()
        try:
            if inner is None:
                return self.create()
            inner.regenerate()
            self._write(inner, values)
        except UpdateError:  # another request ended it: nothing of it lives on under another key
            self._session_cache: dict[Any, Any] = {}
            self.create()
        self.modified = True
        return None

    async def acycle_key(self) -> None:
        await sync_to_async(self.cycle_key)()

    def delete(self, session_key: str | None = None) -> None:
        key = self.session_key if session_key is None else session_key
        if key is None:
            return
        inner = self._open(key)
        # Muted: another request gave it a new key, which must end as well.
        if not inner.is_new or inner.muted:
            inner.destroy()
            current_store().commit(inner)
            end_source(inner, current_store())
            report_notes(inner, None)
        if key == self.session_key:
            self._session_key = self._inner = None
            self._session_cache = {}
            self.modified = True

    @classmethod
    def clear_expired(cls) -> None:
        purge = getattr(current_store(), "purge", None)
        if purge is not None:
            purge()

    def _current(self) -> Session | None:
        """What a save has to update, if it still is there."""
        if self._inner is None and self.session_key is not None:  # cleared before it was loaded
            inner = self._open(self.session_key)
            self._inner, self._user = None if inner.is_new else inner, user_in(inner.stored_values)
        return self._inner

    def _write(self, inner: Session, values: dict[Any, Any]) -> None:
        """Save `values`, for as long as Django says.

        :raises UpdateError: another request ended the session.
        """
        inner.stored_values = plain(values, kept_by(current_store()))
        self._tell_user(inner, values)
        # `_is_over` knows what has passed already.
        inner.max_age = min(max(1, self.get_expiry_age()), MAX_SECONDS)
        inner.mark_changed()
        inner.resend = True  # a save prolongs, changed or not
        text = current_store().commit(inner)
        if text and inner.adopted is not None and inner.adopted(inner.handle or "") is not True:
            inner.destroy()
            current_store().commit(inner)
            text = None
        inner.adopted = None
        report_notes(inner, None)
        if not text and self.session_key is not None and not self.exists(self.session_key):
            self._inner = self._watched = None
            raise UpdateError
        if text and text != self.session_key:  # the browser needs it, even if the values are the same
            self._session_key, self.modified = text, True
        inner.committed(stored=self.session_key is not None)  # not every store keeps the session's books
        self._inner, self._session_cache = inner, inner.stored_values


def _names_its_user(inner: Session, user: str | None) -> bool:
    """Give the session its user as the principal; whether it had not, so that it must be saved."""
    return user is not None and prepares(current_store()) and name_user(inner, user, now_ms=None)


def _is_outdated(inner: Session) -> bool:
    """Whether it is to be saved anew: an older key, or something else that the store accepts, opened it."""
    store = current_store()
    if not prepares(store):
        return False
    seen_ms, inner.seen_ms = inner.seen_ms, int(inner.now() * 1000)  # to read is no activity for Django
    due = store.prepare(inner) is not None
    inner.seen_ms = seen_ms
    return due
