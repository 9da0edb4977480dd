"""Sessions on the server, through requests and responses of WebOb: what is kept, sent, asked of a backend."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from webob import Request, Response

from sessions_wsgi import (
    BackendError,
    CBORSerializer,
    ConfigError,
    CookieOptions,
    FileStore,
    Key,
    Lifetime,
    MemoryStore,
    SerializeError,
    ServerStore,
    Session,
    SessionsError,
    SignedCodec,
    SQLiteStore,
)
from sessions_wsgi.backends import Record
from sessions_wsgi.backends.memory import MemoryBackend
from sessions_wsgi.stores._tombstones import tombstone
from sessions_wsgi.testing import ManualClock

PROPERTY = settings(deadline=None, derandomize=True, database=None)
FOLDER = Path(__file__).parent / "vectors"

NEW = "J3kx0-Vq8ZbT5nYw2Rs7Lf9Gh1Md4Pc6Xu_EaKtiWvo"
OLD = "b7Qm2Xc9-Lk4Tz8Rf1Vn6Yw3Hs5Jd0Pg_UaEiOoCrBt"
NOW = 1_800_000_000.0
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

Act = Callable[[Session], object]

both = pytest.mark.parametrize("encrypt", [False, True], ids=["plain", "encrypted"])


class Counting:
    """A memory backend that writes down what is asked of it, and shows what it holds."""

    name = "counting"

    def __init__(self, clock: Callable[[], float]) -> None:
        self._inner = MemoryBackend(clock=clock)
        #: One for each round trip.
        self.calls: list[str] = []
        self.keys: set[str] = set()

    def load(self, key: str) -> Record | None:
        self.calls.append("load")
        return self._inner.load(key)

    def create(self, key: str, data: bytes, expires: float) -> Any:
        self.calls.append("create")
        self.keys.add(key)
        return self._inner.create(key, data, expires)

    def update(self, key: str, data: bytes, expires: float, version: Any) -> Any:
        self.calls.append("update")
        return self._inner.update(key, data, expires, version)

    def touch(self, key: str, expires: float, version: Any) -> bool:
        self.calls.append("touch")
        return self._inner.touch(key, expires, version)

    def delete(self, key: str) -> bool:
        self.calls.append("delete")
        return self._inner.delete(key)

    def dump(self) -> dict[str, Record]:
        """All that whoever steals the storage has."""
        found = {key: self._inner.load(key) for key in self.keys}
        return {key: record for key, record in found.items() if record}

    def replace(self, key: str, data: bytes, expires: float | None = None) -> None:
        """Put other bytes into a record."""
        record = self._inner.load(key)
        assert record
        self._inner.update(key, data, record.expires if expires is None else expires, record.version)


class Browser:
    """Keeps one cookie of a store over a counting backend, and what the last visit sent and asked."""

    def __init__(self, store: ServerStore, backend: Counting, cookie: str | None = None) -> None:
        self.store, self.backend, self.cookie = store, backend, cookie
        self.sent: list[str] = []
        self.calls: list[str] = []

    def visit(self, act: Act = len) -> Session:
        self.sent, self.backend.calls = [], []
        name = self.store.options.prefix + "session"
        request = Request.blank("/", headers={"Cookie": f"{name}={self.cookie}"} if self.cookie else {})
        response, session = Response(), self.store.get(request, "session")
        try:
            act(session)
            session.save(response)
        finally:
            self.calls = self.backend.calls
        self.sent = response.headers.getall("Set-Cookie")
        for text in self.sent:
            self.cookie = text.partition(";")[0].partition("=")[2] or None
        return session

    def attributes(self) -> dict[str, str]:
        (text,) = self.sent
        return dict(part.partition("=")[::2] for part in text.split("; ")[1:])


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def backend(clock: ManualClock) -> Counting:
    return Counting(clock)


@pytest.fixture
def browse(clock: ManualClock, backend: Counting) -> Callable[..., Browser]:
    """A browser at a store with these options, over the one backend of the test."""

    def make(keys: Any = NEW, *, cookie: str | None = None, **options: Any) -> Browser:
        return Browser(ServerStore(backend, keys, clock=clock, **options), backend, cookie)

    return make


def put(**values: Any) -> Act:
    return lambda session: session.update(values)


def raw_id(cookie: str | None) -> bytes:
    """The bytes in the payload of an id's cookie."""
    assert cookie
    payload = cookie.partition(".")[0]
    return base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))


# Values and states


@dataclass(frozen=True)
class Person:
    name: str


@both
def test_everything_comes_back_as_it_was(browse: Callable[..., Browser], encrypt: bool) -> None:
    values = {
        "foo": "bar",
        42: 43,
        (1, 2): {"set": {1, 2}, "frozen": frozenset("ab"), "none": None},
        "when": datetime(2026, 3, 1, 12, 0, 0, 7, tzinfo=UTC),
        "for": timedelta(microseconds=1),
        "who": Person("ada"),
        "bytes": bytes(range(256)),
        "big": 2**100,
    }
    browser = browse(encrypt=encrypt, serializer=CBORSerializer({"person/1": Person}))
    browser.visit(lambda session: session.update(values))
    found = dict(browser.visit())
    assert found == values
    assert list(found) == list(values)
    assert type(found["who"]) is Person


