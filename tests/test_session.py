"""The session object: a mapping, flashes, and what an application may want done with it."""

from __future__ import annotations

import base64
from collections.abc import Callable, MutableMapping
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessions_wsgi import CookieOptions, Session, SessionSealedError, UsageError
from sessions_wsgi.session import Seal
from sessions_wsgi.testing import ManualClock

PROPERTY = settings(deadline=None, derandomize=True, database=None)

#: What a store keeps of a session that it opened.
ORIGIN = object()
BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)

Make = Callable[..., Session]
Act = Callable[[Session], object]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(BEGAN.timestamp())


def make_session(values: dict[Any, Any] | None = None, **given: Any) -> Session:
    given.setdefault("options", CookieOptions())
    given.setdefault("clock", ManualClock(BEGAN.timestamp()))
    return Session("session", values, **given)


def new_session(**given: Any) -> Session:
    return make_session(**given)


def stored_session(**given: Any) -> Session:
    """One that a store has opened."""
    values = {"n": 1, "list": [1], "text": "x", 42: 43}
    return make_session(values, is_new=False, origin=ORIGIN, handle="ab" * 32, **given)


# The mapping


def test_it_is_a_mutable_mapping_and_no_dict() -> None:
    """A subclass of dict has mutators that somebody forgets."""
    assert isinstance(new_session(), MutableMapping)
    assert not isinstance(new_session(), dict)


mutations = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 3), st.integers()),
        st.tuples(st.just("del"), st.integers(0, 3)),
        st.tuples(st.just("pop"), st.integers(0, 3)),
        st.tuples(st.just("pop default"), st.integers(0, 3), st.integers()),
        st.tuples(st.just("setdefault"), st.integers(0, 3), st.integers()),
        st.tuples(st.just("update"), st.dictionaries(st.integers(0, 3), st.integers())),
        st.tuples(st.just("|="), st.dictionaries(st.integers(0, 3), st.integers())),
        st.tuples(st.just("get"), st.integers(0, 3), st.integers()),
        st.tuples(st.just("clear")),
    ),
    max_size=20,
)


def mutate(mapping: Any, verb: str, *arguments: Any) -> Any:
    """One operation on a dict or a session; its result, or the type of its error."""
    try:
        match verb:
            case "set":
                mapping[arguments[0]] = arguments[1]
            case "del":
                del mapping[arguments[0]]
            case "pop default":
                return mapping.pop(*arguments)
            case "|=":
                same = mapping
                mapping |= arguments[0]
                assert mapping is same
            case _:
                return getattr(mapping, verb)(*arguments)
    except KeyError:
        return KeyError
    return None


@PROPERTY
@given(mutations)
def test_it_behaves_as_a_dict(mutations: list[tuple[Any, ...]]) -> None:
    session, plain = new_session(), {}
    for mutation in mutations:
        assert mutate(session, *mutation) == mutate(plain, *mutation)
        assert list(session.items()) == list(plain.items())
        assert (len(session), list(session), bool(session)) == (len(plain), list(plain), bool(plain))
        assert [number in session for number in range(4)] == [number in plain for number in range(4)]
        assert session == plain


def test_keys_may_be_of_any_type() -> None:
    session = new_session()
    session[42] = 43
    session["42"] = "text"
    session[1, "a"] = None
    assert dict(session) == {42: 43, "42": "text", (1, "a"): None}
    with pytest.raises(TypeError):
        session[[]] = 1


def test_update_takes_what_a_dict_takes() -> None:
    session = new_session()
    session.update([("a", 1)], b=2)
    session |= {"c": 3}
    assert dict(session) == {"a": 1, "b": 2, "c": 3}


def test_a_missing_key_is_a_key_error() -> None:
    session = new_session()
    with pytest.raises(KeyError, match="missing"):
        session["missing"]
    with pytest.raises(KeyError, match="missing"):
        del session["missing"]
    assert session.get("missing") is None
    assert "missing" not in session


def test_values_are_the_very_objects() -> None:
    """So that a nested change is a change of the session."""
    session, basket = new_session(), ["apple"]
    session["basket"] = basket
    session["basket"].append("pear")
    assert session["basket"] is basket
    assert basket == ["apple", "pear"]


