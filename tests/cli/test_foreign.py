"""Cookies of other libraries are told as theirs, and what is random as nobody's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shell import NOW, Done

from sessions_wsgi.cli._foreign import foreign

GORILLA = (
    "MTYwMDAwMDAwMHxEdi1CQkFFQ180SUFBUkFCRUFBQUlQLUNBQUVHYzNSeWFXNW5EQVVBQTJadmJ3WnpkSEpwYm1jTUJRQURZbUZ5fPkG"
    "jvvt2s-bfd4uxZpkWMoXNR7cqw5m4vCflJI-wQWs"
)
SECRET = "not-for-anything-but-this-test-0123456789"
DATA = {"user": "ada", "cart": ["apple"] * 20}


def flask() -> str:
    module = pytest.importorskip("flask")
    app = module.Flask("app")
    app.secret_key = SECRET
    serializer = app.session_interface.get_signing_serializer(app)
    return str(serializer.dumps(DATA))


def flask_small() -> str:
    module = pytest.importorskip("flask")
    app = module.Flask("app")
    app.secret_key = SECRET
    return str(app.session_interface.get_signing_serializer(app).dumps({"a": 1}))


def starlette() -> str:
    from base64 import b64encode

    from itsdangerous import TimestampSigner

    return TimestampSigner(SECRET).sign(b64encode(b'{"user":1}')).decode()


def django() -> str:
    return django_signed(DATA, compress=False)


def django_compressed() -> str:
    return django_signed({"a": "b" * 999}, compress=True)


def django_signed(value: Any, *, compress: bool) -> str:
    signing = pytest.importorskip("django.core.signing")
    salt = "django.contrib.sessions.backends.signed_cookies"
    signer = signing.TimestampSigner(key=SECRET, salt=salt, fallback_keys=())
    return str(signer.sign_object(value, compress=compress))


def pyramid() -> str:
    cookies, session = pytest.importorskip("webob.cookies"), pytest.importorskip("pyramid.session")
    assert session.SignedCookieSessionFactory
    serializer = cookies.SignedSerializer(SECRET, "pyramid.session.", "sha512")
    return serializer.dumps([NOW, NOW - 5, DATA]).decode()


def fernet() -> str:
    from cryptography.fernet import Fernet

    return Fernet(Fernet.generate_key()).encrypt(b"{}").decode()


LIBRARIES: dict[str, tuple[Callable[[], str], bool]] = {
    "Flask (itsdangerous)": (flask, True),
    "Starlette": (starlette, True),
    "Django (signed cookies)": (django, True),
    "gorilla/securecookie": (lambda: GORILLA, True),
    "Pyramid (signed cookies)": (pyramid, True),
    "Fernet (aiohttp-session, starsessions)": (fernet, True),
    "a JSON web token": (lambda: "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ." + "a" * 43, False),
    "Beaker (a signed id)": (lambda: "0f" * 20 + "ab" * 16, False),
    "Beaker (cookie sessions)": (lambda: "0f" * 20 + "gAJ9cQFYBwAAAF9zYXZlZHE=", False),
    "Express (a signed id)": (lambda: "s%3A" + "Ab1_" * 8 + "." + "Ab1%2B" * 8, False),
    "Rails (signed)": (lambda: "eyJhIjoxfQ%3D%3D--" + "0f" * 20, False),
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_cookie_is_told_as_its_library_s(library: str, cli: Callable[..., Done]) -> None:
    make, _ = LIBRARIES[library]
    done = cli("inspect", "--json", f"theirs={make()}")
    [report] = done.data["cookies"]
    assert (report["format"], report["library"]) == ("foreign", library)
    assert done.status == 1, "it is none of ours"


@pytest.mark.parametrize("library", [name for name, (_, dated) in LIBRARIES.items() if dated])
def test_its_age_is_told_where_it_says_so(library: str) -> None:
    found = foreign(LIBRARIES[library][0]())
    assert found is not None
    assert found.made is not None
    assert 1.5e9 < found.made < 4e9


@pytest.mark.parametrize("make", [flask_small, django_compressed])
def test_small_and_compressed_ones_are_told_too(make: Callable[[], str]) -> None:
    assert foreign(make()) is not None


def test_its_data_stays_where_it_is(cli: Callable[..., Done]) -> None:
    done = cli("inspect", f"session={flask_small()}")
    assert "Flask" in done.out
    assert json.dumps({"a": 1}) not in done.out


@given(st.text(max_size=200))
def test_any_text_is_told_as_something(text: str) -> None:
    foreign(text)


@given(st.text("abc0123456789ABC-_=.:|+/%", max_size=120))
def test_any_text_of_their_letters_is_told_as_something(text: str) -> None:
    foreign(text)


@pytest.mark.parametrize("text", ["", ".", "..", "::", "s:", "--", "a.b.c", "e30.e30.e30", "[" * 5000])
def test_what_is_hardly_a_cookie_is_nobody_s(text: str) -> None:
    found: Any = foreign(text)
    assert found is None
