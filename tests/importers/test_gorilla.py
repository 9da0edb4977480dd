"""Cookies of the real gorilla/sessions and gorilla/securecookie, made by ``gorilla/main.go``."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
from foreign import BLOCK, SECRET, UNTIL, gorilla_cookie

from sessions_wsgi import ConfigError, DecodeError, Imported
from sessions_wsgi.importers import GorillaImporter

OTHER = "another hash key, of the time before"
PLAIN = {"foo": "bar", 42: 43}


def read(text: str, *keys: Any, **options: Any) -> Imported:
    return GorillaImporter(*(keys or (SECRET,)), until=UNTIL, **options).read(text, time.time())


@pytest.mark.parametrize(
    ("case", "block"), [("hash only", None), ("AES-128", 16), ("AES-192", 24), ("AES-256", 32)]
)
def test_a_session_comes_as_go_saved_it(gorilla: dict[str, str], case: str, block: int | None) -> None:
    found = read(gorilla[case], SECRET, BLOCK[:block] if block else None)
    assert found.values == PLAIN
    assert {type(key) for key in found.values} == {str, int}
    assert abs(found.created - time.time()) < 60


def test_integers_and_floats_of_every_width(gorilla: dict[str, str]) -> None:
    found = read(gorilla["numbers"]).values
    assert {key: value for key, value in found.items() if type(value) is float} == {
        "float32": 1.5,
        "float64": -0.1,
        "inf": math.inf,
    }
    assert {key: value for key, value in found.items() if type(value) is int} == {
        "int": -1,
        "int8": -128,
        "int16": 300,
        "int32": -70000,
        "int64": -(2**63),
        "uint": 0,
        "uint8": 255,
        "uint16": 128,
        "uint32": 2**31,
        "uint64": 2**64 - 1,
        "max": 2**63 - 1,
    }


def test_bool_nil_text_bytes_and_keys_of_other_types(gorilla: dict[str, str]) -> None:
    assert read(gorilla["others"]).values == {
        "true": True,
        "false": False,
        "nil": None,
        "empty": "",
        "text": "grüße, 世界",
        "bytes": b"\0\xff",
        -5: "negative key",
        2.5: "float key",
        None: "nil key",
        False: "bool key",
    }


def test_slices_and_maps_inside_each_other(gorilla: dict[str, str]) -> None:
    """Their types are defined where they first stand, in the middle of a value."""
    assert read(gorilla["nested"]).values == {
        "strings": ["a", "b"],
        "ints": [1, -2],
        "floats": [0.5],
        "bools": [True],
        "none": [],
        "any": [1, "x", None, [["in"]]],
        "map": {"k": [{"roles": ["admin"]}]},
        "any map": {1: {2: "two"}},
        "counts": {"a": 1},
        "names": {7: ["seven"]},
    }


def test_flashes_become_ours(gorilla: dict[str, str]) -> None:
    """Those under a key of their own are values, unless one tells the key."""
    found = read(gorilla["flashes"])
    assert found.flashes == [("", "one"), ("", 2), ("", ["deep", None])]
    assert found.values == {"foo": "bar", "warnings": ["red"]}
    both = read(gorilla["flashes"], flash_keys={"_flash": "", "warnings": "warning"})
    assert both.flashes[-1] == ("warning", "red")
    assert both.values == {"foo": "bar"}


def test_an_empty_session(gorilla: dict[str, str]) -> None:
    assert read(gorilla["empty"]).values == {}


def test_forty_levels_are_few(gorilla: dict[str, str]) -> None:
    value = read(gorilla["deep"]).values["deep"]
    for _ in range(39):
        (value,) = value
    assert value == ["bottom"]


@pytest.mark.parametrize(
    "case",
    ["struct", "pointer", "time", "array", "complex", "not UTF-8", "one key", "too deep", "bare", "json"],
)
def test_what_is_not_read_is_refused_and_never_changed(gorilla: dict[str, str], case: str) -> None:
    with pytest.raises(DecodeError, match="unreadable"):
        read(gorilla[case])


@pytest.mark.parametrize(("case", "block"), [("other hash", None), ("other AES", BLOCK[:16])])
def test_older_pairs_of_keys_open(gorilla: dict[str, str], case: str, block: str | None) -> None:
    with pytest.raises(DecodeError, match="forged"):
        read(gorilla[case])
    older = [("not that one", None), (OTHER, block)]
    assert read(gorilla[case], SECRET, BLOCK, older_keys=older).values == PLAIN


@pytest.mark.parametrize(("case", "block"), [("AES-128", 16 * "x"), ("AES-128", None), ("hash only", BLOCK)])
def test_another_block_key_is_unreadable(gorilla: dict[str, str], case: str, block: str | None) -> None:
    with pytest.raises(DecodeError, match=r"unreadable|malformed"):
        read(gorilla[case], SECRET, block)


def test_the_session_s_name_is_signed(gorilla: dict[str, str]) -> None:
    text = gorilla["of the session cart"]
    assert read(text, cookie="cart").values == {"foo": "bar"}
    with pytest.raises(DecodeError, match="forged"):
        read(text)


def test_another_hash(gorilla: dict[str, str]) -> None:
    assert read(gorilla["sha512"], hashalg="sha512").values == {"foo": "bar"}
    with pytest.raises(DecodeError, match="forged"):
        read(gorilla["sha512"])


def test_a_typed_map_of_securecookie(gorilla: dict[str, str]) -> None:
    assert read(gorilla["strings"], SECRET, BLOCK).values == {"foo": "bar"}


def test_json_of_securecookie(gorilla: dict[str, str]) -> None:
    found = read(gorilla["json"], serializer="json")
    assert (found.values, found.flashes) == ({"foo": "<b>&", "n": 1}, [("", "one")])


def test_json_of_no_object_is_unreadable(gorilla: dict[str, str]) -> None:
    with pytest.raises(DecodeError, match="unreadable"):
        read(gorilla["json AES"], SECRET, BLOCK, serializer="json")


# Go 1.21 counts the types of users from 64, not 65; both are in the second half of what follows.
NEWER_GO = bytes.fromhex("0d7f040102ff8000011001100000") + bytes.fromhex(
    "30ff80000206737472696e670c050003666f6f06737472696e670c05000362617203696e740402005403696e7404020056"
)


def test_numbers_of_types_are_not_taken_for_granted() -> None:
    assert read(gorilla_cookie(NEWER_GO, time.time())).values == PLAIN


@pytest.mark.parametrize(
    ("keys", "options", "named"),
    [
        (("",), {}, "hash_key"),
        ((None,), {}, "hash_key"),
        ((b"",), {}, "hash_key"),
        ((SECRET, "short"), {}, "block_key"),
        ((SECRET, ""), {}, "block_key"),
        ((SECRET, 16), {}, "block_key"),
        ((SECRET,), {"older_keys": "old"}, "older_keys"),
        ((SECRET,), {"older_keys": ["old"]}, "older_keys"),
        ((SECRET,), {"older_keys": [("old",)]}, "older_keys"),
        ((SECRET,), {"older_keys": [("", None)]}, "hash_key"),
        ((SECRET,), {"serializer": "pickle"}, "serializer"),
        ((SECRET,), {"hashalg": "none"}, "hashalg"),
        ((SECRET,), {"flash_keys": ["_flash"]}, "flash_keys"),
    ],
)
def test_options_that_are_wrong(keys: Any, options: Any, named: str) -> None:
    with pytest.raises(ConfigError, match=f"'{named}'") as caught:
        GorillaImporter(*keys, until=UNTIL, **options)
    assert caught.value.option == named
    assert OTHER not in str(caught.value)
    assert SECRET not in str(caught.value)