# What the commit must do

ACTS: dict[str, Act] = {
    "look": lambda s: (len(s), list(s), "n" in s, s.get("missing"), bool(s), repr(s)),
    "attributes": lambda s: (s.created, s.last_seen, s.max_age, s.options, s.principal, s.authenticated_at),
    "get number": lambda s: s["n"],
    "get list": lambda s: s["list"],
    "items": lambda s: list(s.items()),
    "set": lambda s: s.__setitem__("new", 1),
    "set the same": lambda s: s.__setitem__("n", 1),
    "delete": lambda s: s.__delitem__("n"),
    "pop nothing": lambda s: s.pop("missing", None),
    "update nothing": lambda s: s.update({}),
    "setdefault": lambda s: s.setdefault("n", 2),
    "clear": lambda s: s.clear(),
    "append": lambda s: s["list"].append(2),
    "flash": lambda s: s.flash("message"),
    "flashes": lambda s: s.flashes(),
    "peek": lambda s: s.peek_flashes(),
    "csrf": lambda s: s.csrf_token(),
    "check": lambda s: s.check_csrf("x"),
    "label": lambda s: setattr(s, "label", "Firefox on Linux"),
    "no label": lambda s: setattr(s, "label", None),
    "max_age": lambda s: setattr(s, "max_age", 3600),
    "no max_age": lambda s: setattr(s, "max_age", None),
    "options": lambda s: setattr(s, "options", replace(s.options, samesite="Strict")),
    "regenerate": lambda s: s.regenerate(),
    "login": lambda s: s.login("ada"),
    "login other": lambda s: s.login("bob"),
    "destroy": lambda s: s.destroy(),
    "committed": lambda s: s.committed(stored=True),
}


def after(session: Session, acts: str) -> Session:
    """The session after these acts, separated by commas."""
    for act in filter(None, acts.split(", ")):
        ACTS[act](session)
    return session


@pytest.mark.parametrize(
    ("make", "acts", "state", "renewed"),
    [
        # A stored session: what only reads leaves it clean.
        (stored_session, "", "clean", ""),
        (stored_session, "look", "clean", ""),
        (stored_session, "attributes", "clean", ""),
        (stored_session, "get number", "clean", ""),
        (stored_session, "flashes", "clean", ""),
        (stored_session, "peek", "clean", ""),
        (stored_session, "check", "clean", ""),
        (stored_session, "pop nothing", "clean", ""),
        (stored_session, "update nothing", "clean", ""),
        (stored_session, "setdefault", "clean", ""),
        (stored_session, "no label", "clean", ""),
        (stored_session, "no max_age", "clean", ""),
        (stored_session, "options", "clean", ""),
        # What was handed out may be changed in place: the encoded bytes tell.
        (stored_session, "get list", "changed", ""),
        (stored_session, "items", "changed", ""),
        (stored_session, "append", "changed", ""),
        # What changes it.
        (stored_session, "set", "changed", ""),
        (stored_session, "set the same", "changed", ""),
        (stored_session, "delete", "changed", ""),
        (stored_session, "clear", "changed", ""),
        (stored_session, "flash", "changed", ""),
        (stored_session, "flash, flashes", "changed", ""),
        (stored_session, "csrf", "changed", ""),
        (stored_session, "label", "changed", ""),
        (stored_session, "max_age", "changed", ""),
        # Intents.
        (stored_session, "regenerate", "changed", "regenerate"),
        (stored_session, "regenerate, regenerate", "changed", "regenerate"),
        (stored_session, "login", "changed", "login"),
        (stored_session, "regenerate, login", "changed", "login"),
        (stored_session, "login, regenerate", "changed", "login"),
        (stored_session, "login, login other", "changed", "login"),
        (stored_session, "destroy", "destroyed", ""),
        (stored_session, "set, destroy", "destroyed", ""),
        (stored_session, "append, destroy", "destroyed", ""),
        (stored_session, "flash, destroy", "destroyed", ""),
        (stored_session, "login, destroy", "destroyed", ""),
        (stored_session, "regenerate, destroy", "destroyed", ""),
        (stored_session, "destroy, destroy", "destroyed", ""),
        (stored_session, "destroy, look", "destroyed", ""),
        (stored_session, "destroy, flashes", "destroyed", ""),
        (stored_session, "destroy, regenerate", "destroyed", "regenerate"),
        (stored_session, "destroy, set, clear", "destroyed", ""),
        # Writing after a destroy begins a fresh session.
        (stored_session, "destroy, set", "changed", ""),
        (stored_session, "destroy, flash", "changed", ""),
        (stored_session, "destroy, csrf", "changed", ""),
        (stored_session, "destroy, login", "changed", "login"),
        (stored_session, "destroy, set, destroy", "destroyed", ""),
        # A new session: there is nothing to end.
        (new_session, "", "clean", ""),
        (new_session, "look", "clean", ""),
        (new_session, "clear", "clean", ""),
        (new_session, "destroy", "clean", ""),
        (new_session, "set, destroy", "clean", ""),
        (new_session, "login, destroy", "clean", ""),
        (new_session, "set", "changed", ""),
        (new_session, "destroy, set", "changed", ""),
        (new_session, "flash", "changed", ""),
        (new_session, "csrf", "changed", ""),
        (new_session, "login", "changed", "login"),
        # After a commit it stands as it is.
        (new_session, "login, committed", "changed", ""),
        (stored_session, "committed", "clean", ""),
        (stored_session, "regenerate, committed", "clean", ""),
        (stored_session, "destroy, set, committed, destroy", "destroyed", ""),
    ],
)
def test_what_the_commit_must_do(make: Make, acts: str, state: str, renewed: str) -> None:
    session = after(make(), acts)
    assert (session.state, session.renewed) == (state, renewed)


