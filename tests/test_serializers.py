"""Values come back exactly as they were, or are refused with the place; foreign bytes are refused."""

# ruff: noqa: DTZ001, DTZ901 - naive datetimes are values like others here

from __future__ import annotations

import decimal
import ipaddress
import itertools
import json
import math
import os
import re
import string
import struct
import subprocess
import sys
import traceback
from collections import OrderedDict, namedtuple
from concurrent.futures import ThreadPoolExecutor
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, Flag, IntEnum, IntFlag, StrEnum, auto
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self
from uuid import UUID

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions_wsgi.errors import ConfigError, SerializeError
from sessions_wsgi.serializers import CBORSerializer, CustomType, JSONSerializer

VECTORS = json.loads((Path(__file__).parent / "vectors" / "cbor.json").read_text(encoding="utf-8"))


# Registered types


class Colour(Enum):
    RED = 1
    CRIMSON = 1  # noqa: PIE796
    BLUE = "b"


class Rights(Flag):
    READ = auto()
    WRITE = auto()


class Level(IntEnum):
    LOW = 1


class Bits(IntFlag):
    A = 1
    B = 2


class Word(StrEnum):
    YES = "yes"


@dataclass(frozen=True)
class Person:
    name: str
    owner: Any = None


@dataclass
class Cart:
    items: list[Any]
    note: str = field(default="", kw_only=True)


class Point(NamedTuple):
    x: int
    y: int = 0


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents

    def __eq__(self, other: object) -> bool:
        return type(other) is Money and other.cents == self.cents

    def __hash__(self) -> int:
        return hash(self.cents)


TYPES: dict[str, Any] = {
    "colour": Colour,
    "rights": Rights,
    "level": Level,
    "bits": Bits,
    "word": Word,
    "person/1": Person,
    "cart/1": Cart,
    "point": Point,
    "money": CustomType(Money, lambda money: money.cents, Money),
}
CBOR = CBORSerializer(TYPES)
PLAIN = CBORSerializer()
JSON = JSONSerializer()


class Summer(tzinfo):
    """A zone whose offset depends on `fold`, as the real ones at the end of summer."""

    def utcoffset(self, when: datetime | None) -> timedelta | None:
        return None if when is None else timedelta(hours=1 if when.fold else 2)

    def dst(self, when: datetime | None) -> timedelta | None:
        return self.utcoffset(when)


class Nowhere(tzinfo):
    def utcoffset(self, when: datetime | None) -> timedelta | None:
        return None


def fixed(**offset: int) -> timezone:
    return timezone(timedelta(**offset))


# What "exactly" means


def exact(value: Any) -> Any:
    """Equal for two values only if all that can be told of them is equal, at every depth."""
    kind = type(value)
    if kind is float:
        return kind, "nan" if math.isnan(value) else struct.pack(">d", value)
    if kind in (list, tuple):
        return kind, [exact(item) for item in value]
    if kind in (set, frozenset):
        return kind, sorted((exact(item) for item in value), key=repr)
    if kind is dict:
        return kind, [(exact(key), exact(item)) for key, item in value.items()]
    if kind in (datetime, time):
        return kind, value.isoformat(), value.fold
    if kind is Decimal:
        return kind, value.as_tuple()
    if kind in (Person, Cart):
        return kind, exact(vars(value))
    if kind is Point:
        return kind, exact(tuple(value))
    if kind is Money:
        return kind, exact(value.cents)
    return kind, value


ZONES = st.one_of(
    st.just(UTC),
    st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone),
    st.integers(-1439, 1439).map(lambda minutes: fixed(minutes=minutes)),
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
DECIMALS = st.builds(
    lambda sign, digits, exponent: Decimal((sign, digits, exponent)),
    st.integers(0, 1),
    st.lists(st.integers(0, 9), min_size=1, max_size=12).map(tuple),
    st.one_of(st.integers(-9999, 9999), st.sampled_from(["F", "n"])),
)
ORDINARY = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT, st.binary(max_size=30))
LEAVES = st.one_of(
    ORDINARY,
    st.integers(-(2**200), 2**200),
    st.datetimes(timezones=st.none() | ZONES),
    st.datetimes().map(lambda moment: moment.replace(fold=1)),
    st.dates(),
    st.times(timezones=st.none() | ZONES),
    st.timedeltas(),
    DECIMALS,
    st.uuids(),
    st.sampled_from([*Colour, *Level, *Word, Rights.READ | Rights.WRITE, Rights(0), Bits.A | Bits.B]),
    st.builds(Money, st.integers()),
)
HASHABLE = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        st.lists(parts, max_size=3).map(tuple),
        st.frozensets(parts, max_size=3),
        st.builds(Person, TEXT, parts),
        st.builds(Point, parts, parts),
    ),
    max_leaves=5,
)
VALUES = st.recursive(
    st.one_of(LEAVES, HASHABLE),
    lambda parts: st.one_of(
        st.lists(parts, max_size=4),
        st.lists(parts, max_size=4).map(tuple),
        st.dictionaries(TEXT, parts, max_size=4),
        st.dictionaries(HASHABLE, parts, max_size=3),
        st.sets(HASHABLE, max_size=4),
        st.builds(Cart, st.lists(parts, max_size=2), note=TEXT),
        st.builds(Person, TEXT, parts),
    ),
    max_leaves=25,
)
JSON_VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT
    ),
    lambda parts: st.one_of(st.lists(parts, max_size=4), st.dictionaries(TEXT, parts, max_size=4)),
    max_leaves=25,
)


