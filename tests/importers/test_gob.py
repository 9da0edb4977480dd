"""The reader of gobs, on bytes that nobody meant well."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions_wsgi.importers._gob import GobError, loads

# {"foo": "bar", 42: 43} by Go 1.19.
WHOLE = bytes.fromhex("0eff81040102ff82000110011000003000ff82"[:30]) + bytes.fromhex(
    "30ff82000206737472696e670c050003666f6f06737472696e670c05000362617203696e740402005403696e7404020056"
)
MAP = bytes.fromhex("0eff81040102ff8200011001100000")
SLICE = bytes.fromhex("0cff83020102ff840001100000")


def test_the_sample() -> None:
    assert loads(WHOLE) == {"foo": "bar", 42: 43}


@pytest.mark.parametrize("end", range(len(WHOLE)))
def test_what_was_cut_is_refused(end: int) -> None:
    with pytest.raises(GobError):
        loads(WHOLE[:end])


@pytest.mark.parametrize(
    "data",
    [
        WHOLE + b"\0",
        MAP + MAP + WHOLE[len(MAP) :],  # a type is defined twice
        MAP + bytes.fromhex("09ff8200f8ffffffffffffffff"),  # 2**64 - 1 entries
        MAP + bytes.fromhex("04ff820005"),  # five, and none there
        bytes.fromhex("f8ffffffffffffffff"),  # a message of 2**64 - 1 bytes
        bytes.fromhex("0380fe00"),  # a number of 128 bytes
        bytes.fromhex("03020002"),  # neither true nor false
        bytes.fromhex("0302000101"),  # something follows
        bytes.fromhex("0a020001"),  # a message that is shorter than it says
        bytes.fromhex("03ff8200"),  # of a type that is not defined
        bytes.fromhex("0302010a"),  # a value with a field
        bytes.fromhex("030e0000"),  # complex
        b"",
        b"\0",
        b"\x01\x00",
    ],
    ids=lambda data: data[:16].hex(),
)
def test_nonsense_is_refused(data: bytes) -> None:
    with pytest.raises(GobError):
        loads(data)


def test_an_endless_nest_is_refused() -> None:
    """Each level takes a few bytes only."""
    level = b"\x0d[]interface {}\xff\x84\x01\x00\x01"
    body = b"\xff\x82\x00\x01\x03int\x04\x02\x00\x02" + level * 5000
    data = MAP + SLICE + b"\xfd" + len(body).to_bytes(3) + body
    with pytest.raises(GobError):
        loads(data)


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(data: bytes) -> None:
    with contextlib.suppress(GobError):
        loads(data)


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_a_changed_byte_raises_nothing_else(position: int, byte: int) -> None:
    with contextlib.suppress(GobError):
        loads(WHOLE[:position] + bytes([byte]) + WHOLE[position + 1 :])