@pytest.mark.parametrize(
    ("acts", "ended"),
    [
        ("", None),
        ("set, regenerate, login", None),
        ("destroy", ORIGIN),
        ("destroy, set", ORIGIN),
        ("destroy, login", ORIGIN),
        ("destroy, destroy", ORIGIN),
        ("login, destroy, set, destroy", ORIGIN),
        ("destroy, committed", None),
    ],
)
def test_what_was_loaded_is_remembered_until_it_has_ended(acts: str, ended: object) -> None:
    session = after(stored_session(), acts)
    assert session.ended is ended
    if ended is not None:
        assert (session.origin, session.handle) == (None, None)


@pytest.mark.parametrize(
    ("acts", "resend"),
    [
        ("", False),
        ("set", False),
        ("login", False),
        ("no max_age", False),
        ("max_age", True),
        ("options", True),
        ("max_age, committed", False),
        ("options, destroy", False),
    ],
)
def test_a_cookie_is_sent_again_for_its_attributes_alone(acts: str, resend: bool) -> None:
    assert after(stored_session(), acts).resend is resend


@pytest.mark.parametrize(
    ("acts", "content"),
    [
        ("", False),
        ("look", False),
        ("max_age", False),
        ("options", False),
        ("regenerate", False),
        ("check", False),
        ("flash, flashes", False),
        ("set, clear", False),
        ("label, no label", False),
        ("destroy", False),
        ("set", True),
        ("flash", True),
        ("csrf", True),
        ("label", True),
        ("login", True),
    ],
)
def test_a_new_session_has_content_or_is_never_stored(acts: str, content: bool) -> None:
    assert after(new_session(), acts).has_content is content


def test_a_rejected_cookie_can_be_destroyed() -> None:
    """There is nothing on the server, but the browser should lose what it has."""
    session = make_session(rejected="forged")
    session.destroy()
    assert session.state == "destroyed"


# Times, name, handle


def test_times_are_aware_datetimes() -> None:
    session = make_session(created_ms=1_000, seen_ms=2_500, is_new=False)
    assert session.created == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert session.last_seen == datetime(1970, 1, 1, 0, 0, 2, 500_000, tzinfo=UTC)
    assert session.created.utcoffset() == timedelta(0)


