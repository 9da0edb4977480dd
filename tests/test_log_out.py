"""A log-out is final, whatever another request does with the session at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sessions_wsgi import BackendError, CookieOptions, CookieStore, MemoryStore, ServerStore, Session
from sessions_wsgi.backends import Version
from sessions_wsgi.backends.memory import MemoryBackend
from sessions_wsgi.registry import Registry
from sessions_wsgi.stores._builtin import BuiltinStore

KEY = "tGq7dYw2Lk0vXo4sRz9BfUc1MhJe6NpAiKx3WyTb5Qg"

STORES: dict[str, Callable[[], BuiltinStore]] = {
    "memory": lambda: MemoryStore(KEY),
    "cookie": lambda: CookieStore(KEY, revocations=MemoryBackend(max_bytes=None)),
}


class Visit:
    """One request with a cookie, of the store or with another prefix; it answers when it is told to."""

    def __init__(self, store: BuiltinStore, text: str, prefix: str | None = None) -> None:
        cookie = store.options.cookie_name("session") if prefix is None else f"{prefix}session"
        environ = {"HTTP_COOKIE": f"{cookie}={text}"} if text else {}
        self.registry, self.text = Registry({"session": store}, environ), text
        self.session: Session = self.registry["session"]

    def answer(self) -> str:
        """The cookie that the browser has afterwards."""
        self.registry.commit()
        sent = [value for name, value in self.registry.headers([]) if name == "Set-Cookie"]
        return sent[0].partition(";")[0].partition("=")[2] if sent else self.text


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


class Between(MemoryBackend):
    """Lets somebody else act before a record is created."""

    def __init__(self) -> None:
        super().__init__()
        self.act: Callable[[], object] | None = None

    def create(self, key: str, data: bytes, expires: float) -> Version | None:
        act, self.act = self.act, None
        if act is not None:
            act()
        return super().create(key, data, expires)


@pytest.mark.parametrize("verb", ["regenerate", "login"])
@pytest.mark.parametrize("encrypt", [True, False])
@pytest.mark.parametrize("flash", [True, False])
def test_it_follows_a_session_that_is_just_being_renewed(verb: str, encrypt: bool, flash: bool) -> None:
    """The old id is dead, and the record of the new one is not there yet."""
    backend = Between()
    store = ServerStore(backend, KEY, encrypt=encrypt)
    visit = Visit(store, "")
    visit.session.login("ada")
    text = visit.answer()

    def leave() -> None:
        leaving = Visit(store, text)
        leaving.session.destroy()
        if flash:
            leaving.session.flash("Goodbye.")
        leaving.answer()

    renewing = Visit(store, text)
    renew(renewing.session, verb)
    backend.act = leave
    newer = renewing.answer()
    assert newer == text, "nothing is sent"
    assert Visit(store, newer).session.principal is None


@pytest.mark.parametrize("verb", ["regenerate", "login"])
@pytest.mark.parametrize("wrote", [True, False])
def test_it_follows_what_was_renewed_before_this_request_could_save(
    store: BuiltinStore, text: str, verb: str, wrote: bool
) -> None:
    """The first save finds the id replaced and keeps nothing; the log-out behind it still has a meaning."""
    late, renewing = Visit(store, text), Visit(store, text)
    if wrote:
        late.session["a"] = 1
    renew(renewing.session, verb)
    newer = renewing.answer()
    assert late.answer() == text
    late.session.destroy()
    late.answer()
    assert Visit(store, newer).session.principal is None


@pytest.mark.parametrize("flash", [True, False])
def test_the_cookie_is_sent_although_the_store_before_fails(
    flash: bool, broken_store: Callable[..., Any]
) -> None:
    """The browser forgets at least what the request ended here."""
    before = broken_store(audience="before")
    visit = Visit(before, "")
    visit.session.login("ada")
    text = visit.answer()
    leaving = Visit(MemoryStore(KEY, accept=[before]), text)
    before.backend.broken = {"update", "delete"}
    leaving.session.destroy()
    if flash:
        leaving.session.flash("Goodbye.")
    with pytest.raises(BackendError):
        leaving.answer()
    sent = [value for name, value in leaving.registry.headers([]) if name == "Set-Cookie"]
    assert len(sent) == 1
    assert sent[0].startswith("session=") and sent[0].startswith("session=;") is not flash


@pytest.mark.parametrize("full", ["update"])
def test_a_full_backend_ends_it_and_tells_all_the_same(full: str, broken_store: Callable[..., Any]) -> None:
    """There is no room for what would be left of it; a deletion needs none."""
    store = broken_store()
    visit = Visit(store, "")
    visit.session.login("ada")
    text = visit.answer()
    store.backend.broken = {full}
    leaving = Visit(store, text)
    leaving.session.destroy()
    with pytest.raises(BackendError):
        leaving.answer()
    store.backend.broken = set()
    assert Visit(store, text).session.principal is None


def test_a_failing_store_keeps_no_other_session_alive(
    broken_store: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Also when the request fails, and only what was destroyed is carried out."""
    stores = {"cart": broken_store(), "session": MemoryStore(KEY)}
    registry = Registry(stores, {})
    for name in stores:
        registry[name].login("ada")
    registry.commit()
    pairs = [value.partition(";")[0] for name, value in registry.headers([]) if name == "Set-Cookie"]
    stores["cart"].backend.broken = {"update", "delete"}
    failing = Registry(stores, {"HTTP_COOKIE": "; ".join(pairs)})
    for name in stores:
        failing[name].destroy()
    with pytest.raises(BackendError):
        failing.abandon()
    after = Registry(stores, {"HTTP_COOKIE": "; ".join(pairs)})
    assert {name: after[name].principal for name in stores} == {"cart": "ada", "session": None}
    assert "'cart' was destroyed and may live on" in caplog.text


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


