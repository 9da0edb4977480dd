"""Visitors who come with a cookie of another store, or of another library, stay who they are."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sessions_wsgi import (
    BackendError,
    ConfigError,
    CookieOptions,
    CookieStore,
    CookieTooLargeError,
    DecodeError,
    FileStore,
    Imported,
    JSONSerializer,
    Key,
    Lifetime,
    MemoryStore,
    SerializeError,
    ServerStore,
    Session,
    SessionMiddleware,
    SQLiteStore,
    get_session,
)
from sessions_wsgi.backends.memory import MemoryBackend
from sessions_wsgi.testing import ManualClock

KEY = "J3kx0-Vq8ZbT5nYw2Rs7Lf9Gh1Md4Pc6Xu_EaKtiWvo"
OTHER_KEY = "b7Qm2Xc9-Lk4Tz8Rf1Vn6Yw3Hs5Jd0Pg_UaEiOoCrBt"
NOW = 1_800_000_000.0
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

Act = Callable[[Session], object]
Events = list[Any]


def nothing(session: Session) -> None:
    """Only look."""


def put(**values: Any) -> Act:
    return lambda session: session.update(values)


def login(principal: str) -> Act:
    return lambda session: session.login(principal)


def destroy(session: Session) -> None:
    session.destroy()


def regenerate(session: Session) -> None:
    session.regenerate()


class Unopened(Exception):
    """The application did not ask for its session."""


class Answer(NamedTuple):
    """What one request got: its session after it, and its Set-Cookie headers."""

    session: Session
    status: str
    sent: list[str]

    @property
    def cookies(self) -> dict[str, str]:
        """Name → value of the cookies that it sets; no name may come twice."""
        pairs = [text.partition(";")[0].partition("=")[::2] for text in self.sent]
        assert len({name for name, _ in pairs}) == len(pairs)
        return dict(pairs)


class Browser:
    """Keeps cookies by name, and visits an application that stands behind the middleware."""

    def __init__(self, store: Any, **options: Any) -> None:
        self.jar: dict[str, str] = {}
        self.events: Events = []
        self.options = options
        self.store = store

    def visit(self, act: Act = nothing, *, status: str = "200 OK") -> Answer:
        """One request that does this."""
        found: list[Any] = []

        def app(environ: Any, start_response: Any) -> list[bytes]:
            session = get_session(environ)
            found.append(session)
            act(session)
            start_response(status, [])
            return [b""]

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            found[1:] = [status, [value for name, value in headers if name == "Set-Cookie"]]

        header = "; ".join(f"{name}={text}" for name, text in self.jar.items())
        environ = {"HTTP_COOKIE": header} if header else {}
        wrapped = SessionMiddleware(app, self.store, on_event=self.events.append, **self.options)
        wrapped({**environ, "wsgi.url_scheme": "https"}, start_response)
        answer = Answer(*found)
        for name, text in answer.cookies.items():
            self.jar.pop(name, None)
            if text:
                self.jar[name] = text
        return answer

    def moved_to(self, store: Any) -> Browser:
        """The same browser after the site changed its store."""
        other = Browser(store, **self.options)
        other.jar = dict(self.jar)
        return other


class Move(NamedTuple):
    """From one store to another: makes the old one, then the new one from it."""

    old: Callable[[ManualClock, Path], Any]
    new: Callable[[ManualClock, Path, Any], Any]


def unbounded(clock: ManualClock) -> MemoryBackend:
    return MemoryBackend(max_bytes=None, clock=clock)


MOVES = {
    "signed to encrypted": Move(
        lambda clock, path: CookieStore(KEY, clock=clock),
        lambda clock, path, old: CookieStore(KEY, encrypt=True, accept=[old], clock=clock),
    ),
    "encrypted to signed": Move(
        lambda clock, path: CookieStore(KEY, encrypt=True, clock=clock),
        lambda clock, path, old: CookieStore(KEY, accept=[old], clock=clock),
    ),
    "cookie to server": Move(
        lambda clock, path: CookieStore(KEY, clock=clock),
        lambda clock, path, old: MemoryStore(KEY, accept=[old], clock=clock),
    ),
    "cookie to encrypted server": Move(
        lambda clock, path: CookieStore(KEY, encrypt=True, clock=clock),
        lambda clock, path, old: MemoryStore(KEY, encrypt=True, accept=[old], clock=clock),
    ),
    "server to cookie": Move(
        lambda clock, path: MemoryStore(KEY, clock=clock),
        lambda clock, path, old: CookieStore(KEY, encrypt=True, accept=[old], clock=clock),
    ),
    "files to sqlite": Move(
        lambda clock, path: FileStore(path / "files", KEY, clock=clock),
        lambda clock, path, old: SQLiteStore(path / "db", KEY, accept=[old], clock=clock),
    ),
    "server to encrypted server": Move(
        lambda clock, path: MemoryStore(KEY, clock=clock),
        lambda clock, path, old: MemoryStore(KEY, encrypt=True, accept=[old], clock=clock),
    ),
    "revocable cookie to server": Move(
        lambda clock, path: CookieStore(KEY, revocations=unbounded(clock), clock=clock),
        lambda clock, path, old: MemoryStore(KEY, accept=[old], clock=clock),
    ),
    "cookie to revocable cookie": Move(
        lambda clock, path: CookieStore(KEY, clock=clock),
        lambda clock, path, old: CookieStore(
            KEY, encrypt=True, revocations=unbounded(clock), accept=[old], clock=clock
        ),
    ),
    "other keys": Move(
        lambda clock, path: MemoryStore(OTHER_KEY, clock=clock),
        lambda clock, path, old: MemoryStore(KEY, accept=[old], clock=clock),
    ),
    "other audience": Move(
        lambda clock, path: MemoryStore(KEY, audience="old", clock=clock),
        lambda clock, path, old: MemoryStore(KEY, audience="new", accept=[old], clock=clock),
    ),
    "other serializer": Move(
        lambda clock, path: CookieStore(KEY, serializer=JSONSerializer(), clock=clock),
        lambda clock, path, old: CookieStore(KEY, encrypt=True, accept=[old], clock=clock),
    ),
    "new prefix": Move(
        lambda clock, path: CookieStore(
            KEY, clock=clock, options=CookieOptions(domain="example.com", path="/shop", partitioned=True)
        ),
        lambda clock, path, old: CookieStore(
            KEY, clock=clock, accept=[old], options=CookieOptions(prefix="__Host-")
        ),
    ),
    "new prefix on one backend": Move(
        lambda clock, path: MemoryStore(KEY, clock=clock, options=CookieOptions(secure=False)),
        lambda clock, path, old: ServerStore(
            old.backend, KEY, clock=clock, accept=[old], options=CookieOptions(prefix="__Host-")
        ),
    ),
}
# Those whose old store has something on the server, so that what ended stays ended.
KEEPING = [name for name in MOVES if name.partition(" ")[0] in ("server", "files", "revocable")]
TO_COOKIES = [name for name in MOVES if name.endswith(("cookie", "signed", "to encrypted", "prefix"))]
TO_SERVERS = [name for name in MOVES if name.endswith(("server", "sqlite", "backend"))]
RENAMING = [name for name in MOVES if name.startswith("new prefix")]


class Site:
    """A site that moves."""

    def __init__(self, move: Move, clock: ManualClock, path: Path) -> None:
        self.clock = clock
        self.old = move.old(clock, path)
        self.new = move.new(clock, path, self.old)

    def visitor(self, *acts: Act) -> Browser:
        """Somebody who was here before the move."""
        browser = Browser(self.old)
        for act in acts:
            browser.visit(act)
        return browser.moved_to(self.new)

    def finds_at_the_old(self, browser: Browser) -> bool:
        """Whether the old store still knows what this browser has."""
        return not browser.moved_to(self.old).visit().session.is_new


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture(params=MOVES)
def site(request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path) -> Site:
    return Site(MOVES[request.param], clock, tmp_path)


keeping = pytest.mark.parametrize("site", KEEPING, indirect=True)
renaming = pytest.mark.parametrize("site", RENAMING, indirect=True)


# From store to store


def test_a_session_moves_with_all_it_has(site: Site, clock: ManualClock) -> None:
    """Values, flashes, who it is and since when, times, its label, its forms."""
    tokens = []

    def work(session: Session) -> None:
        session.update(a=1, b=[1, {"c": "ü"}])
        session.flash("one", "info")
        session.flash("two")
        session.login("ada")
        session.label, session.max_age = "Firefox", 30 * MINUTE
        tokens.append(session.csrf_token())

    began = datetime.fromtimestamp(clock(), UTC)
    visitor = site.visitor(work)
    clock.advance(MINUTE)
    for _ in range(2):  # as it is taken over, and as it was stored
        session = visitor.visit().session
        assert not session.is_new
        assert dict(session) == {"a": 1, "b": [1, {"c": "ü"}]}
        assert (session.principal, session.authenticated_at, session.created) == ("ada", began, began)
        assert (session.label, session.max_age, session.rejected) == ("Firefox", 30 * MINUTE, None)
        assert (session.peek_flashes("info"), session.peek_flashes()) == (["one"], ["two"])
        assert session.check_csrf(tokens[0])


def test_an_anonymous_session_stays_anonymous(site: Site) -> None:
    session = site.visitor(put(a=1)).visit().session
    assert (dict(session), session.principal, session.authenticated_at) == ({"a": 1}, None, None)


def test_last_seen_is_when_the_old_store_saw_it(site: Site, clock: ManualClock) -> None:
    visitor = site.visitor(put(a=1))
    clock.advance(HOUR)
    old = visitor.moved_to(site.old)
    old.visit(put(a=2))
    saw = datetime.fromtimestamp(clock(), UTC)
    clock.advance(MINUTE)
    found: list[datetime] = []
    old.moved_to(site.new).visit(lambda session: found.append(session.last_seen))
    assert found == [saw]


def test_it_is_sealed_anew_in_this_response(site: Site) -> None:
    """Although nothing changed; from then on the old store is not needed."""
    visitor = site.visitor(put(a=1))
    answer = visitor.visit()
    name = site.new.options.cookie_name("session")
    assert answer.cookies[name]
    site.old.open = None  # whoever asks it fails
    assert dict(visitor.visit().session) == {"a": 1}
    assert visitor.visit().sent == []


def test_what_is_written_while_it_moves_is_saved(site: Site) -> None:
    visitor = site.visitor(put(a=[1]))
    visitor.visit(lambda session: session["a"].append(2))
    assert dict(visitor.visit(put(b=3)).session) == {"a": [1, 2], "b": 3}


def test_who_does_not_ask_for_the_session_moves_nothing(site: Site) -> None:
    """An untouched session costs nothing, and stays where it is."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b""]

    visitor, sent = site.visitor(put(a=1)), []
    environ = {"HTTP_COOKIE": "; ".join(f"{name}={text}" for name, text in visitor.jar.items())}
    SessionMiddleware(app, site.new)(environ, lambda status, headers, exc_info=None: sent.append(headers))
    assert sent == [[]]
    assert site.finds_at_the_old(visitor)


