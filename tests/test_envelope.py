"""What is sealed of a session, and how long anything lives."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessions_wsgi import (
    CBORSerializer,
    ConfigError,
    CookieOptions,
    CookieStore,
    JSONSerializer,
    Lifetime,
    SerializeError,
    Session,
    SignedCodec,
)
from sessions_wsgi.testing import ManualClock

PROPERTY = settings(deadline=None, derandomize=True, database=None)
FOLDER = Path(__file__).parent / "vectors"

KEY = "J3kx0-Vq8ZbT5nYw2Rs7Lf9Gh1Md4Pc6Xu_EaKtiWvo"
#: Seconds since the epoch, and the same moment as envelopes have it.
NOW = 1_800_000_000.0
NOW_MS = 1_800_000_000_000
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


class Bench:
    """A cookie store whose texts are taken apart and put together by hand; time passes when told to."""

    def __init__(self, lifetime: Lifetime | None = None, serializer: Any = None, **options: Any) -> None:
        self.clock = ManualClock(NOW)
        self.serializer = serializer or CBORSerializer()
        self.store = CookieStore(
            KEY,
            lifetime=lifetime,
            serializer=self.serializer,
            options=CookieOptions(**options),
            clock=self.clock,
        )
        self._codec = SignedCodec(KEY, "session", clock=self.clock)

    def seal(self, envelope: object) -> str:
        """The text of any envelope whatever."""
        return self._codec.seal("session", self.serializer.dumps(envelope))

    def unseal(self, text: str | None) -> Any:
        """The envelope of a text."""
        assert text
        return self.serializer.loads(self._codec.open("session", text))

    def open(self, *texts: str) -> Session:
        return self.store.open("session", texts)

    def opened(self, envelope: object) -> Session:
        return self.open(self.seal(envelope))

    def saved(self, **values: Any) -> str:
        """The text of a new session with these values."""
        session = self.open()
        session.update(values)
        text = self.store.commit(session)
        assert text
        return text


@pytest.fixture
def bench() -> Callable[..., Bench]:
    return Bench


def envelope(
    created: float = 0, seen: float | None = None, values: Any = None, extras: Any = None
) -> list[Any]:
    """One that was made and seen so many seconds before now."""
    seen = created if seen is None else seen
    values = {"a": 1} if values is None else values
    return [1, NOW_MS - round(created * 1000), NOW_MS - round(seen * 1000), values, extras or {}]


# The format


def test_the_envelope_is_format_times_values_extras(bench: Callable[..., Bench]) -> None:
    made = bench()
    assert made.unseal(made.saved(a=1)) == [1, NOW_MS, NOW_MS, {"a": 1}, {}]


def test_extras_hold_only_what_is_set(bench: Callable[..., Bench]) -> None:
    made = bench()
    session = made.open()
    session.max_age = 3600
    session.label = "Firefox on Linux"
    session.flash("saved")
    session.flash("broken", "error")
    session.csrf_token()
    session.login("ada")
    *_, extras = made.unseal(made.store.commit(session))
    assert extras == {
        "max_age": 3600,
        "label": "Firefox on Linux",
        "flashes": [["", "saved"], ["error", "broken"]],
        "principal": "ada",
        "authenticated_ms": NOW_MS,
    }


def test_a_token_s_secret_is_in_the_extras(bench: Callable[..., Bench]) -> None:
    made = bench()
    session = made.open()
    token = session.csrf_token()
    text = made.store.commit(session)
    *_, extras = made.unseal(text)
    assert extras.keys() == {"csrf"}
    assert made.open(str(text)).check_csrf(token)


def test_with_json_all_of_it_is_json(bench: Callable[..., Bench]) -> None:
    """So that a program in another language reads the cookie."""
    made = bench(serializer=JSONSerializer())
    session = made.open()
    session["a"] = [1, None, {"b": True}]
    session.flash("saved", "info")
    data = SignedCodec(KEY, "session").open("session", str(made.store.commit(session)))
    assert json.loads(data) == [
        1,
        NOW_MS,
        NOW_MS,
        {"a": [1, None, {"b": True}]},
        {"flashes": [["info", "saved"]]},
    ]


FULL = {"user": "ada", "n": 42, "cart": ["apple", {"price": 250}], "ü": None, 7: True}


@pytest.mark.parametrize("mode", ["signed", "encrypted"])
def test_committed_cookies_are_read_for_ever(mode: str) -> None:
    """Values, times and extras; what a newer version left there included."""
    vectors = json.loads((FOLDER / f"{mode}.json").read_text("utf-8"))["sessions"]
    for vector in vectors:
        clock = ManualClock(NOW + 120)
        store = CookieStore(vector["secret"], encrypt=mode == "encrypted", clock=clock)
        session = store.open(vector["cookie"], [vector["text"]])
        assert session.rejected is None
        if vector["envelope"] == "small":
            assert dict(session) == {"foo": "bar"}
            continue
        assert dict(session) == FULL
        assert session.created == datetime.fromtimestamp(NOW, UTC)
        assert session.last_seen == datetime.fromtimestamp(NOW + 60, UTC)
        assert session.principal == "1"
        assert session.flash_items() == [("", "saved"), ("error", "no")]


@pytest.mark.parametrize("extras", [{"later": [1, {"x": 2}]}, {"later": None, "label": "x"}, {"": 0}])
def test_what_a_newer_version_left_in_the_extras_is_kept(
    bench: Callable[..., Bench], extras: dict[str, Any]
) -> None:
    """So that versions can run side by side."""
    made = bench()
    session = made.opened(envelope(values={"a": 1}, extras=extras))
    assert session.rejected is None
    session["a"] = 2
    session.regenerate()
    assert made.unseal(made.store.commit(session)) == envelope(values={"a": 2}, extras=extras)


def test_the_time_of_the_last_visit_alone_is_no_change(bench: Callable[..., Bench]) -> None:
    made = bench()
    text = made.saved(a=[1])
    made.clock.advance(HOUR)
    session = made.open(text)
    assert session["a"] == [1]
    session["a"] = [1]
    assert made.store.commit(session) is None


# What is refused


@pytest.mark.parametrize(
    "broken",
    [
        None,
        1,
        "text",
        b"bytes",
        {},
        [],
        [1],
        [1, NOW_MS, NOW_MS, {}],
        [1, NOW_MS, NOW_MS, {}, {}, {}],
        [0, NOW_MS, NOW_MS, {}, {}],
        [2, NOW_MS, NOW_MS, {}, {}],
        [None, NOW_MS, NOW_MS, {}, {}],
        ["1", NOW_MS, NOW_MS, {}, {}],
        [1, None, NOW_MS, {}, {}],
        [1, str(NOW_MS), NOW_MS, {}, {}],
        [1, float(NOW_MS), NOW_MS, {}, {}],
        [1, True, NOW_MS, {}, {}],
        [1, NOW_MS, None, {}, {}],
        [1, NOW_MS, float(NOW_MS), {}, {}],
        [1, NOW_MS, NOW_MS, None, {}],
        [1, NOW_MS, NOW_MS, [], {}],
        [1, NOW_MS, NOW_MS, "values", {}],
        [1, NOW_MS, NOW_MS, {}, None],
        [1, NOW_MS, NOW_MS, {}, []],
        [1, NOW_MS, NOW_MS, {}, "extras"],
        {1: 1, 2: 2, 3: 3, 4: {}, 5: {}},
        *[
            [1, NOW_MS, NOW_MS, {}, extras]
            for extras in [
                {"max_age": "3600"},
                {"max_age": True},
                {"max_age": None},
                {"max_age": float("nan")},
                {"max_age": float("inf")},
                {"max_age": 10**400},
                {"principal": 7},
                {"principal": None},
                {"epoch": 1},
                {"authenticated_ms": "now"},
                {"authenticated_ms": 1.5},
                {"authenticated_ms": True},
                {"label": 1},
                {"id": b"x"},
                {"csrf": 7},
                {"csrf": "no hexadecimal digits"},
                {"csrf": "5a"},
                {"flashes": "text"},
                {"flashes": {}},
                {"flashes": ["text"]},
                {"flashes": [["category"]]},
                {"flashes": [["category", 1, 2]]},
                {"flashes": [{"category": "", "value": 1}]},
            ]
        ],
    ],
    ids=lambda broken: repr(broken).replace(str(NOW_MS), "T")[:60],
)
def test_any_other_structure_is_unreadable(bench: Callable[..., Bench], broken: object) -> None:
    """Sealed by our key, but not by this library: a new session, and the reason."""
    session = bench().opened(broken)
    assert session.rejected == "unreadable"
    assert session.is_new
    assert dict(session) == {}


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"\x85\x01", b"not CBOR", bytes(100), b"{}", b"[1,2,3,{},[]]"]
)
@pytest.mark.parametrize("serializer", [CBORSerializer(), JSONSerializer()], ids=["CBOR", "JSON"])
def test_any_other_bytes_are_unreadable(bench: Callable[..., Bench], serializer: Any, data: bytes) -> None:
    made = bench(serializer=serializer)
    session = made.open(SignedCodec(KEY, "session").seal("session", data))
    assert session.rejected == "unreadable"


def test_another_serializer_cannot_read_it(bench: Callable[..., Bench]) -> None:
    cbor, js = bench(), bench(serializer=JSONSerializer())
    assert js.open(cbor.saved(a=1)).rejected == "unreadable"
    assert cbor.open(js.saved(a=1)).rejected == "unreadable"


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(10**12, 10**14),
    st.sampled_from([10**30, -(10**30), 10**400, -(10**400), NOW_MS, NOW_MS + 1, 2**63, -(2**63)]),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
)
names = st.sampled_from(
    ["max_age", "principal", "epoch", "authenticated_ms", "label", "id", "csrf", "flashes", "other"]
)
trees = st.recursive(
    leaves,
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(names, parts, max_size=3),
    max_leaves=6,
)


def use(session: Session) -> None:
    """Everything that an application may ask of a session."""
    shown = session.created, session.last_seen, session.max_age, session.principal, session.authenticated_at
    assert repr((session, shown, session.label, dict(session)))
    session.peek_flashes()
    session.flash_items()
    session.check_csrf(session.csrf_token())
    session["new"] = 1


@settings(PROPERTY, max_examples=200)
@given(
    places=st.lists(st.tuples(st.integers(0, 4), trees), max_size=2),
    extras=st.dictionaries(names, leaves | trees, max_size=3),
    lifetime=st.sampled_from([Lifetime(), Lifetime.AAL3, Lifetime(absolute=None, idle=HOUR)]),
)
def test_no_envelope_breaks_a_request(
    places: list[tuple[int, Any]], extras: dict[str, Any], lifetime: Lifetime
) -> None:
    """A good one with any parts replaced opens or is rejected, and the session can be used and saved."""
    made, parts = Bench(lifetime), envelope(extras=extras)
    for at, part in places:
        parts[at] = part
    session = made.opened(parts)
    assert session.rejected in (None, "unreadable", "expired")
    use(session)
    assert made.store.commit(session)


@PROPERTY
@given(trees)
def test_no_value_whatever_is_an_envelope_by_accident(value: Any) -> None:
    session = Bench().opened(value)
    assert session.rejected in ("unreadable", "expired")


# Lifetimes


@pytest.mark.parametrize("option", ["absolute", "idle", "touch_after"])
@pytest.mark.parametrize(
    "value",
    [
        *[0, -1, -0.001, timedelta(0), timedelta(days=-1), float("nan"), float("inf"), 10**400],
        *[True, False, "3600", b"1", [60], datetime(2026, 1, 1, tzinfo=UTC)],
    ],
    ids=lambda value: repr(value)[:20],
)
def test_times_are_positive_seconds_or_timedeltas(option: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        Lifetime(**{"idle": HOUR, option: value})
    assert caught.value.option == option
    assert repr(option) in str(caught.value)


def test_a_session_without_any_limit_is_refused() -> None:
    with pytest.raises(ConfigError, match="never end") as caught:
        Lifetime(absolute=None, idle=None)
    assert caught.value.option == "absolute"


@pytest.mark.parametrize("touch_after", [HOUR, HOUR + 1, timedelta(days=1)])
def test_a_touch_that_comes_too_late_is_refused(touch_after: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        Lifetime(idle=HOUR, touch_after=touch_after)
    assert caught.value.option == "touch_after"


@pytest.mark.parametrize(
    ("given", "absolute", "idle", "touch_after"),
    [
        ({}, 30 * DAY, None, None),
        ({"absolute": None, "idle": HOUR}, None, HOUR, None),
        ({"absolute": timedelta(hours=2)}, 2 * HOUR, None, None),
        ({"idle": timedelta(minutes=15), "touch_after": 60}, 30 * DAY, 15 * MINUTE, MINUTE),
    ],
)
def test_lifetimes_are_kept_in_seconds(
    given: dict[str, Any], absolute: float | None, idle: float | None, touch_after: float | None
) -> None:
    lifetime = Lifetime(**given)
    assert (lifetime.absolute, lifetime.idle, lifetime.touch_after) == (absolute, idle, touch_after)


@pytest.mark.parametrize(
    ("preset", "absolute", "idle"),
    [
        (Lifetime.AAL1, 30 * DAY, None),
        (Lifetime.AAL2, DAY, HOUR),
        (Lifetime.AAL3, 12 * HOUR, 15 * MINUTE),
    ],
)
def test_presets_are_the_longest_that_nist_allows(
    preset: Lifetime, absolute: float, idle: float | None
) -> None:
    """SP 800-63B-4 2.1.3, 2.2.3, 2.3.3."""
    assert (preset.absolute, preset.idle) == (absolute, idle)


def test_a_lifetime_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Lifetime().absolute = 1  # type: ignore[misc]
    assert dataclasses.replace(Lifetime.AAL2, idle=1800).idle == 1800
    assert Lifetime() == Lifetime(absolute=timedelta(days=30))


# How long a session lives

ABSOLUTE = Lifetime(absolute=HOUR)
IDLE = Lifetime(absolute=None, idle=10 * MINUTE)
BOTH = Lifetime(absolute=HOUR, idle=10 * MINUTE)
TICK = 0.001


@pytest.mark.parametrize(
    ("lifetime", "created", "seen", "extras", "alive"),
    [
        # Absolute: since it began, whatever was seen of it.
        (ABSOLUTE, 0, 0, {}, True),
        (ABSOLUTE, HOUR - TICK, 0, {}, True),
        (ABSOLUTE, HOUR, 0, {}, False),
        (ABSOLUTE, HOUR + TICK, HOUR + TICK, {}, False),
        # Idle: since it was seen, however long ago it began.
        (IDLE, 1000 * DAY, 10 * MINUTE - TICK, {}, True),
        (IDLE, 1000 * DAY, 10 * MINUTE, {}, False),
        (IDLE, 10 * MINUTE, 10 * MINUTE, {}, False),
        # Both: whatever comes first.
        (BOTH, HOUR - TICK, 10 * MINUTE - TICK, {}, True),
        (BOTH, HOUR, 0, {}, False),
        (BOTH, 0, 10 * MINUTE, {}, False),
        # Its own max_age ends it, too, and never later than the lifetime.
        (ABSOLUTE, 30 * MINUTE, 5 * MINUTE - TICK, {"max_age": 300}, True),
        (ABSOLUTE, 30 * MINUTE, 5 * MINUTE, {"max_age": 300}, False),
        (ABSOLUTE, HOUR, 0, {"max_age": 99999}, False),
        (IDLE, DAY, 5 * MINUTE, {"max_age": 300}, False),
        (IDLE, DAY, 10 * MINUTE, {"max_age": 99999}, False),
        (IDLE, DAY, 1.5 - TICK, {"max_age": 1.5}, True),
        (IDLE, DAY, 1.5, {"max_age": 1.5}, False),
        # A log-in begins the absolute lifetime anew, and nothing else.
        (ABSOLUTE, DAY, 0, {"authenticated_ms": NOW_MS - 3_599_999}, True),
        (ABSOLUTE, DAY, 0, {"authenticated_ms": NOW_MS - 3_600_000}, False),
        (BOTH, DAY, 10 * MINUTE, {"authenticated_ms": NOW_MS}, False),
        # Clocks of other machines may be a minute ahead.
        (ABSOLUTE, -60, -60, {}, True),
        (ABSOLUTE, -60 - TICK, 0, {}, False),
        (ABSOLUTE, 0, -60 - TICK, {}, False),
        (BOTH, 0, -60, {}, True),
        (IDLE, 0, -60 - TICK, {}, False),
        (ABSOLUTE, DAY, 0, {"authenticated_ms": NOW_MS + 60_000}, True),
        (ABSOLUTE, DAY, 0, {"authenticated_ms": NOW_MS + 60_001}, False),
    ],
)
def test_a_session_lives_exactly_so_long(
    bench: Callable[..., Bench],
    lifetime: Lifetime,
    created: float,
    seen: float,
    extras: dict[str, Any],
    alive: bool,
) -> None:
    session = bench(lifetime).opened(envelope(created, seen, extras=extras))
    assert session.rejected == (None if alive else "expired")
    assert session.is_new is not alive


def test_times_are_enforced_when_the_browser_keeps_the_cookie(bench: Callable[..., Bench]) -> None:
    """Nothing rests on Max-Age (NIST SP 800-63B-4 5.1.1)."""
    made = bench(Lifetime(absolute=HOUR))
    text = made.saved(a=1)
    made.clock.advance(HOUR - 1)
    assert made.open(text)["a"] == 1
    made.clock.advance(1)
    assert made.open(text).rejected == "expired"


def test_activity_does_not_extend_the_absolute_lifetime(bench: Callable[..., Bench]) -> None:
    made = bench(Lifetime(absolute=HOUR, idle=20 * MINUTE))
    text = made.saved(n=0)
    for n in range(5):
        made.clock.advance(10 * MINUTE)
        session = made.open(text)
        session["n"] = n
        session.regenerate()
        text = made.store.commit(session) or text
    made.clock.advance(10 * MINUTE)
    assert made.open(text).rejected == "expired"


def test_a_log_in_begins_the_absolute_lifetime_anew(bench: Callable[..., Bench]) -> None:
    made = bench(Lifetime(absolute=HOUR))
    text = made.saved(a=1)
    made.clock.advance(50 * MINUTE)
    session = made.open(text)
    session.login("ada")
    text = str(made.store.commit(session))
    made.clock.advance(HOUR - 1)
    session = made.open(text)
    assert session.rejected is None
    assert session.created == datetime.fromtimestamp(NOW, UTC)
    assert session.authenticated_at == datetime.fromtimestamp(NOW + 50 * MINUTE, UTC)
    made.clock.advance(1)
    assert made.open(text).rejected == "expired"


def test_a_fresh_session_after_destroy_begins_now(bench: Callable[..., Bench]) -> None:
    made = bench(Lifetime(absolute=HOUR))
    text = made.saved(a=1)
    made.clock.advance(50 * MINUTE)
    session = made.open(text)
    session.destroy()
    session["b"] = 2
    created = made.unseal(made.store.commit(session))[1]
    assert created == NOW_MS + 50 * 60_000


# Touches


def due(lifetime: Lifetime, elapsed: float, extras: dict[str, Any] | None = None) -> bool:
    """Whether an unchanged session that was seen so long ago is sealed anew."""
    made = Bench(lifetime)
    session = made.opened(envelope(elapsed, elapsed, extras=extras or {}))
    assert session.rejected is None
    return made.store.commit(session) is not None


@pytest.mark.parametrize(
    ("lifetime", "extras", "after"),
    [
        (Lifetime(idle=10 * MINUTE), {}, MINUTE),
        (Lifetime(idle=5 * MINUTE), {}, MINUTE),
        (Lifetime(idle=20 * MINUTE), {}, 2 * MINUTE),
        (Lifetime(idle=HOUR), {}, 6 * MINUTE),
        (Lifetime(idle=10 * DAY), {}, DAY),
        (Lifetime(idle=25 * DAY), {}, DAY),
        (Lifetime(absolute=None, idle=365 * DAY), {}, DAY),
        (Lifetime(idle=HOUR, touch_after=30), {}, 30),
        (Lifetime(idle=HOUR, touch_after=timedelta(minutes=20)), {}, 20 * MINUTE),
        (Lifetime(), {"max_age": HOUR}, 6 * MINUTE),
        (Lifetime(idle=DAY), {"max_age": HOUR}, 6 * MINUTE),
        (Lifetime(idle=HOUR), {"max_age": DAY}, 6 * MINUTE),
        (Lifetime(idle=HOUR, touch_after=30), {"max_age": DAY}, 30),
    ],
    ids=str,
)
def test_a_touch_is_due_after_a_tenth_of_the_idle_time(
    lifetime: Lifetime, extras: dict[str, Any], after: float
) -> None:
    """Within a minute and a day, unless it was chosen."""
    assert not due(lifetime, after - TICK, extras)
    assert due(lifetime, after, extras)
    assert due(lifetime, after + TICK, extras)


@pytest.mark.parametrize("idle", [2, 10, 30, 59, 60, 61, 70, 90, 600, 86400])
def test_a_touch_is_due_before_the_idle_time_is_over(idle: float) -> None:
    assert due(Lifetime(idle=idle), idle - TICK)


@pytest.mark.parametrize("elapsed", [MINUTE, DAY, 29 * DAY])
def test_without_an_idle_time_nothing_is_ever_touched(elapsed: float) -> None:
    assert not due(Lifetime(), elapsed)
    assert not due(Lifetime.AAL1, elapsed)


@pytest.mark.parametrize(
    ("lifetime", "max_age"),
    [
        (Lifetime(), 90),
        (Lifetime(idle=HOUR), 90),
        (Lifetime(idle=HOUR, touch_after=10 * MINUTE), 5 * MINUTE),
        (Lifetime(absolute=None, idle=DAY, touch_after=12 * HOUR), HOUR),
    ],
    ids=str,
)
def test_an_active_visitor_with_a_short_max_age_stays(lifetime: Lifetime, max_age: float) -> None:
    """However rarely the lifetime would touch: the session's own time is kept as well."""
    made = Bench(lifetime)
    session = made.open()
    session["a"] = 1
    session.max_age = max_age
    text = str(made.store.commit(session))
    for _ in range(20):
        made.clock.advance(max_age * 0.9)
        session = made.open(text)
        assert session.rejected is None
        text = made.store.commit(session) or text


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("idle", [10, 60, 100, 600, 3600])
def test_an_active_visitor_stays(idle: float, share: float) -> None:
    made = Bench(Lifetime(absolute=None, idle=idle))
    text = made.saved(a=1)
    for _ in range(20):
        made.clock.advance(idle * share)
        session = made.open(text)
        assert session.rejected is None
        text = made.store.commit(session) or text