@both
def test_sessions_may_be_of_any_size(browse: Callable[..., Browser], encrypt: bool) -> None:
    browser = browse(encrypt=encrypt)
    browser.visit(put(large="x" * 1_000_000))
    assert len(browser.sent[0]) < 300
    assert browser.visit()["large"] == "x" * 1_000_000


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_the_embedded_stores_are_server_stores(kind: str, tmp_path: Path, clock: ManualClock) -> None:
    def act(store: ServerStore, cookie: str | None, act: Act) -> tuple[Session, str | None]:
        request = Request.blank("/", headers={"Cookie": f"session={cookie}"} if cookie else {})
        response, session = Response(), store.get(request, "session")
        act(session)
        session.save(response)
        sent = response.headers.get("Set-Cookie")
        return session, sent.partition(";")[0].partition("=")[2] if sent else cookie

    made = MemoryStore(NEW, clock=clock) if kind == "memory" else FileStore(tmp_path / "s", NEW, clock=clock)
    _, cookie = act(made, None, put(a=[1]))
    act(made, cookie, lambda session: session["a"].append(2))
    session, cookie = act(made, cookie, lambda session: session.login("ada"))
    assert dict(session) == {"a": [1, 2]}
    act(made, cookie, lambda session: session.destroy())
    assert act(made, cookie, len)[0].is_new


@both
@pytest.mark.parametrize(
    "act",
    [
        len,
        lambda s: setattr(s, "max_age", 3600),
        lambda s: s.regenerate(),
        lambda s: s.destroy(),
        lambda s: (s.flash("x"), s.flashes()),
        lambda s: (s.update(a=1), s.clear()),
        lambda s: (s.login("ada"), s.destroy()),
    ],
)
def test_new_and_empty_is_never_stored(
    browse: Callable[..., Browser], backend: Counting, encrypt: bool, act: Act
) -> None:
    browser = browse(encrypt=encrypt)
    assert browser.visit(act).is_new
    assert browser.sent == []
    assert backend.calls == []


@both
@pytest.mark.parametrize(
    "act",
    [
        len,
        dict,
        lambda s: s["list"],
        lambda s: s.update(n=1, list=[1, {"x": 2}]),
        lambda s: (s["list"].append(3), s["list"].pop()),
        lambda s: (s.flash("x"), s.flashes()),
        lambda s: s.check_csrf("x"),
        lambda s: (s.handle, s.created, s.last_seen, s.principal),
    ],
)
def test_unchanged_sends_and_writes_nothing(browse: Callable[..., Browser], encrypt: bool, act: Act) -> None:
    browser = browse(encrypt=encrypt)
    browser.visit(put(n=1, list=[1, {"x": 2}]))
    browser.visit(act)
    assert browser.sent == []
    assert browser.calls == ["load"]


@both
@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (lambda s: s["list"].append(3), {"n": 1, "list": [1, {"x": 2}, 3]}),
        (lambda s: s["list"][1].clear(), {"n": 1, "list": [1, {}]}),
        (lambda s: s.update(n=True), {"n": True, "list": [1, {"x": 2}]}),
        (lambda s: s.pop("n"), {"list": [1, {"x": 2}]}),
        (lambda s: s.clear(), {}),
    ],
)
def test_changes_are_saved_under_the_same_id(
    browse: Callable[..., Browser], encrypt: bool, act: Act, expected: dict[str, Any]
) -> None:
    """However deep, without any flag and without a new cookie; an emptied session stays stored."""
    browser = browse(encrypt=encrypt)
    browser.visit(put(n=1, list=[1, {"x": 2}]))
    browser.visit(act)
    assert browser.sent == []
    session = browser.visit()
    assert repr(dict(session)) == repr(expected)
    assert not session.is_new


@both
def test_a_value_changed_after_an_explicit_save_is_saved_by_the_next(
    browse: Callable[..., Browser], encrypt: bool
) -> None:
    browser, basket = browse(encrypt=encrypt), ["apple"]

    def act(session: Session) -> None:
        session["basket"] = basket
        session.save(Response())
        basket.append("pear")

    browser.visit(act)
    assert browser.visit()["basket"] == ["apple", "pear"]


@both
def test_flashes_last_until_read(browse: Callable[..., Browser], encrypt: bool) -> None:
    browser, read = browse(encrypt=encrypt), []
    browser.visit(lambda session: (session.flash("saved"), session.flash("broken", "error")))
    browser.visit()
    browser.visit(lambda session: read.extend(session.flashes()))
    browser.visit(lambda session: read.extend(session.flash_items()))
    browser.visit(lambda session: read.extend(session.flash_items()))
    assert read == ["saved", ("error", "broken")]


