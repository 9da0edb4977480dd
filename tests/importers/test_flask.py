"""Cookies of the real Flask."""

from __future__ import annotations

import hashlib
import json
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from flask.sessions import SecureCookieSessionInterface
from foreign import SECRET, UNTIL, flask_cookie
from itsdangerous import URLSafeTimedSerializer
from markupsafe import Markup

from sessions_wsgi import ConfigError, DecodeError, Imported
from sessions_wsgi.importers import FlaskImporter


def read(text: str, key: Any = SECRET, **options: Any) -> Imported:
    return FlaskImporter(key, until=UNTIL, **options).read(text, time.time())


@pytest.mark.parametrize(
    "value",
    [
        1,
        2**80,
        -0.5,
        True,
        None,
        "ü",
        "x" * 3000,
        [],
        [1, [2]],
        {},
        {"a": {"b": []}},
        (1, (2, [3])),
        (),
        b"\0\xff",
        UUID(int=5),
        datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC),
        {" t": 1},
        {" di": {" t": 1}},
        {" t__": 1},
        {" od": 1},
        {" t": 1, "other": 2},
    ],
    ids=repr,
)
def test_a_value_comes_as_flask_gave_it(value: Any) -> None:
    """Its tags, and dicts that only look like one."""
    found = read(flask_cookie({"value": value})).values["value"]
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("value", "comes_as"),
    [
        (Markup("<b>"), "<b>"),
        ({1: 2}, {"1": 2}),
        (Decimal("1.50"), "1.50"),
        (date(2020, 1, 2), "Thu, 02 Jan 2020 00:00:00 GMT"),
    ],
    ids=repr,
)
def test_what_flask_changed_itself_comes_as_it_wrote_it(value: Any, comes_as: Any) -> None:
    found = read(flask_cookie({"value": value})).values["value"]
    assert (type(found), found) == (type(comes_as), comes_as)


def test_markup_can_stay_markup() -> None:
    """Where the store's serializer keeps it."""
    found = read(flask_cookie({"value": Markup("<b>")}), tags={" m": Markup}).values["value"]
    assert type(found) is Markup


def test_flashes_become_ours_in_their_categories() -> None:
    found = read(flask_cookie({"a": 1}, [("one", "message"), ("two", "error"), (Markup("<b>"), "error")]))
    assert dict(found.values) == {"a": 1}
    assert found.flashes == [("message", "one"), ("error", "two"), ("error", "<b>")]


def test_flashes_can_stay_among_the_values() -> None:
    found = read(flask_cookie({}, [("one", "message")]), flashes=False)
    assert (dict(found.values), found.flashes) == ({"_flashes": [("message", "one")]}, ())


def test_permanent_stays_among_the_values() -> None:
    assert read(flask_cookie({"_permanent": True})).values == {"_permanent": True}


def test_fallback_keys_open() -> None:
    """The newest first, as everywhere in this package."""
    assert read(flask_cookie({"a": 1}, key="old"), ["new", "old"]).values == {"a": 1}


def test_a_key_may_be_bytes() -> None:
    assert read(flask_cookie({"a": 1}, key=b"\xff\0"), b"\xff\0").values == {"a": 1}


def test_a_str_is_one_key_and_not_a_list_of_letters() -> None:
    with pytest.raises(DecodeError, match="forged"):
        read(flask_cookie({"a": 1}, key="a"), "abc")


def test_salt_and_hash_of_a_subclass() -> None:
    class Interface(SecureCookieSessionInterface):
        salt = "other"
        digest_method = staticmethod(hashlib.sha512)

    text = flask_cookie({"a": 1}, interface=Interface())
    assert read(text, salt="other", hashalg="sha512").values == {"a": 1}
    with pytest.raises(DecodeError, match="forged"):
        read(text)


def signed(payload: Any) -> str:
    """Signed with the right key, by a program with faults."""
    signer: Any = {"key_derivation": "hmac", "digest_method": hashlib.sha1}
    made = URLSafeTimedSerializer(SECRET, salt="cookie-session", serializer=json, signer_kwargs=signer)
    return str(made.dumps(payload))


@pytest.mark.parametrize(
    "payload",
    [
        1,
        [],
        {"a": {" t": 1}},
        {"a": {" u": 1}},
        {"a": {" u": "x"}},
        {"a": {" b": 1}},
        {"a": {" d": "never"}},
        {"a": {" di": 1}},
        {" t": []},
        {"_flashes": 1},
        {"_flashes": [[1]]},
        {"a": "\ud800"},
        {"\ud800": 1},
        {"a": "x" * 2**19},
    ],
    ids=lambda payload: repr(payload)[:30],
)
def test_an_authentic_text_that_flask_cannot_have_written_is_unreadable(payload: Any) -> None:
    """Also one that would inflate to half a megabyte."""
    with pytest.raises(DecodeError, match="unreadable"):
        read(signed(payload))


@pytest.mark.parametrize("levels", [70, 300])
def test_what_no_store_keeps_is_unreadable(levels: int) -> None:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    with pytest.raises(DecodeError, match="unreadable"):
        read(signed({"a": value}))


@pytest.mark.parametrize("tags", [1, ["x"], {" m": 1}])
def test_tags_that_are_none(tags: Any) -> None:
    with pytest.raises(ConfigError, match="'tags'"):
        FlaskImporter(SECRET, until=UNTIL, tags=tags)