def test_a_new_session_begins_now(clock: ManualClock) -> None:
    session = new_session(clock=clock)
    assert (session.created, session.last_seen) == (BEGAN, BEGAN)
    assert (session.name, session.is_new, session.rejected, session.handle) == ("session", True, None, None)
    assert (session.principal, session.authenticated_at, session.label) == (None, None, None)


def test_regenerate_keeps_everything_but_the_id(clock: ManualClock) -> None:
    session = stored_session(clock=clock, created_ms=1000, extras={"label": "x", "max_age": 3600})
    before = dict(session)
    clock.advance(3600)
    session.regenerate()
    assert dict(session) == before
    assert session.created == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert (session.label, session.max_age, session.principal) == ("x", 3600, None)


def test_what_is_written_after_destroy_is_a_fresh_session(clock: ManualClock) -> None:
    session = stored_session(clock=clock, created_ms=1000, extras={"max_age": 60, "principal": "ada"})
    session.flash("old")
    clock.advance(100)
    session.destroy()
    session["new"] = 1
    assert dict(session) == {"new": 1}
    assert session.created == BEGAN + timedelta(seconds=100)
    assert (session.is_new, session.principal, session.max_age) == (True, None, None)
    assert session.flashes() == []


# Flashes


def test_flashes_come_once_in_order_of_flashing() -> None:
    session = new_session()
    for value in "first", 2, ["third"]:
        session.flash(value)
    assert session.flashes() == ["first", 2, ["third"]]
    assert session.flashes() == []


def test_categories_are_apart() -> None:
    session = new_session()
    session.flash("saved")
    session.flash("broken", "error")
    session.flash("again", category="error")
    assert session.flashes("error") == ["broken", "again"]
    assert session.flashes("error") == []
    assert session.flashes("other") == []
    assert session.flashes() == ["saved"]


def test_flash_items_are_all_categories_in_one_order() -> None:
    session = new_session()
    session.flash("a", "error")
    session.flash("b")
    session.flash("c", "error")
    assert session.flash_items() == [("error", "a"), ("", "b"), ("error", "c")]
    assert session.flash_items() == []
    assert session.flashes("error") == []


def test_the_order_survives_reading_a_category_in_between() -> None:
    session = new_session()
    for value, category in ("a", "x"), ("b", "y"), ("c", "x"), ("d", "y"):
        session.flash(value, category)
    assert session.flashes("x") == ["a", "c"]
    session.flash("e", "x")
    assert session.flash_items() == [("y", "b"), ("y", "d"), ("x", "e")]


def test_a_peek_leaves_them_there() -> None:
    session = new_session()
    session.flash("a")
    session.flash("b", "error")
    assert session.peek_flashes() == ["a"]
    assert session.peek_flashes("error") == ["b"]
    assert session.peek_flashes("other") == []
    assert session.flash_items() == [("", "a"), ("error", "b")]


def test_equal_flashes_are_all_kept() -> None:
    session = new_session()
    session.flash("a")
    session.flash("a")
    assert session.flashes() == ["a", "a"]


def test_flashes_are_apart_from_the_values() -> None:
    session = new_session()
    session.flash("a")
    session["flashes"] = "mine"
    assert dict(session) == {"flashes": "mine"}
    session.clear()
    assert session.flashes() == ["a"]


@pytest.mark.parametrize("category", [None, 1, b"error", ["error"]])
def test_a_category_is_text(category: Any) -> None:
    with pytest.raises(UsageError, match="category"):
        new_session().flash("a", category)


@PROPERTY
@given(st.lists(st.tuples(st.sampled_from(["", "x", "y"]), st.booleans(), st.integers())))
def test_flashes_are_read_once_whatever_the_order(steps: list[tuple[str, bool, int]]) -> None:
    """Against a plain list: flash when the flag is set, else read."""
    session, plain = new_session(), []
    for category, adds, value in steps:
        if adds:
            session.flash(value, category)
            plain.append((category, value))
        else:
            assert session.peek_flashes(category) == [v for c, v in plain if c == category]
            assert session.flashes(category) == [v for c, v in plain if c == category]
            plain = [item for item in plain if item[0] != category]
    assert session.flash_items() == plain


