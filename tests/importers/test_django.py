"""Cookies of the real Django's ``signed_cookies``."""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from django.core.signing import b62_encode
from foreign import SECRET, UNTIL, django_cookie

from sessions_wsgi import DecodeError, Imported
from sessions_wsgi.importers import DjangoImporter


def read(text: str, key: Any = SECRET, **options: Any) -> Imported:
    return DjangoImporter(key, until=UNTIL, **options).read(text, time.time())


VALUES = {
    "_auth_user_id": "7",
    "_auth_user_backend": "django.contrib.auth.backends.ModelBackend",
    "_session_expiry": 3600,
    "_messages": '[["__json_message",0,20,"Hello",""]]',
    "text": "ü",
    "list": [1, None, {"a": 0.5}],
}


def test_values_come_as_django_gave_them() -> None:
    """Its own keys stay where they are: for the engine, and for the application."""
    assert read(django_cookie(VALUES)).values == VALUES


def test_a_compressed_cookie() -> None:
    text = django_cookie({"list": ["x"] * 500})
    assert text.startswith(".")
    assert read(text).values == {"list": ["x"] * 500}


def test_fallback_keys_open() -> None:
    assert read(django_cookie({"a": 1}, key="old"), ["new", "old"]).values == {"a": 1}


def test_the_user_is_who_is_signed_in() -> None:
    """As the application tells."""
    who = lambda values: values["_auth_user_id"]  # noqa: E731
    assert read(django_cookie(VALUES), principal=who).principal == "7"
    assert read(django_cookie({"a": 1}), principal=who).principal is None


def test_another_salt_is_another_use() -> None:
    with pytest.raises(DecodeError, match="forged"):
        read(django_cookie({"a": 1}), salt="django.core.signing")


def signed(payload: bytes, moment: str | None = None) -> str:
    """Signed with the right key, by a program with faults."""
    moment = b62_encode(int(time.time())) if moment is None else moment
    text = urlsafe_b64encode(payload).rstrip(b"=") + f":{moment}".encode()
    key = hashlib.sha256(b"django.contrib.sessions.backends.signed_cookies" + b"signer" + SECRET.encode())
    signature = urlsafe_b64encode(hmac.digest(key.digest(), text, "sha256")).rstrip(b"=")
    return f"{text.decode()}:{signature.decode()}"


def test_the_helper_signs_as_django_does() -> None:
    assert read(signed(b'{"a":1}')).values == {"a": 1}


@pytest.mark.parametrize("payload", [b"", b"1", b"[]", b"\x80\x05}.", b"{" * 2000, b'{"a":"\\ud800"}'])
def test_an_authentic_text_that_is_no_session_is_unreadable(payload: bytes) -> None:
    """A pickle among them, Django's default until 1.6."""
    with pytest.raises(DecodeError, match="unreadable"):
        read(signed(payload))


@pytest.mark.parametrize("moment", ["", "-1", "!", "z" * 12, "z" * 900])
def test_a_time_that_is_none(moment: str) -> None:
    with pytest.raises(DecodeError, match=r"unreadable|expired"):
        read(signed(b"{}", moment))
