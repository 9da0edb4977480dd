"""Registries inside each other: a middleware around a middleware, or code that uses a store around one.

A session that several of them ask for is one object, or each would overwrite what the others saved.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any
from weakref import ref

from sessions_wsgi.session import Seal, Session

#: Of a session: its origin, destroyed, values, extras, renewed, touched, resend.
State = tuple[Any, bool, dict[Any, Any], dict[str, Any], Any, bool, bool]
#: By name, as each was when an inner registry took it from an outer one.
Borrowed = dict[str, State]

if TYPE_CHECKING:
    from sessions_wsgi._commit import Cookies
    from sessions_wsgi.protocols import Store
    from sessions_wsgi.registry import Registry


def from_outside(registry: Registry, store: Store, name: str) -> Session | None:
    """What an outer registry has opened under this name from this very store; it is open here as well now.

    When the headers have left here and not yet there, it is opened there.
    """
    outer = registry.parent
    while outer is not None:
        opened = outer.opened.get(name)
        if (
            registry.phase > outer.phase is Seal.OPEN
            and opened is None
            and _is_one_of_its(outer, store, name)
        ):
            outer.open(store, name)
            opened = outer.opened[name]
        if opened is not None and opened[1] is store:
            registry.opened[name], session = opened, opened[0]
            registry._borrowed = {**(registry._borrowed or {}), name: _as_it_is(session)}
            session.quiet = session.quiet and registry._on_event is None
            return session
        outer = outer.parent
    return None


def goes_on_outside(registry: Registry, session: Session) -> Registry | None:
    """The outer registry that has this session open as well, and has yet to save it."""
    outer = registry.parent
    while outer is not None:
        opened = outer.opened.get(session.name)
        if opened is not None and opened[0] is session and outer.phase is Seal.OPEN:
            return outer
        outer = outer.parent
    return None


def keep_outside(registry: Registry, made: Cookies) -> None:
    """Let the outer registries that share these sessions send their cookies, should they answer otherwise."""
    shared = {opened[2]: goes_on_outside(registry, opened[0]) for opened in registry.opened.values()}
    for cookie, value in made:
        outer = shared.get(cookie)
        if outer is not None:
            outer._keep([(cookie, value)])


def roll_back(registry: Registry) -> None:
    """The inner application failed: what it wrote into sessions from outside is undone, but for an end."""
    for name, before in (registry._borrowed or {}).items():
        session = registry.opened[name][0]
        origin, destroyed, values, extras, renewed, touched, resend = before
        if session.destroyed is not destroyed or session.origin is not origin:  # it ends, or was saved before
            continue
        session.stored_values, session.extras = values, extras
        session.renewed, session.touched, session.resend = renewed, touched, resend
        session.cleared = False


def _as_it_is(session: Session) -> State:
    values, extras = _copied(session.stored_values), _copied(session.extras)
    intents = session.renewed, session.touched, session.resend
    return session.origin, session.destroyed, values, extras, *intents


def _copied(values: dict[Any, Any]) -> dict[Any, Any]:
    try:
        return deepcopy(values)
    except Exception:  # noqa: BLE001 - what has no copy cannot be stored either, which the commit tells
        return dict(values)


def own_cookies(registry: Registry) -> set[str]:
    """The full names of the cookies of all sessions that can be asked for, in outer registries too."""
    outer = own_cookies(registry.parent) if registry.parent is not None else ()
    return {*outer, *(store.options.cookie_name(name) for name, store in registry.stores.items())}


def give_back(registry: Registry) -> None:
    """Hand the sessions to the outer registry that shares them, with their cookies, as it may send another
    response. It can be called again.
    """
    for name, opened in registry.opened.items():
        session, store, cookie = opened
        outer = registry.parent
        while outer is not None and not _is_one_of_its(outer, store, name):
            outer = outer.parent
        if outer is None or (registry._abandoned and name not in outer.opened):
            continue
        if outer.opened.setdefault(name, opened)[0] is not session:
            continue
        session.seal = outer.phase
        session.saver = _saver_of(outer)
        made = (registry._cookies or {}).get(cookie)
        if made is not None and cookie not in (outer._cookies or {}):
            outer._keep([(cookie, made)])


def _is_one_of_its(outer: Registry, store: Store, name: str) -> bool:
    """Whether it has this session open, or would open it; outside of a middleware that is any session."""
    opened = outer.opened.get(name)
    owner = opened[1] if opened is not None else outer.stores.get(name)
    return owner is store or (owner is None and not outer.stores)


def _saver_of(registry: Registry) -> Callable[[], Registry | None]:
    """As `Registry` makes it: without a middleware nobody else may keep the registry."""
    return ref(registry) if registry.stores else lambda: registry
