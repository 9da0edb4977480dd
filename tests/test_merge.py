"""Several requests of one visitor at the same moment: what is kept, and what never comes back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, rule
from webob import Request, Response

from sessions_wsgi import BackendError, CBORSerializer, ConfigError, MemoryStore, ServerStore, Session
from sessions_wsgi.backends import Conflict, Gone, Record
from sessions_wsgi.backends.memory import MemoryBackend
from sessions_wsgi.stores.merge import BothChanged, Side, merge
from sessions_wsgi.testing import ManualClock

PROPERTY = settings(deadline=None, derandomize=True, database=None)
KEY = "J3kx0-Vq8ZbT5nYw2Rs7Lf9Gh1Md4Pc6Xu_EaKtiWvo"
NOW = 1_800_000_000.0

Values = dict[Any, Any]
Act = Callable[[Session], object]

dumps = CBORSerializer().dumps


# Three ways, by key


def merged(base: Values, mine: Values, theirs: Values, policy: Any = "mine") -> tuple[Values, bool]:
    """The merged values, and whether a key was disputed."""
    values, _, disputed = merge(*(Side(deepcopy(side), {}) for side in (base, mine, theirs)), dumps, policy)
    return values, disputed


def merged_extras(base: Values, mine: Values, theirs: Values) -> Values:
    return merge(*(Side({}, deepcopy(side)) for side in (base, mine, theirs)), dumps, "mine").extras


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "expected", "disputed"),
    [
        ({}, {}, {}, {}, False),
        ({}, {"a": 1}, {"b": 2}, {"a": 1, "b": 2}, False),
        ({"a": 1}, {"a": 1, "b": 2}, {"a": 3}, {"a": 3, "b": 2}, False),
        ({"a": 1}, {"a": 2}, {"a": 1}, {"a": 2}, False),
        ({"a": 1}, {"a": 1}, {"a": 2}, {"a": 2}, False),
        # Deletions are changes.
        ({"a": 1, "b": 1}, {"b": 1}, {"a": 1, "b": 2}, {"b": 2}, False),
        ({"a": 1, "b": 1}, {"a": 1, "b": 1}, {"b": 1}, {"b": 1}, False),
        ({"a": 1}, {}, {}, {}, False),
        ({"a": 1, "b": 1}, {}, {"a": 1, "b": 1, "c": 1}, {"c": 1}, False),
        # The same change on both sides is no dispute.
        ({"a": 1}, {"a": 2}, {"a": 2}, {"a": 2}, False),
        ({}, {"a": [1]}, {"a": [1]}, {"a": [1]}, False),
        # A change inside counts, an equal value written again does not.
        ({"a": [1], "b": 0}, {"a": [1, 2], "b": 0}, {"a": [1], "b": 1}, {"a": [1, 2], "b": 1}, False),
        ({"a": [1]}, {"a": [1]}, {"a": [1, 2]}, {"a": [1, 2]}, False),
        # So does a change of type alone.
        ({"a": 1}, {"a": True}, {"a": 1}, {"a": True}, False),
        ({"a": 1}, {"a": 1}, {"a": 1.0}, {"a": 1.0}, False),
        ({"a": (1,)}, {"a": [1]}, {"a": (1,)}, {"a": [1]}, False),
        # Keys of other types.
        ({1: 1}, {1: 2}, {"1": 1, 1: 1}, {1: 2, "1": 1}, False),
        ({(1, 2): 0}, {(1, 2): 1}, {(1, 2): 0, None: 0}, {(1, 2): 1, None: 0}, False),
        # Disputed: mine.
        ({"a": 1}, {"a": 2}, {"a": 3}, {"a": 2}, True),
        ({}, {"a": 2}, {"a": 3}, {"a": 2}, True),
        ({"a": 1}, {}, {"a": 3}, {}, True),
        ({"a": 1}, {"a": 2}, {}, {"a": 2}, True),
    ],
)
def test_theirs_with_my_changes(
    base: Values, mine: Values, theirs: Values, expected: Values, disputed: bool
) -> None:
    values, was_disputed = merged(base, mine, theirs)
    assert dumps(sorted(map(repr, values.items()))) == dumps(sorted(map(repr, expected.items())))
    assert was_disputed is disputed


sides = st.dictionaries(
    st.sampled_from(["a", "b", 1, (1, 2)]),
    st.integers(0, 2) | st.booleans() | st.lists(st.integers(0, 1), max_size=2),
)


def same(side: Values, other: Values, key: Any) -> bool:
    """Whether both have this key or neither has, with a value of the same types."""
    if (key in side) != (key in other):
        return False
    return key not in side or dumps(side[key]) == dumps(other[key])


@PROPERTY
@given(base=sides, mine=sides, theirs=sides)
def test_each_key_comes_from_one_side(base: Values, mine: Values, theirs: Values) -> None:
    """Mine where I changed it, else theirs; disputed if both changed it, and to something else."""
    values, disputed = merged(base, mine, theirs)
    keys = {**base, **mine, **theirs}
    for key in keys:
        assert same(values, theirs if same(base, mine, key) else mine, key)
    assert values.keys() <= keys.keys()
    assert disputed is any(
        not (same(base, mine, key) or same(base, theirs, key) or same(mine, theirs, key)) for key in keys
    )


@PROPERTY
@given(base=sides, mine=sides, theirs=sides)
def test_a_policy_is_asked_for_keys_that_both_changed(base: Values, mine: Values, theirs: Values) -> None:
    asked: dict[Any, Any] = {}

    def policy(key: Any, *values: Any) -> Any:
        asked[key] = values
        return "decided"

    values, _ = merged(base, mine, theirs, policy)
    for key in {**base, **mine, **theirs}:
        if same(base, mine, key) or same(base, theirs, key):
            assert key not in asked
        elif not same(mine, theirs, key):
            assert list(asked[key]) == [side.get(key) for side in (base, mine, theirs)]
            assert values[key] == "decided"


@pytest.mark.parametrize(("mine", "theirs"), [(2, 3), (3, 2), (2, 2)])
def test_a_policy_can_count(mine: int, theirs: int) -> None:
    """Also when both came to the same number: each has added something."""
    values, _ = merged({"n": 1}, {"n": mine}, {"n": theirs}, lambda _, base, a, b: a + b - base)
    assert values == {"n": mine + theirs - 1}


@PROPERTY
@given(base=sides, mine=sides, theirs=sides)
def test_the_policy_error_refuses_exactly_the_disputed(base: Values, mine: Values, theirs: Values) -> None:
    expected, disputed = merged(base, mine, theirs)
    if disputed:
        with pytest.raises(BothChanged):
            merged(base, mine, theirs, "error")
    else:
        assert merged(base, mine, theirs, "error") == (expected, False)


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "expected"),
    [
        ({}, {"label": "x"}, {"max_age": 60}, {"label": "x", "max_age": 60}),
        ({"max_age": 60}, {}, {"max_age": 60, "label": "x"}, {"label": "x"}),
        ({"max_age": 60}, {"max_age": 90}, {"max_age": 120}, {"max_age": 90}),
        ({"later": 1}, {"later": 1, "label": "x"}, {"later": 2}, {"later": 2, "label": "x"}),
        ({}, {"csrf": "mine"}, {"csrf": "theirs"}, {"csrf": "theirs"}),
        ({}, {"csrf": "mine"}, {}, {"csrf": "mine"}),
    ],
)
def test_what_the_library_keeps_is_merged_as_well(
    base: Values, mine: Values, theirs: Values, expected: Values
) -> None:
    """Of two new CSRF secrets the stored one counts: forms with it are out already."""
    assert merged_extras(base, mine, theirs) == expected


# Flashes


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "expected"),
    [
        ("", "x", "y", "yx"),
        ("a", "a", "", ""),
        ("a", "", "a", ""),
        ("a", "", "", ""),
        ("a", "ax", "ay", "ayx"),
        ("a", "ax", "", "x"),
        ("a", "x", "ay", "yx"),
        ("a", "", "ay", "y"),
        ("ab", "b", "ab", "b"),
        ("ab", "b", "a", ""),
        ("abc", "acx", "bcy", "cyx"),
        ("", "x", "x", "xx"),
        ("x", "xx", "xx", "xxx"),
        ("aa", "", "aa", ""),
        ("aa", "a", "aab", "ab"),
    ],
)
def test_flashes_mine_are_appended_and_those_that_i_read_removed(
    base: str, mine: str, theirs: str, expected: str
) -> None:
    """One letter is one flash; no flash that was added is lost, and none reappears once it was read."""
    found = merged_extras(*({"flashes": [["", each] for each in side]} for side in (base, mine, theirs)))
    assert "".join(value for _, value in found.get("flashes", [])) == expected


@PROPERTY
@given(
    base=st.lists(st.integers(0, 9), unique=True, max_size=4),
    read=st.tuples(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9))),
    added=st.tuples(*[st.lists(st.integers(10, 99), unique=True, max_size=3)] * 2),
)
def test_flashes_are_merged_as_a_model_does(
    base: list[int], read: tuple[set[int], set[int]], added: tuple[list[int], list[int]]
) -> None:
    mine, theirs = ([n for n in base if n not in gone] + new for gone, new in zip(read, added, strict=True))
    found = merged_extras(*({"flashes": [["", n] for n in side]} for side in (base, mine, theirs)))
    expected = [n for n in base if n not in read[0] | read[1]] + added[1] + added[0]
    assert [value for _, value in found.get("flashes", [])] == expected


def test_flashes_of_different_categories_are_different() -> None:
    found = merged_extras({"flashes": [["", "a"]]}, {}, {"flashes": [["error", "a"], ["", "a"]]})
    assert found["flashes"] == [["error", "a"]]


def test_mine_is_dropped_when_theirs_has_another_principal() -> None:
    """It is somebody else's session by now."""
    base, theirs = Side({"a": 1}, {"principal": "ada"}), Side({"b": 2}, {"principal": "bob"})
    mine = Side({"a": 2, "c": 3}, {"principal": "ada", "flashes": [["", "secret"]]})
    values, extras, disputed = merge(base, mine, theirs, dumps, "mine")
    assert (values, extras, disputed) == ({"b": 2}, {"principal": "bob"}, True)


