"""A drop-in for Beaker's session middleware: its options, its ``environ["beaker.session"]``, our stores.

    from sessions_wsgi.compat.beaker import SessionMiddleware   # was: beaker.middleware

Cookies are our own: give ``accept=[BeakerImporter(…)]`` to log nobody out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from sessions_wsgi.compat._beaker_options import collected
from sessions_wsgi.compat._beaker_session import BeakerSession, new
from sessions_wsgi.compat._beaker_setup import Setup
from sessions_wsgi.middleware import SessionMiddleware as _Middleware
from sessions_wsgi.registry import get_session

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["SessionMiddleware", "session_filter_app_factory", "session_filter_factory"]


class SessionMiddleware:
    """Gives an application written for Beaker its sessions, from a store of this package.

    :param app: any WSGI application.
    :param config: settings; those that begin with ``session.`` or ``beaker.session.`` are looked at.
    :param environ_key: where the application finds its session.
    :param kwargs: options, with or without prefix; they come before `config`. Beside Beaker's: `accept`, the
        importers and stores whose sessions are taken over, and `clock`.
    :raises ConfigError: an option is unknown, wrong, or unsafe; the message tells what to use instead.
    """

    def __init__(
        self,
        app: WSGIApplication,
        config: Mapping[str, Any] | None = None,
        environ_key: str = "beaker.session",
        **kwargs: Any,
    ) -> None:
        self._setup = Setup(collected(config, kwargs))
        self.app = self.wrap_app = app
        self.environ_key = environ_key
        #: The store behind it, for `revoke`, `purge` and tests.
        self.store = self._setup.store
        # As Beaker does, it saves whatever the status is.
        self._middleware = _Middleware(self._with_session, {self._setup.name: self.store}, save_on_error=True)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._middleware(environ, start_response)

    def _with_session(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        session = BeakerSession(self._setup, partial(get_session, environ, self._setup.name))
        environ[self.environ_key] = session
        environ["beaker.get_session"] = partial(new, self._setup)
        if self._setup.webtest_varname and "paste.testing_variables" in environ:
            environ["paste.testing_variables"][self._setup.webtest_varname] = session

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
            session.persist()
            return start_response(status, headers, *exc_info)

        return self.app(environ, start)


def session_filter_factory(global_conf: Mapping[str, str], **kwargs: Any) -> Callable[..., SessionMiddleware]:
    """Paste Deploy's ``paste.filter_factory``; ``[DEFAULT]`` may hold options, too."""
    return lambda app: SessionMiddleware(app, global_conf, **kwargs)


def session_filter_app_factory(
    app: WSGIApplication, global_conf: Mapping[str, str], **kwargs: Any
) -> SessionMiddleware:
    """Paste Deploy's ``paste.filter_app_factory``."""
    return SessionMiddleware(app, global_conf, **kwargs)