@keeping
def test_the_old_record_is_removed(site: Site) -> None:
    """As soon as the session stands in the new store: the old cookie is worth nothing, anywhere."""
    visitor = site.visitor(put(a=1))
    thief = visitor.moved_to(site.new)
    visitor.visit()
    assert not site.finds_at_the_old(thief)
    assert thief.visit().session.is_new


@renaming
@pytest.mark.parametrize("act", [nothing, put(b=2), regenerate, login("ada"), destroy])
def test_the_old_cookie_is_deleted_with_its_own_attributes(site: Site, act: Act) -> None:
    """Or browsers would keep it. Also when the session is destroyed."""
    visitor = site.visitor(put(a=1))
    answer = visitor.visit(act)
    old, new = answer.cookies["session"], answer.cookies["__Host-session"]
    assert (old, bool(new)) == ("", act is not destroy)
    (deletion,) = [text for text in answer.sent if text.startswith("session=")]
    attributes = deletion.split("; ")[1:]
    assert "Max-Age=0" in attributes
    options = site.old.options
    assert (f"Domain={options.domain}" in attributes) == bool(options.domain)
    assert f"Path={options.path}" in attributes
    assert ("Secure" in attributes, "Partitioned" in attributes) == (options.secure, options.partitioned)
    assert visitor.jar.keys() == ({"__Host-session"} if new else set())