# Through a store


class Scripted:
    """A memory backend that lets somebody else act just before it does."""

    name = "scripted"

    def __init__(self) -> None:
        self._inner = MemoryBackend(clock=ManualClock(NOW))
        self.calls: list[str] = []
        self.created: list[str] = []
        #: Called once, before the next call that is so named; "create" means that of a session.
        self.before: dict[str, Callable[[], object]] = {}

    def load(self, key: str) -> Record | None:
        self._called("load")
        return self._inner.load(key)

    def create(self, key: str, data: bytes, expires: float) -> Any:
        if data[:1] == b"\x85":  # an array of five: the envelope of a session
            self._called("create")
            self.created.append(key)
        return self._inner.create(key, data, expires)

    def update(self, key: str, data: bytes, expires: float, version: Any) -> Any:
        self._called("update")
        return self._inner.update(key, data, expires, version)

    def touch(self, key: str, expires: float, version: Any) -> bool:
        self._called("touch")
        return self._inner.touch(key, expires, version)

    def delete(self, key: str) -> bool:
        self._called("delete")
        return self._inner.delete(key)

    def living(self) -> list[str]:
        """The keys of all sessions that somebody could still use."""
        records = {key: self._inner.load(key) for key in self.created}
        return [key for key, record in records.items() if record and record.data[:1] == b"\x85"]

    def _called(self, verb: str) -> None:
        self.calls.append(verb)
        self.before.pop(verb, lambda: None)()


