"""Cookies of the real Pyramid's `SignedCookieSessionFactory`."""

from __future__ import annotations

import json
import pickle
import time
from typing import Any

import pytest
from foreign import SECRET, UNTIL, pyramid_cookie
from webob.cookies import SignedSerializer

from sessions_wsgi import ConfigError, DecodeError, Imported
from sessions_wsgi.importers import PyramidImporter


def read(text: str, key: Any = SECRET, **options: Any) -> Imported:
    return PyramidImporter(key, until=UNTIL, **options).read(text, time.time())


def test_values_come_as_pyramid_gave_them() -> None:
    """The CSRF token and the flash queues among them."""
    values = {"user": "ada", "list": [1, None, {"ü": 0.5}], "_csrft_": "ab12"}
    found = read(pyramid_cookie(values, [("one", ""), ("two", "errors")]))
    assert dict(found.values) == {**values, "_f_": ["one"], "_f_errors": ["two"]}
    assert found.flashes == ()


def test_flash_queues_can_become_our_categories() -> None:
    found = read(pyramid_cookie({"a": 1}, [("one", ""), ("two", "errors"), ("three", "")]), flashes=True)
    assert dict(found.values) == {"a": 1}
    assert sorted(found.flashes) == [("", "one"), ("", "three"), ("errors", "two")]


@pytest.mark.parametrize(
    "options",
    [
        {"hashalg": "sha256"},
        {"hashalg": "sha1"},
        {"salt": "other"},
        {"salt": ""},
        {"salt": "ü"},
        {"salt": "世"},
    ],
    ids=repr,
)
@pytest.mark.parametrize("key", ["plain", "grün", "世界"])
def test_the_options_of_the_factory(options: dict[str, str], key: str) -> None:
    """WebOb writes what is not Latin-1 as UTF-8."""
    assert read(pyramid_cookie({"a": 1}, key=key, **options), key, **options).values == {"a": 1}


def signed(payload: bytes) -> str:
    class Bytes:
        dumps = staticmethod(lambda value: value)

    made: bytes = SignedSerializer(SECRET, "pyramid.session.", serializer=Bytes()).dumps(payload)
    return made.decode()


NOW = int(time.time())


@pytest.mark.parametrize(
    "value",
    [
        *(1, [], [NOW, NOW], [NOW, NOW, {}, 1], [NOW, NOW, []], {"a": 1, "b": 2, "c": 3}),
        *(["x", NOW, {}], [NOW, None, {}], [True, NOW, {}], [NOW, float("nan"), {}], [NOW, -1, {}]),
    ],
    ids=repr,
)
def test_an_authentic_text_that_is_no_session_is_unreadable(value: Any) -> None:
    with pytest.raises(DecodeError, match="unreadable"):
        read(signed(json.dumps(value).encode()))


def test_a_pickle_is_unreadable_and_never_loaded() -> None:
    """Pyramid 1 wrote those."""
    with pytest.raises(DecodeError, match="unreadable"):
        read(signed(pickle.dumps((NOW, NOW, {"a": Bomb()}))))


class Bomb:
    def __reduce__(self) -> Any:
        return pytest.fail, ("it was loaded",)


def test_it_began_when_pyramid_says_and_was_seen_at_its_renewal() -> None:
    found = read(signed(json.dumps([NOW - 5, NOW - 5000.5, {"a": 1}]).encode()))
    assert (found.created, found.last_seen) == (NOW - 5000.5, NOW - 5)


def test_what_pyramid_had_timed_out_is_refused() -> None:
    text = signed(json.dumps([NOW - 1300, NOW - 2000, {"a": 1}]).encode())
    assert read(text).values == {"a": 1}
    with pytest.raises(DecodeError, match="expired"):
        read(text, max_age=1200)


@pytest.mark.parametrize("hashalg", ["", "sha-nothing", None, "shake_128", 5])
def test_a_hash_that_is_none(hashalg: Any) -> None:
    with pytest.raises(ConfigError, match="'hashalg'"):
        PyramidImporter(SECRET, until=UNTIL, hashalg=hashalg)