@given(VALUES)
def test_every_kept_value_comes_back_exactly(value: Any) -> None:
    assert exact(CBOR.loads(CBOR.dumps(value))) == exact(value)


@given(VALUES)
def test_a_decoded_value_encodes_to_the_same_bytes(value: Any) -> None:
    data = CBOR.dumps(value)
    assert CBOR.dumps(CBOR.loads(data)) == data


@given(VALUES)
def test_dumps_leaves_the_value_as_it_was(value: Any) -> None:
    before = exact(value)
    CBOR.dumps(value)
    assert exact(value) == before


@dataclass
class Cached:
    width: int

    @cached_property
    def area(self) -> int:
        return self.width**2


def test_a_dataclass_with_more_than_its_fields_is_refused() -> None:
    """What is no field would be gone without a word."""
    serializer = CBORSerializer(types={"cart/1": Cart})
    cart = Cart([1])
    cart.owner = "ada"  # type: ignore[attr-defined]
    with pytest.raises(SerializeError, match=r"value\['cart'\].*'owner' is no field"):
        serializer.dumps({"cart": cart})


def test_what_is_cached_is_computed_anew() -> None:
    serializer = CBORSerializer(types={"cached/1": Cached})
    value = Cached(3)
    assert value.area == 9
    assert serializer.loads(serializer.dumps(value)) == Cached(3)


@pytest.mark.parametrize(("key", "shown"), [(5, "5"), (None, "None"), ((1, 2), "tuple"), (b"x", "bytes")])
def test_json_names_the_key_that_it_does_not_keep(key: Any, shown: str) -> None:
    with pytest.raises(SerializeError, match=f"only keys that are str, and here is {shown}") as caught:
        JSON.dumps({"cart": {"a": {"b": 1, key: 1}}})
    assert caught.value.path == "value['cart']['a']"


TIMES = [-1, 0, 2**32 - 1, 2**32, 1795968292061, 2**64 - 1, 2**64, 1.5e12]
#: With some that has no encoding.
ANY_TEXT = st.one_of(TEXT, st.just("\ud800"))


@given(
    st.dictionaries(ANY_TEXT, st.one_of(ANY_TEXT, VALUES), max_size=4),
    st.dictionaries(ANY_TEXT, st.one_of(ORDINARY, ANY_TEXT, VALUES), max_size=3),
)
def test_an_envelope_is_encoded_as_the_list_it_is(values: dict[Any, Any], extras: dict[Any, Any]) -> None:
    def told(encode: Any) -> Any:
        try:
            return encode()
        except SerializeError as error:
            return str(error)

    for created, seen in itertools.product(TIMES, TIMES):
        fast = told(lambda: CBOR.dumps_envelope(created, seen, values, extras))  # noqa: B023
        assert fast == told(lambda: CBOR.dumps([1, created, seen, values, extras]))  # noqa: B023


@given(JSON_VALUES)
def test_json_values_come_back_exactly_in_both_serializers(value: Any) -> None:
    for serializer in (JSON, PLAIN):
        data = serializer.dumps(value)
        assert exact(serializer.loads(data)) == exact(value)
        assert serializer.dumps(serializer.loads(data)) == data


