"""A wrong option name is refused with the nearest right one, whatever it is given to."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sessions_wsgi import (
    ConfigError,
    CookieOptions,
    CookieStore,
    FileStore,
    Key,
    Lifetime,
    MemoryStore,
    SessionMiddleware,
    SQLiteStore,
    store_from_url,
)
from sessions_wsgi.backends.file import FileBackend
from sessions_wsgi.backends.memcached import MemcachedBackend
from sessions_wsgi.backends.memory import MemoryBackend
from sessions_wsgi.backends.redis import RedisBackend
from sessions_wsgi.backends.sql import SQLBackend
from sessions_wsgi.backends.sqlite import SQLiteBackend
from sessions_wsgi.ext.flask import SessionInterface
from sessions_wsgi.ext.pyramid import session_factory
from sessions_wsgi.importers import (
    BeakerImporter,
    DjangoImporter,
    FlaskImporter,
    GorillaImporter,
    PyramidImporter,
)
from sessions_wsgi.testing import Client

KEY = "tGq7dYw2Lk0vXo4sRz9BfUc1MhJe6NpAiKx3WyTb5Qg"
UNTIL = datetime(2100, 1, 1, tzinfo=UTC)


def app(environ: Any, start_response: Any) -> list[bytes]:
    return []


MAKERS: dict[str, tuple[Callable[..., Any], str]] = {
    "cookie": (lambda **wrong: CookieStore(KEY, **wrong), "encrypt"),
    "file": (lambda **wrong: FileStore("x", KEY, **wrong), "durability"),
    "sqlite": (lambda **wrong: SQLiteStore("x", KEY, **wrong), "conflict"),
    "memory": (lambda **wrong: MemoryStore(KEY, **wrong), "max_bytes"),
    "url": (lambda **wrong: store_from_url("redis://localhost", KEY, **wrong), "timeout"),
    "middleware": (lambda **wrong: SessionMiddleware(app, MemoryStore(KEY), **wrong), "save_on_error"),
    "cookie options": (CookieOptions, "samesite"),
    "lifetime": (Lifetime, "absolute"),
    "key": (lambda **wrong: Key(KEY, **wrong), "accept_until"),
    "files": (lambda **wrong: FileBackend("x", **wrong), "durability"),
    "one file": (lambda **wrong: SQLiteBackend("x", **wrong), "timeout"),
    "a process": (MemoryBackend, "max_bytes"),
    "redis": (lambda **wrong: RedisBackend("redis://localhost", **wrong), "prefix"),
    "sql": (lambda **wrong: SQLBackend("sqlite:///x.db", **wrong), "table"),
    "memcached": (lambda **wrong: MemcachedBackend("localhost", **wrong), "timeout"),
    "pyramid": (lambda **wrong: session_factory(MemoryStore(KEY), **wrong), "cache_control"),
    "flask": (SessionInterface, "store"),
    "client": (lambda **wrong: Client(app, **wrong), "base_url"),
    "flask's cookies": (lambda **wrong: FlaskImporter(KEY, **wrong), "until"),
    "django's": (lambda **wrong: DjangoImporter(KEY, until=UNTIL, **wrong), "max_age"),
    "pyramid's": (lambda **wrong: PyramidImporter(KEY, until=UNTIL, **wrong), "hashalg"),
    "beaker's": (lambda **wrong: BeakerImporter(KEY, until=UNTIL, **wrong), "encrypt_nonce_bits"),
    "gorilla's": (lambda **wrong: GorillaImporter(KEY, until=UNTIL, **wrong), "principal"),
}


@pytest.mark.parametrize("maker", MAKERS)
def test_a_wrong_name_is_refused_with_the_nearest_right_one(maker: str) -> None:
    make, right = MAKERS[maker]
    wrong = right[:-2] + right[-1] + right[-2]
    with pytest.raises(ConfigError, match=rf"has no option '{wrong}'; did you mean '{right}'\?") as caught:
        make(**{wrong: None})
    assert caught.value.option == wrong


def test_what_is_like_no_other_is_answered_with_all_there_are() -> None:
    with pytest.raises(ConfigError, match="known: absolute, idle, touch_after"):
        Lifetime(xyz=1)  # type: ignore[call-arg]


def test_the_value_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        Key(secrets=KEY)  # type: ignore[arg-type]
    assert KEY not in str(caught.value)


def test_what_is_missing_is_still_an_error() -> None:
    with pytest.raises(TypeError, match="stores"):
        SessionMiddleware(app)  # type: ignore[call-arg]


def test_the_signature_is_still_told() -> None:
    assert list(inspect.signature(Lifetime).parameters) == ["absolute", "idle", "touch_after"]


def test_a_copy_may_be_changed_in_part() -> None:
    assert replace(CookieOptions(path="/a"), domain="example.com").path == "/a"


@pytest.mark.parametrize("name", ["name", "cookie_name"])
@pytest.mark.parametrize("maker", ["cookie", "memory", "middleware", "cookie options", "url"])
def test_the_name_of_the_cookie_is_that_of_the_session(maker: str, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"'{name}'; the name is the session's: SessionMiddleware\(app, "):
        MAKERS[maker][0](**{name: "shop"})


def test_what_takes_a_store_only_says_who_takes_the_rest() -> None:
    with pytest.raises(
        ConfigError, match="SessionInterface has no option 'encrypt'; it is given to the store"
    ):
        SessionInterface(CookieStore(KEY), encrypt=True)  # type: ignore[call-arg]