def test_a_cookie_of_the_same_name_is_replaced_and_not_deleted(site: Site) -> None:
    visitor = site.visitor(put(a=1))
    answer = visitor.visit()
    assert len(answer.sent) == 1 + (site.old.options.prefix != site.new.options.prefix)


@pytest.mark.parametrize("principal", [None, "ada"])
def test_log_out_of_what_has_not_moved_yet(site: Site, principal: str | None) -> None:
    """Ends it in the old store, too: neither cookie is left, and no copy counts where a store can tell."""
    visitor = site.visitor(put(a=1), login(principal) if principal else nothing)
    thief = visitor.moved_to(site.new)
    answer = visitor.visit(destroy)
    assert set(answer.cookies.values()) == {""}
    assert visitor.jar == {}
    if site.old.saves_late or site.old._denied is not None:
        assert not site.finds_at_the_old(thief)
        assert thief.visit().session.is_new


def test_a_log_out_is_told(site: Site) -> None:
    """By one event."""
    visitor = site.visitor(login("ada"))
    visitor.visit(destroy)
    assert [event.kind for event in visitor.events].count("destroyed") == 1


def test_a_fresh_session_after_a_log_out_has_nothing_of_the_old(site: Site) -> None:
    visitor = site.visitor(put(a=1), login("ada"))
    thief = visitor.moved_to(site.old)

    def again(session: Session) -> None:
        session.destroy()
        session["b"] = 2

    visitor.visit(again)
    session = visitor.visit().session
    assert (dict(session), session.principal) == ({"b": 2}, None)
    if site.old.saves_late:
        assert thief.visit().session.is_new


@pytest.mark.parametrize("principal", [None, "ada"])
@pytest.mark.parametrize("act", [regenerate, login("bob")], ids=["regenerate", "login"])
def test_it_can_be_renewed_at_once(site: Site, act: Act, principal: str | None) -> None:
    """What was another principal's does not go over to the new one."""
    visitor = site.visitor(put(a=1), login(principal) if principal else nothing)
    thief = visitor.moved_to(site.new)
    visitor.visit(act)
    session = visitor.visit().session
    bob = act is not regenerate
    assert session.principal == ("bob" if bob else principal)
    assert dict(session) == ({} if bob and principal else {"a": 1})
    if site.old.saves_late:
        assert thief.visit().session.is_new


# Nothing is lost on the way


@pytest.mark.parametrize("act", [nothing, put(b=2), regenerate], ids=["nothing", "put", "regenerate"])
def test_nothing_is_removed_by_a_request_that_fails(site: Site, act: Act) -> None:
    """It can be tried again."""
    visitor = site.visitor(put(a=1))
    assert visitor.visit(act, status="500 Oops").sent == []
    assert dict(visitor.visit().session) == {"a": 1}


def test_nothing_is_removed_by_an_application_that_raises(site: Site) -> None:
    def fail(session: Session) -> None:
        raise LookupError

    visitor = site.visitor(put(a=1))
    with pytest.raises(LookupError):
        visitor.visit(fail)
    assert dict(visitor.visit().session) == {"a": 1}


@keeping
@pytest.mark.parametrize("raises", [False, True])
def test_a_log_out_counts_although_the_request_fails(site: Site, raises: bool) -> None:
    """Wherever there is something on a server to end."""

    def fail(session: Session) -> None:
        session.destroy()
        if raises:
            raise LookupError

    visitor = site.visitor(login("ada"))
    if raises:
        with pytest.raises(LookupError):
            visitor.visit(fail)
    else:
        visitor.visit(fail, status="500 Oops")
    assert visitor.visit().session.principal is None


def test_nothing_is_removed_when_a_value_cannot_be_kept(site: Site) -> None:
    visitor = site.visitor(put(a=1))
    with pytest.raises(SerializeError):
        visitor.visit(put(b=object()))
    assert dict(visitor.visit().session) == {"a": 1}


@pytest.mark.parametrize("site", TO_COOKIES, indirect=True)
def test_nothing_is_removed_when_the_cookie_would_be_too_large(site: Site) -> None:
    visitor = site.visitor(put(a=1))
    with pytest.raises(CookieTooLargeError):
        visitor.visit(put(b="x" * 5000))
    assert dict(visitor.visit().session) == {"a": 1}


@pytest.mark.parametrize("site", TO_SERVERS, indirect=True)
@pytest.mark.parametrize("act", [nothing, put(b=2), login("ada")], ids=["nothing", "put", "login"])
def test_nothing_is_removed_when_the_new_backend_fails(
    site: Site, monkeypatch: pytest.MonkeyPatch, act: Act
) -> None:
    def fail(*_: Any) -> Any:
        raise BackendError("broken", "answer")

    visitor = site.visitor(put(a=1))
    with monkeypatch.context() as patch:
        patch.setattr(site.new.backend, "create", fail)
        found: list[str] = []
        visitor.options = {"unavailable": lambda environ, start: (found.append("503"), [b""])[1]}
        with pytest.raises(TypeError):  # there is no status but that of the other application
            visitor.visit(act)
        assert found == ["503"]
    visitor.options = {}
    assert dict(visitor.visit().session) == {"a": 1}


