"""Pyramid: our sessions as ``request.session``.

In an ini file ``pyramid.includes = sessions_wsgi.ext.pyramid`` and the settings ``sessions.url`` and
``sessions.keys``; in Python ``config.set_session_factory(session_factory(store))``.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from pyramid.interfaces import ISessionFactory
from zope.interface import implementer

from sessions_wsgi import _texts
from sessions_wsgi._given import stripped
from sessions_wsgi._named import known_options
from sessions_wsgi.config import store_from_settings
from sessions_wsgi.cookies import CookieOptions
from sessions_wsgi.errors import BackendError, ConfigError, OnEvent
from sessions_wsgi.ext._plain import make_plain
from sessions_wsgi.ext._pyramid_session import PyramidSession
from sessions_wsgi.protocols import Store
from sessions_wsgi.registry import ENVIRON_KEY, Registry

_PREFIX = "sessions."
_FACTORY = {name: _texts.MIDDLEWARE[name] for name in ("name", "cache_control", "on_event")}
_FACTORY["set_on_exception"] = _texts.STORE["encrypt"]  # a flag as well


def includeme(config: Any) -> None:
    """For ``config.include``: the session factory that the settings ``sessions.*`` describe.

    :raises ConfigError: a setting is unknown or its value wrong; `option` is its name.
    """
    # Given in Python, they need not be texts.
    settings = {
        name: str(value) if isinstance(value, bool | int | float) else value
        for name, value in config.get_settings().items()
    }
    named, known, given = _PREFIX.__add__, [*_texts.STORE, *_FACTORY], {}
    for name, text in stripped(settings, _PREFIX).items():
        if name not in known:
            raise _texts.unknown(name, named, known)
        if name in _FACTORY:
            given[name] = _texts.value(name, text, named, _FACTORY)
    store = store_from_settings({k: v for k, v in settings.items() if k != _PREFIX + "set_on_exception"})
    config.set_session_factory(session_factory(store, **given))


@implementer(ISessionFactory)
@known_options
class SessionFactory:
    """An `ISessionFactory` for ``config.set_session_factory``; also called `session_factory`.

    Sessions are saved after the response callbacks of the application. Behind a `SessionMiddleware` that has
    the same store under the same name they are the middleware's, and saved by it.

    :param set_on_exception: save also when a view raised and an exception view answered, as Pyramid's own
        sessions do; a redirect that is raised counts as one.
    :param cache_control: as of `SessionMiddleware`, and so `on_event`.
    :raises ConfigError: `store` is no store, or `name` cannot be a cookie's.
    """

    def __init__(
        self,
        store: Store,
        name: str = "session",
        *,
        cache_control: str | None = "no-store",
        set_on_exception: bool = True,
        on_event: OnEvent | None = None,
    ) -> None:
        if not isinstance(getattr(store, "options", None), CookieOptions):
            kind = store if isinstance(store, type) else type(store)
            raise ConfigError(f"'store' must be a store (got {kind.__name__}): store_from_url(…)", "store")
        if on_event is not None and not callable(on_event):
            raise ConfigError(f"'on_event' must be callable (got {type(on_event).__name__})", "on_event")
        store.options.cookie_name(name)
        self._store, self._name, self._stores = store, name, {name: store}
        self._cache_control, self._on_exception, self._on_event = cache_control, set_on_exception, on_event

    def __call__(self, request: Any) -> PyramidSession:
        environ = request.environ
        outer: Registry | None = environ.get(ENVIRON_KEY)
        while outer is not None and outer.sealed:  # of an attempt before this one
            outer = outer.parent
        if outer is not None and outer.stores.get(self._name) is self._store:
            session = outer[self._name]
            request.add_response_callback(lambda *_: make_plain(session, self._store))
            return PyramidSession(session)
        registry = Registry(self._stores, environ, outer, self._on_event)
        session = registry[self._name]
        environ[ENVIRON_KEY] = registry
        saving = _Saving(registry, self._cache_control, self._on_exception)
        request.add_response_callback(saving.save)
        request.add_finished_callback(saving.end)
        return PyramidSession(session)


session_factory = SessionFactory


class _Saving:
    """One request's way out: saved last of all response callbacks, or abandoned."""

    _waited = False

    def __init__(self, registry: Registry, cache_control: str | None, on_exception: bool) -> None:
        self._registry, self._cache_control, self._on_exception = registry, cache_control, on_exception

    def save(self, request: Any, response: Any) -> None:
        if request.response_callbacks and not self._waited:  # they may still write
            self._waited = True
            request.add_response_callback(self.save)
            return
        if self._on_exception or getattr(request, "exception", None) is None:
            for session, store, _ in self._registry.opened.values():
                make_plain(session, store)
            self._registry.commit()
            self._registry.seal(last=True)
        response.headerlist = self._registry.headers(response.headerlist, self._cache_control)

    def end(self, request: Any) -> None:  # noqa: ARG002 - as Pyramid calls it
        """Whatever happened: what was destroyed ends, and what comes now is too late."""
        registry = self._registry
        if not registry.sealed:
            with suppress(BackendError):  # which was told
                registry.abandon()
        registry.seal(last=True)
        registry.release()