@both
def test_destroy_ends_it_on_both_sides(
    browse: Callable[..., Browser], backend: Counting, encrypt: bool
) -> None:
    browser = browse(encrypt=encrypt, options=CookieOptions(domain="example.com", path="/app"))
    browser.visit(put(a=1))
    old, set_as = browser.cookie, browser.attributes()
    browser.visit(lambda session: session.destroy())
    deletion = browser.attributes()
    assert (deletion.pop("Max-Age"), deletion.pop("Expires")) == ("0", "Thu, 01 Jan 1970 00:00:00 GMT")
    assert deletion == set_as
    assert [record.data for record in backend.dump().values()] == [tombstone()]
    browser.cookie = old
    assert browser.visit().rejected == "expired"


@both
def test_regenerate_changes_the_id_and_nothing_else(
    browse: Callable[..., Browser], clock: ManualClock, encrypt: bool
) -> None:
    browser = browse(encrypt=encrypt)
    browser.visit(lambda session: (session.update(a=1), session.flash("x"), setattr(session, "label", "L")))
    old = browser.cookie
    clock.advance(60)
    browser.visit(lambda session: session.regenerate())
    assert browser.cookie != old
    session = browser.visit()
    assert (dict(session), session.flashes(), session.label) == ({"a": 1}, ["x"], "L")
    assert session.created == datetime.fromtimestamp(NOW, UTC)
    assert browse(cookie=old, encrypt=encrypt).visit().rejected == "expired"


@both
def test_login_changes_the_id_and_tells_who(
    browse: Callable[..., Browser], clock: ManualClock, encrypt: bool
) -> None:
    browser = browse(encrypt=encrypt)
    browser.visit(put(basket=["apple"]))
    old = browser.cookie
    clock.advance(60)
    browser.visit(lambda session: session.login("ada"))
    session = browser.visit()
    assert (session.principal, dict(session)) == ("ada", {"basket": ["apple"]})
    assert session.authenticated_at == datetime.fromtimestamp(NOW + 60, UTC)
    assert browse(cookie=old, encrypt=encrypt).visit().is_new


@both
def test_writing_after_destroy_begins_a_fresh_session(
    browse: Callable[..., Browser], backend: Counting, encrypt: bool
) -> None:
    browser = browse(encrypt=encrypt)
    browser.visit(put(a=1))
    old = browser.cookie
    browser.visit(lambda session: (session.destroy(), session.update(b=2)))
    assert browser.cookie != old
    assert dict(browser.visit()) == {"b": 2}
    assert len(backend.dump()) == 2, "the new one, and what is left of the old one"


@both
def test_what_cannot_be_kept_is_an_error_before_any_write(
    browse: Callable[..., Browser], encrypt: bool
) -> None:
    browser = browse(encrypt=encrypt)
    browser.visit(put(a=1))
    for act in (
        put(cart=[1, object()]),
        lambda session: (session.regenerate(), session.update(x=object())),
        lambda session: (session.destroy(), session.update(x=object())),
    ):
        with pytest.raises(SerializeError, match="session"):
            browser.visit(act)
        assert browser.calls == ["load"]
    assert dict(browser.visit()) == {"a": 1}


@both
@pytest.mark.parametrize("principal", ["\udcff", "a\ud800"])
def test_a_principal_without_utf_8_is_refused_as_the_session_is(
    browse: Callable[..., Browser], encrypt: bool, principal: str
) -> None:
    """By an error of ours, whichever, and before any write."""
    browser = browse(encrypt=encrypt)
    with pytest.raises(SessionsError):
        browser.visit(lambda session: session.login(principal))
    assert set(browser.calls) <= {"load"}


def test_the_handle_is_the_key_in_the_backend(browse: Callable[..., Browser], backend: Counting) -> None:
    browser, handles = browse(), []
    session = browser.visit(lambda session: (handles.append(session.handle), session.update(a=1)))
    assert handles == [None]
    assert backend.keys == {session.handle}
    assert browser.visit().handle == session.handle


# Ids


@both
def test_the_id_is_32_random_bytes_and_nothing_else(browse: Callable[..., Browser], encrypt: bool) -> None:
    """It tells nothing of what is stored (OWASP Session Management, "Session ID Content")."""
    ids = set()
    for _ in range(50):
        browser = browse(encrypt=encrypt)
        browser.visit(lambda session: (session.update(a=1), session.login("ada")))
        ids.add(raw_id(browser.cookie))
    assert len(ids) == 50
    assert {len(each) for each in ids} == {32}


@both
def test_the_backend_never_sees_the_id(
    browse: Callable[..., Browser], backend: Counting, encrypt: bool
) -> None:
    browser = browse(encrypt=encrypt)
    browser.visit(lambda session: (session.update(a=1), session.login("ada")))
    browser.visit(lambda session: session.regenerate())
    session = browser.visit(put(b=2))
    secret = raw_id(browser.cookie)
    assert session.handle == sha256(b"sessions_wsgi/id/1\0" + secret).hexdigest()
    assert all(re.fullmatch(r"[0-9a-f]{64}", key) for key in backend.keys)
    held = repr(backend.dump()).encode() + b"".join(record.data for record in backend.dump().values())
    text = base64.urlsafe_b64encode(secret).rstrip(b"=")
    for form in secret, secret.hex().encode(), text, str(browser.cookie).encode():
        assert form not in held