@pytest.mark.parametrize(
    "value",
    [
        "", "é\u20ac\U0001f600\0\u2028", b"", b"\x00\xff", 0, -1, 23, 24, 255, 256, 2**64 - 1, 2**64,
        -(2**64), -(2**64) - 1, 2**70, -(2**70), 10**5000, True, False, None, 0.0, -0.0, 1.5, 1e300,
        5e-324, math.inf, -math.inf, math.nan, [], (), {}, set(), frozenset(), [[]], ((),), {frozenset()},
        {(): ()}, [1, (2, [3])], {1: 1, "1": 2, b"1": 3, (1,): 4, None: 5, -0.5: 6}, {True: 1},
        {"b": 1, "a": 2}, {2**80: 1, -(2**80): 2}, {(1, frozenset({2})): {3}}, {frozenset({(1, 2)}): [3]},
        {date(2026, 1, 1): 1}, {math.nan: 1}, datetime(2026, 11, 23, 1, 2, 3, 456789, UTC),
        datetime(1, 1, 1, tzinfo=fixed(hours=14)),
        datetime(2026, 11, 23, tzinfo=fixed(hours=-3, minutes=-30)),
        datetime(2026, 11, 23, tzinfo=fixed(hours=1, seconds=7)),
        datetime(2026, 11, 23, tzinfo=fixed(microseconds=-1)), datetime(2026, 11, 23), datetime.max,
        datetime.min, datetime(2026, 10, 25, 2, 30, fold=1),
        datetime(2026, 10, 25, 2, 30, tzinfo=UTC, fold=1), date.min, date.max, time(),
        time(23, 59, 59, 999999), time(1, 2, tzinfo=fixed(hours=5, minutes=45)),
        time(1, 2, tzinfo=fixed(seconds=-1)), time(2, 30, fold=1), time(2, 30, tzinfo=UTC, fold=1),
        timedelta(), timedelta.min, timedelta.max, timedelta(microseconds=-1), Decimal("1.10"),
        Decimal("-0"), Decimal("0E-10"), Decimal("-0E+5"), Decimal("1E+9999"), Decimal("1E-9999"),
        Decimal("NaN"), Decimal("-NaN123"), Decimal("sNaN"), Decimal("Infinity"), Decimal("-Infinity"),
        Decimal("9" * 50), UUID(int=5), Colour.RED, Colour.CRIMSON, Rights.READ | Rights.WRITE, Rights(0),
        Level.LOW, Bits(3), Word.YES, Person("bob", owner=Person("eve")),
        Cart([Point(1), (Money(3),)], note="x"), {Person("bob", (Point(1, 2),)): {Money(1), Colour.BLUE}},
        [Person("bob", {Point(1): [{1, 2}]})],
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_kept_exactly(value: Any) -> None:
    data = CBOR.dumps([value, {"k": value}])
    assert exact(CBOR.loads(data)) == exact([value, {"k": value}])
    assert CBOR.dumps(CBOR.loads(data)) == data


def test_a_zone_comes_back_as_its_offset_and_the_same_instant() -> None:
    for fold, hours in ((0, 2), (1, 1)):
        moment = datetime(2026, 10, 25, 2, 30, tzinfo=Summer(), fold=fold)
        loaded = CBOR.loads(CBOR.dumps(moment))
        assert loaded.utcoffset() == timedelta(hours=hours)
        assert loaded.astimezone(UTC) == moment.astimezone(UTC)
        assert loaded.fold == fold
        assert type(loaded.tzinfo) is timezone


def test_insertion_order_is_kept_and_a_new_order_is_a_change() -> None:
    assert list(CBOR.loads(CBOR.dumps({"b": 1, "a": 2, 3: 3}))) == ["b", "a", 3]
    assert CBOR.dumps({"b": 1, "a": 2}) != CBOR.dumps({"a": 2, "b": 1})
    assert CBOR.dumps({(2,): 1, (1,): 2}) != CBOR.dumps({(1,): 2, (2,): 1})


def test_equal_keys_of_other_types_are_other_bytes() -> None:
    assert len({CBOR.dumps({key: 0}) for key in (1, 1.0, True, Level.LOW, Decimal(1))}) == 5


def test_what_stands_in_two_places_is_encoded_twice() -> None:
    shared = [1]
    loaded = CBOR.loads(CBOR.dumps([shared, shared, (shared,)]))
    assert loaded == [[1], [1], ([1],)]
    assert loaded[0] is not loaded[1]


def test_sets_are_sorted_by_their_encoding() -> None:
    numbers = [300, 1, -1, 70000, 24]
    encodings = {CBOR.dumps(set(order)) for order in itertools.permutations(numbers)}
    assert encodings == {bytes.fromhex("d90102850118181901 2c1a0001117020".replace(" ", ""))}


def test_the_decimal_context_of_the_thread_does_not_matter() -> None:
    value = Decimal("1E+50")
    expected = CBOR.dumps(value)
    with decimal.localcontext(decimal.Context(prec=1, capitals=0, traps=[])):
        assert CBOR.dumps(value) == expected
        assert CBOR.loads(expected).as_tuple() == value.as_tuple()


SEEDED = """
from datetime import date
from sessions_wsgi.serializers import CBORSerializer
words = "the quick brown fox jumps over the lazy dog".split()
value = [set(words), frozenset(words), {frozenset(words[:3]): {(word, len(word)) for word in words}},
         {date(2026, 1, day) for day in range(1, 20)}, {frozenset({word}) for word in words},
         {1, "1", b"1", None}]
print(CBORSerializer().dumps(value).hex())
"""


def test_the_hash_seed_does_not_matter() -> None:
    def encode(seed: int) -> str:
        environ = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run([sys.executable, "-c", SEEDED], env=environ, capture_output=True, check=True)
        return done.stdout.decode()

    assert len({encode(seed) for seed in range(5)}) == 1


def test_threads_may_share_a_serializer() -> None:
    value = [{"user": "bob", "cart": [(1, Money(2)), {Point(1), Point(2)}], "at": date(2026, 1, 1)}] * 20
    expected = CBOR.dumps(value)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: CBOR.dumps(CBOR.loads(expected)), range(100))) == {expected}


