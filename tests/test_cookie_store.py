"""Sessions in cookies, signed and encrypted, through requests and responses of WebOb."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from webob import Request, Response

from sessions_wsgi import (
    CBORSerializer,
    ConfigError,
    CookieOptions,
    CookieStore,
    CookieTooLargeError,
    JSONSerializer,
    Key,
    Lifetime,
    MemoryStore,
    Registry,
    SerializeError,
    Session,
    UsageError,
    get_registry,
)
from sessions_wsgi.testing import ManualClock

PROPERTY = settings(deadline=None, derandomize=True, database=None)

NEW = "J3kx0-Vq8ZbT5nYw2Rs7Lf9Gh1Md4Pc6Xu_EaKtiWvo"
OLD = "b7Qm2Xc9-Lk4Tz8Rf1Vn6Yw3Hs5Jd0Pg_UaEiOoCrBt"
NOW = 1_800_000_000.0
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

Act = Callable[[Session], object]

both = pytest.mark.parametrize("encrypt", [False, True], ids=["signed", "encrypted"])


class Browser:
    """Keeps cookies as a browser does that goes by names alone, and visits a store with them."""

    def __init__(
        self, store: CookieStore, name: str = "session", cookies: dict[str, str] | None = None
    ) -> None:
        self.store, self.name = store, name
        self.cookies: dict[str, str] = {} if cookies is None else cookies
        #: What the last response sent.
        self.sent: list[str] = []

    def visit(self, act: Act = len) -> Session:
        """One request and its response, saved explicitly; the session after it."""
        header = "; ".join(f"{name}={text}" for name, text in self.cookies.items())
        request = Request.blank("/", headers={"Cookie": header} if header else {})
        response = Response()
        session = self.store.get(request, self.name)
        act(session)
        session.save(response)
        self.sent = response.headers.getall("Set-Cookie")
        for text in self.sent:
            name, _, value = text.partition(";")[0].partition("=")
            self.cookies[name] = value
            if "Max-Age=0" in text:
                del self.cookies[name]
        return session

    def attributes(self) -> dict[str, str]:
        """Those of the one cookie that the last response set."""
        (text,) = self.sent
        return dict(part.partition("=")[::2] for part in text.split("; ")[1:])


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def browse(clock: ManualClock) -> Callable[..., Browser]:
    """A browser at a store with these options."""

    def make(keys: Any = NEW, *, cookies: dict[str, str] | None = None, **options: Any) -> Browser:
        return Browser(CookieStore(keys, clock=clock, **options), cookies=cookies)

    return make


def put(**values: Any) -> Act:
    return put_all(values)


def put_all(values: dict[Any, Any]) -> Act:
    return lambda session: session.update(values)


# Values


class Color(Enum):
    RED = 1


class Point(NamedTuple):
    x: int
    y: int


@dataclass(frozen=True)
class Person:
    name: str
    friends: tuple[str, ...]


VALUES = {
    "str": "text ü \0 \U0001f36a",
    "bytes": b"\0\xff",
    "int": 0,
    "big": 2**70,
    "negative": -(2**70),
    "float": 0.1,
    "infinity": float("inf"),
    "minus zero": -0.0,
    "true": True,
    "none": None,
    "list": [1, [2, []]],
    "tuple": (1, (2, ())),
    "dict": {"b": 1, "a": {"c": 2}},
    "keys": {1: "int", "1": "str", (2, 3): "tuple", None: 0, b"b": 1, True + 1: 2},
    "set": {3, 1, 2},
    "frozenset": frozenset({"a", "b"}),
    "aware": datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC),
    "offset": datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    "naive": datetime(2026, 3, 1, 12, 0, 0, 1),  # noqa: DTZ001 - it comes back without a zone, too
    "date": date(2026, 3, 1),
    "time": time(12, 30, 0, 5),
    "timedelta": timedelta(days=-1, microseconds=1),
    "Decimal": Decimal("1.10"),
    "UUID": UUID(int=7),
    "enum": Color.RED,
    "named tuple": Point(1, 2),
    "dataclass": Person("ada", ("bob",)),
}


def types_of(value: Any) -> Any:
    """The exact types of a value and of all in it."""
    if isinstance(value, dict):
        return dict, [(types_of(key), types_of(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [types_of(item) for item in value]
    return type(value)


@both
@pytest.mark.parametrize("kind", VALUES)
def test_every_type_comes_back_as_it_was(browse: Callable[..., Browser], encrypt: bool, kind: str) -> None:
    types = {"color": Color, "point": Point, "person/1": Person}
    browser = browse(encrypt=encrypt, serializer=CBORSerializer(types))
    browser.visit(lambda session: session.__setitem__("value", VALUES[kind]))
    value = browser.visit()["value"]
    assert value == VALUES[kind]
    assert types_of(value) == types_of(VALUES[kind])
    assert repr(value) == repr(VALUES[kind]) or kind == "set" or kind == "frozenset"


@both
def test_keys_come_back_as_they_were(browse: Callable[..., Browser], encrypt: bool) -> None:
    """`session[42] = 43` of the original's README: an int key and an int."""
    browser = browse(encrypt=encrypt)
    browser.visit(put_all({"foo": "bar", 42: 43, (1, 2): None}))
    assert list(browser.visit().items()) == [("foo", "bar"), (42, 43), ((1, 2), None)]


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(),
    lambda parts: st.lists(parts) | st.tuples(parts, parts) | st.dictionaries(st.text(max_size=3), parts),
    max_leaves=5,
)


