"""XAES-256-GCM against its specification, https://c2sp.org/XAES-256-GCM, and an independent reading of it."""

from __future__ import annotations

import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given, settings
from hypothesis import strategies as st

from sessions_wsgi._xaes import KEY_SIZE, NONCE_SIZE, TAG_SIZE, XAES256GCM

PROPERTY = settings(deadline=None, derandomize=True, database=None)
VECTORS = json.loads((Path(__file__).parent / "vectors" / "xaes.json").read_text("utf-8"))

KEY, NONCE = bytes(range(32)), bytes(range(100, 124))


def cmac(key: bytes, message: bytes) -> bytes:
    context = CMAC(AES(key))
    context.update(message)
    return context.finalize()


def message_key(key: bytes, nonce: bytes) -> bytes:
    """As the specification words it: two CMACs, counter mode of SP 800-108 with the label "X"."""
    return cmac(key, b"\x00\x01X\x00" + nonce[:12]) + cmac(key, b"\x00\x02X\x00" + nonce[:12])


def by_the_book(key: bytes, nonce: bytes, data: bytes, associated: bytes) -> bytes:
    return AESGCM(message_key(key, nonce)).encrypt(nonce[12:], data, associated)


@pytest.mark.parametrize("vector", VECTORS["single"], ids=lambda vector: vector["key"][:2])
def test_published_vector(vector: dict[str, str]) -> None:
    """The two of the specification; the second one takes the branch of CMAC's 0x87."""
    key, nonce, data, associated, text = (
        bytes.fromhex(vector[name]) for name in ("key", "nonce", "plaintext", "associated", "text")
    )
    assert XAES256GCM(key).seal(nonce, data, associated) == text
    assert XAES256GCM(key).open(nonce, text, associated) == data
    assert message_key(key, nonce).hex() == vector["message_key"]


@pytest.mark.parametrize("vector", VECTORS["accumulated"], ids=lambda vector: vector["iterations"])
def test_published_accumulated_vector(vector: dict[str, object]) -> None:
    """Random keys, nonces, texts and associated data from SHAKE-128, all texts hashed together."""
    stream, at = hashlib.shake_128().digest(4_000_000), 0
    assert stream[:16].hex() == "7f9c2ba4e88f827d616045507605853e"

    def take(count: int) -> bytes:
        nonlocal at
        at += count
        assert at <= len(stream)
        return stream[at - count : at]

    found = hashlib.shake_128()
    for _ in range(int(str(vector["iterations"]))):
        key, nonce = take(KEY_SIZE), take(NONCE_SIZE)
        data = take(take(1)[0])
        associated = take(take(1)[0])
        cipher = XAES256GCM(key)
        text = cipher.seal(nonce, data, associated)
        assert cipher.open(nonce, text, associated) == data
        found.update(text)
    assert found.hexdigest(32) == vector["shake_128"]


@PROPERTY
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=24, max_size=24), st.binary(), st.binary())
def test_seals_as_two_cmacs_and_gcm_do(key: bytes, nonce: bytes, data: bytes, associated: bytes) -> None:
    text = XAES256GCM(key).seal(nonce, data, associated)
    assert text == by_the_book(key, nonce, data, associated)
    assert XAES256GCM(key).open(nonce, text, associated) == data


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 3000, 1_000_000])
def test_a_text_is_a_tag_longer_than_its_data(size: int) -> None:
    assert len(XAES256GCM(KEY).seal(NONCE, bytes(size), b"")) == size + TAG_SIZE


def test_every_bit_counts() -> None:
    """Of key, nonce, text and associated data: with one other bit nothing opens."""
    whole = [KEY, NONCE, XAES256GCM(KEY).seal(NONCE, b"data", b"for"), b"for"]
    for part, octets in enumerate(whole):
        for bit in range(8 * len(octets)):
            other = list(whole)
            other[part] = (int.from_bytes(octets, "big") ^ (1 << bit)).to_bytes(len(octets), "big")
            key, nonce, text, associated = other
            with pytest.raises(InvalidTag):
                XAES256GCM(key).open(nonce, text, associated)


@pytest.mark.parametrize("length", range(TAG_SIZE))
def test_what_is_shorter_than_a_tag_does_not_open(length: int) -> None:
    with pytest.raises(InvalidTag):
        XAES256GCM(KEY).open(NONCE, bytes(length), b"")


def test_any_thread_may_use_one_cipher() -> None:
    """A context of the block cipher must not be shared: each thread keeps its own."""
    cipher, start = XAES256GCM(KEY), threading.Barrier(8)

    def work(thread: int) -> bool:
        start.wait()
        for number in range(200):
            nonce = hashlib.shake_128(b"%d %d" % (thread, number)).digest(NONCE_SIZE)
            if cipher.open(nonce, by_the_book(KEY, nonce, b"data", b""), b"") != b"data":
                return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_no_repr_shows_the_key() -> None:
    assert KEY.hex() not in repr(XAES256GCM(KEY))
    assert repr(KEY)[2:-1] not in repr(XAES256GCM(KEY))