# max_age and options


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1, 1),
        (3600, 3600),
        (1.5, 1.5),
        (timedelta(days=30), 2_592_000),
        (timedelta(seconds=1), 1),
        (None, None),
    ],
)
def test_max_age_is_seconds_a_timedelta_or_none(value: Any, seconds: float | None) -> None:
    session = new_session()
    session.max_age = value
    assert session.max_age == seconds


@pytest.mark.parametrize("value", [0, -1, -0.5, timedelta(0), timedelta(days=-1), float("-inf")])
def test_a_max_age_that_ends_the_session_is_refused(value: Any) -> None:
    """In gorilla a negative one deletes; here there is a verb for that."""
    session = new_session()
    with pytest.raises(UsageError, match=r"destroy\(\)"):
        session.max_age = value
    assert session.max_age is None


@pytest.mark.parametrize(
    "value",
    [True, False, "3600", b"1", [60], datetime(2026, 1, 1, tzinfo=UTC), float("nan"), float("inf"), 10**400],
    ids=lambda value: repr(value)[:20],
)
def test_a_max_age_that_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="max_age"):
        new_session().max_age = value


def test_max_age_begins_as_the_options_say() -> None:
    options = CookieOptions(max_age=timedelta(hours=1))
    session = new_session(options=options)
    assert session.max_age == 3600
    assert (session.state, session.has_content) == ("clean", False)
    session.max_age = None
    assert session.max_age is None


def test_what_was_chosen_counts_and_not_the_options() -> None:
    session = stored_session(options=CookieOptions(max_age=3600), extras={})
    assert session.max_age is None


def test_options_are_replaced_by_a_changed_copy() -> None:
    session = stored_session()
    session.options = replace(session.options, samesite="Strict", path="/app")
    assert (session.options.samesite, session.options.path) == ("Strict", "/app")
    assert session.max_age is None


@pytest.mark.parametrize("value", [None, {}, "Secure", CookieOptions])
def test_options_are_cookie_options(value: Any) -> None:
    with pytest.raises(UsageError, match="CookieOptions"):
        new_session().options = value


@pytest.mark.parametrize("prefix", ["__Host-", "__Secure-"])
def test_options_keep_the_rules_of_a_prefix_in_the_name(prefix: Any) -> None:
    """Browsers drop what breaks them, and say nothing."""
    session = Session(f"{prefix}a", options=CookieOptions())
    with pytest.raises(UsageError, match="secure=True"):
        session.options = CookieOptions(secure=False)
    session.options = CookieOptions(samesite="Strict")
    assert session.options.samesite == "Strict"


@pytest.mark.parametrize("prefix", ["__Host-", "__Secure-"])
def test_options_keep_the_prefix(prefix: Any) -> None:
    """It is part of the cookie's name, which the text is bound to."""
    session = new_session()
    with pytest.raises(UsageError, match="prefix"):
        session.options = CookieOptions(prefix=prefix)
    assert session.options.prefix == ""


# login


def test_login_tells_who_and_when(clock: ManualClock) -> None:
    session = stored_session(clock=clock)
    clock.advance(60)
    session.login("ada")
    assert session.principal == "ada"
    assert session.authenticated_at == BEGAN + timedelta(seconds=60)
    assert session.renewed == "login"


def test_login_keeps_what_an_anonymous_visitor_gathered() -> None:
    session = stored_session()
    before = deepcopy(dict(session))
    session.flash("welcome")
    session.login("ada")
    assert dict(session) == before
    assert session.flashes() == ["welcome"]


def test_login_again_keeps_what_is_one_s_own(clock: ManualClock) -> None:
    session = stored_session(clock=clock, extras={"principal": "ada", "authenticated_ms": 1000})
    before = deepcopy(dict(session))
    session.flash("welcome")
    session.login("ada")
    assert dict(session) == before
    assert session.authenticated_at == BEGAN
    assert session.flashes() == ["welcome"]


def test_login_clears_what_belongs_to_somebody_else() -> None:
    session = stored_session(extras={"principal": "ada", "authenticated_ms": 1000, "csrf": "00" * 32})
    session.flash("secret")
    session.login("bob")
    assert dict(session) == {}
    assert session.flashes() == []
    assert session.principal == "bob"
    assert not session.check_csrf("AA" * 44)
    session["new"] = 1
    assert dict(session) == {"new": 1}


