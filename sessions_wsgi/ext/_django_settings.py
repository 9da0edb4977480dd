"""The store that Django's settings name: read when needed, made once.

======================== ==========================================================================
``SESSIONS_WSGI_STORE``  a URL as of `store_from_url`, or a store; ``cookie:`` if not set
``SESSIONS_WSGI_KEYS``   what a URL's store seals with; ``SECRET_KEY`` and its fallbacks if not set
``SESSIONS_WSGI_ACCEPT`` where visitors come from: dotted paths of Django engines, importers, stores
======================== ==========================================================================
"""

from __future__ import annotations

from functools import cache, lru_cache
from threading import Lock
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed

from sessions_wsgi._named import told_as
from sessions_wsgi._nearest import nearest
from sessions_wsgi.config import store_from_url
from sessions_wsgi.cookies import MAX_AGE_LIMIT
from sessions_wsgi.envelope import Lifetime
from sessions_wsgi.errors import ConfigError, logger
from sessions_wsgi.ext._django_engine import Engine
from sessions_wsgi.ext._django_users import NamingImporter
from sessions_wsgi.keys import Key

__all__ = ["current_store"]

_SETTINGS = ("SESSIONS_WSGI_STORE", "SESSIONS_WSGI_KEYS", "SESSIONS_WSGI_ACCEPT")
_SALT = b"sessions_wsgi/ext/django/1"
_TOLD = {
    "url": "SESSIONS_WSGI_STORE",
    "keys": "SESSIONS_WSGI_KEYS",
    "accept": "SESSIONS_WSGI_ACCEPT",
}

_lock = Lock()


def current_store() -> Any:
    """The store of the settings as they are now.

    :raises ConfigError: a setting is wrong or unknown; `option` is its name.
    """
    with _lock:  # two threads must not make two: sessions of memory: would be lost
        return _made()


@lru_cache(maxsize=1)
def _made() -> Any:
    for name in dir(settings):
        if name.startswith("SESSIONS_WSGI_") and name not in _SETTINGS:
            near = nearest(name, map(str.lower, _SETTINGS), str.upper)
            raise ConfigError(f"unknown setting {name!r}{near}", name)
    given = {name: getattr(settings, name) for name in _SETTINGS if getattr(settings, name, None) is not None}
    chosen = given.pop("SESSIONS_WSGI_STORE", "cookie:")
    if isinstance(chosen, str):
        return _from_url(chosen, **given)
    for name in given:
        raise ConfigError(
            f"{name!r} is for a URL: give it to the store that 'SESSIONS_WSGI_STORE' holds", name
        )
    if isinstance(chosen, type) or not all(
        callable(getattr(chosen, verb, None)) for verb in ("open", "commit")
    ):
        rule = f"must be a URL or a store (got {type(chosen).__name__})"
        raise ConfigError(f"'SESSIONS_WSGI_STORE' {rule}", "SESSIONS_WSGI_STORE")
    return chosen


def _from_url(url: str, **given: Any) -> Any:
    with told_as(lambda option: _TOLD.get(option, option)):
        return store_from_url(
            url,
            given["SESSIONS_WSGI_KEYS"] if "SESSIONS_WSGI_KEYS" in given else _keys_of_django(),
            accept=_sources(given.get("SESSIONS_WSGI_ACCEPT", ())),
            # Django decides how long a session lives, see `SessionStore._write`; no browser keeps one longer.
            lifetime=Lifetime(absolute=None, idle=MAX_AGE_LIMIT),
        )


def _sources(accept: Any) -> Any:
    if not isinstance(accept, list | tuple):
        return accept  # refused by the store
    return [_source(each) for each in accept]


def _source(entry: Any) -> Any:
    if isinstance(entry, str):
        return Engine(entry)
    is_importer = not isinstance(entry, type) and not hasattr(entry, "open") and hasattr(entry, "read")
    return NamingImporter(entry) if is_importer else entry


def _keys_of_django() -> list[Key]:
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [_key(secret) for secret in dict.fromkeys(secrets)]


@lru_cache(maxsize=16)
def _key(secret: str | bytes) -> Key:
    """The secret itself if it is good enough for a key, else one stretched from it."""
    try:
        return Key(secret)
    except ConfigError:
        _warn()
    text = secret if isinstance(secret, str) else secret.decode("latin-1")
    return Key.from_passphrase(text, _SALT)


@cache
def _warn() -> None:
    logger.warning(
        "SECRET_KEY or one of its fallbacks is short or guessable: it was stretched, at half a second for "
        "each; set SESSIONS_WSGI_KEYS to what sessions-wsgi keygen makes"
    )


def _reset(*, setting: str, **_: Any) -> None:
    """A test overrides settings."""
    if setting in {*_SETTINGS, "SECRET_KEY", "SECRET_KEY_FALLBACKS"}:
        _made.cache_clear()


setting_changed.connect(_reset)

# Wrong settings fail while the site starts, not with its first visitor.
if settings.configured and settings.SESSION_ENGINE == "sessions_wsgi.ext.django":
    current_store()