@settings(PROPERTY, max_examples=50)
@given(st.dictionaries(st.text(max_size=5) | st.integers(), values, max_size=3))
def test_values_come_back_as_they_were(values: dict[Any, Any]) -> None:
    browser = Browser(CookieStore(NEW, encrypt=True, clock=ManualClock(NOW)))
    browser.visit(put_all(values))
    found = dict(browser.visit())
    assert found == values
    assert types_of(found) == types_of(values)
    browser.visit(lambda session: list(session.items()))
    assert browser.sent == []


@both
def test_what_cannot_be_kept_is_an_error_and_nothing_is_sent(
    browse: Callable[..., Browser], encrypt: bool
) -> None:
    browser = browse(encrypt=encrypt)
    with pytest.raises(SerializeError, match=r"session\['cart'\]\[1\]"):
        browser.visit(put(cart=[1, object()]))
    assert browser.sent == []


def test_json_in_a_cookie(browse: Callable[..., Browser]) -> None:
    browser = browse(serializer=JSONSerializer())
    browser.visit(put(a=[1, 2.5, None, {"b": "ü"}]))
    assert dict(browser.visit()) == {"a": [1, 2.5, None, {"b": "ü"}]}


# What is sent, and when


@both
def test_a_new_session_is_new_until_it_was_saved(browse: Callable[..., Browser], encrypt: bool) -> None:
    browser, states = browse(encrypt=encrypt), []
    browser.visit(lambda session: (states.append(session.is_new), session.update(a=1)))
    session = browser.visit(lambda session: states.append(session.is_new))
    assert states == [True, False]
    assert session.rejected is None
    assert session.handle is None


@both
@pytest.mark.parametrize(
    "act",
    [
        len,
        lambda s: s.get("a"),
        lambda s: setattr(s, "max_age", 3600),
        lambda s: s.regenerate(),
        lambda s: s.destroy(),
        lambda s: (s.flash("x"), s.flashes()),
        lambda s: (s.update(a=1), s.clear()),
        lambda s: (s.update(a=1), s.destroy()),
        lambda s: setattr(s, "options", replace(s.options, samesite="Strict")),
    ],
)
def test_new_and_empty_is_never_stored(browse: Callable[..., Browser], encrypt: bool, act: Act) -> None:
    browser = browse(encrypt=encrypt)
    assert browser.visit(act).is_new
    assert browser.sent == []


@both
@pytest.mark.parametrize(
    "act",
    [
        len,
        list,
        lambda s: dict(s),
        lambda s: s["list"],
        lambda s: "n" in s,
        lambda s: s.get("missing"),
        lambda s: s.update(n=1),
        lambda s: s.update(list=[1, {"x": 2}]),
        lambda s: (s["list"].append(3), s["list"].pop()),
        lambda s: s.pop("missing", None),
        lambda s: (s.flash("x"), s.flashes()),
        lambda s: s.check_csrf("x"),
        lambda s: s.peek_flashes("other"),
        lambda s: (s.principal, s.created, s.last_seen, s.options, s.handle),
    ],
)
def test_unchanged_sends_nothing(browse: Callable[..., Browser], encrypt: bool, act: Act) -> None:
    """A change is a change of the encoded bytes."""
    browser = browse(encrypt=encrypt)
    browser.visit(put(n=1, list=[1, {"x": 2}]))
    browser.visit(act)
    assert browser.sent == []


