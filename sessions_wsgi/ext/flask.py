"""Sessions for Flask: ``app.session_interface = SessionInterface(store)``; `flask.session` is one of ours.

The moments are Flask's: opened at the request, saved after the last `after_request`, also on an error page.
The cookie looks as `SESSION_COOKIE_*` say, read at each request through Flask's own hooks, which subclasses
may override as they would Flask's.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import nextafter
from threading import Lock
from typing import Any

from flask import Flask, Request, Response
from flask.sessions import SessionInterface as _FlaskInterface

from sessions_wsgi._advice import about_flask_session
from sessions_wsgi._headers import with_private_cache
from sessions_wsgi._named import known_options
from sessions_wsgi.cookies import CookieOptions
from sessions_wsgi.envelope import Lifetime
from sessions_wsgi.errors import BackendError, ConfigError, logger
from sessions_wsgi.ext._flask_session import FlaskSession
from sessions_wsgi.keys import Key
from sessions_wsgi.protocols import Store
from sessions_wsgi.stores import CookieStore

__all__ = ["FlaskSession", "SessionInterface"]

_DEFAULTS = CookieOptions()
# No secret: it tells apart what is stretched here and elsewhere from the same text.
_SALT = b"sessions_wsgi/ext/flask/1"
_one_at_a_time = Lock()


@known_options
class SessionInterface(_FlaskInterface):
    """Flask's sessions in a store of ours.

    :param store: any store. None: signed cookies, with `SECRET_KEY`, `SECRET_KEY_FALLBACKS` and
        `PERMANENT_SESSION_LIFETIME`, each read per request; without a secret key, what Flask does then.
    :raises ConfigError: `store` is no store.
    """

    #: The Cache-Control of a response that sets the cookie, where the view set none; None leaves it alone.
    cache_control: str | None = "no-store"

    def __init__(self, store: Store | None = None) -> None:
        if store is not None and (isinstance(store, type) or not hasattr(store, "commit")):
            got = store.__name__ + " itself" if isinstance(store, type) else type(store).__name__
            raise ConfigError(
                f"'store' must be a store or None (got {got}); a URL goes through store_from_url", "store"
            )
        self.store = store

    def get_store(self, app: Flask) -> Store | None:
        """The store of this request; None when there is neither a store nor a secret key."""
        if self.store is not None or not app.secret_key:
            return self.store
        fallbacks = app.config.get("SECRET_KEY_FALLBACKS") or ()
        if isinstance(fallbacks, str | bytes):  # Flask would take each letter for a key
            raise ConfigError("'SECRET_KEY_FALLBACKS' must be a list of keys", "SECRET_KEY_FALLBACKS")
        for option, secrets in (("SECRET_KEY", [app.secret_key]), ("SECRET_KEY_FALLBACKS", fallbacks)):
            for secret in secrets:
                if not isinstance(secret, str | bytes):
                    raise ConfigError(
                        f"{option!r} must be str or bytes (got {type(secret).__name__})", option
                    )
        return _cookie_store((app.secret_key, *fallbacks), app.permanent_session_lifetime)

    # The way in

    def open_session(self, app: Flask, request: Request) -> FlaskSession | None:
        """The session of this request, decoded at its first use."""
        if "SESSION_TYPE" in app.config:
            about_flask_session()
        store = self.get_store(app)
        return None if store is None else FlaskSession(store, self.get_cookie_name(app), request.environ)

    # The way out

    def save_session(self, app: Flask, session: Any, response: Response) -> None:
        """Save the session, if Flask would; its cookie goes onto the response.

        :raises SessionsError: it could not be saved.
        """
        if session is None:  # `open_session` raised, and Flask makes a page of that
            return
        accessed = session.accessed
        if accessed:
            response.vary.add("Cookie")
        if session.opened or session.modified or self._refreshes(app, session):
            self._save(app, session, response)
        session.accessed = accessed  # what was looked at in here is nobody's access
        session.finish()
        response.call_on_close(session.close)

    def _refreshes(self, app: Flask, session: FlaskSession) -> bool:
        """Whether there is a session that nobody looked at, and that each request may prolong."""
        if not app.config["SESSION_REFRESH_EACH_REQUEST"] or session.failed:
            return False
        try:
            return not session.vacant
        except BackendError as error:  # no reason to fail a page that does without a session
            logger.warning("a session was not refreshed: %s", error)
            return False

    def _save(self, app: Flask, session: FlaskSession, response: Response) -> None:
        cookies = session.sent  # with a response that an error page replaces
        if not cookies and self._wants(app, session):
            # Flask sends the cookie, changed or not; for the store's own reasons it is the store that knows.
            cookies = session.commit(resend=super().should_set_cookie(app, session) or not session.due)
        for name, text in cookies:
            if text:
                expires = self.get_expiration_time(app, session)
                response.set_cookie(name, text, expires=expires, **self._attributes(app))
            else:
                response.delete_cookie(name, **self._attributes(app))
        for header in session.deleted:
            response.headers.add("Set-Cookie", header)
        if cookies:
            response.vary.add("Cookie")
            response.headers[:] = with_private_cache(response.headers.to_wsgi_list(), self.cache_control)[0]

    def _wants(self, app: Flask, session: FlaskSession) -> bool:
        if not session.vacant:
            return self.should_set_cookie(app, session)
        if session.modified and not session.over:
            session.destroy()  # emptied: as Flask deletes the cookie, and the record as well
        return session.modified

    def should_set_cookie(self, app: Flask, session: Any) -> bool:
        """Whether Flask would save it, or the store must: after a change of keys, say."""
        return super().should_set_cookie(app, session) or session.due

    def get_expiration_time(self, app: Flask, session: Any) -> datetime | None:
        """When the browser drops the cookie: as Flask says, else by the session's own `max_age`."""
        expires = super().get_expiration_time(app, session)
        if expires is None and session.max_age is not None:
            age = session.max_age if session.cookie_age is None else session.cookie_age
            return datetime.fromtimestamp(session.now() + age, UTC)
        return expires

    # The cookie: Flask's settings; what they leave open, a store's options may say

    def get_cookie_domain(self, app: Flask) -> str | None:
        return super().get_cookie_domain(app) or self._said(app, "domain")

    def get_cookie_path(self, app: Flask) -> str:
        said = None if app.config["SESSION_COOKIE_PATH"] else self._said(app, "path")
        return said or super().get_cookie_path(app)

    def get_cookie_secure(self, app: Flask) -> bool:
        return super().get_cookie_secure(app) or bool(self._said(app, "prefix"))  # it needs Secure

    def get_cookie_samesite(self, app: Flask) -> str | None:
        return super().get_cookie_samesite(app) or self._said(app, "samesite")

    def get_cookie_partitioned(self, app: Flask) -> bool:  # new in Flask 3.1
        return bool(app.config.get("SESSION_COOKIE_PARTITIONED") or self._said(app, "partitioned"))

    def _said(self, app: Flask, attribute: str) -> Any:
        """What the store's options say, unless it is their default."""
        store = self.get_store(app)
        value = getattr(_DEFAULTS if store is None else store.options, attribute)
        return None if value == getattr(_DEFAULTS, attribute) else value

    def _attributes(self, app: Flask) -> dict[str, Any]:
        partitioned = {"partitioned": True} if self.get_cookie_partitioned(app) else {}
        return {
            "domain": self.get_cookie_domain(app),
            "path": self.get_cookie_path(app),
            "secure": self.get_cookie_secure(app),
            "httponly": self.get_cookie_httponly(app),
            "samesite": self.get_cookie_samesite(app),
            **partitioned,
        }


@lru_cache(maxsize=32)
def _cookie_store(secrets: tuple[str | bytes, ...], lifetime: timedelta) -> CookieStore:
    seconds = lifetime.total_seconds()
    if seconds <= 0:
        raise ConfigError("'PERMANENT_SESSION_LIFETIME' must be positive", "PERMANENT_SESSION_LIFETIME")
    # Only what Flask sends prolongs a session, so the store's own touch comes as late as can be.
    span = Lifetime(absolute=None, idle=seconds, touch_after=nextafter(seconds, 0))
    with _one_at_a_time:  # stretching takes 128 MiB
        keys = dict.fromkeys(map(_key, secrets))
    return CookieStore(list(keys), lifetime=span)


@lru_cache(maxsize=32)
def _key(secret: str | bytes) -> Key:
    try:
        return Key(secret)
    except ConfigError as error:
        rule = str(error).replace("'secret'", "it", 1)
        logger.warning("Flask's SECRET_KEY is stretched, half a second in each process: %s", rule)
    text = secret.decode("utf-8", "backslashreplace") if isinstance(secret, bytes) else secret
    return Key.from_passphrase(text, _SALT)