@pytest.mark.parametrize("site", ["files to sqlite", "server to cookie"], indirect=True)
def test_an_old_backend_that_is_down_is_an_error_and_no_new_session(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or everybody whose session has not moved yet would be logged out, and stay so."""

    def fail(*_: Any) -> Any:
        raise BackendError("broken", "answer")

    visitor = site.visitor(put(a=1))
    with monkeypatch.context() as patch:
        patch.setattr(site.old.backend, "load", fail)
        with pytest.raises(BackendError):
            site.new.open("session", list(visitor.jar.values()))
    assert dict(visitor.visit().session) == {"a": 1}


# What ended stays ended

ENDS: dict[str, Callable[[Site, Browser], object]] = {
    "destroyed": lambda site, browser: browser.moved_to(site.old).visit(destroy),
    "renewed": lambda site, browser: browser.moved_to(site.old).visit(regenerate),
    "signed in": lambda site, browser: browser.moved_to(site.old).visit(login("ada")),
    "revoked": lambda site, browser: site.old.revoke("ada"),
    "ended": lambda site, browser: site.old.end("ada", browser.moved_to(site.old).visit().session.handle),
    "too old": lambda site, browser: site.clock.advance(31 * DAY),
}


@keeping
@pytest.mark.parametrize("how", ENDS)
def test_what_ended_at_the_old_store_does_not_move(site: Site, how: str) -> None:
    visitor = site.visitor(put(a=1), login("ada"))
    ENDS[how](site, visitor)
    session = visitor.visit().session
    assert (session.is_new, len(session), session.principal) == (True, 0, None)
    assert session.rejected is not None


NEW_ENDS: dict[str, Callable[[Site, Browser], object]] = {
    "destroyed": lambda site, browser: browser.visit(destroy),
    "renewed": lambda site, browser: browser.visit(regenerate),
    "signed in": lambda site, browser: browser.visit(login("ada")),
    "revoked": lambda site, browser: site.new.revoke("ada"),
    "ended": lambda site, browser: site.new.end("ada", browser.visit().session.handle),
    "too old": lambda site, browser: site.clock.advance(31 * DAY),
}


@pytest.mark.parametrize("site", TO_SERVERS, indirect=True)
@pytest.mark.parametrize("how", NEW_ENDS)
def test_what_ended_at_the_new_store_does_not_come_back(site: Site, how: str) -> None:
    """With the cookie from after the move, nor with that from before it, where the old store can tell."""
    visitor = site.visitor(put(a=1), login("ada"))
    before = visitor.moved_to(site.new)
    visitor.visit()
    after = visitor.moved_to(site.new)
    NEW_ENDS[how](site, visitor)
    knows = site.old.saves_late or site.old._server_side is not None or how == "too old"
    for thief in [before, after] if knows else [after]:
        session = thief.visit().session
        assert (session.is_new, len(session), session.principal) == (True, 0, None)


@pytest.mark.parametrize("how", ["renewed", "revoked", "too old"])
def test_a_text_of_our_own_that_ended_lets_no_other_in(clock: ManualClock, how: str) -> None:
    """A browser with an ended cookie and an old one beside it: nobody is signed in by the old one."""
    old = CookieStore(KEY, clock=clock, options=CookieOptions(prefix="__Secure-"))
    new = MemoryStore(KEY, clock=clock, accept=[old], lifetime=Lifetime(absolute=DAY))
    before, visitor = Browser(old), Browser(new)
    before.visit(login("ada"))
    visitor.visit(login("ada"))
    thief = visitor.moved_to(new)
    if how == "renewed":
        visitor.visit(regenerate)
    elif how == "revoked":
        new.revoke("ada")
    else:
        clock.advance(DAY)
    thief.jar |= before.jar
    assert thief.visit().session.is_new


@pytest.mark.parametrize("site", [name for name in KEEPING if name in TO_SERVERS], indirect=True)
def test_to_revoke_reaches_those_who_have_not_moved(site: Site) -> None:
    """ "Log out everywhere" means the devices, too, that were not seen since the move."""
    moved, waiting = site.visitor(login("ada")), site.visitor(login("ada"))
    moved.visit()
    moved.visit(lambda session: site.new.revoke("ada", keep=session))
    assert (moved.visit().session.principal, waiting.visit().session.principal) == ("ada", None)


@pytest.mark.parametrize("ahead", [50.0, -50.0])
def test_clocks_that_differ_let_nobody_who_has_not_moved_survive(clock: ManualClock, ahead: float) -> None:
    """The machine on which somebody signed in and that of the revocation may be 50 seconds apart."""
    old = MemoryStore(KEY, clock=lambda: clock() + ahead)
    new = CookieStore(KEY, revocations=unbounded(clock), accept=[old], clock=clock)
    visitor = Browser(old)
    visitor.visit(login("ada"))
    clock.advance(5)
    new.revoke("ada")
    for _ in range(5):
        assert visitor.moved_to(new).visit().session.principal is None
        clock.advance(MINUTE)


@keeping
def test_a_replaced_id_of_the_old_store_sets_no_cookie(site: Site) -> None:
    """While both versions of a site run, its answer could overwrite the newer cookie."""
    visitor = site.visitor(put(a=1))
    late = visitor.moved_to(site.new)
    visitor.moved_to(site.old).visit(regenerate)
    assert late.visit(put(b=2)).sent == []


@keeping
def test_a_log_out_while_another_request_moves_the_session(site: Site) -> None:
    """Both opened it before either ended. The session is over, whoever comes second."""
    visitor = site.visitor(login("ada"))
    other = visitor.moved_to(site.new)

    def log_out_meanwhile(session: Session) -> None:
        assert session.principal == "ada"
        other.visit(destroy)

    answer = visitor.visit(log_out_meanwhile)
    assert answer.sent == []
    assert visitor.visit().session.principal is None


@keeping
def test_two_requests_move_a_session_at_once(site: Site) -> None:
    """It is one session afterwards, not two: the second finds it gone."""
    visitor = site.visitor(login("ada"))
    other = visitor.moved_to(site.new)
    first = visitor.visit(lambda session: other.visit())
    assert first.sent == []
    assert other.visit().session.principal == "ada"


# Forged texts


@pytest.mark.parametrize("text", ["", "x", "x.y", "%00", "A" * 300, "." * 100, "ü", '"', "eyJhIjoxfQ.sig"])
def test_whatever_is_nobody_s_is_a_new_session(site: Site, text: str) -> None:
    for store in (site.old, site.new):
        browser = Browser(site.new)
        browser.jar[store.options.cookie_name("session")] = text
        session = browser.visit().session
        assert session.is_new
        assert session.rejected in ("malformed", "forged", "unknown_key")


def test_a_changed_text_of_the_old_store_is_refused(site: Site) -> None:
    visitor = site.visitor(put(a=1))
    ((name, text),) = visitor.jar.items()
    for position in range(0, len(text), 7):
        letter = "A" if text[position] != "A" else "B"
        visitor.jar[name] = text[:position] + letter + text[position + 1 :]
        assert visitor.visit().session.is_new


@pytest.mark.parametrize("kind", [CookieStore, MemoryStore])
def test_a_text_of_other_keys_is_refused(clock: ManualClock, kind: Any) -> None:
    """Of the very format that the old store reads."""
    stranger = Browser(kind(Key.generate(), clock=clock))
    stranger.visit(put(a=1))
    new = CookieStore(KEY, encrypt=True, accept=[kind(KEY, clock=clock)], clock=clock)
    assert stranger.moved_to(new).visit().session.is_new


def test_the_old_store_s_cookie_of_another_session_is_refused(clock: ManualClock) -> None:
    """A text counts for the name that it was sealed under."""
    old = CookieStore(KEY, clock=clock)
    new = CookieStore(KEY, encrypt=True, accept=[old], clock=clock)
    text = old.commit(_filled(old, "cart")) or ""
    assert new.open("session", [text]).is_new
    assert not new.open("cart", [text]).is_new


def _filled(store: Any, name: str) -> Session:
    session = store.open(name, [])
    session["a"] = 1
    return session


# Several sources


def test_several_sources_are_asked_in_order(clock: ManualClock) -> None:
    """Each cookie goes to the one that made it."""
    first, second = CookieStore(KEY, clock=clock), MemoryStore(OTHER_KEY, clock=clock)
    new = CookieStore(KEY, encrypt=True, accept=[first, second], clock=clock)
    for store in (first, second):
        browser = Browser(store)
        browser.visit(put(a=1))
        moved = browser.moved_to(new)
        assert dict(moved.visit().session) == {"a": 1}
        assert dict(moved.visit().session) == {"a": 1}


def test_the_first_source_that_knows_a_text_wins(clock: ManualClock) -> None:
    new = CookieStore(KEY, accept=[Fake("a"), Fake("b")], clock=clock)
    browser = Browser(new)
    browser.jar["session"] = fake_text(number=1)
    assert dict(browser.visit().session) == {"by": "a", "number": 1}


def test_a_chain_of_moves(clock: ManualClock) -> None:
    """Whoever was away for two of them is found through both, and every record on the way is removed."""
    first = MemoryStore(OTHER_KEY, clock=clock)
    second = MemoryStore(KEY, accept=[first], clock=clock)
    third = CookieStore(KEY, encrypt=True, accept=[second], clock=clock)
    browser = Browser(first)
    browser.visit(put(a=1))
    moved = browser.moved_to(third)
    moved.visit()
    assert dict(moved.visit().session) == {"a": 1}
    assert browser.visit().session.is_new


def test_of_several_cookies_the_own_one_counts(clock: ManualClock) -> None:
    """A cookie of the new name is the session, whatever an old one beside it says."""
    old = CookieStore(KEY, clock=clock)
    new = CookieStore(KEY, clock=clock, accept=[old], options=CookieOptions(prefix="__Host-"))
    before, browser = Browser(old), Browser(new)
    before.visit(put(a=1))
    browser.visit(put(a=2))
    browser.jar |= before.jar
    assert dict(browser.visit().session) == {"a": 2}


def test_a_store_of_one_s_own_may_be_a_source(clock: ManualClock) -> None:
    """All that it needs are the three names of the protocol; what it holds is removed by its `commit`."""
    source = OwnStore()
    new = MemoryStore(KEY, accept=[source], clock=clock)
    browser = Browser(new)
    browser.jar["session"] = "known"
    assert dict(browser.visit().session) == {"a": 1}
    assert source.destroyed == ["known"]
    assert dict(browser.visit().session) == {"a": 1}


class OwnStore:
    """A store as somebody else would write it, with one session."""

    options = CookieOptions()

    def __init__(self) -> None:
        self.destroyed: list[str] = []

    def open(self, name: str, texts: Any) -> Session:
        if "known" in texts and not self.destroyed:
            began = int(NOW * 1000)
            options = self.options
            return Session(name, {"a": 1}, options=options, created_ms=began, is_new=False, origin="known")
        return Session(name, options=self.options, rejected="forged" if texts else None)

    def commit(self, session: Session) -> str | None:
        if session.state == "destroyed":
            self.destroyed.append(session.ended)
            return ""
        return None


# Importers


class Fake:
    """Reads texts that say what is in them, as another library would have made them."""

    def __init__(self, by: str = "fake", cookie: str | None = None) -> None:
        self.by, self.cookie = by, cookie
        self.options: CookieOptions | None = None
        self.asked: list[tuple[str, float]] = []

    def read(self, text: str, now: float) -> Imported:
        self.asked.append((text, now))
        if not text.startswith("fake-"):
            raise DecodeError("malformed")
        try:
            found = json.loads(bytes.fromhex(text[5:]))
        except ValueError:
            raise DecodeError("forged") from None
        values = {"by": self.by, **found.pop("values")}
        return Imported(values, found.pop("created", now), **found)


def fake_text(
    created: float = NOW,
    flashes: Any = (),
    principal: str | None = None,
    last_seen: float | None = None,
    **values: Any,
) -> str:
    content = {"values": values, "created": created, "flashes": flashes, "principal": principal}
    content["last_seen"] = last_seen
    return "fake-" + json.dumps(content).encode().hex()


@pytest.fixture(params=["cookie", "encrypted", "memory", "revocable"])
def importing(request: pytest.FixtureRequest, clock: ManualClock) -> Callable[..., Any]:
    """Makes a store that takes sessions of another library."""

    def make(*sources: Any, **options: Any) -> Any:
        options = {"accept": sources, "clock": clock, **options}
        if request.param == "memory":
            return MemoryStore(KEY, **options)
        if request.param == "revocable":
            return CookieStore(KEY, revocations=unbounded(clock), **options)
        return CookieStore(KEY, encrypt=request.param == "encrypted", **options)

    return make


def arrives(store: Any, text: str, cookie: str = "session") -> Browser:
    browser = Browser(store)
    browser.jar[cookie] = text
    return browser


def test_an_imported_session_has_what_the_importer_found(
    importing: Callable[..., Any], clock: ManualClock
) -> None:
    text = fake_text(NOW - HOUR, [["info", "one"], ["", "two"]], "ada", a=1)
    browser = arrives(importing(Fake()), text)
    began = datetime.fromtimestamp(NOW - HOUR, UTC)
    for _ in range(2):
        session = browser.visit().session
        assert not session.is_new
        assert dict(session) == {"by": "fake", "a": 1}
        assert session.peek_flashes("info") == ["one"]
        assert session.peek_flashes() == ["two"]
        assert (session.created, session.authenticated_at, session.principal) == (began, began, "ada")


def test_an_imported_session_is_anonymous_unless_the_importer_knows(importing: Callable[..., Any]) -> None:
    """Whatever the values say."""
    session = arrives(importing(Fake()), fake_text(user_id="ada", _user_id="1")).visit().session
    assert (session.principal, session.authenticated_at) == (None, None)


def test_an_imported_session_lives_from_when_it_was_made(
    importing: Callable[..., Any], clock: ManualClock
) -> None:
    """A move is no new lease of life."""
    store = importing(Fake(), lifetime=Lifetime(absolute=DAY))
    for principal in (None, "ada"):
        browser = arrives(store, fake_text(clock() - DAY + HOUR, principal=principal, a=1))
        assert not browser.visit().session.is_new
        clock.advance(HOUR - 1)
        assert not browser.visit().session.is_new
        clock.advance(1)
        assert browser.visit().session.is_new


def test_what_is_too_old_for_the_store_is_not_imported(importing: Callable[..., Any]) -> None:
    """Not even for one request."""
    for lifetime, age in ((Lifetime(absolute=DAY), DAY), (Lifetime(absolute=None, idle=HOUR), HOUR)):
        store = importing(Fake(), lifetime=lifetime)
        assert arrives(store, fake_text(NOW - age, a=1)).visit().session.is_new


def test_what_is_from_the_future_is_not_imported(importing: Callable[..., Any]) -> None:
    """A minute is no fault of anybody's."""
    store = importing(Fake())
    browser = arrives(store, fake_text(NOW + 50, a=1))
    assert not browser.visit().session.is_new
    assert not browser.visit().session.is_new
    assert arrives(store, fake_text(NOW + 3600, a=1)).visit().session.is_new


def test_an_import_begins_with_the_max_age_of_the_options(importing: Callable[..., Any]) -> None:
    """Which is in the cookie of this very response."""
    browser = arrives(importing(Fake(), options=CookieOptions(max_age=DAY)), fake_text(a=1))
    answer = browser.visit()
    assert f"Max-Age={int(DAY)}" in answer.sent[0]
    assert browser.visit().session.max_age == DAY


@pytest.mark.parametrize("act", [nothing, put(b=1), destroy], ids=["nothing", "put", "destroy"])
def test_the_cookie_of_an_importer_is_deleted(importing: Callable[..., Any], act: Act) -> None:
    """It has a name of its own, under which it is found."""
    options = CookieOptions(path="/shop", domain="example.com")
    browser = arrives(importing(Fake(cookie="foreign"), options=options), fake_text(a=1), "foreign")
    answer = browser.visit(act)
    assert answer.session.get("a") == (None if act is destroy else 1)
    (deletion,) = [text for text in answer.sent if text.startswith("foreign=;")]
    assert {"Max-Age=0", "Path=/shop", "Domain=example.com"} <= set(deletion.split("; "))
    assert "foreign" not in browser.jar


def test_the_cookie_of_an_importer_is_deleted_with_its_own_attributes(importing: Callable[..., Any]) -> None:
    """Where the importer knows them: a browser keeps a cookie of another Domain or Path."""
    importer = Fake(cookie="foreign")
    importer.options = CookieOptions(path="/old", domain="example.com")
    answer = arrives(importing(importer), fake_text(a=1), "foreign").visit()
    (deletion,) = [text for text in answer.sent if text.startswith("foreign=;")]
    assert {"Path=/old", "Domain=example.com"} <= set(deletion.split("; "))


def test_an_imported_session_was_last_seen_when_the_importer_says(importing: Callable[..., Any]) -> None:
    """Who was active a minute ago is not idle, however long ago the session began."""
    store = importing(Fake(), lifetime=Lifetime(absolute=DAY, idle=HOUR))
    seen: list[datetime] = []
    browser = arrives(store, fake_text(NOW - 5 * HOUR, last_seen=NOW - MINUTE))
    assert not browser.visit(lambda session: seen.append(session.last_seen)).session.is_new
    assert seen == [datetime.fromtimestamp(NOW - MINUTE, UTC)]
    assert arrives(store, fake_text(NOW - 5 * HOUR, last_seen=NOW - HOUR)).visit().session.is_new


def test_an_importer_without_a_name_reads_the_session_s_cookie(importing: Callable[..., Any]) -> None:
    browser = arrives(importing(Fake()), fake_text(a=1))
    assert list(browser.visit().cookies) == ["session"]


def test_importers_are_not_asked_about_our_own_texts(
    importing: Callable[..., Any], clock: ManualClock
) -> None:
    """And of others, once; the time is the store's."""
    importer = Fake()
    browser = Browser(importing(importer))
    browser.visit(put(a=1))
    browser.visit()
    assert importer.asked == []
    text = fake_text(a=1)
    arrives(browser.store, text).visit()
    assert importer.asked == [(text, NOW)]


def test_no_cookie_asks_no_importer(importing: Callable[..., Any]) -> None:
    importer = Fake()
    browser = Browser(importing(importer))
    assert browser.visit().session.rejected is None
    assert importer.asked == []


@pytest.mark.parametrize("text", ["fake-", "fake-zz", "fake-7b", "other"])
def test_what_the_importer_refuses_is_a_new_session(importing: Callable[..., Any], text: str) -> None:
    browser = arrives(importing(Fake()), text)
    answer = browser.visit()
    assert answer.session.is_new
    assert answer.session.rejected
    assert answer.sent == []
    assert browser.jar == {"session": text}


def test_stores_and_importers_may_be_mixed(importing: Callable[..., Any], clock: ManualClock) -> None:
    old = MemoryStore(OTHER_KEY, clock=clock)
    store = importing(Fake(cookie="foreign"), old)
    before = Browser(old)
    before.visit(put(a=1))
    assert dict(before.moved_to(store).visit().session) == {"a": 1}
    assert arrives(store, fake_text(a=2), "foreign").visit().session["a"] == 2


def test_an_imported_session_can_be_revoked(clock: ManualClock) -> None:
    """From its first answer on it is one of its principal's."""
    store = MemoryStore(KEY, accept=[Fake()], clock=clock)
    browser = arrives(store, fake_text(principal="ada", a=1))
    handle = browser.visit().session.handle
    assert [info.handle for info in store.sessions_of("ada")] == [handle]
    store.revoke("ada")
    assert browser.visit().session.rejected == "revoked"


def test_an_import_that_fails_to_be_saved_is_tried_again(importing: Callable[..., Any]) -> None:
    browser = arrives(importing(Fake(cookie="foreign")), fake_text(a=1), "foreign")
    assert browser.visit(put(b=1), status="500 Oops").sent == []
    with pytest.raises(TypeError):
        browser.visit(put(b=object()))
    assert browser.jar.keys() == {"foreign"}
    assert browser.visit().session["a"] == 1


def test_imports_are_told(importing: Callable[..., Any]) -> None:
    """As sessions that were opened and saved."""
    browser = arrives(importing(Fake()), fake_text(a=1))
    browser.visit()
    assert [event.kind for event in browser.events] == ["opened", "saved"]


# What the store cannot keep


class Given:
    """Finds these values in any text but our own."""

    cookie: str | None = None

    def __init__(self, *flashes: tuple[str, Any], **values: Any) -> None:
        self.values, self.flashes = values, flashes

    def read(self, text: str, now: float) -> Imported:
        if text != "foreign":
            raise DecodeError("malformed")
        return Imported(self.values, now - MINUTE, self.flashes)


NOT_OF_JSON = {
    "nan": [float("nan")],
    "infinity": float("-inf"),
    "tuple": (1, 2),
    "number as a key": {1: "a"},
    "bytes": b"a",
    "date": datetime(2026, 1, 1, tzinfo=UTC),
}


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What was logged as a warning or worse."""
    return lambda: [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


@pytest.mark.parametrize("value", NOT_OF_JSON)
def test_what_the_serializer_does_not_keep_is_not_taken_over(
    importing: Callable[..., Any], value: str, warnings: Callable[[], list[str]]
) -> None:
    """The page works, its visitor is new, and somebody is told."""
    store = importing(Given(cart=NOT_OF_JSON[value]), serializer=JSONSerializer())
    browser = arrives(store, "foreign")
    answer = browser.visit()
    assert (answer.status, answer.sent, dict(answer.session)) == ("200 OK", [], {})
    assert (answer.session.is_new, answer.session.rejected) == (True, "unreadable")
    assert [(event.kind, event.reason) for event in browser.events] == [("rejected", "unreadable")]
    (warning,) = warnings()
    assert "was not taken over: session['cart']" in warning
    assert browser.visit(put(a=1)).session.rejected == "unreadable"
    assert dict(browser.visit().session) == {"a": 1}


def test_neither_are_flashes_that_it_does_not_keep(importing: Callable[..., Any]) -> None:
    store = importing(Given(("info", (1, 2))), serializer=JSONSerializer())
    assert arrives(store, "foreign").visit().session.rejected == "unreadable"


def test_a_session_of_another_store_that_cannot_be_kept_is_not_taken_over(clock: ManualClock) -> None:
    old = MemoryStore(OTHER_KEY, clock=clock)
    browser = Browser(old)
    browser.visit(put(cart=(1, 2)))
    moved = browser.moved_to(CookieStore(KEY, accept=[old], serializer=JSONSerializer(), clock=clock))
    assert moved.visit().session.rejected == "unreadable"
    assert dict(browser.visit().session) == {"cart": (1, 2)}, "it is where it was"


@pytest.mark.parametrize("revocable", [False, True])
def test_what_does_not_fit_into_a_cookie_is_not_taken_over(
    clock: ManualClock, revocable: bool, warnings: Callable[[], list[str]]
) -> None:
    """Many libraries compress their cookies."""
    more = {"revocations": unbounded(clock)} if revocable else {}
    importer = Given(cart="x" * 3500, note="y" * 500)
    answer = arrives(CookieStore(KEY, accept=[importer], clock=clock, **more), "foreign").visit()
    assert (answer.status, answer.sent, answer.session.rejected) == ("200 OK", [], "unreadable")
    (warning,) = warnings()
    assert "cart 3" in warning
    assert "note 5" in warning
    assert "xxx" not in warning
    on_server = arrives(MemoryStore(KEY, accept=[importer], clock=clock), "foreign").visit()
    assert len(on_server.session["cart"]) == 3500


def test_what_grows_too_large_after_the_move_is_the_application_s_error(clock: ManualClock) -> None:
    browser = arrives(CookieStore(KEY, accept=[Given(cart="x")], clock=clock), "foreign")
    with pytest.raises(CookieTooLargeError):
        browser.visit(put(more="x" * 4000))


@pytest.mark.parametrize("raised", [TypeError, ValueError, OverflowError, RecursionError])
def test_a_serializer_of_one_s_own_may_raise_what_it_likes(
    clock: ManualClock, raised: type[Exception], warnings: Callable[[], list[str]]
) -> None:
    class Own(JSONSerializer):
        def dumps(self, value: Any) -> bytes:
            if "secret" in str(value):
                raise raised("secret")
            return super().dumps(value)

    browser = arrives(CookieStore(KEY, accept=[Given(a="secret")], serializer=Own(), clock=clock), "foreign")
    assert browser.visit().session.rejected == "unreadable"
    assert warnings() == [f"a session 'session' of elsewhere was not taken over: {raised.__name__}"]


def test_without_the_middleware_it_is_the_same(importing: Callable[..., Any]) -> None:
    store = importing(Given(cart=(1, 2)), serializer=JSONSerializer())
    session = store.get({"HTTP_COOKIE": "session=foreign"}, "session")
    assert (dict(session), session.rejected) == ({}, "unreadable")


def test_a_backend_that_fails_is_no_reason_to_refuse(broken_store: Callable[..., Any]) -> None:
    class Signed(Given):
        def read(self, text: str, now: float) -> Imported:
            return super().read(text, now)._replace(principal="ada")

    store = broken_store("create", accept=[Signed(a=1)])
    with pytest.raises(BackendError):
        store.get({"HTTP_COOKIE": "session=foreign"}, "session")


# What comes along after the move


LOG_OUTS = [destroy, lambda session: (session.destroy(), session.flash("bye"))]


def set_again(browser: Browser, cookie: str, text: str) -> None:
    """A part of the site that was not deployed yet sets its own cookie once more."""
    browser.jar[cookie] = text


@pytest.mark.parametrize("act", LOG_OUTS, ids=["for good", "with a message"])
def test_a_log_out_deletes_a_foreign_cookie_that_was_set_again(
    importing: Callable[..., Any], act: Act
) -> None:
    importer = Fake(cookie="foreign")
    importer.options = CookieOptions(path="/old", domain="example.com")
    browser = arrives(importing(importer), fake_text(a=1), "foreign")
    browser.visit()
    set_again(browser, "foreign", fake_text(a=2))
    assert browser.visit().sent == [], "it comes along, and nobody minds"
    answer = browser.visit(act)
    (deletion,) = [text for text in answer.sent if text.startswith("foreign=;")]
    assert {"Max-Age=0", "Path=/old", "Domain=example.com"} <= set(deletion.split("; "))
    assert "a" not in browser.visit().session


def test_it_is_deleted_once(importing: Callable[..., Any]) -> None:
    """Also when the session was taken over from it in the same request."""
    browser = arrives(importing(Fake(cookie="foreign")), fake_text(a=1), "foreign")
    assert sorted(browser.visit(destroy).cookies) == ["foreign", "session"]


@pytest.mark.parametrize("text", ["other", "fake-zz"])
def test_so_is_one_that_was_of_no_use(importing: Callable[..., Any], text: str) -> None:
    browser = arrives(importing(Fake(cookie="foreign")), text, "foreign")
    assert sorted(browser.visit(destroy).cookies) == ["foreign", "session"]


def test_what_did_not_come_along_is_not_deleted(importing: Callable[..., Any]) -> None:
    browser = Browser(importing(Fake(cookie="foreign"), Fake(cookie="another")))
    browser.visit(put(a=1))
    set_again(browser, "another", "x")
    assert sorted(browser.visit(destroy).cookies) == ["another", "session"]


def test_a_visitor_who_stays_keeps_it(importing: Callable[..., Any]) -> None:
    """Parts of the site may still need it."""
    browser = Browser(importing(Fake(cookie="foreign")))
    browser.visit(put(a=1))
    set_again(browser, "foreign", fake_text(a=2))
    for act in (put(b=1), regenerate, login("ada")):
        assert "foreign" not in browser.visit(act).cookies


@renaming
@pytest.mark.parametrize("act", LOG_OUTS, ids=["for good", "with a message"])
def test_a_log_out_ends_a_session_that_the_old_store_began_meanwhile(site: Site, act: Act) -> None:
    browser, other = site.visitor(put(a=1)), Browser(site.old)
    browser.visit()
    other.visit(put(a=2))
    set_again(browser, "session", other.jar["session"])
    browser.visit(act)
    assert "session" not in browser.jar
    assert not browser.visit().session
    if site.finds_at_the_old(other):
        assert isinstance(site.old, CookieStore), "nothing can end a copy of it"


@pytest.mark.parametrize("site", ["new prefix on one backend"], indirect=True)
@pytest.mark.parametrize("how", ["status", "raises"])
def test_it_ends_although_the_request_fails(site: Site, how: str) -> None:
    browser, other = site.visitor(put(a=1)), Browser(site.old)
    browser.visit()
    other.visit(put(a=2))
    set_again(browser, "session", other.jar["session"])
    if how == "status":
        browser.visit(destroy, status="500 Oops")
    else:
        with pytest.raises(ZeroDivisionError):
            browser.visit(lambda session: (session.destroy(), 1 / 0))
    assert not site.finds_at_the_old(other)


@pytest.mark.parametrize("site", ["new prefix on one backend"], indirect=True)
def test_what_moved_away_from_there_is_left_alone(site: Site) -> None:
    """The cookie of a session that moved, in the browser of somebody else."""
    browser, other = site.visitor(put(a=1)), site.visitor(put(a=2))
    text = other.jar["session"]
    other.visit()
    browser.visit()
    set_again(browser, "session", text)
    browser.visit(destroy)
    assert dict(other.visit().session) == {"a": 2}


# Options


@pytest.mark.parametrize(
    "accept",
    [
        CookieStore(KEY),
        Fake(),
        "cookie",
        b"cookie",
        5,
        {"a": CookieStore(KEY)},
        [None],
        ["cookie:"],
        [object()],
        [CookieStore],
        [Fake],
        [CookieStore(KEY), "x"],
        [[CookieStore(KEY)]],
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", [CookieStore, MemoryStore])
def test_what_is_no_list_of_sources_is_refused_while_the_application_starts(kind: Any, accept: Any) -> None:
    with pytest.raises(ConfigError, match="'accept'") as caught:
        kind(KEY, accept=accept)
    assert caught.value.option == "accept"


@pytest.mark.parametrize("accept", [[], ()])
def test_no_sources_are_fine(accept: Any) -> None:
    assert CookieStore(KEY, accept=accept).open("session", ["x"]).is_new


def test_no_message_shows_a_source(clock: ManualClock) -> None:
    with pytest.raises(ConfigError) as caught:
        CookieStore(KEY, accept=[KEY])
    assert KEY not in str(caught.value)
