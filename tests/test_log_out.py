"""A log-out is final, whatever another request does with the session at the same moment."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sessions_wsgi import CookieStore, MemoryStore, Session
from sessions_wsgi.backends.memory import MemoryBackend
from sessions_wsgi.cookies import find_cookies
from sessions_wsgi.registry import Registry
from sessions_wsgi.stores._builtin import BuiltinStore

KEY = "tGq7dYw2Lk0vXo4sRz9BfUc1MhJe6NpAiKx3WyTb5Qg"

STORES: dict[str, Callable[[], BuiltinStore]] = {
    "memory": lambda: MemoryStore(KEY),
    "cookie": lambda: CookieStore(KEY, revocations=MemoryBackend(max_bytes=None)),
}


class Visit:
    """One request with a cookie; it answers when it is told to."""

    def __init__(self, store: BuiltinStore, text: str) -> None:
        environ = {"HTTP_COOKIE": f"session={text}"} if text else {}
        self.registry, self.text = Registry({"session": store}, environ), text
        self.session: Session = self.registry["session"]

    def answer(self) -> str:
        """The cookie that the browser has afterwards."""
        self.registry.commit()
        sent = [value for name, value in self.registry.headers([]) if name == "Set-Cookie"]
        return find_cookies(sent[0], "session")[0] if sent else self.text


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> BuiltinStore:
    return STORES[request.param]()


@pytest.fixture
def text(store: BuiltinStore) -> str:
    visit = Visit(store, "")
    visit.session.login("ada")
    return visit.answer()


def renew(session: Session, verb: str) -> None:
    session.regenerate() if verb == "regenerate" else session.login("ada")


@pytest.mark.parametrize("verb", ["regenerate", "login"])
def test_it_follows_a_session_that_was_renewed_after_it_was_opened(
    store: BuiltinStore, text: str, verb: str
) -> None:
    renewing, leaving = Visit(store, text), Visit(store, text)
    renew(renewing.session, verb)
    leaving.session.destroy()
    newer = renewing.answer()
    leaving.answer()
    assert Visit(store, newer).session.principal is None


def test_it_follows_a_session_that_was_renewed_before_it_was_opened(store: BuiltinStore, text: str) -> None:
    renewing = Visit(store, text)
    renewing.session.regenerate()
    newer = renewing.answer()
    leaving = Visit(store, text)
    leaving.session.destroy()
    assert leaving.answer() == ""
    assert Visit(store, newer).session.principal is None


def test_it_follows_twice(store: BuiltinStore, text: str) -> None:
    leaving, newest = Visit(store, text), text
    for _ in range(2):
        renewing = Visit(store, newest)
        renewing.session.regenerate()
        newest = renewing.answer()
    leaving.session.destroy()
    leaving.answer()
    assert Visit(store, newest).session.principal is None


def test_what_is_written_after_a_log_out_with_a_replaced_id_is_dropped(
    store: BuiltinStore, text: str
) -> None:
    renewing = Visit(store, text)
    renewing.session.regenerate()
    newer = renewing.answer()
    leaving = Visit(store, text)
    leaving.session.destroy()
    leaving.session["a"] = 1
    assert leaving.answer() == text, "nothing is sent"
    assert Visit(store, newer).session.principal is None


def test_a_log_in_with_a_replaced_id_is_a_session_of_its_own(store: BuiltinStore, text: str) -> None:
    renewing = Visit(store, text)
    renewing.session.regenerate()
    newer = renewing.answer()
    again = Visit(store, text)
    again.session.login("bob")
    newest = again.answer()
    assert Visit(store, newest).session.principal == "bob"
    assert Visit(store, newer).session.principal == "ada"


# Taken over from another store

SOURCES: dict[str, Callable[[], BuiltinStore]] = {
    "memory": lambda: MemoryStore(KEY, audience="before"),
    "cookie": lambda: CookieStore(KEY, audience="before", revocations=MemoryBackend(max_bytes=None)),
}
TARGETS: dict[str, Callable[[BuiltinStore], BuiltinStore]] = {
    "memory": lambda source: MemoryStore(KEY, accept=[source]),
    "cookie": lambda source: CookieStore(KEY, revocations=MemoryBackend(max_bytes=None), accept=[source]),
}


@pytest.fixture(params=[(source, target) for source in SOURCES for target in TARGETS], ids="-".join)
def moving(request: pytest.FixtureRequest) -> tuple[BuiltinStore, str]:
    """A store that takes sessions over, and the cookie of one that it has not yet."""
    source = SOURCES[request.param[0]]()
    visit = Visit(source, "")
    visit.session.login("ada")
    return TARGETS[request.param[1]](source), visit.answer()


def test_it_follows_a_session_that_was_taken_over_after_it_was_opened(
    moving: tuple[BuiltinStore, str],
) -> None:
    store, text = moving
    first, leaving = Visit(store, text), Visit(store, text)
    leaving.session.destroy()
    newer = first.answer()
    leaving.answer()
    assert Visit(store, newer).session.principal is None


def test_it_follows_a_session_that_was_taken_over_before_it_was_opened(
    moving: tuple[BuiltinStore, str],
) -> None:
    store, text = moving
    newer = Visit(store, text).answer()
    leaving = Visit(store, text)
    leaving.session.destroy()
    assert leaving.answer() == ""
    assert Visit(store, newer).session.principal is None


def test_who_comes_after_a_session_was_taken_over_sets_no_cookie(moving: tuple[BuiltinStore, str]) -> None:
    store, text = moving
    newer = Visit(store, text).answer()
    late = Visit(store, text)
    late.session["a"] = 1
    assert late.answer() == text
    assert Visit(store, newer).session.principal == "ada"


def test_a_sign_in_on_a_session_that_another_request_takes_over_is_kept(
    moving: tuple[BuiltinStore, str],
) -> None:
    store, text = moving
    first, second = Visit(store, text), Visit(store, text)
    second.session.login("bob")
    first.answer()
    assert Visit(store, second.answer()).session.principal == "bob"


@pytest.mark.parametrize("source", SOURCES)
def test_who_comes_after_plain_cookies_took_it_over_sets_no_cookie(source: str) -> None:
    before = SOURCES[source]()
    visit = Visit(before, "")
    visit.session.login("ada")
    text = visit.answer()
    store = CookieStore(KEY, accept=[before])
    newer = Visit(store, text).answer()
    late = Visit(store, text)
    late.session["a"] = 1
    assert late.answer() == text
    assert Visit(store, newer).session.principal == "ada"