FORGED = [
    "",
    "x",
    "A" * 43,
    "A" * 43 + "." + "A" * 43,
    "." + "A" * 43,
    "é" * 50,
    "../../etc/passwd",
    "0" * 64,
    SignedCodec(OLD, "id").seal("session", bytes(32)),
    SignedCodec(NEW, "session").seal("session", bytes(32)),
    SignedCodec(NEW, "id").seal("other", bytes(32)),
    SignedCodec(NEW, "id").seal("__Host-session", bytes(32)),
    SignedCodec(NEW, "id", audience="other").seal("session", bytes(32)),
    SignedCodec(NEW, "id").seal("session", bytes(31)),
    SignedCodec(NEW, "id").seal("session", b""),
    SignedCodec(NEW, "id").seal("session", bytes(64)),
]


@both
@pytest.mark.parametrize("text", FORGED, ids=lambda text: text[:12] or "empty")
def test_a_forged_id_costs_the_backend_nothing(
    browse: Callable[..., Browser], encrypt: bool, text: str
) -> None:
    session = browse(encrypt=encrypt, cookie=text or '""').visit()
    assert session.is_new
    assert session.rejected in ("malformed", "forged")
    browser = browse(encrypt=encrypt, cookie=text or '""')
    browser.visit()
    assert browser.calls == []


@PROPERTY
@given(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=150))
def test_no_cookie_whatever_breaks_a_request_or_reaches_the_backend(text: str) -> None:
    backend = Counting(ManualClock(NOW))
    store = ServerStore(backend, NEW, clock=ManualClock(NOW))
    session = store.get(Request.blank("/", environ={"HTTP_COOKIE": f"session={text}"}), "session")
    assert session.is_new
    assert backend.calls == []


def test_an_id_that_was_not_issued_is_never_adopted(browse: Callable[..., Browser]) -> None:
    """Not even one that is signed by our key: what is written gets an id of its own."""
    planted = SignedCodec(NEW, "id").seal("session", bytes(32))
    browser = browse(cookie=planted)
    session = browser.visit(put(a=1))
    assert session.rejected == "expired"
    assert browser.cookie != planted
    assert raw_id(browser.cookie) != bytes(32)


def test_an_id_that_is_taken_is_not_used(browse: Callable[..., Browser], backend: Counting) -> None:
    """Creating never overwrites (tower-sessions' advisory); after five tries something is broken."""
    browser, create, taken = browse(), backend.create, [True, True]

    def sometimes(key: str, data: bytes, expires: float) -> Any:
        return None if taken and taken.pop() else create(key, data, expires)

    backend.create = sometimes  # type: ignore[method-assign]
    browser.visit(put(a=1))
    assert browser.visit()["a"] == 1
    taken.extend([True] * 99)
    browser.cookie = None
    with pytest.raises(BackendError, match="create"):
        browser.visit(put(a=1))
    assert browser.sent == []


@both
def test_a_prefix_is_part_of_the_name_that_is_signed(browse: Callable[..., Browser], encrypt: bool) -> None:
    browser = browse(encrypt=encrypt, options=CookieOptions(prefix="__Host-"))
    browser.visit(put(a=1))
    assert browser.sent[0].startswith("__Host-session=")
    assert browser.visit()["a"] == 1
    assert browse(encrypt=encrypt, cookie=browser.cookie).visit().rejected == "forged"


# Round trips


def test_a_request_that_does_not_touch_its_session_asks_nothing(
    browse: Callable[..., Browser], backend: Counting
) -> None:
    browser = browse()
    browser.visit(put(a=1))
    backend.calls.clear()
    browser.store.options.cookie_name("session")
    Request.blank("/", headers={"Cookie": f"session={browser.cookie}"})
    assert backend.calls == []


@both
@pytest.mark.parametrize(
    ("act", "calls"),
    [
        (len, ["load"]),
        (lambda s: s["a"], ["load"]),
        (put(a=1), ["load"]),
        (put(a=2), ["load", "update"]),
        (lambda s: s.flash("x"), ["load", "update"]),
        (lambda s: s.csrf_token(), ["load", "update"]),
        (lambda s: setattr(s, "max_age", 3600), ["load", "update"]),
        (lambda s: setattr(s, "options", replace(s.options, samesite="Strict")), ["load", "touch"]),
        (lambda s: s.regenerate(), ["load", "update", "create"]),
        (lambda s: (s.regenerate(), s.update(a=2)), ["load", "update", "create"]),
    ],
)
def test_one_round_trip_to_read_and_one_to_write(
    browse: Callable[..., Browser], encrypt: bool, act: Act, calls: list[str]
) -> None:
    browser = browse(encrypt=encrypt)
    browser.visit(put(a=1))
    assert browser.calls == ["create"]
    browser.visit(act)
    assert browser.calls == calls


def test_one_round_trip_more_for_who_is_signed_in(browse: Callable[..., Browser]) -> None:
    browser = browse()
    browser.visit(lambda session: session.login("ada"))
    browser.visit()
    assert browser.calls == ["load", "load"]
    browser.visit(put(a=1))
    assert browser.calls == ["load", "load", "update"]


