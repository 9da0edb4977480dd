"""Cookies of the real Beaker."""

from __future__ import annotations

import hmac
import json
import pickle
import time
import zlib
from base64 import b64encode
from typing import Any

import pytest
from foreign import LIBRARIES, SECRET, UNTIL, beaker_cookie

from sessions_wsgi import ConfigError, DecodeError, Imported
from sessions_wsgi.importers import BeakerImporter

KINDS = [name for name in LIBRARIES if name.startswith("beaker")]
VALUES = {"user": "ada", "list": [1, None, {"ü": 0.5}], "_mine": 1}


def read(text: str, *keys: Any, **options: Any) -> Imported:
    return BeakerImporter(*(keys or (SECRET,)), until=UNTIL, **options).read(text, time.time())


@pytest.mark.parametrize("kind", KINDS)
def test_values_come_as_beaker_gave_them(kind: str) -> None:
    """Without what it keeps among them for itself: its id, times, domain and path."""
    found = LIBRARIES[kind].reads().read(LIBRARIES[kind].cookie(VALUES), time.time())
    assert dict(found.values) == VALUES


@pytest.mark.parametrize("options", [{}, {"encrypt_key": "key"}], ids=["signed", "encrypted"])
def test_a_pickle_is_unreadable_and_never_loaded(options: Any) -> None:
    text = beaker_cookie({"a": Bomb()}, serializer="pickle", **options)
    with pytest.raises(DecodeError, match="unreadable"):
        read(text, SECRET, options.get("encrypt_key"))


class Bomb:
    def __reduce__(self) -> Any:
        return pytest.fail, ("it was loaded",)


@pytest.mark.parametrize("key", [None, "other key"])
def test_without_the_right_encrypt_key_it_is_unreadable(key: str | None) -> None:
    with pytest.raises(DecodeError, match=r"unreadable|malformed"):
        read(beaker_cookie(VALUES, encrypt_key="key"), SECRET, key)


def signed(payload: bytes) -> str:
    text = b64encode(payload).decode()
    return hmac.new(SECRET.encode(), text.encode(), "sha1").hexdigest() + text


NOW = time.time()
TIMES = {"_accessed_time": NOW, "_creation_time": NOW}


def test_json_of_old_versions_was_not_compressed() -> None:
    assert read(signed(json.dumps({"a": 1, **TIMES}).encode())).values == {"a": 1}


def test_it_began_when_beaker_says_and_was_seen_at_its_last_save() -> None:
    times = {"_accessed_time": NOW - 5, "_creation_time": NOW - 5000}
    found = read(signed(json.dumps(times).encode()))
    assert (found.created, found.last_seen) == (NOW - 5000, NOW - 5)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"{}",
        zlib.compress(b"[]"),
        zlib.compress(b"\xff"),
        zlib.compress(json.dumps({"a": 1, **TIMES}).encode())[:-1],
        zlib.compress(json.dumps({"a": 1, **TIMES}).encode()) + b"x",
        zlib.compress(json.dumps({"a": "x" * 2**19, **TIMES}).encode()),
        pickle.dumps({"a": 1, **TIMES}),
        json.dumps({**TIMES, "_accessed_time": "now"}).encode(),
        json.dumps({**TIMES, "_creation_time": float("inf")}).encode(),
    ],
    ids=lambda payload: repr(payload[:12]),
)
def test_an_authentic_text_that_is_no_session_is_refused(payload: bytes) -> None:
    with pytest.raises(DecodeError, match=r"unreadable|malformed"):
        read(signed(payload))


@pytest.mark.parametrize("bits", [0, -8, 47, "128", None, True])
def test_a_nonce_of_no_bytes(bits: Any) -> None:
    with pytest.raises(ConfigError, match="'encrypt_nonce_bits'"):
        BeakerImporter(SECRET, until=UNTIL, encrypt_nonce_bits=bits)
