"""Sessions of elsewhere: a store takes over only what it can keep, and a log-out leaves none behind."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import TypeGuard

from sessions_wsgi.cookies import set_cookie
from sessions_wsgi.errors import SessionsError, logger
from sessions_wsgi.protocols import PreparingStore, Store
from sessions_wsgi.session import Session

#: What a serializer may raise for a value that it does not keep, or a store for too much of it.
REFUSALS = (TypeError, ValueError, ArithmeticError, RecursionError)


def kept_or_new(session: Session, store: Store) -> Session:
    """The session; a new one if it was taken over and the store cannot keep it: the application wrote nothing
    of it, and must not fail when it is saved.
    """
    if session.origin is not None or session.is_new or not prepares(store):
        return session
    try:
        store.prepare(session)
    except REFUSALS as error:
        told = error if isinstance(error, SessionsError) else type(error).__name__
        logger.warning("a session %r of elsewhere was not taken over: %s", session.name, told)
        session = store.open(session.name, ())
        session.rejected = "unreadable"
    return session


def spare(own: Container[str], session: Session, elsewhere: dict[str, list[str]]) -> None:
    """Note what came along elsewhere, for a log-out to end; not the cookies of this site's own sessions."""
    session.elsewhere = {cookie: came for cookie, came in elsewhere.items() if cookie not in own}
    if session.old_cookie is not None and session.old_cookie[0] in own:
        session.old_cookie = None


def end_elsewhere(session: Session, store: Store) -> Iterator[tuple[str, str]]:
    """End what came along with a session that was destroyed, in the cookies of other libraries and stores: a
    part of the site that still runs on those may have set one anew. The Set-Cookies that delete them.

    :raises BackendError: one could not be ended.
    """
    texts, session.elsewhere = session.elsewhere, None
    end = getattr(store, "end_elsewhere", None)
    if texts and end is not None:
        for name, options in end(session.name, texts):
            yield name, set_cookie(name, "", options, None, 0)


def prepares(store: Store) -> TypeGuard[PreparingStore]:
    """Whether its commit has two halves."""
    return hasattr(store, "prepare")