def test_who_stays_active_costs_no_touch_per_request(
    browse: Callable[..., Browser], clock: ManualClock
) -> None:
    """Neither of the session nor of what else is kept for who is signed in."""
    browser, visits, touches = browse(lifetime=Lifetime(absolute=None, idle=HOUR)), 0, 0
    browser.visit(lambda session: session.login("ada"))
    for _ in range(240):
        clock.advance(MINUTE)
        assert browser.visit().principal == "ada"
        visits, touches = visits + 1, touches + browser.calls.count("touch")
    assert touches <= 2 * visits / 6 + 1, "one is due every six minutes"


@pytest.mark.parametrize(
    "lifetime",
    [Lifetime(absolute=2 * HOUR, idle=HOUR), Lifetime(absolute=2 * HOUR, touch_after=6 * MINUTE)],
    ids=str,
)
def test_a_touch_that_would_move_nothing_is_not_made_again_and_again(
    browse: Callable[..., Browser], clock: ManualClock, lifetime: Lifetime
) -> None:
    """When the absolute lifetime has the last word already, activity changes no deadline."""
    browser, touches = browse(lifetime=lifetime), 0
    browser.visit(put(a=1))
    for _ in range(119):
        clock.advance(MINUTE)
        assert browser.visit()["a"] == 1
        touches += browser.calls.count("touch")
    assert touches <= 120 / 6


# Lifetimes


def test_a_touch_moves_only_the_deadline(
    browse: Callable[..., Browser], backend: Counting, clock: ManualClock
) -> None:
    browser = browse(lifetime=Lifetime(absolute=DAY, idle=HOUR))
    browser.visit(put(a=1))
    (before,) = backend.dump().values()
    clock.advance(6 * MINUTE - 1)
    browser.visit()
    assert browser.calls == ["load"]
    clock.advance(1)
    browser.visit()
    assert browser.calls == ["load", "touch"]
    assert browser.sent == []
    (after,) = backend.dump().values()
    assert after.data == before.data
    assert after.expires == before.expires + 360
    assert browser.visit().last_seen == datetime.fromtimestamp(NOW + 360, UTC)
    assert browser.calls == ["load"]


@both
def test_idle_sessions_end_and_active_ones_do_not(
    browse: Callable[..., Browser], clock: ManualClock, encrypt: bool
) -> None:
    browser = browse(encrypt=encrypt, lifetime=Lifetime(absolute=DAY, idle=HOUR))
    browser.visit(put(a=1))
    for _ in range(10):
        clock.advance(50 * MINUTE)
        assert browser.visit()["a"] == 1
        assert browser.calls == ["load", "touch"]
    clock.advance(HOUR - 1)
    assert browser.visit()["a"] == 1
    clock.advance(HOUR)
    session = browser.visit()
    assert (session.is_new, session.rejected) == (True, "expired")
    assert browser.calls == ["load"]


@both
def test_the_absolute_lifetime_ends_active_sessions_exactly(
    browse: Callable[..., Browser], clock: ManualClock, encrypt: bool
) -> None:
    browser = browse(encrypt=encrypt, lifetime=Lifetime(absolute=2 * HOUR, idle=HOUR))
    browser.visit(put(n=0))
    for n in range(3):
        clock.advance(30 * MINUTE)
        browser.visit(put(n=n))
    clock.advance(30 * MINUTE - 0.001)
    assert browser.visit()["n"] == 2
    clock.advance(0.001)
    assert browser.visit().rejected == "expired"


def test_who_is_active_stays_to_the_very_end(browse: Callable[..., Browser], clock: ManualClock) -> None:
    """A touch near the end of the absolute lifetime must not pass for an early one."""
    browser = browse(lifetime=Lifetime(absolute=2 * HOUR, idle=90 * MINUTE))
    browser.visit(put(a=1))
    for _ in range(3):
        clock.advance(39 * MINUTE)
        assert browser.visit()["a"] == 1
    assert not browser.visit().is_new


@pytest.mark.parametrize(
    ("lifetime", "act", "seconds"),
    [
        (Lifetime(absolute=HOUR), put(a=1), HOUR),
        (Lifetime(absolute=DAY, idle=HOUR), put(a=1), HOUR),
        (Lifetime(absolute=HOUR, idle=None), lambda s: (s.update(a=1), setattr(s, "max_age", 300)), 300),
        (Lifetime(absolute=None, idle=HOUR), lambda s: (s.update(a=1), setattr(s, "max_age", DAY)), HOUR),
    ],
    ids=["absolute", "idle", "max_age", "max_age over idle"],
)
def test_the_backend_s_deadline_is_a_minute_after_the_envelope_s(
    browse: Callable[..., Browser], backend: Counting, lifetime: Lifetime, act: Act, seconds: float
) -> None:
    """So that a backend whose clock is ahead drops nothing that lives; the envelope decides exactly."""
    browse(lifetime=lifetime).visit(act)
    (record,) = backend.dump().values()
    assert record.expires == NOW + seconds + 60


@both
def test_the_envelope_decides_and_not_the_backend(
    browse: Callable[..., Browser], backend: Counting, clock: ManualClock, encrypt: bool
) -> None:
    browser = browse(encrypt=encrypt, lifetime=Lifetime(absolute=HOUR))
    browser.visit(put(a=1))
    ((key, record),) = backend.dump().items()
    backend.replace(key, record.data, NOW + DAY)
    clock.advance(HOUR - 1)
    assert browser.visit()["a"] == 1
    clock.advance(1)
    assert browser.visit().rejected == "expired"


