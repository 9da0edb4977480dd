"""The end of a request: sessions are saved, abandoned, or saved once more."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TypeGuard

from sessions_wsgi.cookies import set_cookie
from sessions_wsgi.errors import OnEvent, SessionsError, logger, report
from sessions_wsgi.protocols import Finish, PreparingStore, Store
from sessions_wsgi.session import Seal, Session

#: A session of this request, where it came from, and the full name of its cookie.
Opened = tuple[Session, Store, str]


def commit(opened: Iterable[Opened], on_event: OnEvent | None) -> list[tuple[str, str]]:
    """Save the sessions; the cookies to send, as full name and value of a Set-Cookie.

    1. All are encoded, sealed and measured. 2. If that went well, backends are written. One session's
    failure does not keep the others from being saved.

    :raises SessionsError: one could not be saved; an `ExceptionGroup` when several could not.
    """
    failures: list[SessionsError] = []
    planned: list[tuple[Opened, Finish]] = []
    for each in opened:
        try:
            finish = _prepared(each)
            if finish is not None:
                planned.append((each, finish))
        except SessionsError as error:
            failures.append(error)
    cookies = _finished(planned, failures, on_event) if planned and not failures else []
    if failures:
        raise failures[0] if len(failures) == 1 else ExceptionGroup("sessions could not be saved", failures)
    return cookies


def _finished(
    planned: list[tuple[Opened, Finish]], failures: list[SessionsError], on_event: OnEvent | None
) -> list[tuple[str, str]]:
    cookies = []
    for (session, _, cookie), finish in planned:
        try:
            text = finish()
            if text is not None:
                age = session.max_age if session.cookie_age is None else session.cookie_age
                cookies.append((cookie, set_cookie(cookie, text, session.options, age, session.now())))
        except SessionsError as error:
            failures.append(error)
        report_notes(session, on_event)
    return cookies


def abandon(opened: Iterable[Opened], on_event: OnEvent | None) -> None:
    """Carry out only what was destroyed on a server.

    :raises BackendError: it could not be.
    """
    for session, store, _ in opened:
        if session.ended is not None and _prepares(store):
            store.drop(session)
            report_notes(session, on_event)


def close(opened: Iterable[Opened], on_event: OnEvent | None) -> None:
    """Save again what has a record, tell of what changed too late for its cookie. Never raises."""
    for session, store, _ in opened:
        if _prepares(store) and (session.ended is not None or session.state != "clean"):
            try:
                _close(session, store)
            except Exception as error:  # noqa: BLE001 - the server is closing; a conflict policy may raise anything
                logger.warning(
                    "a late change of session %r was not saved: %s", session.name, type(error).__name__
                )
                session.note("late_change", "not saved")
            report_notes(session, on_event)


def _close(session: Session, store: PreparingStore) -> None:
    finish = store.prepare(session)
    if finish is None:
        return
    if session.seal is Seal.LATE or session.ended is not None:
        finish()
    elif finish() is not None:
        session.note("late_change", "lost")


def report_notes(session: Session, on_event: OnEvent | None) -> None:
    """Report what happened to a session since the last time."""
    notes, session.notes = session.notes, ()
    for event in notes:
        report(event, on_event)


def _prepared(opened: Opened) -> Finish | None:
    session, store, _ = opened
    return store.prepare(session) if _prepares(store) else partial(_commit_whole, store, session)


def _commit_whole(store: Store, session: Session) -> str | None:
    """The commit of a store that knows no halves; its author need not keep the session's books."""
    text = store.commit(session)
    if text is not None:
        session.note("saved" if text else "destroyed")
    session.committed(stored=text != "" and (text is not None or not session.is_new))
    return text


def _prepares(store: Store) -> TypeGuard[PreparingStore]:
    return hasattr(store, "prepare")
