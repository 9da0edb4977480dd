"""Registries inside each other: a middleware around a middleware, or code that uses a store around one.

A session that several of them ask for is one object, or each would overwrite what the others saved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sessions_wsgi._commit import Opened
    from sessions_wsgi.protocols import Store
    from sessions_wsgi.registry import Registry


def held_outside(registry: Registry, store: Store, name: str) -> Opened | None:
    """What an outer registry has opened under this name from this very store."""
    outer = registry.parent
    while outer is not None:
        opened = outer.opened.get(name)
        if opened is not None and opened[1] is store:
            return opened
        outer = outer.parent
    return None


def own_cookies(registry: Registry) -> set[str]:
    """The full names of the cookies of all sessions that can be asked for, in outer registries too."""
    outer = own_cookies(registry.parent) if registry.parent is not None else ()
    return {*outer, *(store.options.cookie_name(name) for name, store in registry.stores.items())}


def give_back(registry: Registry) -> None:
    """The request goes on outside: with the sessions that are the outer registries' as well.

    Their cookies go along, as what is outside may answer with another response.
    """
    for name, opened in registry.opened.items():
        session, store, cookie = opened
        outer = registry.parent
        while outer is not None and not _is_one_of_its(outer, store, name):
            outer = outer.parent
        if outer is None or outer.opened.setdefault(name, opened) is not opened:
            continue
        session.seal = outer.phase
        if registry.cookies and cookie in registry.cookies:
            outer.keep([(cookie, registry.cookies[cookie])])


def _is_one_of_its(outer: Registry, store: Store, name: str) -> bool:
    """Whether it has this session open, or would open it; outside of a middleware that is any session."""
    opened = outer.opened.get(name)
    owner = opened[1] if opened is not None else outer.stores.get(name)
    return owner is store or (owner is None and not outer.stores)