def test_a_machine_whose_clock_is_ahead_logs_nobody_out(clock: ManualClock, backend: Counting) -> None:
    """50 seconds apart, by turns, for an hour."""
    behind = ServerStore(backend, NEW, clock=clock, lifetime=Lifetime(idle=5 * MINUTE))
    ahead = ServerStore(backend, NEW, clock=lambda: clock() + 50, lifetime=Lifetime(idle=5 * MINUTE))
    browser = Browser(ahead, backend)
    browser.visit(put(n=0))
    for _ in range(30):
        for store in behind, ahead:
            browser.store = store
            assert not browser.visit(lambda session: session.update(n=session["n"] + 1)).is_new
            clock.advance(MINUTE)
            assert not browser.visit().is_new


# Remember me


def test_remember_me_stays_chosen_and_moves_on(browse: Callable[..., Browser], clock: ManualClock) -> None:
    """The cookie is sent again only when its time moves on, together with the touch."""
    browser = browse()
    browser.visit(lambda session: (session.update(a=1), setattr(session, "max_age", timedelta(days=20))))
    cookie = browser.cookie
    assert browser.attributes()["Max-Age"] == str(20 * 86400)
    browser.visit(put(a=2))
    assert browser.sent == []
    clock.advance(DAY)
    session = browser.visit()
    assert browser.calls == ["load", "touch"]
    assert browser.attributes()["Max-Age"] == str(20 * 86400)
    assert browser.cookie == cookie
    assert session.max_age == 20 * DAY
    browser.visit()
    assert browser.sent == []
    browser.visit(lambda session: setattr(session, "max_age", None))
    assert "Max-Age" not in browser.attributes()
    assert browser.visit().max_age is None


def test_the_server_ends_what_was_not_seen_for_its_max_age(
    browse: Callable[..., Browser], clock: ManualClock
) -> None:
    browser = browse()
    browser.visit(lambda session: (session.update(a=1), setattr(session, "max_age", HOUR)))
    for _ in range(3):
        clock.advance(HOUR - 1)
        assert browser.visit()["a"] == 1
    clock.advance(HOUR)
    assert browser.visit().rejected == "expired"


def test_max_age_survives_a_new_id(browse: Callable[..., Browser]) -> None:
    browser = browse()
    browser.visit(lambda session: (session.update(a=1), setattr(session, "max_age", HOUR)))
    for act in (lambda session: session.regenerate()), (lambda session: session.login("ada")):
        browser.visit(act)
        assert browser.attributes()["Max-Age"] == "3600"


def test_a_log_in_that_starts_over_keeps_remember_me_of_the_options(browse: Callable[..., Browser]) -> None:
    """Also when another request has ended the session in between."""
    browser = browse(options=CookieOptions(max_age=HOUR))
    browser.visit(put(a=1))
    other = browse(cookie=browser.cookie)

    def act(session: Session) -> None:
        other.visit(lambda theirs: theirs.destroy())
        session.login("ada")

    browser.visit(act)
    assert browser.attributes()["Max-Age"] == "3600"
    session = browser.visit()
    assert (session.principal, dict(session)) == ("ada", {})
    assert session.authenticated_at == datetime.fromtimestamp(NOW, UTC)


# Rotation


def test_an_id_of_an_older_key_is_signed_anew_on_that_response(browse: Callable[..., Browser]) -> None:
    """The same id, so the backend is not asked for more."""
    browser = browse(OLD)
    browser.visit(put(a=1))
    old = browser.cookie
    browser = browse(f"{NEW} {OLD}", cookie=old)
    assert browser.visit()["a"] == 1
    assert len(browser.sent) == 1
    assert browser.calls == ["load", "touch"]
    assert browser.cookie != old
    assert raw_id(browser.cookie) == raw_id(old)
    browser.visit()
    assert browser.sent == []
    assert browse(NEW, cookie=browser.cookie).visit()["a"] == 1


def test_a_record_of_an_older_key_is_sealed_anew_on_that_response(
    browse: Callable[..., Browser], backend: Counting
) -> None:
    browser = browse(OLD, encrypt=True)
    browser.visit(put(a=1))
    browser = browse(f"{NEW} {OLD}", encrypt=True, cookie=browser.cookie)
    assert browser.visit()["a"] == 1
    assert browser.calls == ["load", "update"]
    assert len(browser.sent) == 1
    (record,) = backend.dump().values()
    assert record.data[1:5] == Key(NEW).id
    browser.visit()
    assert (browser.sent, browser.calls) == ([], ["load"])
    assert browse(NEW, encrypt=True, cookie=browser.cookie).visit()["a"] == 1


@both
def test_a_removed_key_means_a_new_session(browse: Callable[..., Browser], encrypt: bool) -> None:
    browser = browse(OLD, encrypt=encrypt)
    browser.visit(put(a=1))
    browser = browse(NEW, encrypt=encrypt, cookie=browser.cookie)
    session = browser.visit()
    assert (session.is_new, session.rejected) == (True, "forged")
    assert (browser.sent, browser.calls) == ([], [])