@both
@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (lambda s: s["list"].append(3), {"n": 1, "list": [1, {"x": 2}, 3]}),
        (lambda s: s["list"][1].update(y=3), {"n": 1, "list": [1, {"x": 2, "y": 3}]}),
        (lambda s: s.get("list").clear(), {"n": 1, "list": []}),
        (lambda s: [value.pop() for value in s.values() if isinstance(value, list)], {"n": 1, "list": [1]}),
        (lambda s: s.update(n=1.0), {"n": 1.0, "list": [1, {"x": 2}]}),
        (lambda s: s.update(n=True), {"n": True, "list": [1, {"x": 2}]}),
        (lambda s: s.update(n=2), {"n": 2, "list": [1, {"x": 2}]}),
        (lambda s: s.pop("n"), {"list": [1, {"x": 2}]}),
        (lambda s: s.setdefault("m", []).append(1), {"n": 1, "list": [1, {"x": 2}], "m": [1]}),
    ],
)
def test_changes_are_saved_however_deep(
    browse: Callable[..., Browser], encrypt: bool, act: Act, expected: dict[str, Any]
) -> None:
    """Without any flag; a change of type alone included."""
    browser = browse(encrypt=encrypt)
    browser.visit(put(n=1, list=[1, {"x": 2}]))
    browser.visit(act)
    assert len(browser.sent) == 1
    found = dict(browser.visit())
    assert found == expected
    assert types_of(found) == types_of(expected)


@both
def test_a_value_changed_after_an_explicit_save_is_saved_by_the_next(
    browse: Callable[..., Browser], encrypt: bool
) -> None:
    browser, basket, first = browse(encrypt=encrypt), ["apple"], Response()

    def act(session: Session) -> None:
        session["basket"] = basket
        session.save(first)
        basket.append("pear")

    browser.visit(act)
    assert browser.visit()["basket"] == ["apple", "pear"]


@both
def test_a_stored_session_that_was_emptied_stays_stored(
    browse: Callable[..., Browser], encrypt: bool
) -> None:
    browser = browse(encrypt=encrypt)
    browser.visit(put(a=1))
    browser.visit(lambda session: session.clear())
    assert len(browser.sent) == 1
    assert "Max-Age=0" not in browser.sent[0]
    session = browser.visit()
    assert (session.is_new, len(session)) == (False, 0)
    assert browser.sent == []


@both
def test_flashes_last_until_read(browse: Callable[..., Browser], encrypt: bool) -> None:
    browser = browse(encrypt=encrypt)
    browser.visit(lambda session: (session.flash("saved"), session.flash("broken", "error")))
    browser.visit()
    assert browser.visit(lambda session: session.peek_flashes()).peek_flashes() == ["saved"]
    assert browser.sent == []
    read: list[Any] = []
    browser.visit(lambda session: read.extend(session.flashes()))
    assert (read, len(browser.sent)) == (["saved"], 1)
    browser.visit(lambda session: read.extend(session.flash_items()))
    assert read == ["saved", ("error", "broken")]
    browser.visit(lambda session: read.extend(session.flash_items()))
    assert len(read) == 2
    assert browser.sent == []


@both
def test_login_and_destroy(browse: Callable[..., Browser], encrypt: bool, clock: ManualClock) -> None:
    browser = browse(encrypt=encrypt)
    browser.visit(put(basket=["apple"]))
    clock.advance(60)
    browser.visit(lambda session: session.login("ada"))
    session = browser.visit()
    assert (session.principal, session["basket"]) == ("ada", ["apple"])
    assert session.authenticated_at == datetime.fromtimestamp(NOW + 60, UTC)
    browser.visit(lambda session: session.destroy())
    assert browser.cookies == {}
    session = browser.visit()
    assert (session.is_new, session.principal, len(session)) == (True, None, 0)


@both
def test_a_csrf_token_counts_in_later_requests(browse: Callable[..., Browser], encrypt: bool) -> None:
    browser, tokens = browse(encrypt=encrypt), []
    browser.visit(lambda session: tokens.append(session.csrf_token()))
    assert browser.visit().check_csrf(tokens[0])
    browser.visit(lambda session: tokens.append(session.csrf_token()))
    assert browser.sent == []
    browser.visit(lambda session: session.regenerate())
    assert not any(browser.visit().check_csrf(token) for token in tokens)