class Visit:
    """One request, from its first look at the session to its response."""

    def __init__(self, store: ServerStore, cookie: str | None) -> None:
        headers = {"Cookie": f"session={cookie}"} if cookie else {}
        self.request, self.response = Request.blank("/", headers=headers), Response()
        self.session = store.get(self.request, "session")

    def commit(self) -> str | None:
        """The new cookie, "" when it was deleted, None when nothing was sent."""
        self.session.save(self.response)
        sent = self.response.headers.getall("Set-Cookie")
        assert len(sent) <= 1
        return sent[0].partition(";")[0].partition("=")[2] if sent else None


class Site:
    """A store over a scripted backend."""

    def __init__(self, conflict: Any = "mine") -> None:
        self.backend = Scripted()
        self.store = ServerStore(self.backend, KEY, conflict=conflict, clock=ManualClock(NOW))

    def opened(self, cookie: str | None) -> Visit:
        return Visit(self.store, cookie)

    def stored(self, values: Values | None = None, principal: str | None = None) -> str:
        """The cookie of a stored session."""
        visit = self.opened(None)
        visit.session.update({"a": 1, "b": 1} if values is None else values)
        if principal:
            visit.session.login(principal)
        cookie = visit.commit()
        assert cookie
        return cookie

    def look(self, cookie: str) -> Values | None:
        """What a later request finds with this cookie; None if there is nothing."""
        session = self.opened(cookie).session
        if session.is_new:
            return None
        assert (session.principal is None) == (session.authenticated_at is None)
        principal = {"principal": session.principal} if session.principal else {}
        return dict(session) | principal


@pytest.fixture
def site() -> Callable[..., Site]:
    return Site


ACTS: dict[str, Act] = {
    "nothing": lambda s: dict(s),
    "a=2": lambda s: s.update(a=2),
    "a=3": lambda s: s.update(a=3),
    "c=3": lambda s: s.update(c=3),
    "d=4": lambda s: s.update(d=4),
    "del a": lambda s: s.pop("a", None),
    "clear": lambda s: s.clear(),
    "regenerate": lambda s: s.regenerate(),
    "login ada": lambda s: s.login("ada"),
    "login bob": lambda s: s.login("bob"),
    "destroy": lambda s: s.destroy(),
}


def do(session: Session, acts: str) -> None:
    for act in acts.split(", "):
        ACTS[act](session)


NEW_ID, DELETED, SILENT = "new id", "deleted", "nothing"

# The base is {a: 1, b: 1}. Both requests have opened it; then the first commits, and the second. What each
# sends, what the old cookie finds, and what the new cookies find.
ANONYMOUS: list[tuple[str, str, str, str, Values | None, list[Values]]] = [
    # Writes.
    ("a=2", "c=3", SILENT, SILENT, {"a": 2, "b": 1, "c": 3}, []),
    ("a=2", "a=3", SILENT, SILENT, {"a": 3, "b": 1}, []),
    ("del a", "c=3", SILENT, SILENT, {"b": 1, "c": 3}, []),
    ("c=3", "del a", SILENT, SILENT, {"b": 1, "c": 3}, []),
    ("clear", "c=3", SILENT, SILENT, {"c": 3}, []),
    ("c=3", "clear", SILENT, SILENT, {"c": 3}, []),
    ("a=2", "nothing", SILENT, SILENT, {"a": 2, "b": 1}, []),
    # Log-out.
    ("destroy", "nothing", DELETED, SILENT, None, []),
    ("destroy", "a=2", DELETED, SILENT, None, []),
    ("a=2", "destroy", SILENT, DELETED, None, []),
    ("destroy", "clear", DELETED, SILENT, None, []),
    ("destroy", "destroy", DELETED, DELETED, None, []),
    ("destroy", "regenerate", DELETED, SILENT, None, []),
    ("destroy", "regenerate, c=3", DELETED, SILENT, None, []),
    ("destroy", "c=3, login ada", DELETED, NEW_ID, None, [{"c": 3, "principal": "ada"}]),
    ("destroy", "login ada", DELETED, NEW_ID, None, [{"principal": "ada"}]),
    ("destroy, c=3", "a=2", NEW_ID, SILENT, None, [{"c": 3}]),
    ("a=2", "destroy, c=3", SILENT, NEW_ID, None, [{"c": 3}]),
    ("destroy, c=3", "destroy, d=4", NEW_ID, NEW_ID, None, [{"c": 3}, {"d": 4}]),
    # A new id.
    ("regenerate", "nothing", NEW_ID, SILENT, None, [{"a": 1, "b": 1}]),
    ("regenerate", "a=2", NEW_ID, SILENT, None, [{"a": 1, "b": 1}]),
    ("regenerate, c=3", "a=2", NEW_ID, SILENT, None, [{"a": 1, "b": 1, "c": 3}]),
    ("a=2", "regenerate", SILENT, NEW_ID, None, [{"a": 2, "b": 1}]),
    ("a=2", "regenerate, c=3", SILENT, NEW_ID, None, [{"a": 2, "b": 1, "c": 3}]),
    ("a=2", "regenerate, a=3", SILENT, NEW_ID, None, [{"a": 3, "b": 1}]),
    ("clear", "regenerate", SILENT, NEW_ID, None, [{}]),
    ("regenerate", "regenerate", NEW_ID, SILENT, None, [{"a": 1, "b": 1}]),
    ("regenerate", "regenerate, c=3", NEW_ID, SILENT, None, [{"a": 1, "b": 1}]),
    # Log-in.
    ("login ada", "a=2", NEW_ID, SILENT, None, [{"a": 1, "b": 1, "principal": "ada"}]),
    ("a=2", "login ada", SILENT, NEW_ID, None, [{"a": 2, "b": 1, "principal": "ada"}]),
    ("login ada", "regenerate", NEW_ID, SILENT, None, [{"a": 1, "b": 1, "principal": "ada"}]),
    ("regenerate", "login ada", NEW_ID, NEW_ID, None, [{"a": 1, "b": 1}, {"principal": "ada"}]),
    (
        "regenerate",
        "login ada, c=3",
        NEW_ID,
        NEW_ID,
        None,
        [{"a": 1, "b": 1}, {"c": 3, "principal": "ada"}],
    ),
    (
        "login ada",
        "login bob, c=3",
        NEW_ID,
        NEW_ID,
        None,
        [{"a": 1, "b": 1, "principal": "ada"}, {"c": 3, "principal": "bob"}],
    ),
    (
        "login ada",
        "login ada",
        NEW_ID,
        NEW_ID,
        None,
        [{"a": 1, "b": 1, "principal": "ada"}, {"principal": "ada"}],
    ),
]