# Refused by dumps


class Str(str):
    pass


class Int(int):
    pass


class Moment(datetime):
    pass


class Subtuple(Point):
    pass


Old = namedtuple("Old", "x")  # noqa: PYI024


@pytest.mark.parametrize(
    "value",
    [
        bytearray(b"x"), memoryview(b"x"), 1j, re.compile("x"), cbor2.CBORTag(1, 1), cbor2.undefined,
        cbor2.CBORSimpleValue(1), ipaddress.ip_address("::1"), ipaddress.ip_network("10.0.0.0/8"),
        Fraction(1, 2), object(), object, len, range(3), iter([]), OrderedDict(a=1), Str("x"), Int(1),
        Moment(2026, 1, 1), Subtuple(1, 2), Old(1), Path("x"), Ellipsis, NotImplemented,
        cbor2.frozendict({1: 2}), (item for item in ()), {}.keys(), ValueError("x"), string.Template("x"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
@pytest.mark.parametrize("serializer", [CBOR, JSON], ids=["cbor", "json"])
def test_other_types_and_subclasses_are_refused_where_they_stand(serializer: Any, value: Any) -> None:
    for wrapped, path in ((value, "value"), ({"a": [0, value]}, "value['a'][1]")):
        with pytest.raises(SerializeError) as caught:
            serializer.dumps(wrapped)
        assert (caught.value.path, caught.value.type) == (path, type(value).__name__)


@pytest.mark.parametrize(
    "value", [Colour.RED, Level.LOW, Word.YES, Rights.READ, Point(1), Person("x"), Money(1)]
)
def test_a_class_that_is_not_registered_is_refused(value: Any) -> None:
    with pytest.raises(SerializeError, match=re.escape("types={...}")):
        PLAIN.dumps({"k": value})


class Foe:
    """Not kept; its repr must not show up anywhere."""

    def __repr__(self) -> str:
        return "topsecret"


ENDLESS: list[Any] = [1]
ENDLESS.append({"again": ENDLESS})
CIRCLE: dict[str, Any] = {}
CIRCLE["a"] = {"b": (CIRCLE,)}


@pytest.mark.parametrize(
    ("value", "path", "kind"),
    [
        ([1, 2, 3, {"cart": [1, 2, 3, Person("bob", Foe())]}], "value[3]['cart'][3].owner", "Foe"),
        ([1, 2, 3, {}, {"flashes": [["", Foe()]]}], "value[4]['flashes'][0][1]", "Foe"),
        ({1: (0, Foe())}, "value[1][1]", "Foe"),
        ({None: Foe()}, "value[None]", "Foe"),
        ({(1, 2): Foe()}, "value[tuple]", "Foe"),
        ({2**70: Foe()}, "value[int]", "Foe"),
        ({b"k": Foe()}, "value[bytes]", "Foe"),
        ({"a": {Foe()}}, "value['a']<item>", "Foe"),
        ({"a": frozenset({(1, Foe())})}, "value['a']<item>[1]", "Foe"),
        ({Foe(): 1}, "value<key Foe>", "Foe"),
        ({(1, Foe()): 1}, "value<key tuple>[1]", "Foe"),
        ([Point(1, Foe())], "value[0].y", "Foe"),
        ([Cart([0, Foe()])], "value[0].items[1]", "Foe"),
        ([Money([Foe()])], "value[0].dump()[0]", "Foe"),  # type: ignore[arg-type]
        ({"x" * 99: Foe()}, "value['xxxxxxxxxxxx...xxxxxxxxxxxxx']", "Foe"),
        ({"a": "\ud800"}, "value['a']", "str"),
        ({"a\udfff": 1}, "value<key 'a\\udfff'>", "str"),
        ([{(1, "\ud800")}], "value[0]<item>[1]", "str"),
        ([Person("\ud800")], "value[0].name", "str"),
        ([1, ENDLESS], "value[1][1]['again']", "list"),
        (CIRCLE, "value['a']['b'][0]", "dict"),
        ([Decimal("1E+10000")], "value[0]", "Decimal"),
        ([Decimal("1E-10000")], "value[0]", "Decimal"),
        ([time(1, tzinfo=Summer())], "value[0]", "time"),
        ([datetime(2026, 1, 1, tzinfo=Nowhere())], "value[0]", "datetime"),
    ],
)
def test_the_error_names_the_place(value: Any, path: str, kind: str) -> None:
    with pytest.raises(SerializeError) as caught:
        CBOR.dumps(value)
    assert (caught.value.path, caught.value.type) == (path, kind)
    assert "topsecret" not in str(caught.value)


def nested(depth: int, wrap: Any, core: Any = 1) -> Any:
    for _ in range(depth):
        core = wrap(core)
    return core


WRAPPERS: list[Any] = [
    lambda inner: [inner],
    lambda inner: (inner,),
    lambda inner: {"k": inner},
    lambda inner: {(): inner},
    lambda inner: frozenset({inner}),
    lambda inner: {(inner,): 1} if not isinstance(inner, dict) else {"k": inner},
    lambda inner: Person("x", inner),
    lambda inner: Point(1, inner),
]


@pytest.mark.parametrize("wrap", WRAPPERS)
@pytest.mark.parametrize("core", [1, 2**80, Decimal(1), datetime(2026, 10, 25, 2, 30, fold=1), Level.LOW])
def test_what_dumps_accepts_at_the_greatest_depth_loads_accepts(wrap: Any, core: Any) -> None:
    levels = 63 if isinstance(core, Level) else 64  # a registered type is a level of its own
    while True:
        value = nested(levels, wrap, core)
        try:
            data = CBOR.dumps(value)
        except SerializeError:
            levels -= 1  # the wrapper is more than one level
            continue
        break
    assert levels >= 32
    assert exact(CBOR.loads(data)) == exact(value)


@pytest.mark.parametrize("serializer", [CBOR, JSON], ids=["cbor", "json"])
def test_64_levels_are_kept_and_65_are_refused(serializer: Any) -> None:
    value = nested(64, lambda inner: [inner])
    assert serializer.loads(serializer.dumps(value)) == value
    for depth in (65, 500, 100_000):
        with pytest.raises(SerializeError, match="64") as caught:
            serializer.dumps({"deep": nested(depth, lambda inner: [inner])})
        assert caught.value.path == "value['deep']" + "[0]" * 63


def test_deep_tuples_are_refused_without_recursion_errors() -> None:
    with pytest.raises(SerializeError, match="64"):
        CBOR.dumps(nested(100_000, lambda inner: (inner,)))


@pytest.mark.parametrize("wrap", [lambda x: [x, x], lambda x: (x, x), lambda x: {"a": x, "b": x}])
def test_doubling_without_end_is_refused(wrap: Any) -> None:
    with pytest.raises(SerializeError, match="100000") as caught:
        CBOR.dumps(nested(60, wrap, []))
    assert caught.value.path == "value"


def test_json_refuses_doubling_without_end() -> None:
    with pytest.raises(SerializeError, match="100000"):
        JSON.dumps(nested(60, lambda x: [x, x], []))


@pytest.mark.parametrize("serializer", [CBOR, JSON], ids=["cbor", "json"])
def test_wide_values_are_kept(serializer: Any) -> None:
    value = [{"row": [number]} for number in range(20_000)]
    assert serializer.loads(serializer.dumps(value)) == value


# Registered types


def test_only_the_name_of_a_type_is_stored() -> None:
    data = CBOR.dumps(Person("bob"))
    assert b"person/1" in data
    assert b"Person" not in data
    assert __name__.encode() not in data


def test_a_field_with_a_default_may_be_added_later() -> None:
    @dataclass
    class Before:
        x: int

    @dataclass
    class After:
        x: int
        y: int = 7

    data = CBORSerializer({"v": Before}).dumps(Before(1))
    assert CBORSerializer({"v": After}).loads(data) == After(1, 7)


def test_a_list_in_a_registered_key_stays_a_list() -> None:
    @dataclass(unsafe_hash=True)
    class Box:
        items: list[int] = field(hash=False)

    serializer = CBORSerializer({"box": Box})
    (key,) = serializer.loads(serializer.dumps({Box([1]): 0}))
    assert type(key.items) is list


def test_custom_types_may_hold_each_other() -> None:
    class Tree:
        def __init__(self, leaves: list[Any]) -> None:
            self.leaves = leaves

    serializer = CBORSerializer(
        {"tree": CustomType(cls=Tree, dump=lambda tree: tree.leaves, load=Tree), "point": Point}
    )
    tree = serializer.loads(serializer.dumps(Tree([Tree([Point(1)]), (Tree([]),)])))
    assert tree.leaves[0].leaves == [Point(1)]
    assert type(tree.leaves[1][0]) is Tree


def test_a_native_type_of_the_cbor_library_may_be_registered() -> None:
    address = ipaddress.ip_address("10.0.0.1")
    serializer = CBORSerializer({"ip": CustomType(ipaddress.IPv4Address, str, ipaddress.IPv4Address)})
    assert serializer.loads(serializer.dumps({address: [address]})) == {address: [address]}
    assert cbor2.loads(serializer.dumps(address)) == cbor2.CBORTag(27, ("ip", "10.0.0.1"))


def test_a_dump_that_raises_is_a_serialize_error_with_the_cause() -> None:
    serializer = CBORSerializer({"foe": CustomType(Foe, lambda foe: 1 / 0, lambda value: Foe())})
    with pytest.raises(SerializeError, match="ZeroDivisionError") as caught:
        serializer.dumps({"a": [Foe()]})
    assert caught.value.path == "value['a'][0]"
    assert type(caught.value.__cause__) is ZeroDivisionError


def test_a_missing_attribute_is_a_serialize_error() -> None:
    cart = Cart([])
    del cart.items
    with pytest.raises(SerializeError, match="AttributeError"):
        CBOR.dumps(cart)


def test_a_dump_that_never_ends_is_refused() -> None:
    serializer = CBORSerializer({"foe": CustomType(Foe, lambda foe: [Foe()], lambda value: Foe())})
    with pytest.raises(SerializeError, match="64"):
        serializer.dumps(Foe())


@pytest.mark.parametrize(
    "error", [TypeError, KeyError, RecursionError, MemoryError, OverflowError, ValueError]
)
def test_a_load_that_raises_is_a_value_error_with_the_cause(error: type[Exception]) -> None:
    def load(_value: Any) -> Foe:
        raise error("no")

    serializer = CBORSerializer({"foe": CustomType(Foe, lambda foe: 1, load)})
    with pytest.raises(ValueError, match="not an encoding") as caught:
        serializer.loads(serializer.dumps([Foe()]))
    assert type(caught.value.__cause__) is error


def test_a_load_that_makes_something_else_is_refused() -> None:
    serializer = CBORSerializer({"foe": CustomType(Foe, lambda foe: 1, lambda value: value)})
    with pytest.raises(ValueError, match="not an encoding"):
        serializer.loads(serializer.dumps(Foe()))


@pytest.mark.parametrize(
    "content", ["d81b82646e6f6e6501", "d81b8101", "d81b8001", "d81b8268706572736f6e2f3101"]
)
def test_registered_types_that_do_not_fit_are_refused(content: str) -> None:
    with pytest.raises(ValueError, match="not an encoding"):
        CBOR.loads(bytes.fromhex(content))


class Plain:
    pass


@dataclass
class WithInit:
    x: int
    y: int = field(init=False, default=0)


@dataclass
class WithInitVar:
    x: int
    y: InitVar[int]


@dataclass(init=False)
class OwnInit:
    x: int

    def __init__(self, *args: int) -> None:
        self.x = sum(args)


class PlainChild(Person):
    pass


@dataclass
class DictChild(dict):  # type: ignore[type-arg]
    x: int


class OddTuple(Point):
    def __new__(cls, both: int) -> Self:
        return super().__new__(cls, both, both)


@pytest.mark.parametrize(
    ("types", "rule"),
    [
        ({"x": Plain}, "CustomType(cls, dump, load)"),
        ({"x": Plain()}, "a class"),
        ({"x": "module.Class"}, "a class"),
        ({"x": None}, "a class"),
        ({"x": list[int]}, "a class"),
        ({"x": CustomType("Plain", str, str)}, "a class"),  # type: ignore[arg-type]
        ({"x": dict}, "kept as it is"),
        ({"x": datetime}, "kept as it is"),
        ({"x": CustomType(Decimal, str, Decimal)}, "kept as it is"),
        ({"x": CustomType(Plain, "dump", Plain)}, "callable"),  # type: ignore[arg-type]
        ({"x": CustomType(Plain, str, None)}, "callable"),  # type: ignore[arg-type]
        ({"": Person}, "names"),
        ({1: Person}, "names"),
        ({"a\ud800": Person}, "names"),
        ({"a\n": Person}, "names"),
        ({"a": Person, "b": Person}, "two names"),
        ({"a": Plain, "b": CustomType(Plain, str, str)}, "CustomType"),
        ({"x": WithInit}, "exactly its fields"),
        ({"x": WithInitVar}, "exactly its fields"),
        ({"x": OwnInit}, "exactly its fields"),
        ({"x": OddTuple}, "exactly its fields"),
        ({"x": PlainChild}, "of its own"),
        ({"x": DictChild}, "of its own"),
        ([Person], "must map"),
    ],
)
def test_what_cannot_be_registered_is_refused_at_construction(types: Any, rule: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(rule)) as caught:
        CBORSerializer(types)
    assert caught.value.option == "types"
    assert "'types'" in str(caught.value)


# Refused by loads


@pytest.mark.parametrize("vector", VECTORS["keeps"], ids=lambda vector: vector["value"])
def test_the_committed_encodings_decode_for_ever(vector: dict[str, str]) -> None:
    value = eval(vector["value"])  # our own file
    assert exact(CBOR.loads(bytes.fromhex(vector["hex"]))) == exact(value)
    assert CBOR.dumps(value).hex() == vector["hex"]


@pytest.mark.parametrize("vector", VECTORS["refuses"], ids=lambda vector: f"{vector['why']}: {vector['hex']}")
@pytest.mark.parametrize("wrap", ["", "81", "a10081", "d996c881", "d81b82656d6f6e6579"])
def test_the_committed_must_fail_list_fails(vector: dict[str, str], wrap: str) -> None:
    with pytest.raises(ValueError, match=r"not as it is written|not an encoding"):
        CBOR.loads(bytes.fromhex(wrap + vector["hex"]))


@given(st.binary(max_size=200))
def test_random_bytes_raise_value_errors_only(data: bytes) -> None:
    for serializer in (CBOR, PLAIN, JSON):
        try:
            serializer.loads(data)
        except ValueError:
            continue


@given(VALUES, st.data())
def test_damaged_encodings_raise_value_errors_only_and_what_loads_can_be_dumped(
    value: Any, data: st.DataObject
) -> None:
    octets = bytearray(CBOR.dumps(value))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(octets)))
        octets[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    try:
        loaded = CBOR.loads(bytes(octets))
    except ValueError:
        return
    again = CBOR.dumps(loaded)
    assert CBOR.dumps(CBOR.loads(again)) == again


@given(VALUES, st.data())
def test_a_part_is_refused(value: Any, data: st.DataObject) -> None:
    octets = CBOR.dumps(value)
    with pytest.raises(ValueError, match="not "):
        CBOR.loads(octets[: data.draw(st.integers(0, len(octets) - 1))])


@given(VALUES, st.binary(min_size=1, max_size=20))
def test_whatever_follows_is_refused(value: Any, tail: bytes) -> None:
    octets = CBOR.dumps(value)
    for more in (tail, octets):
        with pytest.raises(ValueError, match="not "):
            CBOR.loads(octets + more)


@pytest.mark.parametrize(
    "head", ["81", "a100", "d996c881", "d9010281", "d81b82", "d996ce8200", "c1", "d9ffff"]
)
def test_nesting_in_foreign_bytes_is_bounded(head: str) -> None:
    for depth in (300, 100_000):
        with pytest.raises(ValueError, match="not an encoding"):
            CBOR.loads(bytes.fromhex(head) * depth + b"\x00")


@pytest.mark.parametrize("major", [0x5A, 0x7A, 0x9A, 0xBA, 0x5B, 0x7B, 0x9B, 0xBB])
@pytest.mark.parametrize("length", [2**24, 2**31, 2**32 - 1])
def test_a_huge_length_allocates_nothing(major: int, length: int) -> None:
    import tracemalloc

    size = length.to_bytes(4, "big") if major & 0x1F == 0x1A else (length << 28).to_bytes(8, "big")
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="not an encoding"):
            CBOR.loads(bytes([0x81, major]) + size + b"abc")
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "data",
    [
        b"\xa2\x69topsecret\x01\x69topsecret\x02",
        b"\xc0\x69topsecret",
        b"\xd9\x96\xcd\x69topsecret",
        b"\x82\x69topsecret\x61\xff",
        b"\xd9\x01\x02\x82\x69topsecret\x69topsecret",
        b"\x69topsecret\x00",
    ],
)
def test_no_traceback_shows_the_data(data: bytes) -> None:
    with pytest.raises(ValueError, match="not ") as caught:
        CBOR.loads(data)
    assert "topsecret" not in "".join(traceback.format_exception(caught.value, chain=True)).replace(
        repr(data), ""
    )