@both
def test_writing_after_destroy_begins_a_fresh_session(browse: Callable[..., Browser], encrypt: bool) -> None:
    browser = browse(encrypt=encrypt)
    browser.visit(lambda session: (session.update(a=1), session.login("ada")))
    browser.visit(lambda session: (session.destroy(), session.update(b=2)))
    session = browser.visit()
    assert (dict(session), session.principal) == ({"b": 2}, None)


@both
def test_a_destroyed_cookie_is_deleted_with_its_attributes(
    browse: Callable[..., Browser], encrypt: bool
) -> None:
    options = CookieOptions(domain="example.com", path="/app", samesite="None", partitioned=True)
    browser = browse(encrypt=encrypt, options=options)
    browser.visit(put(a=1))
    set_as = browser.attributes()
    browser.visit(lambda session: session.destroy())
    deletion = browser.attributes()
    assert (deletion.pop("Max-Age"), deletion.pop("Expires")) == ("0", "Thu, 01 Jan 1970 00:00:00 GMT")
    assert deletion == set_as
    assert browser.sent[0].startswith("session=;")


# How the text looks


def test_a_signed_cookie_can_be_read_and_an_encrypted_one_cannot(browse: Callable[..., Browser]) -> None:
    shown = {}
    for encrypt in False, True:
        browser = browse(encrypt=encrypt)
        browser.visit(put(greeting="hello, world"))
        text = browser.cookies["session"].partition(".")[0]
        shown[encrypt] = b"hello, world" in base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert shown == {False: True, True: False}


# Lifetimes


@both
def test_idle_sessions_end_and_active_ones_do_not(
    browse: Callable[..., Browser], clock: ManualClock, encrypt: bool
) -> None:
    browser = browse(encrypt=encrypt, lifetime=Lifetime(absolute=DAY, idle=HOUR))
    browser.visit(put(a=1))
    for _ in range(6):
        clock.advance(50 * MINUTE)
        assert not browser.visit().is_new
        assert len(browser.sent) == 1, "a touch was due"
    clock.advance(HOUR)
    session = browser.visit()
    assert (session.is_new, session.rejected, len(session)) == (True, "expired", 0)


@both
def test_a_request_that_lasts_counts_until_its_answer(
    browse: Callable[..., Browser], clock: ManualClock, encrypt: bool
) -> None:
    """A touch was not due when the session was opened, but is when it is answered."""
    browser = browse(encrypt=encrypt, lifetime=Lifetime(idle=HOUR))
    browser.visit(put(a=1))
    clock.advance(5 * MINUTE)
    browser.visit(lambda session: clock.advance(50 * MINUTE))
    clock.advance(HOUR - 1)
    assert not browser.visit().is_new


@both
def test_a_touch_is_not_due_at_once(
    browse: Callable[..., Browser], clock: ManualClock, encrypt: bool
) -> None:
    browser = browse(encrypt=encrypt, lifetime=Lifetime(idle=HOUR))
    browser.visit(put(a=1))
    clock.advance(6 * MINUTE - 1)
    browser.visit()
    assert browser.sent == []
    clock.advance(1)
    session = browser.visit()
    assert len(browser.sent) == 1
    assert session["a"] == 1
    assert browser.visit().last_seen == datetime.fromtimestamp(NOW + 360, UTC)


@both
def test_the_absolute_lifetime_ends_active_sessions(
    browse: Callable[..., Browser], clock: ManualClock, encrypt: bool
) -> None:
    browser = browse(encrypt=encrypt, lifetime=Lifetime(absolute=2 * HOUR, idle=HOUR))
    browser.visit(put(a=1))
    for _ in range(2):
        clock.advance(50 * MINUTE)
        assert not browser.visit(lambda session: session.update(n=len(session))).is_new
    clock.advance(20 * MINUTE)
    assert browser.visit().rejected == "expired"


@both
def test_a_clock_that_is_a_minute_ahead_is_no_fault(
    browse: Callable[..., Browser], clock: ManualClock, encrypt: bool
) -> None:
    browser = browse(encrypt=encrypt, lifetime=Lifetime(idle=HOUR))
    clock.advance(60)
    browser.visit(put(a=1))
    clock.advance(-60)
    assert browser.visit()["a"] == 1
    clock.advance(-0.001)
    assert browser.visit().rejected == "expired"