# The same with a base that belongs to ada.
ADA_S: list[tuple[str, str, str, str, Values | None, list[Values]]] = [
    ("a=2", "c=3", SILENT, SILENT, {"a": 2, "b": 1, "c": 3, "principal": "ada"}, []),
    ("destroy", "a=2", DELETED, SILENT, None, []),
    ("a=2", "regenerate", SILENT, NEW_ID, None, [{"a": 2, "b": 1, "principal": "ada"}]),
    ("a=2", "login ada", SILENT, NEW_ID, None, [{"a": 2, "b": 1, "principal": "ada"}]),
    ("login ada", "a=2", NEW_ID, SILENT, None, [{"a": 1, "b": 1, "principal": "ada"}]),
    # Who signs in again after somebody ended the session is signed in.
    ("destroy", "login ada, c=3", DELETED, NEW_ID, None, [{"c": 3, "principal": "ada"}]),
    (
        "regenerate",
        "login ada, c=3",
        NEW_ID,
        NEW_ID,
        None,
        [{"a": 1, "b": 1, "principal": "ada"}, {"c": 3, "principal": "ada"}],
    ),
    # Nothing of ada's is ever seen by bob, whoever commits first.
    ("login bob", "a=2", NEW_ID, SILENT, None, [{"principal": "bob"}]),
    ("a=2", "login bob", SILENT, NEW_ID, None, [{"principal": "bob"}]),
    ("c=3", "login bob", SILENT, NEW_ID, None, [{"principal": "bob"}]),
    ("c=3", "login bob, d=4", SILENT, NEW_ID, None, [{"d": 4, "principal": "bob"}]),
    ("c=3", "login bob, c=3", SILENT, NEW_ID, None, [{"c": 3, "principal": "bob"}]),
    ("c=3", "a=2, login bob", SILENT, NEW_ID, None, [{"principal": "bob"}]),
    ("c=3", "login bob, login ada", SILENT, NEW_ID, None, [{"principal": "ada"}]),
    ("destroy", "login bob", DELETED, NEW_ID, None, [{"principal": "bob"}]),
    ("destroy, c=3", "login bob", NEW_ID, NEW_ID, None, [{"c": 3}, {"principal": "bob"}]),
]


def sent(cookie: str | None) -> str:
    return SILENT if cookie is None else NEW_ID if cookie else DELETED


