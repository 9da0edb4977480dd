"""Stores from texts: a URL, the settings of an ini file, environment variables.

================== =============================================================
URL                store
================== =============================================================
``cookie:``        `CookieStore`
``memory:``        `MemoryBackend`: one process
``file:///dir``    `FileBackend`: one machine
``sqlite:///file`` `SQLiteBackend`: one machine; four slashes for an absolute path
``redis://host``   `RedisBackend`; ``rediss``, ``redis+sentinel``, ``redis+cluster``
``postgresql://…`` `SQLBackend`; ``mysql``, ``mariadb``, and what SQLAlchemy knows
``memcached://…``  `MemcachedBackend`
================== =============================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from sessions_wsgi import _texts
from sessions_wsgi._given import stripped, variables
from sessions_wsgi._named import told_as
from sessions_wsgi._nearest import nearest
from sessions_wsgi._texts import Named
from sessions_wsgi._urls import kind_of, nothing_more, scheme_of
from sessions_wsgi.backends import Backend
from sessions_wsgi.cookies import CookieOptions
from sessions_wsgi.envelope import Lifetime
from sessions_wsgi.errors import ConfigError
from sessions_wsgi.keys import Keys
from sessions_wsgi.middleware import SessionMiddleware
from sessions_wsgi.protocols import Store
from sessions_wsgi.stores import CookieStore, ServerStore
from sessions_wsgi.stores._builtin import CommonOptions
from sessions_wsgi.stores._checked import unknown_to
from sessions_wsgi.stores.embedded import SWEEP_EVERY

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


def store_from_url(url: str, keys: Keys, **options: Any) -> CookieStore | ServerStore:
    """The store that a URL names; the same application runs on any of them.

    :param options: those of the store, and of its backend: ``store_from_url("file:///var/lib/x", keys,
        encrypt=True, durability="host")``. ``revocations`` may be a URL, too.
    :raises ConfigError: the URL or an option is wrong, or a needed package is not installed. No message
        holds the URL, as it may hold a password.
    """
    if isinstance(options.get("revocations"), str):
        with told_as(lambda wrong: "revocations" if wrong == "url" else wrong):
            options["revocations"] = _revocations(options["revocations"])
    for name in options:
        if name not in _of_url(url):
            raise unknown_to("this store", name, _of_url(url))
    if scheme_of(url) == "cookie":
        nothing_more(url)
        return CookieStore(keys, **options)
    known = kind_of(url).options
    if "sweep_every" in known:
        options.setdefault("sweep_every", SWEEP_EVERY)
    backend = backend_from_url(url, **{name: options[name] for name in known & options.keys()})
    rest = {name: value for name, value in options.items() if name == "clock" or name not in known}
    return ServerStore(backend, keys, **rest)


def _revocations(url: str) -> Backend:
    if url.partition(":")[0].lower() == "cookie":
        raise ConfigError("'url' must name a backend, as in sqlite:///revocations.db", "url")
    return backend_from_url(url)


def backend_from_url(url: str, **options: Any) -> Backend:
    """The backend that a URL names.

    :raises ConfigError: as `store_from_url`.
    """
    return kind_of(url).make(url, **options)


def store_from_settings(settings: Mapping[str, str], prefix: str = "sessions.") -> CookieStore | ServerStore:
    """The store that settings describe: ``sessions.url``, ``sessions.keys``, ``sessions.cookie.secure`` …

    :param settings: those that do not begin with `prefix` are not looked at, nor are the options of the
        middleware: one set of settings serves a site and a job that purges its store.
    :raises ConfigError: a setting is unknown or its value wrong; `option` is its name.
    """
    return _store(_of_store(stripped(settings, prefix)), lambda option: prefix + option)


def store_from_env(
    prefix: str = "SESSIONS_", environ: Mapping[str, str] | None = None
) -> CookieStore | ServerStore:
    """The store that environment variables describe: ``SESSIONS_URL``, ``SESSIONS_COOKIE_SECURE`` …

    With this prefix the keys may be in ``SESSION_KEYS``, too.

    :raises ConfigError: a variable with this prefix is unknown or its value wrong.
    """
    given, named = variables(environ, prefix)
    return _store(_of_store(given), named)


_COMMON = frozenset({*CommonOptions.__annotations__, "encrypt"})


def _of_url(url: str) -> frozenset[str]:
    """The options of the store that a URL names, and of its backend."""
    if scheme_of(url) == "cookie":
        return _COMMON | {"revocations"}
    return _COMMON | {"conflict"} | kind_of(url).options


def middleware_from_settings(
    app: WSGIApplication, settings: Mapping[str, str], prefix: str = "sessions."
) -> SessionMiddleware:
    """The application behind the middleware that settings describe: the options of `store_from_settings`
    and ``sessions.name``, ``sessions.cache_control``, ``sessions.save_on_error`` and so on.

    Of several sessions each has its options under its name: ``sessions.cart.url``.

    :raises ConfigError: as `store_from_settings`.
    """
    return middleware_maker(stripped(settings, prefix), lambda option: prefix + option)(app)


def middleware_from_env(
    app: WSGIApplication, prefix: str = "SESSIONS_", environ: Mapping[str, str] | None = None
) -> SessionMiddleware:
    """The application behind the middleware that environment variables describe: the one session of
    `store_from_env` with ``SESSIONS_NAME``, ``SESSIONS_CACHE_CONTROL``, ``SESSIONS_SAVE_ON_ERROR`` and so on.

    :raises ConfigError: as `store_from_env`.
    """
    return middleware_maker(*variables(environ, prefix))(app)


# Settings


def _of_store(given: Mapping[str, str]) -> dict[str, str]:
    return {option: text for option, text in given.items() if option not in _texts.MIDDLEWARE}


def _below(first: str, named: Named, option: str) -> str:
    return named(f"{first}.{option}")


# Several sessions

_GROUPS = frozenset({"cookie", "lifetime"})


def middleware_maker(
    given: Mapping[str, str], named: Named
) -> Callable[[WSGIApplication], SessionMiddleware]:
    """What puts an application behind the middleware that these options describe.

    An option that bears no session's name is of the session ``name``; those that every store has are of all.

    :raises ConfigError: an option is unknown or its value wrong.
    """
    own, groups = _by_session(given, named)
    texts = {option: own.pop(option) for option in _texts.MIDDLEWARE if option in own}
    options = {option: _texts.value(option, text, named, _texts.ALL) for option, text in texts.items()}
    first = options.pop("name", "session")
    stores: dict[str, Store] = {}
    if "url" in own or not groups:
        stores[first] = _store_called(first, own, named, "name")
    else:
        _require_shared([*own, *({"name"} & texts.keys())], next(iter(groups)), named)
    if groups.keys() & stores.keys():
        raise ConfigError(f"{named('name')!r} is also that of a session with its own options", named("name"))
    shared = {option: text for option, text in own.items() if option in _texts.SHARED}
    for name, group in groups.items():
        of_group = partial(_in_session, name, group, named)
        stores[name] = _store_called(name, {**shared, **group}, of_group, "url")

    def wrapped(app: WSGIApplication) -> SessionMiddleware:
        with told_as(lambda wrong: named(wrong) if wrong in texts else wrong):
            return SessionMiddleware(app, stores, **options)

    return wrapped


def _by_session(given: Mapping[str, str], named: Named) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    own: dict[str, str] = {}
    groups: dict[str, dict[str, str]] = {}
    for option, text in given.items():
        name, _, rest = option.partition(".")
        has_name = f"{name}.url" in given and name not in _GROUPS
        if option in _texts.ALL:
            own[option] = text
        elif has_name and rest in _texts.STORE:
            groups.setdefault(name, {})[rest] = text
        elif has_name:
            raise _texts.unknown(rest, partial(_below, name, named), _texts.STORE)
        else:
            is_name = name not in _GROUPS and rest in _texts.STORE
            hint = f" (a session of its own begins with {named(f'{name}.url')!r})" if is_name else ""
            raise _texts.unknown(option, named, _texts.ALL, hint)
    return own, groups


def _require_shared(options: Iterable[str], name: str, named: Named) -> None:
    for option in options:
        if option not in _texts.SHARED:
            fix = "" if option == "name" else f", or call it {named(f'{name}.{option}')!r}"
            raise ConfigError(
                f"{named(option)!r} has no {named('url')!r} to go with: set that{fix}", named(option)
            )


def _store_called(
    name: str, given: Mapping[str, str], named: Named, called_by: str
) -> CookieStore | ServerStore:
    store = _store(given, named)
    with told_as(lambda wrong: named(called_by if wrong == "name" else wrong)):
        store.options.cookie_name(name)
    return store


def _in_session(name: str, group: Mapping[str, str], named: Named, option: str) -> str:
    """An option as it was set, be it for this session or for all."""
    return named(option if option in _texts.SHARED and option not in group else f"{name}.{option}")


# One store


_NEEDED = {
    "url": "as in sqlite:////var/lib/shop/sessions.db",
    "keys": "make one with: sessions-wsgi keygen",
}


def _store(given: Mapping[str, str], named: Named) -> CookieStore | ServerStore:
    values = {option: _texts.value(option, text, named, _texts.ALL) for option, text in given.items()}
    for option, hint in _NEEDED.items():
        if option not in values:
            raise ConfigError(f"{named(option)!r} must be set; {hint}", named(option))
    _require_of_url(values["url"], values, named)
    for group, option, kind in (("cookie", "options", CookieOptions), ("lifetime", "lifetime", Lifetime)):
        names = [name for name in values if name.startswith(f"{group}.")]
        if names:
            chosen = {name.partition(".")[2]: values.pop(name) for name in names}
            with told_as(partial(_below, group, named)):
                values[option] = kind(**chosen)
    with told_as(named):
        return store_from_url(values.pop("url"), values.pop("keys"), **values)


def _require_of_url(url: str, options: Iterable[str], named: Named) -> None:
    """Refuse an option that other stores have, by its name in the settings."""
    with told_as(named):
        of_url = _of_url(url)
    known = [name for name in _texts.STORE if name in {"url", *_texts.SHARED, *of_url}]
    for option in options:
        if option not in known:
            near = nearest(option, known, named, misspelled=False)
            raise ConfigError(f"this store has no option {named(option)!r}{near}", named(option))