# Remember me


@both
def test_remember_me_stays_chosen(browse: Callable[..., Browser], clock: ManualClock, encrypt: bool) -> None:
    browser = browse(encrypt=encrypt)
    browser.visit(put(a=1))
    assert "Max-Age" not in browser.attributes()
    browser.visit(lambda session: setattr(session, "max_age", timedelta(days=20)))
    for _ in range(3):
        attributes = browser.attributes()
        assert attributes["Max-Age"] == str(20 * 86400)
        assert parsedate_to_datetime(attributes["Expires"]).timestamp() == clock() + 20 * DAY
        clock.advance(HOUR)
        session = browser.visit(lambda session: session.update(a=session["a"] + 1))
        assert session.max_age == 20 * DAY
    browser.visit(lambda session: setattr(session, "max_age", None))
    assert "Max-Age" not in browser.attributes()
    assert browser.visit(put(a=0)).max_age is None
    assert "Max-Age" not in browser.attributes()


@both
def test_the_server_ends_what_was_not_seen_for_its_max_age(
    browse: Callable[..., Browser], clock: ManualClock, encrypt: bool
) -> None:
    browser = browse(encrypt=encrypt)
    browser.visit(lambda session: (session.update(a=1), setattr(session, "max_age", HOUR)))
    clock.advance(HOUR - 1)
    assert browser.visit()["a"] == 1
    assert browser.attributes()["Max-Age"] == "3600"
    clock.advance(HOUR)
    assert browser.visit().rejected == "expired"


@both
def test_max_age_of_the_options_is_the_beginning(browse: Callable[..., Browser], encrypt: bool) -> None:
    browser = browse(encrypt=encrypt, options=CookieOptions(max_age=timedelta(hours=2)))
    browser.visit(put(a=1))
    assert browser.attributes()["Max-Age"] == "7200"
    browser.visit(lambda session: setattr(session, "max_age", None))
    browser.visit(put(a=2))
    assert "Max-Age" not in browser.attributes()


@both
def test_max_age_is_clipped_to_the_lifetime(
    browse: Callable[..., Browser], clock: ManualClock, encrypt: bool
) -> None:
    browser = browse(encrypt=encrypt, lifetime=Lifetime(absolute=HOUR))
    browser.visit(lambda session: (session.update(a=1), setattr(session, "max_age", DAY)))
    assert browser.attributes()["Max-Age"] == "3600"
    clock.advance(45 * MINUTE)
    browser.visit(put(a=2))
    assert browser.attributes()["Max-Age"] == "900"
    assert browser.visit().max_age == DAY


@both
def test_max_age_is_never_written_over_400_days(browse: Callable[..., Browser], encrypt: bool) -> None:
    """RFC 6265bis 5.5; the server goes by the lifetime all the same."""
    browser = browse(encrypt=encrypt, lifetime=Lifetime(absolute=None, idle=1000 * DAY))
    browser.visit(lambda session: (session.update(a=1), setattr(session, "max_age", 500 * DAY)))
    assert int(browser.attributes()["Max-Age"]) == 34_560_000


# Options of one response


@both
def test_options_are_for_this_response_only(browse: Callable[..., Browser], encrypt: bool) -> None:
    browser = browse(encrypt=encrypt)
    browser.visit(put(a=1))
    browser.visit(lambda session: setattr(session, "options", replace(session.options, samesite="Strict")))
    assert browser.attributes()["SameSite"] == "Strict"
    browser.visit(put(a=2))
    assert browser.attributes()["SameSite"] == "Lax"


@both
@pytest.mark.parametrize("prefix", ["__Host-", "__Secure-", "__Http-", "__Host-Http-"])
def test_the_prefix_is_part_of_the_name_that_is_sealed(
    browse: Callable[..., Browser], encrypt: bool, prefix: Any
) -> None:
    browser = browse(encrypt=encrypt, options=CookieOptions(prefix=prefix))
    browser.visit(put(a=1))
    assert list(browser.cookies) == [f"{prefix}session"]
    assert browser.visit()["a"] == 1
    bare = browse(encrypt=encrypt, cookies={"session": browser.cookies[f"{prefix}session"]})
    assert bare.visit().rejected == "forged"