def test_a_fleet_can_be_rolled(browse: Callable[..., Browser], clock: ManualClock) -> None:
    """One machine seals with the next key already, another only opens with it: nobody is logged out."""
    begin = datetime.fromtimestamp(NOW + HOUR, UTC)
    machines = [
        browse([Key(NEW, not_before=begin + timedelta(hours=n)), OLD], encrypt=True) for n in range(2)
    ]
    cookie = None
    for n in range(8):
        machine = machines[n % 2]
        machine.cookie = cookie
        session = machine.visit(lambda session: session.update(n=session.get("n", 0) + 1))
        assert session["n"] == n + 1
        cookie = machine.cookie
        clock.advance(30 * MINUTE)


# What a thief gets


def test_a_plain_record_holds_data_but_no_id(browse: Callable[..., Browser], backend: Counting) -> None:
    browse().visit(put(secret="hello, world"))
    (record,) = backend.dump().values()
    assert b"hello, world" in record.data


def test_a_dump_and_the_keys_open_no_encrypted_record(
    browse: Callable[..., Browser], backend: Counting, clock: ManualClock
) -> None:
    """Whoever has both lacks the id: it is an input of the record's key."""
    victim = browse(encrypt=True)
    victim.visit(put(secret="hello, world"))
    ((key, record),) = backend.dump().items()
    assert b"hello" not in record.data
    assert b"secret" not in record.data

    thief = browse(encrypt=True)
    thief.visit(put(mine=1))
    own = sha256(b"sessions_wsgi/id/1\0" + raw_id(thief.cookie)).hexdigest()
    backend.replace(own, record.data)
    session = thief.visit()
    assert (session.is_new, session.rejected, dict(session)) == (True, "unreadable", {})
    made_up = browse(encrypt=True, cookie=SignedCodec(NEW, "id").seal("session", bytes.fromhex(key)))
    assert made_up.visit().is_new


def test_two_records_never_share_a_nonce_or_a_key(browse: Callable[..., Browser], backend: Counting) -> None:
    seen = set()
    for _ in range(20):
        browser = browse(encrypt=True)
        browser.visit(put(a=1))
        browser.visit(put(a=2))
    for record in backend.dump().values():
        assert record.data[:5] == b"\1" + Key(NEW).id
        seen.add(record.data[5:17])
    assert len(seen) == 20


@both
def test_no_changed_record_is_accepted_or_breaks_a_request(
    browse: Callable[..., Browser], backend: Counting, encrypt: bool
) -> None:
    """Every octet of it; a plain one may of course be changed by who can write to the backend."""
    browser = browse(encrypt=encrypt)
    browser.visit(lambda session: (session.update(a="x", b=[1]), session.flash("f")))
    ((key, record),) = backend.dump().items()
    whole = record.data
    changed = [whole[:at] + bytes([octet ^ 1]) + whole[at + 1 :] for at, octet in enumerate(whole)]
    for data in [*changed, b"", b"\0\0", whole[:-1], whole + b"\0", whole[:10], b"junk" * 20]:
        backend.replace(key, data)
        session = browser.visit()
        assert session.rejected in (None, "unreadable", "unknown_key", "expired")
        if encrypt:
            assert session.is_new
    backend.replace(key, record.data)
    assert browser.visit()["a"] == "x"


def test_neither_mode_reads_the_other_s_records(browse: Callable[..., Browser]) -> None:
    """The mode is configured, and never told by the record."""
    for first in False, True:
        browser = browse(encrypt=first)
        browser.visit(put(a=1))
        session = browse(encrypt=not first, cookie=browser.cookie).visit()
        assert (session.is_new, session.rejected) == (True, "unreadable")


def test_audiences_do_not_share_sessions(browse: Callable[..., Browser]) -> None:
    browser = browse(audience="shop")
    browser.visit(put(a=1))
    assert browse(audience="blog", cookie=browser.cookie).visit().rejected == "forged"
    assert browse(cookie=browser.cookie).visit().rejected == "forged"
    assert browse(audience="shop", cookie=browser.cookie).visit()["a"] == 1


# Committed formats

FULL = {"user": "ada", "n": 42, "cart": ["apple", {"price": 250}], "ü": None, 7: True}


@pytest.mark.parametrize("vector", json.loads((FOLDER / "signed.json").read_text("utf-8"))["ids"])
def test_committed_ids_are_read_for_ever(
    vector: dict[str, str], backend: Counting, clock: ManualClock
) -> None:
    envelope = CBORSerializer().dumps([1, int(NOW * 1000), int(NOW * 1000), FULL, {}])
    backend.create(vector["backend_key"], envelope, NOW + HOUR)
    store = ServerStore(backend, vector["secret"], audience=vector["audience"], clock=clock)
    session = store.open(vector["cookie"], [vector["text"]])
    assert (dict(session), session.handle) == (FULL, vector["backend_key"])
    assert raw_id(vector["text"]).hex() == vector["id"]


