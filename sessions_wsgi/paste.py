"""Paste Deploy: the middleware as a filter of an ini file.

::

    [filter:sessions]
    use = egg:sessions-wsgi#main
    url = file://%(here)s/sessions
    keys = ...
    cart.url = cookie:
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sessions_wsgi._given import stripped
from sessions_wsgi.config import middleware_maker
from sessions_wsgi.errors import ConfigError
from sessions_wsgi.middleware import SessionMiddleware

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

_PREFIX = "sessions."


def filter_factory(
    global_conf: Mapping[str, str] | None, **settings: str
) -> Callable[[WSGIApplication], SessionMiddleware]:
    """The entry point ``paste.filter_factory``: what puts an application behind the middleware.

    :param global_conf: ``[DEFAULT]``; only what begins with ``sessions.`` is looked at.
    :param settings: the filter's section; the options of `middleware_from_settings`, with
        or without a prefix.
    :raises ConfigError: a setting is unknown or its value wrong; `option` is its name.
    """
    given = {**stripped(global_conf or {}, _PREFIX), **_unprefixed(settings)}
    return middleware_maker(given, lambda option: option)


def filter_app_factory(
    app: WSGIApplication, global_conf: Mapping[str, str] | None, **settings: str
) -> SessionMiddleware:
    """The entry point ``paste.filter_app_factory``: the same around an application that is there already."""
    return filter_factory(global_conf, **settings)(app)


def _unprefixed(settings: Mapping[str, str]) -> dict[str, str]:
    given = {name.removeprefix(_PREFIX): text for name, text in settings.items()}
    for name in stripped(settings, _PREFIX):
        if name in settings:
            raise ConfigError(f"{name!r} is set twice: also as {_PREFIX + name!r}", name)
    return given
