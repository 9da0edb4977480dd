"""Visitors whose sessions another engine of Django keeps are not logged out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.utils.module_loading import import_string

from sessions_wsgi._nearest import nearest
from sessions_wsgi.cookies import CookieOptions
from sessions_wsgi.errors import ConfigError
from sessions_wsgi.ext._django_users import user_in
from sessions_wsgi.session import Session

_ENGINES = [f"django.contrib.sessions.backends.{name}" for name in ("db", "cached_db", "cache", "file")]


class Engine:
    """An engine of Django as a store to `accept`: its sessions are taken over, and end there.

    Not for signed cookies: nothing would end their copies. `DjangoImporter` takes those, with an end date.

    :param path: of the engine, as a `SESSION_ENGINE`.
    :raises ConfigError: there is none, or it is of signed cookies.
    """

    def __init__(self, path: str) -> None:
        self.options = CookieOptions()
        if path.endswith("signed_cookies"):
            raise _refused("must not hold the engine of signed cookies: use DjangoImporter(…, until=…)")
        try:
            self._sessions = import_string(f"{path}.SessionStore")
        except ImportError as error:
            rule = f"must hold engines of Django, importers or stores (got {path!r})"
            raise _refused(rule + nearest(path, _ENGINES)) from error

    def open(self, name: str, texts: Sequence[str]) -> Session:
        for text in filter(_KEY.fullmatch, texts):
            old = self._sessions(text)
            values: dict[Any, Any] = old.load() if old.session_key else {}
            if old.session_key and values:
                # When its user signed in is not known, so every `revoke` ends it.
                extras = {} if (user := user_in(values)) is None else {"principal": user}
                return Session(name, dict(values), self.options, extras, is_new=False, origin=text)
        return Session(name, options=self.options)

    def commit(self, session: Session) -> str | None:
        """Carry out an end; nothing else ever comes here."""
        self.drop(session)
        session.committed(stored=False)
        return ""

    def drop(self, session: Session) -> bool:
        """End what was destroyed; False: another request had ended it."""
        key, session.ended = session.ended, None
        if key is None or not self._sessions().exists(key):
            return False
        self._sessions().delete(key)
        return True


# What Django's engines make, and what their databases take: PostgreSQL raises for a NUL.
_KEY = re.compile(r"[a-z0-9]{8,40}")


def _refused(rule: str) -> ConfigError:
    return ConfigError(f"'accept' {rule}", "accept")