def memory_before(prefix: str = "") -> BuiltinStore:
    return MemoryStore(KEY, audience="before", options=CookieOptions(prefix=prefix))


def cookie_before(prefix: str = "") -> BuiltinStore:
    denied = MemoryBackend(max_bytes=None)
    return CookieStore(KEY, audience="before", options=CookieOptions(prefix=prefix), revocations=denied)


SOURCES: dict[str, Callable[..., BuiltinStore]] = {"memory": memory_before, "cookie": cookie_before}
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


def test_it_follows_what_another_request_took_over_before_this_one_could_save(
    moving: tuple[BuiltinStore, str],
) -> None:
    store, text = moving
    first, late = Visit(store, text), Visit(store, text)
    late.session["a"] = 1
    newer = first.answer()
    assert late.answer() == text
    late.session.destroy()
    late.answer()
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


def test_what_is_written_after_it_is_another_session(moving: tuple[BuiltinStore, str]) -> None:
    """Though another request took over what was destroyed: that ends, and the message stays."""
    store, text = moving
    leaving = Visit(store, text)
    newer = Visit(store, text).answer()
    leaving.session.destroy()
    leaving.session.flash("Goodbye.")
    left = leaving.answer()
    assert Visit(store, newer).session.principal is None
    assert Visit(store, left).session.flashes() == ["Goodbye."]


@pytest.mark.parametrize("flash", [True, False])
@pytest.mark.parametrize("prefix", ["", "__Host-"])
@pytest.mark.parametrize(("source", "target"), [(one, two) for one in SOURCES for two in TARGETS])
def test_it_follows_what_the_other_store_renewed(source: str, target: str, prefix: str, flash: bool) -> None:
    """As where a part of the site still runs with that one."""
    before = SOURCES[source](prefix=prefix)
    visit = Visit(before, "")
    visit.session.login("ada")
    text = visit.answer()
    renewing = Visit(before, text)
    renewing.session.regenerate()
    newer = renewing.answer()
    store = TARGETS[target](before)
    leaving = Visit(store, text, prefix)
    leaving.session.destroy()
    if flash:
        leaving.session.flash("Goodbye.")
    leaving.answer()
    assert Visit(before, newer).session.principal is None
    assert Visit(store, newer, prefix).session.principal is None


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize(("source", "target"), [(one, two) for one in SOURCES for two in TARGETS])
def test_it_follows_what_was_renewed_there_and_then_taken_over(source: str, target: str, early: bool) -> None:
    before = SOURCES[source]()
    store = TARGETS[target](before)
    visit = Visit(before, "")
    visit.session.login("ada")
    text = visit.answer()
    leaving = Visit(store, text) if early else None
    newest = text
    for _ in range(2):
        renewing = Visit(before, newest)
        renewing.session.regenerate()
        newest = renewing.answer()
    newer = Visit(store, newest).answer()
    assert Visit(store, newer).session.principal == "ada"
    leaving = leaving or Visit(store, text)
    leaving.session.destroy()
    leaving.answer()
    assert Visit(store, newer).session.principal is None


@pytest.mark.parametrize("target", TARGETS)
def test_it_follows_what_was_taken_over_while_it_was_renewed_there(target: str) -> None:
    """The store that takes it over leaves its handle where the other one wants to write."""
    backend = Between()
    before = ServerStore(backend, KEY, audience="before")
    store = TARGETS[target](before)
    visit = Visit(before, "")
    visit.session.login("ada")
    text = visit.answer()
    taking, renewing = Visit(store, text), Visit(before, text)
    renewing.session.regenerate()
    newer: list[str] = []
    backend.act = lambda: newer.append(taking.answer())
    assert renewing.answer() == text, "nothing is sent"
    assert Visit(store, newer[0]).session.principal == "ada"
    leaving = Visit(store, text)
    leaving.session.destroy()
    leaving.answer()
    assert Visit(store, newer[0]).session.principal is None


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
def test_a_log_in_behind_a_log_out_leaves_nothing_of_what_was_renewed_there(source: str) -> None:
    """Plain cookies have nothing on the server, but the store before them has."""
    before = SOURCES[source]()
    visit = Visit(before, "")
    visit.session.login("ada")
    text = visit.answer()
    renewing = Visit(before, text)
    renewing.session.regenerate()
    newer = renewing.answer()
    leaving = Visit(CookieStore(KEY, accept=[before]), text)
    leaving.session.destroy()
    leaving.session.login("bob")
    assert leaving.answer() != text
    assert Visit(before, newer).session.principal is None


@pytest.mark.parametrize("source", SOURCES)
def test_a_log_out_deletes_the_old_cookie_also_when_nothing_is_saved(source: str) -> None:
    before = SOURCES[source](prefix="__Host-")
    visit = Visit(before, "")
    visit.session.login("ada")
    text = visit.answer()
    store = CookieStore(KEY, accept=[before])
    Visit(store, text, "__Host-").answer()
    leaving = Visit(store, text, "__Host-")
    leaving.session.destroy()
    leaving.session.flash("Goodbye.")
    leaving.registry.commit()
    sent = [value for name, value in leaving.registry.headers([]) if name == "Set-Cookie"]
    assert [value.partition(";")[0] for value in sent] == ["__Host-session="]


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