# JSON


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"user": "bob", "n": 42, "on": True, "off": None}, '{"user":"bob","n":42,"on":true,"off":null}'),
        ([1.0, -0.0, 1e300, [], {}], "[1.0,-0.0,1e+300,[],{}]"),
        ("é\u20ac\U0001f600\u2028", '"é\u20ac\U0001f600\u2028"'),
        ('"\\/\n\0', '"\\"\\\\/\\n\\u0000"'),
        (2**100, str(2**100)),
    ],
)
def test_json_is_compact_utf8(value: Any, text: str) -> None:
    assert JSON.dumps(value) == text.encode()
    assert exact(JSON.loads(text.encode())) == exact(value)


@pytest.mark.parametrize(
    ("value", "path", "kind"),
    [
        ({"a": (1, 2)}, "value['a']", "tuple"),
        ({"a": [b""]}, "value['a'][0]", "bytes"),
        ({"a": {1: 2}}, "value['a']", "dict"),
        ({"a": {True: 2}}, "value['a']", "dict"),
        ({"a": {None: 2}}, "value['a']", "dict"),
        ({"a": {Str("x"): 2}}, "value['a']", "dict"),
        ({"a": math.nan}, "value['a']", "float"),
        ({"a": math.inf}, "value['a']", "float"),
        ({"a": [10**5000]}, "value['a'][0]", "int"),
        ({"a": "\ud800"}, "value['a']", "str"),
        ({"\ud800": 1}, "value<key '\\ud800'>", "str"),
        ([{1, 2}], "value[0]", "set"),
        (datetime(2026, 1, 1), "value", "datetime"),
        (Decimal(1), "value", "Decimal"),
        ({"a": Level.LOW}, "value['a']", "Level"),
        ({"a": ENDLESS}, "value['a'][1]['again']", "list"),
    ],
)
def test_json_refuses_what_it_cannot_keep(value: Any, path: str, kind: str) -> None:
    with pytest.raises(SerializeError) as caught:
        JSON.dumps(value)
    assert (caught.value.path, caught.value.type) == (path, kind)