@both
@pytest.mark.parametrize("name", ["", "a b", "a;b", "a=b", "ü", "a\r\nX: y", None, 7])
def test_a_name_is_a_token_wherever_it_is_given(encrypt: bool, name: Any) -> None:
    store, request = CookieStore(NEW, encrypt=encrypt), Request.blank("/")
    for open_session in store.get, store.new:
        with pytest.raises(ConfigError):
            open_session(request, name)


# Rotation


@both
def test_what_an_older_key_sealed_is_sealed_anew_on_that_response(
    browse: Callable[..., Browser], encrypt: bool
) -> None:
    browser = browse(OLD, encrypt=encrypt)
    browser.visit(put(a=1))
    browser = browse(f"{NEW} {OLD}", encrypt=encrypt, cookies=browser.cookies)
    assert browser.visit()["a"] == 1
    assert len(browser.sent) == 1
    browser.visit()
    assert browser.sent == []
    assert browse(NEW, encrypt=encrypt, cookies=browser.cookies).visit()["a"] == 1


@both
def test_a_removed_key_means_a_new_session(browse: Callable[..., Browser], encrypt: bool) -> None:
    browser = browse(OLD, encrypt=encrypt)
    browser.visit(put(a=1))
    browser = browse(NEW, encrypt=encrypt, cookies=browser.cookies)
    session = browser.visit()
    assert session.is_new
    assert session.rejected == ("unknown_key" if encrypt else "forged")
    assert browser.sent == []
    browser.visit(put(b=2))
    assert dict(browser.visit()) == {"b": 2}


@both
def test_a_fleet_can_be_rolled(browse: Callable[..., Browser], clock: ManualClock, encrypt: bool) -> None:
    """One machine seals with the next key already, another only opens with it: nobody is logged out."""
    jar: dict[str, str] = {}
    begin = datetime.fromtimestamp(NOW + HOUR, UTC)
    rolled = browse([Key(NEW, not_before=begin), OLD], encrypt=encrypt, cookies=jar)
    late = Key(NEW, not_before=begin + timedelta(hours=1))
    waiting = browse([late, OLD], encrypt=encrypt, cookies=jar)
    rolled.visit(put(n=0))
    for _ in range(4):
        for machine in rolled, waiting:
            assert machine.visit(lambda session: session.update(n=session["n"] + 1))["n"] > 0
        clock.advance(HOUR)
    assert browse(NEW, encrypt=encrypt, cookies=jar).visit()["n"] == 8


# What is rejected


@both
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "malformed"),
        ("x", "malformed"),
        ("é" * 50, "malformed"),
        ("A" * 100, None),
        ("." * 44, None),
        ("=" * 60, None),
    ],
)
def test_a_bad_cookie_is_a_new_session_with_the_reason(
    browse: Callable[..., Browser], encrypt: bool, text: str, reason: str | None
) -> None:
    browser = browse(encrypt=encrypt, cookies={"session": text})
    session = browser.visit()
    assert session.is_new
    assert session.rejected in ((reason,) if reason else ("malformed", "forged", "unknown_key"))
    assert browser.sent == []


@both
def test_no_cookie_is_no_rejection(browse: Callable[..., Browser], encrypt: bool) -> None:
    assert browse(encrypt=encrypt, cookies={"other": "x"}).visit().rejected is None


@both
def test_a_cookie_of_another_name_store_audience_or_mode_is_refused(
    browse: Callable[..., Browser], encrypt: bool
) -> None:
    browser = browse(encrypt=encrypt)
    browser.visit(put(a=1))
    text = browser.cookies["session"]
    others = [
        Browser(browser.store, "cart", {"cart": text}),
        browse(encrypt=encrypt, audience="other", cookies={"session": text}),
        browse(encrypt=not encrypt, cookies={"session": text}),
        browse(OLD, encrypt=encrypt, cookies={"session": text}),
    ]
    assert all(other.visit().rejected in ("forged", "malformed", "unknown_key") for other in others)


@both
@PROPERTY
@given(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=200))
def test_no_cookie_header_whatever_breaks_a_request(encrypt: bool, header: str) -> None:
    store = CookieStore(NEW, encrypt=encrypt)
    request, response = Request.blank("/", environ={"HTTP_COOKIE": f"session={header}"}), Response()
    session = store.get(request, "session")
    assert session.is_new
    assert session.rejected
    session["a"] = 1
    session.save(response)
    assert len(response.headers.getall("Set-Cookie")) == 1