@pytest.mark.parametrize("principal", ["", None, 7, b"ada", ["ada"]])
def test_a_principal_is_text(principal: Any) -> None:
    session = stored_session()
    with pytest.raises(UsageError, match="principal"):
        session.login(principal)
    assert (session.state, session.principal) == ("clean", None)


@pytest.mark.parametrize("label", [7, b"x", ["x"]])
def test_a_label_is_text_or_none(label: Any) -> None:
    session = new_session()
    with pytest.raises(UsageError, match="label"):
        session.label = label
    session.label = "Firefox on Linux"
    assert session.label == "Firefox on Linux"
    session.label = None
    assert session.label is None


# CSRF


def test_a_token_is_masked_anew_each_time() -> None:
    """So that compression cannot leak it (BREACH)."""
    session = new_session()
    tokens = [session.csrf_token() for _ in range(100)]
    assert len({token[:40] for token in tokens}) == 100
    assert len({token[44:] for token in tokens}) == 100
    assert all(session.check_csrf(token) for token in tokens)


def test_a_token_may_stand_in_a_form_or_an_address() -> None:
    assert set(new_session().csrf_token()) <= set(
        base64.urlsafe_b64encode(bytes(range(256))).decode() + "-_="
    )


def test_making_the_secret_is_a_change_and_using_it_is_none() -> None:
    session = stored_session()
    session.csrf_token()
    assert session.state == "changed"
    again = stored_session(extras=dict(session.extras))
    assert again.check_csrf(again.csrf_token())
    assert again.state == "clean"


def test_tokens_of_another_session_do_not_count() -> None:
    one, two = new_session(), new_session()
    two.csrf_token()
    assert not two.check_csrf(one.csrf_token())


@pytest.mark.parametrize("renew", ["regenerate", "login", "login other", "destroy"])
def test_a_new_id_means_a_new_secret(renew: str) -> None:
    session = stored_session()
    old = session.csrf_token()
    after(session, renew)
    assert not session.check_csrf(old)
    assert session.check_csrf(session.csrf_token())
    assert not session.check_csrf(old)


def test_without_a_secret_nothing_is_right() -> None:
    session = new_session()
    assert not session.check_csrf(new_session().csrf_token())
    assert not session.check_csrf("")
    assert session.state == "clean"


@pytest.mark.parametrize(
    "token",
    [
        *[None, 0, 1.5, True, [], {}, object(), b"", b"x" * 64],
        *["", " ", "A" * 88, "=" * 88, "\0" * 88, "ü" * 88, "A" * 10**6],
    ],
    ids=lambda token: repr(token)[:12],
)
def test_garbage_is_wrong(token: object) -> None:
    session = new_session()
    session.csrf_token()
    assert session.check_csrf(token) is False


@PROPERTY
@given(
    st.none() | st.integers() | st.floats() | st.binary() | st.text() | st.lists(st.text())
    | st.binary(min_size=60, max_size=68).map(lambda raw: base64.urlsafe_b64encode(raw).decode())
)  # fmt: skip
def test_any_garbage_is_wrong_and_never_an_error(token: object) -> None:
    session = make_session(extras={"csrf": "5a" * 32})
    assert session.check_csrf(token) is False


@pytest.mark.parametrize("end", ["A", "AAA", "=", "!", "\n", " ", "=="])
def test_only_the_token_itself_is_right(end: str) -> None:
    """And no other spelling of it, as lenient decoders read them."""
    session = new_session()
    token = session.csrf_token()
    assert session.check_csrf(token)
    assert not session.check_csrf(token + end)
    assert not session.check_csrf(end + token)
    assert not session.check_csrf(token[:10] + end + token[10:])
    last = token[85]
    for other in "ABQgwxyz09-_".replace(last, ""):
        assert not session.check_csrf(token[:85] + other + token[86:])