# Max-Age and values that cannot be kept


@pytest.mark.parametrize(
    ("lifetime", "max_age", "elapsed", "expected"),
    [
        (Lifetime(), HOUR, 0, HOUR),
        (Lifetime(absolute=HOUR), DAY, 0, HOUR),
        (Lifetime(absolute=HOUR), DAY, 45 * MINUTE, 15 * MINUTE),
        (Lifetime(absolute=None, idle=HOUR), DAY, 0, HOUR),
        (Lifetime(absolute=None, idle=HOUR), 30 * MINUTE, 0, 30 * MINUTE),
        (Lifetime(absolute=HOUR), None, 0, None),
    ],
    ids=str,
)
def test_the_browser_keeps_the_cookie_as_long_as_the_session_lives(
    lifetime: Lifetime, max_age: float | None, elapsed: float, expected: float | None
) -> None:
    made = Bench(lifetime)
    session = made.open(made.saved(a=1))
    made.clock.advance(elapsed)
    session.max_age = max_age
    session["b"] = 2
    assert made.store.commit(session)
    assert session.cookie_age == expected


@dataclasses.dataclass
class Item:
    name: str
    owner: object


class Foreign:
    """Nothing that a serializer keeps."""


@pytest.mark.parametrize(
    ("fill", "path"),
    [
        (lambda s: s.update(a=Foreign()), "session['a']"),
        (lambda s: s.update(cart=[1, 2, 3, Item("x", Foreign())]), "session['cart'][3].owner"),
        (lambda s: s.update(cart=[0, {"x": (1, [Foreign()])}]), "session['cart'][1]['x'][1][0]"),
        (lambda s: s.__setitem__(42, Foreign()), "session[42]"),
        (lambda s: s.__setitem__("value[3]", Foreign()), "session['value[3]']"),
        (lambda s: s.flash(Foreign()), "flashes[0][1]"),
        (lambda s: (s.flash(1), s.flash([Item("x", Foreign())], "error")), "flashes[1][1][0].owner"),
        (lambda s: s.update(flashes=Foreign()), "session['flashes']"),
    ],
    ids=["value", "field", "nested", "number", "odd key", "flash", "in a flash", "a key of that name"],
)
def test_what_cannot_be_kept_is_refused_with_its_place(
    bench: Callable[..., Bench], fill: Callable[[Session], object], path: str
) -> None:
    made = bench(serializer=CBORSerializer({"item/1": Item}))
    session = made.open()
    fill(session)
    with pytest.raises(SerializeError) as caught:
        made.store.commit(session)
    assert caught.value.path == path
    assert caught.value.type == "Foreign"
    assert str(caught.value).startswith(path)


def test_json_names_the_place_as_well(bench: Callable[..., Bench]) -> None:
    made = bench(serializer=JSONSerializer())
    session = made.open()
    session["a"] = [{"b": (1, 2)}]
    with pytest.raises(SerializeError) as caught:
        made.store.commit(session)
    assert (caught.value.path, caught.value.type) == ("session['a'][0]['b']", "tuple")


def test_a_failed_commit_leaves_the_session_as_it_was(bench: Callable[..., Bench]) -> None:
    """So that the application can take the value out and go on."""
    made = bench()
    text = made.saved(a=1)
    session = made.open(text)
    session["bad"] = Foreign()
    with pytest.raises(SerializeError):
        made.store.commit(session)
    del session["bad"]
    before = deepcopy(dict(session))
    assert made.store.commit(session) is None
    session["b"] = 2
    assert dict(made.open(str(made.store.commit(session)))) == {**before, "b": 2}