@both
def test_of_several_cookies_the_first_good_one_counts(browse: Callable[..., Browser], encrypt: bool) -> None:
    """A sibling domain may plant some of our name; up to four are looked at."""
    browser = browse(encrypt=encrypt)
    browser.visit(put(a=1))
    text = browser.cookies["session"]
    for planted, found in ([], True), (["x"], True), (["x", "y", ""], True), (["x"] * 4, False):
        header = "; ".join(f"session={each}" for each in [*planted, text])
        session = browser.store.get(Request.blank("/", headers={"Cookie": header}), "session")
        assert session.is_new is not found
        assert session.rejected == (None if found else "malformed")


@both
def test_destroying_a_rejected_cookie_deletes_it(browse: Callable[..., Browser], encrypt: bool) -> None:
    browser = browse(encrypt=encrypt, cookies={"session": "x"})
    browser.visit(lambda session: session.destroy())
    assert browser.cookies == {}


# Too large


@both
def test_a_cookie_that_is_too_large_tells_the_size_of_each_key(
    browse: Callable[..., Browser], encrypt: bool
) -> None:
    browser = browse(encrypt=encrypt, options=CookieOptions(prefix="__Host-"))

    def act(session: Session) -> None:
        session.update({"small": 1, "large": "x" * 5000, 42: "y" * 100, "42": "z"})
        session.flash("f" * 50)

    with pytest.raises(CookieTooLargeError) as caught:
        browser.visit(act)
    error = caught.value
    assert (error.name, error.limit) == ("__Host-session", 4096)
    assert error.size > 5000
    assert len(error.sizes) == 5
    assert error.sizes["large"] >= 5000
    assert error.sizes["small"] < 20
    assert "large" in str(error)
    assert "xxx" not in str(error)
    assert browser.sent == []


@both
def test_no_key_hides_behind_another_in_these_sizes(browse: Callable[..., Browser], encrypt: bool) -> None:
    """Of most keys that are no text only the type is shown; what is beside the values is told, too."""

    def act(session: Session) -> None:
        session.login("ada")
        session.label = "x" * 700
        session.update({(1, 2): "x" * 2000, (3, 4): "x" * 1000, 1.5: 1, 2.5: 2, "[42]": "y" * 500, 42: "z"})

    with pytest.raises(CookieTooLargeError) as caught:
        browse(encrypt=encrypt).visit(act)
    sizes = caught.value.sizes
    names = {"[tuple]", "[tuple 2]", "[float]", "[float 2]", "[42]", "[42] 2", "(label)", "(principal)"}
    assert {*sizes} == {*(name.replace(" 2]", "] 2") for name in names), "(authenticated_ms)"}
    assert (sizes["[tuple]"] > 2000, sizes["[tuple] 2"] > 1000, sizes["(label)"] > 700) == (True, True, True)
    assert str(caught.value).index("[tuple] 20") < str(caught.value).index("[tuple] 2 10")


@both
@pytest.mark.parametrize("verb", ["regenerate", "login"])
def test_a_new_id_is_told(browse: Callable[..., Browser], encrypt: bool, verb: str) -> None:
    """Here there is no id, and the secrets that hang on it are new; a first log-in replaces nothing."""
    store, events = CookieStore(NEW, encrypt=encrypt, clock=lambda: NOW), []
    browser = browse(encrypt=encrypt)
    for kinds in (["created", "saved"], ["opened", "regenerated", "saved"]):
        environ = {"HTTP_COOKIE": f"session={browser.cookies.get('session', '')}"} if browser.cookies else {}
        registry = Registry({"session": store}, environ, on_event=events.append)
        session = registry["session"]
        session.regenerate() if verb == "regenerate" and browser.cookies else session.login("ada")
        registry.commit()
        assert [event.kind for event in events] == kinds
        events.clear()
        browser.visit(lambda session: session.login("ada"))


@both
def test_the_largest_cookie_has_4096_octets(browse: Callable[..., Browser], encrypt: bool) -> None:
    """With name and "="; so many that one byte more of data is refused."""
    browser, size = browse(encrypt=encrypt), 2800
    with pytest.raises(CookieTooLargeError):
        while True:
            size += 1
            browser.visit(put(a="x" * size))
    pair = browser.sent[0].partition(";")[0] if browser.sent else f"session={browser.cookies['session']}"
    assert 4096 - 4 < len(pair) <= 4096