@pytest.mark.parametrize(
    "data",
    [
        b"", b" ", b"{", b"[1,]", b"[1]x", b"[1][2]", b"'a'", b'{"a":1,"a":2}', b'[{"a":1,"\\u0061":2}]',
        b"NaN", b"[Infinity]", b"[-Infinity]", b"[1e999]", b"[-1e999]", b'"\\ud800"', b'{"\\udfff":1}',
        b'["\xff"]', b"\xed\xa0\x80", b'"\xed\xa0\x80"', b"\xef\xbb\xbf1", "[1]".encode("utf-16"),
        b"1" * 5000, b"[" * 65 + b"]" * 65, b"[" * 100_000, b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000, b'"\n"', b"undefined", b"tru", b"01", b"1.",
        b'{"a":' * 65 + b"1" + b"}" * 65,
    ],
    ids=lambda data: f"{data!r:.30}",
)  # fmt: skip
def test_json_refuses_what_is_not_json_that_it_keeps(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        JSON.loads(data)


@given(JSON_VALUES, st.data())
def test_damaged_json_raises_value_errors_only_and_what_loads_can_be_dumped(
    value: Any, data: st.DataObject
) -> None:
    octets = bytearray(JSON.dumps(value))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(octets)))
        octets[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    try:
        loaded = JSON.loads(bytes(octets))
    except ValueError:
        return
    assert exact(JSON.loads(JSON.dumps(loaded))) == exact(loaded)


def test_json_reads_what_others_write() -> None:
    assert JSON.loads(b' { "a" : [ 1 , "\\ud83d\\ude00\\u00e9" ] } \n') == {"a": [1, "\U0001f600é"]}