def test_every_bit_of_a_token_counts() -> None:
    session = new_session()
    raw = base64.urlsafe_b64decode(session.csrf_token())
    for bit in range(8 * len(raw)):
        other = (int.from_bytes(raw, "big") ^ (1 << bit)).to_bytes(len(raw), "big")
        assert not session.check_csrf(base64.urlsafe_b64encode(other).decode())


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 44, 87])
def test_part_of_a_token_is_wrong(cut: int) -> None:
    session = new_session()
    assert not session.check_csrf(session.csrf_token()[:-cut])
    assert not session.check_csrf(session.csrf_token()[cut:])


# Once the headers have left

WRITES = ["set", "delete", "flash", "csrf", "label"]
NEEDS_A_COOKIE = ["regenerate", "login", "max_age", "no max_age", "options"]
READS = ["look", "attributes", "get number", "get list", "items", "flashes", "peek", "check", "no label"]


def snapshot(session: Session) -> object:
    return deepcopy(
        (
            dict(session.stored_values),
            session.extras,
            session.options,
            session.origin is None,
            session.renewed,
        )
    )


@pytest.mark.parametrize("act", [*WRITES, *NEEDS_A_COOKIE, "destroy", "clear"])
def test_a_sealed_session_refuses_changes_and_stays_as_it_is(act: str) -> None:
    session = stored_session()
    session.seal = Seal.SEALED
    before = snapshot(session)
    with pytest.raises(SessionSealedError, match="'session'") as caught:
        ACTS[act](session)
    assert caught.value.name == "session"
    assert isinstance(caught.value, UsageError)
    assert snapshot(session) == before


@pytest.mark.parametrize("act", READS)
@pytest.mark.parametrize("seal", [Seal.SEALED, Seal.LATE])
def test_a_sealed_session_can_be_read(act: str, seal: Seal) -> None:
    session = stored_session()
    session.seal = seal
    ACTS[act](session)


def test_flashes_of_a_sealed_session_are_not_lost_unread() -> None:
    session = stored_session()
    session.flash("message")
    session.seal = Seal.SEALED
    with pytest.raises(SessionSealedError):
        session.flashes()
    assert session.peek_flashes() == ["message"]


def test_a_token_of_a_sealed_session_is_handed_out_if_there_is_a_secret() -> None:
    session = stored_session(extras={"csrf": "5a" * 32})
    session.seal = Seal.SEALED
    assert session.check_csrf(session.csrf_token())


@pytest.mark.parametrize("act", [*WRITES, "append", "clear"])
def test_a_session_on_the_server_may_still_be_written_while_the_body_streams(act: str) -> None:
    session = stored_session()
    session.seal = Seal.LATE
    ACTS[act](session)
    assert session.state == "changed"


@pytest.mark.parametrize("act", [*NEEDS_A_COOKIE, "login other"])
def test_what_needs_a_cookie_is_refused_while_the_body_streams(act: str) -> None:
    session = stored_session(extras={"principal": "ada"})
    session.seal = Seal.LATE
    before = snapshot(session)
    with pytest.raises(SessionSealedError):
        ACTS[act](session)
    assert snapshot(session) == before


def test_destroy_still_ends_the_record_while_the_body_streams() -> None:
    """But no fresh session can begin: it could not get a cookie."""
    session = stored_session()
    session.seal = Seal.LATE
    session.destroy()
    assert (session.state, session.ended) == ("destroyed", ORIGIN)
    with pytest.raises(SessionSealedError):
        session["new"] = 1


# What shows


def test_no_repr_shows_data() -> None:
    session = make_session(
        {"secret-key": "secret-value"},
        origin=b"secret-id",
        extras={"principal": "secret-user", "csrf": "secret-csrf", "label": "secret-label"},
        handle="secret-handle",
    )
    session.flash("secret-flash")
    for shown in repr(session), str(session), f"{session}":
        assert "secret" not in shown
    assert "'session'" in repr(session)


def test_a_session_made_by_hand_says_how_to_get_one_that_can_be_saved() -> None:
    with pytest.raises(UsageError, match=r"store\.get"):
        new_session().save(object())


def test_sessions_are_no_keys() -> None:
    """They change, and they compare as mappings do."""
    with pytest.raises(TypeError):
        hash(new_session())