# get, new, save


@both
def test_one_request_has_one_session(encrypt: bool) -> None:
    store, request = CookieStore(NEW, encrypt=encrypt), Request.blank("/")
    session = store.get(request, "session")
    assert store.get(request, "session") is session
    assert store.get(request.environ, "session") is session
    assert store.get(Request(request.environ), "session") is session
    assert store.get(request, "other") is not session
    assert store.get(Request.blank("/"), "session") is not session


@both
def test_new_decodes_again_and_is_never_the_same(browse: Callable[..., Browser], encrypt: bool) -> None:
    browser = browse(encrypt=encrypt)
    browser.visit(put(a=1))
    request = Request.blank("/", headers={"Cookie": f"session={browser.cookies['session']}"})
    session, again = browser.store.get(request, "session"), browser.store.new(request, "session")
    session["a"] = 2
    assert again["a"] == 1
    assert again is not session
    assert browser.store.new(request, "session") is not again


@both
def test_save_by_store_session_or_registry(browse: Callable[..., Browser], encrypt: bool) -> None:
    """All the same; saving twice sets one cookie."""
    store = CookieStore(NEW, encrypt=encrypt, clock=ManualClock(NOW))
    for save in (
        lambda request, response, session: session.save(response),
        lambda request, response, session: store.save(request, response, session),
        lambda request, response, session: get_registry(request).save(response),
        lambda request, response, session: (session.save(response), get_registry(request).save(response)),
    ):
        request, response = Request.blank("/"), Response()
        session = store.get(request, "session")
        session["a"] = 1
        save(request, response, session)
        assert len(response.headers.getall("Set-Cookie")) == 1
        assert response.headers["Vary"] == "Cookie"
        assert "no-store" in response.headers["Cache-Control"]


@both
def test_two_sessions_of_one_request_are_saved_together(encrypt: bool) -> None:
    store, request, response = CookieStore(NEW, encrypt=encrypt), Request.blank("/"), Response()
    store.get(request, "one")["a"] = 1
    store.get(request, "two")["a"] = 2
    store.get(request, "three")
    get_registry(request).save(response)
    names = [text.partition("=")[0] for text in response.headers.getall("Set-Cookie")]
    assert sorted(names) == ["one", "two"]


def test_a_plain_cookie_store_has_nothing_to_revoke_on() -> None:
    """It says so, and does not seem to work."""
    with pytest.raises(UsageError, match="revocations"):
        CookieStore(NEW).revoke("ada")
    assert CookieStore(NEW).purge() == 0


# Options of the store


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("options", {}),
        ("options", "Secure"),
        ("lifetime", 3600),
        ("lifetime", timedelta(days=1)),
        ("serializer", object()),
        ("serializer", "json"),
        ("audience", None),
        ("audience", "a\0b"),
        ("serializer", JSONSerializer),
        *[("clock", clock) for clock in (1_800_000_000, datetime.now, lambda: "x", lambda now: now, bool)],
        *[("encrypt", flag) for flag in (None, "", "0", "false", "no", "yes", 0, 1)],
    ],
)
@pytest.mark.parametrize("make", [CookieStore, MemoryStore])
def test_a_wrong_option_is_refused_by_name(make: Callable[..., Any], option: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        make(NEW, **{option: value})
    assert caught.value.option == option


@pytest.mark.parametrize("keys", ["", "short", [], None, "a" * 40])
def test_bad_keys_are_refused_at_once(keys: Any) -> None:
    with pytest.raises(ConfigError):
        CookieStore(keys)


def test_no_repr_shows_a_key() -> None:
    assert NEW not in repr(CookieStore(NEW))


@pytest.mark.parametrize(
    ("option", "fix"),
    [
        ("secure", r"options=CookieOptions\(secure=…\)"),
        ("idle", r"lifetime=Lifetime\(idle=…\)"),
        ("encrpyt", "did you mean 'encrypt'"),
    ],
)
def test_an_unknown_option_is_refused_with_the_right_one(option: str, fix: str) -> None:
    with pytest.raises(ConfigError, match=fix) as caught:
        CookieStore("tGq7dYw2Lk0vXo4sRz9BfUc1MhJe6NpAiKx3WyTb5Qg", **{option: True})
    assert caught.value.option == option