@pytest.mark.parametrize(
    "vector",
    json.loads((FOLDER / "encrypted.json").read_text("utf-8"))["records"],
    ids=lambda vector: vector["audience"],
)
def test_committed_records_are_read_for_ever(
    vector: dict[str, str], backend: Counting, clock: ManualClock
) -> None:
    """Made by other code from the description of the format."""
    clock.advance(120)
    identity = bytes.fromhex(vector["id"])
    text = SignedCodec(vector["secret"], "id", audience=vector["audience"]).seal("session", identity)
    key = sha256(b"sessions_wsgi/id/1\0" + identity).hexdigest()
    backend.create(key, bytes.fromhex(vector["data"]), NOW + DAY)
    store = ServerStore(backend, vector["secret"], encrypt=True, audience=vector["audience"], clock=clock)
    session = store.open("session", [text])
    assert session.rejected is None
    assert dict(session) == FULL
    assert session.flash_items() == [("", "saved"), ("error", "no")]
    assert session.last_seen == datetime.fromtimestamp(NOW + 60, UTC)


# Failures and options


@pytest.mark.parametrize(
    ("verb", "act"),
    [
        ("load", len),
        ("update", put(a=2)),
        ("update", lambda session: session.regenerate()),
        ("create", lambda session: session.regenerate()),
        ("update", lambda session: session.destroy()),
    ],
)
def test_a_failing_backend_is_an_error_and_never_an_empty_session(
    browse: Callable[..., Browser], backend: Counting, verb: str, act: Act
) -> None:
    """It fails closed (OWASP ASVS 16.5.3)."""
    browser = browse()
    browser.visit(put(a=1))

    def fail(*arguments: Any) -> Any:
        raise BackendError("counting", verb)

    setattr(backend, verb, fail)
    with pytest.raises(BackendError, match=verb):
        browser.visit(act)
    assert browser.sent == []


@pytest.mark.parametrize("backend", [None, object(), {}, "redis://localhost"])
def test_a_backend_has_the_five_methods(backend: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        ServerStore(backend, NEW)
    assert caught.value.option == "backend"


@pytest.mark.parametrize("path", [None, 5, b"/x", "a\0b", object()])
def test_a_path_is_a_text_or_a_path(path: Any) -> None:
    for make, option in ((FileStore, "directory"), (SQLiteStore, "path")):
        with pytest.raises(ConfigError, match="must be a path: a str without NUL, or a Path") as caught:
            make(path, NEW)
        assert caught.value.option == option


def test_a_directory_below_a_file_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be looked at"):
        FileStore(tmp_path / "file" / "sessions", NEW)


@pytest.mark.parametrize("make", [FileStore, SQLiteStore, MemoryStore])
def test_an_embedded_store_makes_its_backend_itself(make: Any, tmp_path: Path) -> None:
    given = [] if make is MemoryStore else [tmp_path / "sessions"]
    with pytest.raises(ConfigError, match=r"ServerStore\(backend, keys\)") as caught:
        make(*given, NEW, backend=MemoryBackend())
    assert caught.value.option == "backend"


@pytest.mark.parametrize("missing", ["load", "create", "update", "touch", "delete"])
def test_a_backend_without_one_of_them_is_refused(missing: str) -> None:
    methods = {verb: lambda *_: None for verb in ("load", "create", "update", "touch", "delete")}
    del methods[missing]
    with pytest.raises(ConfigError, match=missing) as caught:
        ServerStore(type("Partial", (), methods)(), NEW)
    assert caught.value.option == "backend"


@pytest.mark.parametrize(
    ("option", "value"),
    [("options", {}), ("lifetime", 3600), ("serializer", object()), ("audience", "a\0b"), ("clock", 7)],
)
def test_a_wrong_option_is_refused_by_name(option: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        MemoryStore(NEW, **{option: value})
    assert caught.value.option == option


@pytest.mark.parametrize("name", ["", "a b", "a;b", "ü", "a\r\nX: y", None])
def test_a_name_is_a_token_wherever_it_is_given(name: Any) -> None:
    store, request = MemoryStore(NEW), Request.blank("/")
    for open_session in store.get, store.new:
        with pytest.raises(ConfigError):
            open_session(request, name)


def test_two_sessions_of_one_store_are_apart(browse: Callable[..., Browser], backend: Counting) -> None:
    store, request, response = browse().store, Request.blank("/"), Response()
    one, two = store.get(request, "one"), store.get(request, "two")
    one["a"], two["a"] = 1, 2
    one.save(response)
    two.save(response)
    sent = dict(text.partition(";")[0].split("=", 1) for text in response.headers.getall("Set-Cookie"))
    assert sent.keys() == {"one", "two"}
    swapped = Request.blank("/", headers={"Cookie": f"one={sent['two']}; two={sent['one']}"})
    backend.calls.clear()
    assert [store.get(swapped, name).rejected for name in sent] == ["forged", "forged"]
    assert backend.calls == []


def test_no_repr_shows_a_key(browse: Callable[..., Browser]) -> None:
    browser = browse()
    session = browser.visit(put(a=1))
    assert NEW not in repr(browser.store)
    assert raw_id(browser.cookie).hex() not in repr(session)
