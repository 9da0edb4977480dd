"""The end of a request: sessions are saved, abandoned, or saved once more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import NoReturn

from sessions_wsgi._takeover import end_elsewhere, prepares
from sessions_wsgi._told import told
from sessions_wsgi.cookies import require_text, set_cookie
from sessions_wsgi.errors import BackendError, OnEvent, SessionsError, logger, report
from sessions_wsgi.protocols import Finish, Store
from sessions_wsgi.session import Seal, Session

#: A session of this request, where it came from, and the full name of its cookie.
Opened = tuple[Session, Store, str]

Cookies = list[tuple[str, str]]
Failures = list[SessionsError]


def commit(opened: Iterable[Opened], on_event: OnEvent | None) -> tuple[Cookies, Failures]:
    """Save the sessions; the cookies to send, as full name and value of a Set-Cookie, and what went wrong.

    1. All are encoded, sealed and measured. 2. If that went well, backends are written. One session's
    failure then does not keep the others from being saved: their cookies must be sent, whatever is answered.
    """
    failures: Failures = []
    planned: list[tuple[Opened, Finish]] = []
    for each in opened:
        session, store, _ = each
        try:
            finish = (
                store.prepare(session)
                if hasattr(store, "prepare")
                else partial(_commit_whole, store, session)
            )
        except SessionsError as error:
            failures.append(error)
        else:
            if finish is not None:
                planned.append((each, finish))
            elif session.destroyed and session.elsewhere:
                planned.append((each, _nothing))
    cookies: Cookies = []
    for each, finish in () if failures else planned:
        try:
            ends = each[0].destroyed and each[0].elsewhere
            _carry_out(each, finish, cookies)
            if ends:
                cookies.extend(end_elsewhere(each[0], each[1]))
        except SessionsError as error:
            failures.append(error)
        if each[0].notes:
            report_notes(each[0], on_event)
    return cookies, failures


def raise_failures(failures: Failures) -> NoReturn:
    """Raise what went wrong, several as an `ExceptionGroup`.

    The list is emptied: it stands in frames that the tracebacks hold, which would never be freed.
    """
    error = failures[0] if len(failures) == 1 else ExceptionGroup("sessions could not be saved", failures)
    failures.clear()
    try:
        raise error
    finally:
        del error


def _nothing() -> None:
    """The second half of a commit that ends something elsewhere only."""


def _carry_out(opened: Opened, finish: Finish, cookies: Cookies) -> None:
    session, store, cookie = opened
    signs_in, ended = session.renewed == "login", session.destroyed
    text = finish()
    if text and session.adopted is not None and not ended:
        outcome = session.adopted(session.handle or "")
        if outcome is not True and not signs_in:
            _lost(session, store, outcome or None)
            return
    if text is not None:
        age = session.extras.get("max_age") if session.cookie_age is None else session.cookie_age
        now = 0 if age is None else session.now()
        cookies.append((cookie, set_cookie(cookie, text, session.options, age, now)))
    if ended:  # behind the cookie, which goes out also when this fails
        end_source(session, store)
    if text is not None and (session.adopted is not None or session.old_cookie is not None):
        cookies.extend(_retired(session))


def _lost(session: Session, store: Store, lives_on: object) -> None:
    """What was taken over had been ended by another request: end the copy as well, send nothing.

    :param lives_on: where another request took it over, for a log-out that follows; None: it ended.
    """
    session.adopted = session.old_cookie = None
    session.destroy()
    if prepares(store):
        store.drop(session)
    session.lose(lives_on)
    session.note("gone")


def _retired(session: Session) -> Iterator[tuple[str, str]]:
    """What a session that was taken over leaves behind is removed, now that it is saved."""
    if session.old_cookie is not None:
        name, options = session.old_cookie
        yield name, set_cookie(name, "", options, None, 0)
    session.adopted = session.old_cookie = None


def end_source(session: Session, store: Store) -> None:
    """End what a destroyed session was taken over from, and what another request made of it meanwhile."""
    if session.adopted is None:
        return
    elsewhere = session.adopted(None)
    session.adopted = None
    if not isinstance(elsewhere, bool) and prepares(store):
        session.ended = elsewhere
        store.drop(session)


def abandon(opened: Iterable[Opened], on_event: OnEvent | None) -> None:
    """Carry out only what was destroyed on a server.

    :raises BackendError: it could not be. The others were tried all the same.
    """
    failures: Failures = []
    for session, store, _ in opened:
        try:
            if session.ended is not None and prepares(store):
                store.drop(session)
            if session.destroyed:
                end_source(session, store)
                list(end_elsewhere(session, store))
        except BackendError as error:  # the others end all the same
            logger.error("session %r was destroyed and may live on: %s", session.name, told(error))
            failures.append(error)
        report_notes(session, on_event)
    if failures:
        del failures[1:]  # one is enough, as all were told
        raise_failures(failures)


def close(opened: Iterable[Opened], on_event: OnEvent | None, *, abandoned: bool = False) -> None:
    """Save again what has a record, tell of what changed too late for its cookie. Never raises.

    :param abandoned: the request failed: only what was destroyed ends.
    """
    for session, store, _ in opened:
        if session.seal is Seal.OPEN or (session.ended is None and session.state == "clean"):
            continue  # an outer registry saves it, or nothing is left to do
        try:
            _close(session, store, abandoned=abandoned)
        except Exception as error:  # noqa: BLE001 - nobody is left to raise to; a conflict policy may raise anything
            name = type(error).__name__
            logger.warning("a late change of session %r was not saved: %s", session.name, name)
            session.note("late_change", "not saved")
        report_notes(session, on_event)


def _close(session: Session, store: Store, *, abandoned: bool) -> None:
    if not prepares(store):
        if session.seal is Seal.LATE and not abandoned:
            _commit_whole(store, session)
        return
    if session.ended is not None:
        store.drop(session)
        list(end_elsewhere(session, store))
    if abandoned or not store.changed(session):
        return
    if session.seal is Seal.SEALED or session.is_new or session.renewed:  # it would need a cookie
        session.note("late_change", "lost")
        return
    finish = store.prepare(session)
    if finish is not None:
        finish()


def report_notes(session: Session, on_event: OnEvent | None) -> None:
    """Report what happened to a session since the last time."""
    notes, session.notes = session.notes, ()
    for event in notes:
        report(event, on_event)


def _commit_whole(store: Store, session: Session) -> str | None:
    """The commit of a store that knows no halves; its author need not keep the session's books."""
    text = store.commit(session)
    if text is not None:
        require_text(text)
        session.note("saved" if text else "destroyed")
    session.committed(stored=text != "" and (text is not None or not session.is_new))
    return text