@pytest.mark.parametrize(
    ("principal", "first", "second", "first_sends", "second_sends", "old_finds", "new_find"),
    [(None, *case) for case in ANONYMOUS] + [("ada", *case) for case in ADA_S],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_two_requests_at_once(
    site: Callable[..., Site],
    principal: str | None,
    first: str,
    second: str,
    first_sends: str,
    second_sends: str,
    old_finds: Values | None,
    new_find: list[Values],
) -> None:
    """Nothing is lost, nothing resurrects, and the loser sends no cookie, not even a deletion."""
    made = site()
    old = made.stored(principal=principal)
    one, two = made.opened(old), made.opened(old)
    do(one.session, first)
    do(two.session, second)
    cookies = [one.commit(), two.commit()]
    assert [sent(cookie) for cookie in cookies] == [first_sends, second_sends]
    assert made.look(old) == old_finds
    assert [made.look(cookie) for cookie in cookies if cookie] == new_find
    assert len(made.backend.living()) == len(new_find) + (old_finds is not None)


@pytest.mark.parametrize("second", ["a=2", "regenerate", "regenerate, c=3", "clear"])
@pytest.mark.parametrize("first", ["destroy", "regenerate", "login ada"])
def test_what_ended_is_empty_to_the_loser_afterwards(
    site: Callable[..., Site], first: str, second: str
) -> None:
    """In the same request: what it writes goes nowhere, and a log-in carries nothing of the old over."""
    made = site()
    old = made.stored({"secret": 1}, principal="ada")
    one, two = made.opened(old), made.opened(old)
    do(one.session, first)
    do(two.session, second)
    one.commit()
    assert two.commit() is None
    two.session["c"] = 3
    assert two.commit() is None
    two.session.login("ada")
    cookie = two.commit()
    assert cookie
    found = made.look(cookie) or {}
    assert "secret" not in found
    assert found["principal"] == "ada"


@pytest.mark.parametrize("first", ["regenerate", "login ada", "login bob"])
@pytest.mark.parametrize("acts", ["nothing", "c=3", "regenerate", "c=3, regenerate", "clear"])
def test_a_replaced_id_finds_a_new_session_that_is_not_saved(
    site: Callable[..., Site], first: str, acts: str
) -> None:
    """Its cookie would overwrite the newer one."""
    made = site()
    old = made.stored()
    one = made.opened(old)
    do(one.session, first)
    new = one.commit()
    late = made.opened(old)
    assert (late.session.is_new, late.session.rejected, len(late.session)) == (True, "expired", 0)
    do(late.session, acts)
    late.session.flash("x")
    living = made.backend.living()
    assert late.commit() is None
    assert made.backend.living() == living
    assert new
    assert made.look(new) is not None


def test_a_log_in_with_a_replaced_id_counts(site: Callable[..., Site]) -> None:
    made = site()
    old = made.stored()
    one = made.opened(old)
    one.session.regenerate()
    one.commit()
    late = made.opened(old)
    late.session["c"] = 3
    late.session.login("ada")
    cookie = late.commit()
    assert cookie
    assert made.look(cookie) == {"c": 3, "principal": "ada"}


def test_a_replaced_id_is_remembered_for_a_while_only() -> None:
    clock = ManualClock(NOW)
    store = MemoryStore(KEY, clock=clock)
    visit = Visit(store, None)
    visit.session["a"] = 1
    old = visit.commit()
    visit = Visit(store, old)
    visit.session.regenerate()
    visit.commit()
    answers = []
    for seconds in 1, 58, 3600:
        clock.advance(seconds)
        visit = Visit(store, old)
        visit.session["c"] = 3
        answers.append(sent(visit.commit()))
    assert answers == [SILENT, SILENT, NEW_ID]


# Flashes of two requests


def test_flashes_added_by_both_are_kept(site: Callable[..., Site]) -> None:
    made = site()
    old = made.stored()
    one, two = made.opened(old), made.opened(old)
    one.session.flash("one")
    two.session.flash("two")
    two.session.flash("two", "error")
    one.commit()
    two.commit()
    assert made.opened(old).session.flash_items() == [("", "one"), ("", "two"), ("error", "two")]


def test_a_flash_that_somebody_read_never_reappears(site: Callable[..., Site]) -> None:
    made = site()
    old = made.stored()
    writer = made.opened(old)
    writer.session.flash("old")
    writer.commit()
    one, two, three = made.opened(old), made.opened(old), made.opened(old)
    assert one.session.flashes() == two.session.flashes() == ["old"]
    three.session.flash("new")
    three.session["c"] = 3
    one.commit()
    three.commit()
    two.commit()
    assert made.opened(old).session.flash_items() == [("", "new")]


# Policies


def test_mine_is_the_default_and_tells_of_it(
    site: Callable[..., Site], caplog: pytest.LogCaptureFixture
) -> None:
    made = site()
    old = made.stored()
    one, two = made.opened(old), made.opened(old)
    one.session["a"], two.session["a"] = 2, 3
    with caplog.at_level(logging.INFO, "sessions_wsgi"):
        one.commit()
        two.commit()
    conflicts = [record.getMessage() for record in caplog.records if "conflict" in record.getMessage()]
    assert len(conflicts) == 1
    assert "both sides" in conflicts[0]
    assert made.look(old) == {"a": 3, "b": 1}


def test_error_fails_the_later_one_and_keeps_the_earlier(site: Callable[..., Site]) -> None:
    made = site("error")
    old = made.stored()
    one, two, three = made.opened(old), made.opened(old), made.opened(old)
    one.session["a"], two.session["a"], three.session["b"] = 2, 3, 4
    one.commit()
    with pytest.raises(BackendError, match="both sides"):
        two.commit()
    assert "Set-Cookie" not in two.response.headers
    three.commit()
    assert made.look(old) == {"a": 2, "b": 4}


def test_a_callable_decides(site: Callable[..., Site]) -> None:
    asked = []

    def add(key: Any, base: Any, mine: Any, theirs: Any) -> Any:
        asked.append((key, base, mine, theirs))
        return theirs + mine - base

    made = site(add)
    old = made.stored()
    visits = [made.opened(old) for _ in range(4)]
    for count, visit in enumerate(visits, 1):
        visit.session["a"] += 10**count
    for visit in visits:
        visit.commit()
    assert made.look(old) == {"a": 11111, "b": 1}
    assert asked == [("a", 1, 101, 11), ("a", 1, 1001, 111), ("a", 1, 10001, 1111)]


def test_an_error_of_the_callable_is_the_application_s(site: Callable[..., Site]) -> None:
    def refuse(key: Any, base: Any, mine: Any, theirs: Any) -> Any:
        raise LookupError(key)

    made = site(refuse)
    old = made.stored()
    one, two = made.opened(old), made.opened(old)
    one.session["a"], two.session["a"] = 2, 3
    one.commit()
    with pytest.raises(LookupError):
        two.commit()
    assert made.look(old) == {"a": 2, "b": 1}


@pytest.mark.parametrize("conflict", ["theirs", "", None, 7])
def test_any_other_policy_is_refused(conflict: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        MemoryStore(KEY, conflict=conflict)
    assert caught.value.option == "conflict"


# In the middle of a commit


@pytest.mark.parametrize("verb", ["update", "create"])
@pytest.mark.parametrize("acts", ["regenerate", "login ada", "regenerate, c=3"])
@pytest.mark.parametrize("intruder", ["a=2", "destroy", "regenerate", "login bob"])
def test_somebody_else_in_the_middle_of_a_renewal(
    site: Callable[..., Site], verb: str, acts: str, intruder: str
) -> None:
    """Before the old id ends, or between that and the new record: at most one id of the old session lives."""
    made = site()
    old = made.stored()
    one, two = made.opened(old), made.opened(old)
    do(one.session, acts)
    do(two.session, intruder)
    cookies: list[str | None] = []
    made.backend.before[verb] = lambda: cookies.append(two.commit())
    cookies.append(one.commit())
    assert made.look(old) is None
    found = [made.look(cookie) for cookie in cookies if cookie]
    assert None not in found
    assert sum("b" in values for values in found if values) <= 1
    assert len(made.backend.living()) == len(found)
    if verb == "update" and intruder == "a=2":
        assert (found[0] or {})["a"] == 2


@pytest.mark.parametrize("acts", ["regenerate", "login ada", "destroy, c=3"])
def test_a_crash_between_the_old_id_and_the_new_leaves_none_alive(
    site: Callable[..., Site], acts: str
) -> None:
    made = site()
    old = made.stored()
    visit = made.opened(old)
    do(visit.session, acts)

    def crash() -> None:
        raise BackendError("scripted", "create")

    made.backend.before["create"] = crash
    with pytest.raises(BackendError):
        visit.commit()
    assert "Set-Cookie" not in visit.response.headers
    assert made.look(old) is None
    assert made.backend.living() == []


@pytest.mark.parametrize("acts", ["a=2", "regenerate", "login ada"])
def test_a_crash_before_the_first_write_leaves_all_as_it_was(site: Callable[..., Site], acts: str) -> None:
    made = site()
    old = made.stored()
    visit = made.opened(old)
    do(visit.session, acts)

    def crash() -> None:
        raise BackendError("scripted", "update")

    made.backend.before["update"] = crash
    with pytest.raises(BackendError):
        visit.commit()
    assert made.look(old) == {"a": 1, "b": 1}


@pytest.mark.parametrize("acts", ["a=2", "regenerate", "login ada"])
def test_five_conflicts_in_a_row_are_an_error(site: Callable[..., Site], acts: str) -> None:
    made = site()
    old = made.stored()
    visit = made.opened(old)
    do(visit.session, acts)
    updates = []

    def intrude() -> None:
        updates.append(None)
        other = made.opened(old)
        other.session["n"] = len(updates)
        other.commit()
        made.backend.before["update"] = intrude

    made.backend.before["update"] = intrude
    with pytest.raises(BackendError, match="conflicts"):
        visit.commit()
    assert len(updates) == 5
    assert "Set-Cookie" not in visit.response.headers
    made.backend.before.clear()
    assert made.look(old) == {"a": 1, "b": 1, "n": 5}


@pytest.mark.parametrize("acts", ["a=2", "regenerate", "login ada"])
def test_four_conflicts_in_a_row_are_none(site: Callable[..., Site], acts: str) -> None:
    made = site()
    old = made.stored()
    visit = made.opened(old)
    do(visit.session, acts)
    left = [1, 2, 3, 4]

    def intrude() -> None:
        other = made.opened(old)
        other.session["n"] = left.pop()
        other.commit()
        if left:
            made.backend.before["update"] = intrude

    made.backend.before["update"] = intrude
    found = made.look(visit.commit() or old) or {}
    assert (found["b"], found["n"], left) == (1, 1, [])


class Answers:
    """A backend whose updates answer from a list."""

    name = "answers"

    def __init__(self, answers: list[Any]) -> None:
        self._inner = MemoryBackend(clock=ManualClock(NOW))
        self._answers = answers
        self.load, self.create = self._inner.load, self._inner.create
        self.touch, self.delete = self._inner.touch, self._inner.delete

    def update(self, key: str, data: bytes, expires: float, version: Any) -> Any:
        return self._answers.pop(0)


@pytest.mark.parametrize(
    "winner",
    [b"", b"\x00", b"junk", dumps([2, 0, 0, {}, {}]), dumps("text"), bytes(100)],
    ids=["empty", "tombstone", "junk", "other format", "other structure", "zeros"],
)
@pytest.mark.parametrize("acts", ["a=2", "regenerate"])
def test_a_winner_that_cannot_be_read_means_gone(winner: bytes, acts: str) -> None:
    """Mine is dropped without a cookie; nothing is written over what another version may read."""
    backend = Answers([Conflict(Record(winner, 2, NOW + 60))])
    store = ServerStore(backend, KEY, clock=ManualClock(NOW))
    visit = Visit(store, None)
    visit.session.update(a=1, b=1)
    old = visit.commit()
    visit = Visit(store, old)
    do(visit.session, acts)
    assert visit.commit() is None


@pytest.mark.parametrize("acts", ["a=2", "regenerate", "a=2, regenerate, c=3"])
def test_gone_is_dropped_and_told(acts: str, caplog: pytest.LogCaptureFixture) -> None:
    store = ServerStore(Answers([Gone()]), KEY, clock=ManualClock(NOW))
    visit = Visit(store, None)
    visit.session.update(a=1, b=1)
    old = visit.commit()
    visit = Visit(store, old)
    do(visit.session, acts)
    with caplog.at_level(logging.INFO, "sessions_wsgi"):
        assert visit.commit() is None
    assert any("gone" in record.getMessage() for record in caplog.records)


def test_an_error_of_the_backend_is_passed_on(site: Callable[..., Site]) -> None:
    """And nothing is put onto the response."""
    made = site()
    old = made.stored()
    for verb, acts in ("update", "a=2"), ("update", "destroy"), ("create", "destroy, c=3"):
        visit = made.opened(old)
        do(visit.session, acts)

        def crash(verb: str = verb) -> None:
            raise BackendError("scripted", verb)

        made.backend.before[verb] = crash
        with pytest.raises(BackendError) as caught:
            visit.commit()
        assert (caught.value.backend, caught.value.operation) == ("scripted", verb)
        assert "Set-Cookie" not in visit.response.headers


# The promise


@dataclass(eq=False)
class Stored:
    """A session on the server, as the promise has it."""

    values: Values
    flashes: list[Any]
    principal: str | None
    #: living, replaced by another id, or ended
    fate: str = "living"
    #: What it was renewed to.
    successor: Stored | None = None


@dataclass(eq=False)
class Begun:
    """A request that has opened its session and not returned yet."""

    visit: Visit
    #: What it found, and what was in it.
    stored: Stored | None
    base: Stored
    #: What it has made of it.
    mine: Stored
    #: Its cookie held a replaced id.
    silent: bool = False
    rejected: bool = False
    renewed: str = ""
    #: Its log-in found somebody else's session.
    cleared: bool = False
    destroyed: bool = False
    ends: Stored | None = None
    #: What a log-out with a replaced id ends: where that session lives on.
    followed: Stored | None = None


def nobody() -> Stored:
    return Stored({}, [], None)


def differing(base: Values, mine: Values) -> set[Any]:
    return {key for key in {*base, *mine} if not same(base, mine, key)}


def with_changes(begun: Begun, onto: Stored) -> Stored:
    """A session with what a request made of it brought in."""
    if begun.cleared:
        return deepcopy(begun.mine)
    values = dict(onto.values)
    for key in differing(begun.base.values, begun.mine.values):
        values.pop(key, None)
        if key in begun.mine.values:
            values[key] = begun.mine.values[key]
    read = [item for item in begun.base.flashes if item not in begun.mine.flashes]
    flashes = [item for item in onto.flashes if item not in read]
    flashes += [item for item in begun.mine.flashes if item not in begun.base.flashes]
    return deepcopy(Stored(values, flashes, begun.mine.principal))


def returned(begun: Begun) -> Stored | str | None:
    """Let a request return: what it sends is a new session's cookie, "" for a deletion, or nothing."""
    mine, stored = begun.mine, begun.stored
    content = bool(mine.values or mine.flashes or mine.principal)
    if begun.silent and begun.renewed != "login":
        end(begun.ends)
        return "" if begun.destroyed and not content else None
    if stored is None:
        if begun.destroyed or content:
            end(begun.ends)
        if content:
            return deepcopy(mine)
        return "" if begun.destroyed else None
    if begun.renewed:
        if stored.fate == "living":
            stored.fate, stored.successor = "replaced", with_changes(begun, stored)
            return stored.successor
        return with_changes(begun, nobody()) if begun.renewed == "login" else None
    if stored.fate == "living":
        new = with_changes(begun, stored)
        stored.values, stored.flashes = new.values, new.flashes
    return None


def end(stored: Stored | None) -> None:
    """A log-out, which follows a session to whatever it was renewed to."""
    while stored is not None and stored.successor is not None:
        stored = stored.successor
    if stored is not None:
        stored.fate = "ended"


acts = st.one_of(
    st.tuples(st.sampled_from(["put", "remove"]), st.sampled_from("abc")),
    st.tuples(st.sampled_from(["append", "read", "regenerate", "destroy"]), st.just("")),
    st.tuples(st.just("flash"), st.sampled_from(["", "error"])),
    st.tuples(st.just("login"), st.sampled_from(["ada", "bob"])),
)


class Promise(RuleBasedStateMachine):
    """A change to a key by a request that returned is visible to every later load, or was overwritten by a
    later write to the same key, or the session was ended; one that was ended is never written again.

    Any number of requests are under way at any time, with any cookie that was ever set. Flashes are told
    apart by their values.
    """

    requests: Bundle[Begun] = Bundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self.site = Site()
        #: By cookie.
        self.stored: dict[str, Stored] = {}
        self.count = 0

    @initialize()
    def somebody_was_here(self) -> None:
        """One who filled a basket, and one who signed in."""
        for acts in [("put", "a"), ("flash", "")], [("put", "a"), ("append", ""), ("login", "ada")]:
            begun = self.begin(None, acts)
            self.answered((begun.visit.commit(), returned(begun)))

    @rule(target=requests, cookie=st.integers(0, 9), acts=st.lists(acts, max_size=3))
    def a_request_begins(self, cookie: int, acts: list[tuple[str, str]]) -> Begun:
        """It opens its session and works on it; nobody else sees that until it returns."""
        return self.begin(self.cookie(cookie), acts)

    @rule(
        cookie=st.integers(0, 9),
        requests=st.lists(st.lists(acts, min_size=1, max_size=2), min_size=2, max_size=3),
    )
    def several_come_at_once(self, cookie: int, requests: list[list[tuple[str, str]]]) -> None:
        """With one cookie; each has opened its session before any of them returns."""
        sent = self.cookie(cookie)
        for begun in [self.begin(sent, acts) for acts in requests]:
            self.answered((begun.visit.commit(), returned(begun)))

    @rule(begun=consumes(requests))
    def it_returns(self, begun: Begun) -> None:
        self.answered((begun.visit.commit(), returned(begun)))

    @rule(
        begun=consumes(requests),
        other=consumes(requests),
        verb=st.sampled_from(["update", "create"]),
    )
    def another_returns_in_the_midst_of_it(self, begun: Begun, other: Begun, verb: str) -> None:
        """Just before the first write, or between the end of the old record and the new one."""
        intruded: list[str | None] = []
        self.site.backend.before[verb] = lambda: intruded.append(other.visit.commit())
        mine = begun.visit.commit()
        self.site.backend.before.clear()
        if intruded and verb != "create":  # what ends the old record is the moment that counts
            self.answered((intruded[0], returned(other)), (mine, returned(begun)))
            return
        first = mine, returned(begun)
        theirs = intruded[0] if intruded else other.visit.commit()
        self.answered(first, (theirs, returned(other)))

    def cookie(self, number: int) -> str | None:
        """Most often one of the last that were set and still count."""
        living = [cookie for cookie, stored in self.stored.items() if stored.fate == "living"][-2:]
        ended = [cookie for cookie, stored in self.stored.items() if stored.fate != "living"][-2:]
        chosen = ended if number > 7 else living
        return chosen[number % len(chosen)] if chosen and number else None

    def begin(self, cookie: str | None, acts: list[tuple[str, str]]) -> Begun:
        visit, stored = self.site.opened(cookie), self.stored[cookie] if cookie else None
        if stored is not None and stored.fate == "living":
            self.check(visit.session, stored)
            begun = Begun(visit, stored, deepcopy(stored), deepcopy(stored))
        else:
            assert visit.session.is_new
            assert not visit.session
            assert visit.session.rejected == ("expired" if stored else None)
            silent = stored is not None and stored.fate == "replaced"
            begun = Begun(visit, None, nobody(), nobody(), silent, rejected=stored is not None)
            begun.followed = stored if silent else None
        for verb, argument in acts:
            getattr(self, f"do_{verb}")(begun, argument)
        return begun

    def do_put(self, begun: Begun, key: str) -> None:
        self.count += 1
        begun.visit.session[key] = begun.mine.values[key] = self.count % 5

    def do_remove(self, begun: Begun, key: str) -> None:
        begun.visit.session.pop(key, None)
        begun.mine.values.pop(key, None)

    def do_append(self, begun: Begun, _: str) -> None:
        self.count += 1
        begun.visit.session.setdefault("list", []).append(self.count)
        begun.mine.values.setdefault("list", []).append(self.count)

    def do_flash(self, begun: Begun, category: str) -> None:
        self.count += 1
        begun.visit.session.flash(self.count, category)
        begun.mine.flashes.append((category, self.count))

    def do_read(self, begun: Begun, _: str) -> None:
        assert begun.visit.session.flash_items() == begun.mine.flashes
        begun.mine.flashes = []

    def do_regenerate(self, begun: Begun, _: str) -> None:
        begun.visit.session.regenerate()
        begun.renewed = begun.renewed or "regenerate"

    def do_login(self, begun: Begun, principal: str) -> None:
        begun.visit.session.login(principal)
        if begun.mine.principal not in (None, principal):
            begun.mine, begun.cleared = nobody(), True
        begun.mine.principal, begun.renewed, begun.silent = principal, "login", False

    def do_destroy(self, begun: Begun, _: str) -> None:
        begun.visit.session.destroy()
        begun.destroyed = begun.destroyed or begun.stored is not None or begun.rejected
        begun.ends = begun.ends or begun.stored or begun.followed
        begun.stored, begun.base, begun.mine = None, nobody(), nobody()
        begun.renewed, begun.cleared = "", False

    def answered(self, *outcomes: tuple[str | None, Stored | str | None]) -> None:
        """What was sent, and what everybody finds from now on, is what the promise says."""
        for cookie, expected in outcomes:
            if isinstance(expected, Stored) and expected.fate == "ended":
                assert not cookie, "a log-out came first"
            elif isinstance(expected, Stored):
                assert cookie
                assert cookie not in self.stored
                self.stored[cookie] = expected
            else:
                assert cookie == expected
        for cookie, stored in self.stored.items():
            session = self.site.opened(cookie).session
            if stored.fate == "living":
                self.check(session, stored)
            else:
                assert session.is_new
        living = sum(stored.fate == "living" for stored in self.stored.values())
        assert len(self.site.backend.living()) == living

    def check(self, session: Session, stored: Stored) -> None:
        assert not session.is_new
        assert session.rejected is None
        assert dict(session) == stored.values
        assert session.principal == stored.principal
        flashes = {category: session.peek_flashes(category) for category, _ in stored.flashes}
        assert flashes == {kind: [v for k, v in stored.flashes if k == kind] for kind in flashes}


TestPromise = Promise.TestCase
TestPromise.settings = settings(
    PROPERTY,
    max_examples=150,
    stateful_step_count=10,
    report_multiple_bugs=False,
    phases=[Phase.generate, Phase.shrink],
)
