"""Django: a small site and the engine's contract, with Django's own engines and with ours side by side."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from http.cookies import Morsel
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import django
import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.core.management import call_command
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from django.utils import timezone
from django.utils.safestring import mark_safe

from sessions_wsgi import (
    BackendError,
    CBORSerializer,
    ConfigError,
    CookieOptions,
    CookieStore,
    JSONSerializer,
    Key,
    Lifetime,
    SerializeError,
    ServerStore,
    UsageError,
)
from sessions_wsgi.backends.memory import MemoryBackend
from sessions_wsgi.cli import main
from sessions_wsgi.ext import _django_settings
from sessions_wsgi.ext._django_engine import Engine
from sessions_wsgi.ext.django import SessionStore
from sessions_wsgi.importers import DjangoImporter
from sessions_wsgi.session import Session
from sessions_wsgi.testing import ManualClock

KEY = "tGq7dYw2Lk0vXo4sRz9BfUc1MhJe6NpAiKx3WyTb5Qg"
OTHER_KEY = "Zr8nVt5xHq2JmLw0EoKb7CsPd4YgXf9UaTi1NvRh6Mk"
OURS = "sessions_wsgi.ext.django"
MONTH = 30 * 24 * 3600
FORTNIGHT = 14 * 24 * 3600

# Django's own engines, and ours with its URLs; {0} is an empty directory.
DJANGOS = ["db", "cached_db", "cache", "file", "signed_cookies"]
STORES = ["cookie:", "memory:", "sqlite:///{0}/sessions.db", "file:///{0}/sessions"]
ON_SERVERS = ["db", "cache", "file", *STORES[1:]]
ALL = [*DJANGOS, *STORES]

since_5_1 = pytest.mark.skipif(django.VERSION < (5, 1), reason="sessions have async twins since Django 5.1")


def name_of(engine: str) -> str:
    return f"ours-{engine.partition(':')[0]}" if ":" in engine else f"django-{engine}"


def each(engines: list[str]) -> Any:
    """Run a test with each of these engines."""
    return pytest.mark.parametrize("engine", engines, ids=name_of, indirect=True)


pytestmark = pytest.mark.usefixtures("django_project")


@pytest.fixture
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The engine under test, in the settings; the name that its parameter has."""
    chosen: str = getattr(request, "param", "memory:")
    (tmp_path / "sessions").mkdir(mode=0o700)
    if ":" in chosen:
        values = {"SESSION_ENGINE": OURS, "SESSIONS_WSGI_STORE": chosen.format(tmp_path)}
    else:
        values = {"SESSION_ENGINE": f"django.contrib.sessions.backends.{chosen}"}
    with override_settings(SESSION_FILE_PATH=str(tmp_path / "sessions"), **values):
        yield chosen


@pytest.fixture
def make(engine: str) -> type[Any]:
    """The class of the engine's sessions."""
    found: type[Any] = import_module(settings.SESSION_ENGINE).SessionStore
    return found


@pytest.fixture
def ada() -> Iterator[Any]:
    """Somebody who has an account; nobody has one afterwards."""
    from django.contrib.auth.models import User

    yield User.objects.create_user("ada", password="lovelace-1815")
    User.objects.all().delete()


@pytest.fixture
def client(engine: str) -> Client:
    return Client()


def with_store(store: Any, **more: Any) -> Any:
    return override_settings(SESSION_ENGINE=OURS, SESSIONS_WSGI_STORE=store, **more)


def sign_in(client: Client, **more: str) -> Any:
    return client.post("/sign-in", {"username": "ada", "password": "lovelace-1815", **more})


def sent(response: Any) -> Morsel[str] | None:
    """The session's cookie that a response sets."""
    return response.cookies.get("sessionid")  # type: ignore[no-any-return]


# The site of a tutorial


STORAGES = ["session.SessionStorage", "cookie.CookieStorage", "fallback.FallbackStorage"]


@each(ALL)
@pytest.mark.parametrize("storage", STORAGES)
def test_a_visitor_signs_up_out_and_in_again(client: Client, ada: Any, storage: str) -> None:
    account = {"username": "grace", "password1": "hopper-1906", "password2": "hopper-1906"}
    with override_settings(MESSAGE_STORAGE=f"django.contrib.messages.storage.{storage}"):
        page = client.post("/sign-up", account, follow=True)
        assert page.content.decode() == "hello grace\nsuccess: Your account is ready"
        assert client.get("/").content == b"hello grace", "a message is shown once"
        assert client.get("/sign-out", follow=True).content == b"hello stranger\ninfo: See you"
        assert client.get("/members").status_code == 302
        assert sign_in(client).status_code == 302
        assert client.get("/").content == b"hello ada\ninfo: Welcome back"
        assert client.get("/members").content == b"members only"


@each(ALL)
def test_a_wrong_password_signs_nobody_in(client: Client, ada: Any) -> None:
    assert client.post("/sign-in", {"username": "ada", "password": "babbage"}).status_code == 422
    assert client.get("/").content == b"hello stranger"


@each(ALL)
def test_to_be_remembered_keeps_the_cookie_for_a_month(client: Client, ada: Any) -> None:
    cookie = sent(sign_in(client, remember="on"))
    assert cookie is not None
    assert cookie["max-age"] == MONTH
    assert cookie["httponly"] is True
    assert cookie["samesite"] == "Lax"


@each(ALL)
def test_not_to_be_remembered_keeps_it_until_the_browser_closes(client: Client, ada: Any) -> None:
    cookie = sent(sign_in(client))
    assert cookie is not None
    assert cookie["max-age"] == cookie["expires"] == ""


@each(ALL)
def test_what_an_anonymous_visitor_gathered_is_there_after_the_sign_in(client: Client, ada: Any) -> None:
    client.get("/cart/add/apple")
    sign_in(client)
    assert client.get("/cart").content == b"apple"


@each(ALL)
def test_another_user_finds_nothing_of_the_one_before(client: Client, ada: Any) -> None:
    sign_in(client)
    client.get("/cart/add/apple")
    account = {"username": "grace", "password1": "hopper-1906", "password2": "hopper-1906"}
    client.post("/sign-up", account)
    assert client.get("/cart").content == b""


@each(ON_SERVERS)
def test_the_key_from_before_a_sign_in_is_worth_nothing_after_it(client: Client, ada: Any) -> None:
    client.get("/cart/add/apple")
    old = client.cookies["sessionid"].value
    sign_in(client)
    assert client.cookies["sessionid"].value != old
    client.cookies["sessionid"] = old
    assert client.get("/members").status_code == 302


@each(ON_SERVERS)
def test_a_copy_of_the_cookie_is_worth_nothing_after_the_sign_out(client: Client, ada: Any) -> None:
    sign_in(client)
    copy = client.cookies["sessionid"].value
    client.get("/sign-out")
    client.cookies["sessionid"] = copy
    assert client.get("/members").status_code == 302


@each(ALL)
def test_a_change_of_the_password_signs_all_others_out(client: Client, ada: Any) -> None:
    elsewhere = Client()
    sign_in(client)
    sign_in(elsewhere)
    form = {"old_password": "lovelace-1815", "new_password1": "x-babbage-91", "new_password2": "x-babbage-91"}
    assert elsewhere.post("/password", form).content == b"changed"
    assert client.get("/members").status_code == 302


@each(ALL)
def test_the_client_of_the_tests_signs_in_by_itself(client: Client, ada: Any) -> None:
    client.force_login(ada)
    assert client.get("/").content == b"hello ada"
    client.logout()
    assert client.get("/").content == b"hello stranger"


@each(ALL)
def test_the_client_of_the_tests_writes_a_session(client: Client) -> None:
    session = client.session
    session["cart"] = ["pear"]
    session.save()
    if engine_seals_values():
        client.cookies["sessionid"] = session.session_key
    assert client.get("/cart").content == b"pear"


def engine_seals_values() -> bool:
    """Whether the key changes with the values: then Django's own client, too, must be given the new one."""
    return (
        "signed_cookies" in settings.SESSION_ENGINE
        or getattr(settings, "SESSIONS_WSGI_STORE", "") == "cookie:"
    )


@each(ALL)
def test_the_test_cookie_works(client: Client) -> None:
    client.get("/test-cookie")
    assert client.post("/test-cookie").content == b"works"


# What the middleware sends, and when


@each(ALL)
def test_who_does_not_ask_for_the_session_gets_no_cookie(client: Client) -> None:
    response = client.get("/plain")
    assert sent(response) is None
    assert not response.has_header("Vary")


@each(ALL)
def test_to_read_sends_no_cookie_but_varies(client: Client) -> None:
    client.get("/cart/add/apple")
    response = client.get("/cart")
    assert sent(response) is None
    assert response["Vary"] == "Cookie"


@each(ALL)
def test_every_request_saves_if_the_settings_say_so(client: Client) -> None:
    client.get("/cart/add/apple")
    with override_settings(SESSION_SAVE_EVERY_REQUEST=True):
        cookie = sent(client.get("/plain"))
    assert cookie is not None
    assert cookie["max-age"] == FORTNIGHT


@each(ALL)
def test_a_failed_response_saves_nothing(client: Client) -> None:
    client.get("/cart/add/apple")
    assert sent(client.get("/fail")) is None
    assert client.get("/cart").content == b"apple"


@each(ALL)
def test_a_sign_out_deletes_the_cookie(client: Client, ada: Any) -> None:
    client.force_login(ada)
    with override_settings(MESSAGE_STORAGE="django.contrib.messages.storage.cookie.CookieStorage"):
        cookie = sent(client.get("/sign-out"))
    assert cookie is not None
    assert cookie["max-age"] == 0


@each(ALL)
@pytest.mark.parametrize(
    "text", ["short", "0" * 32, "no-session.of-ours", "a.b.c", "\x00" * 12, "é" * 40, "." * 44]
)
def test_a_cookie_of_others_is_a_new_session(client: Client, text: str) -> None:
    client.cookies["sessionid"] = text
    assert client.get("/").content == b"hello stranger"
    client.get("/cart/add/apple")
    assert client.get("/cart").content == b"apple"


@each(ON_SERVERS)
def test_a_session_that_ended_meanwhile_is_a_bad_request_and_sets_no_cookie(client: Client) -> None:
    client.get("/cart/add/apple")
    response = client.get("/ended")
    assert response.status_code == 400
    assert sent(response) is None


@each(ALL)
def test_the_settings_of_the_cookie_are_djangos(engine: str) -> None:
    with override_settings(
        SESSION_COOKIE_NAME="__Secure-visitor",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_DOMAIN="example.com",
        SESSION_COOKIE_PATH="/cart",
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_AGE=77,
    ):
        client = Client()
        cookie = client.get("/cart/add/apple").cookies["__Secure-visitor"]
        assert client.get("/cart").content == b"apple"
    shown = {name: cookie[name] for name in ("secure", "domain", "path", "samesite", "max-age")}
    assert shown == {
        "secure": True,
        "domain": "example.com",
        "path": "/cart",
        "samesite": "Strict",
        "max-age": 77,
    }


# Where ours are better


@each(STORES)
def test_a_change_inside_a_value_is_saved(client: Client) -> None:
    client.get("/cart/add/apple")
    client.get("/cart/append/pear")
    assert client.get("/cart").content == b"apple pear"


@each(STORES)
def test_a_change_inside_a_value_counts_as_modified(make: type[Any]) -> None:
    first = make()
    first["cart"] = ["apple"]
    first.save()
    session = make(first.session_key)
    assert session["cart"] == ["apple"]
    assert not session.modified
    session["cart"].append("pear")
    assert session.modified


@each(STORES)
def test_modified_false_is_the_last_word_on_it(make: type[Any]) -> None:
    first = make()
    first["cart"] = ["apple"]
    first.save()
    session = make(first.session_key)
    session["cart"].append("pear")
    session.modified = False
    assert not session.modified


@each(STORES)
def test_types_come_back_as_they_were(make: type[Any]) -> None:
    values = {1: (2, 3), "when": datetime(2025, 1, 2, tzinfo=UTC), "set": {4}, "bytes": b"\xff"}
    first = make()
    first.update(values)
    first.save()
    assert dict(make(first.session_key).items()) == values


@each(STORES)
def test_a_subclass_is_taken_for_its_base_as_json_does(make: type[Any]) -> None:
    from django.db.models import IntegerChoices, TextChoices

    class State(TextChoices):
        PAID = "paid"

    class Size(IntegerChoices):
        BIG = 3

    class Share(float):
        pass

    class Box(dict[Any, Any]):
        pass

    first = make()
    first["order"] = Box({State.PAID: [mark_safe("<b>"), Size.BIG, Share(0.5), (State.PAID,), True, None]})
    first.save()
    (kept,) = make(first.session_key).values()
    assert kept == {"paid": ["<b>", 3, 0.5, ("paid",), True, None]}
    assert [type(item) for item in kept["paid"]] == [str, int, float, tuple, bool, type(None)]
    assert [type(key) for key in kept] == [str]


@pytest.mark.parametrize("serializer", [CBORSerializer(), JSONSerializer()], ids=["cbor", "json"])
def test_so_it_is_in_a_store_of_ones_own(serializer: Any) -> None:
    with with_store(ServerStore(MemoryBackend(), KEY, serializer=serializer)):
        first = written(names=[mark_safe("<b>")])
        later = SessionStore(first.session_key)
        later["names"].append(mark_safe("<i>"))
        assert later.modified
        later.save()
        assert [type(name) for name in SessionStore(first.session_key)["names"]] == [str, str]


def test_a_class_that_is_registered_there_is_kept() -> None:
    class Size(IntEnum):
        BIG = 3

    with with_store(CookieStore(KEY, serializer=CBORSerializer(types={"size/1": Size}))):
        key = written(sizes=[Size.BIG], name=mark_safe("<b>")).session_key
        assert SessionStore(key)["sizes"][0] is Size.BIG
        assert type(SessionStore(key)["name"]) is str


@each([engine for engine in ALL if engine != "cache"])  # which pickles
@pytest.mark.parametrize("value", [object(), lambda: None, [object()]], ids=["object", "function", "nested"])
def test_what_cannot_be_kept_is_a_type_error(make: type[Any], value: Any) -> None:
    session = make()
    session["value"] = value
    with pytest.raises(TypeError):
        session.save()


@each(STORES)
def test_the_error_names_the_place(make: type[Any]) -> None:
    session = make()
    session["cart"] = [1, {"owner": object()}]
    with pytest.raises(SerializeError) as caught:
        session.save()
    assert caught.value.path == "session['cart'][1]['owner']"


def holding_itself() -> list[Any]:
    box: list[Any] = [mark_safe("x")]
    box.extend([box, box])
    return box


def doubling() -> list[Any]:
    box: list[Any] = [mark_safe("x")]
    for _ in range(60):
        box = [box, box]
    return box


def deep() -> list[Any]:
    box: list[Any] = [mark_safe("x")]
    for _ in range(5000):
        box = [box]
    return box


@each(STORES)
@pytest.mark.parametrize("made", [holding_itself, doubling, deep])
def test_endless_values_are_refused(make: type[Any], made: Callable[[], Any]) -> None:
    session = make()
    session["box"] = made()
    with pytest.raises(SerializeError):
        session.save()


@each(STORES[1:])
def test_two_requests_at_a_time_keep_what_both_wrote(make: type[Any]) -> None:
    session = make()
    session.save()
    first, second = make(session.session_key), make(session.session_key)
    first["a"], second["b"] = 1, 2
    first.save()
    second.save()
    assert dict(second.items()) == dict(make(session.session_key).items()) == {"a": 1, "b": 2}


@each(STORES[1:])
def test_a_request_on_its_way_with_a_replaced_key_does_not_touch_the_newer_cookie(
    client: Client, ada: Any
) -> None:
    """Django's own would delete it or set another, and so log the visitor out."""
    client.get("/cart/add/apple")
    late = Client()
    late.cookies["sessionid"] = client.cookies["sessionid"].value
    sign_in(client)
    reading, writing = late.get("/cart"), late.get("/cart/add/pear")
    assert (reading.status_code, sent(reading)) == (200, None)
    assert (writing.status_code, sent(writing)) == (400, None)


@each(STORES[1:])
def test_who_holds_a_replaced_key_can_still_sign_in(client: Client, ada: Any) -> None:
    client.get("/cart/add/apple")
    late = Client()
    late.cookies["sessionid"] = client.cookies["sessionid"].value
    sign_in(client)
    sign_in(late)
    assert late.get("/members").content == b"members only"


@each(STORES[1:])
def test_a_sign_in_while_the_session_is_ended_carries_nothing_over(make: type[Any]) -> None:
    session = make()
    session["cart"] = ["apple"]
    session.save()
    signing_in = make(session.session_key)
    assert signing_in["cart"] == ["apple"]
    make(session.session_key).flush()
    signing_in.cycle_key()
    assert dict(signing_in.items()) == {}
    assert make().exists(signing_in.session_key)
    assert signing_in.session_key != session.session_key


@pytest.mark.parametrize("broken", ["load", "update"])
def test_a_failing_backend_is_an_error_and_no_log_out(broken_store: Callable[..., Any], broken: str) -> None:
    store = broken_store()
    with with_store(store):
        client = Client()
        client.get("/cart/add/apple")
        store.backend.broken.add(broken)
        with pytest.raises(BackendError):
            client.get("/cart/add/pear")
        store.backend.broken.clear()
        assert client.get("/cart").content == b"apple"


def test_a_session_too_large_for_its_cookie_is_an_error() -> None:
    with with_store("cookie:"):
        session = SessionStore()
        session["essay"] = "x" * 5000
        with pytest.raises(ValueError, match="essay"):
            session.save()


# The contract of SessionBase: each of these facts holds for Django's engines, too


def pop_known(session: Any) -> Any:
    return session.pop("known")


# What is done, what it gives, and whether the session was modified by it.
USES: dict[str, tuple[Callable[[Any], Any], Any, bool]] = {
    "get": (lambda session: session.get("known"), "value", False),
    "get of nothing": (lambda session: session.get("unknown"), None, False),
    "get with a default": (lambda session: session.get("unknown", 1), 1, False),
    "item": (lambda session: session["known"], "value", False),
    "in": (lambda session: "known" in session, True, False),
    "not in": (lambda session: "unknown" in session, False, False),
    "has_key": (lambda session: session.has_key("known"), True, False),
    "keys": (lambda session: list(session.keys()), ["known"], False),
    "values": (lambda session: list(session.values()), ["value"], False),
    "items": (lambda session: list(session.items()), [("known", "value")], False),
    "pop": (pop_known, "value", True),
    "pop of nothing": (lambda session: session.pop("unknown", "default"), "default", False),
    "setdefault of something": (lambda session: session.setdefault("known", 1), "value", False),
    "setdefault": (lambda session: session.setdefault("unknown", 1), 1, True),
    "update": (lambda session: session.update({"more": 1}), None, True),
    "clear": (lambda session: session.clear(), None, True),
    "set": (lambda session: session.__setitem__("known", 2), None, True),
    "delete": (lambda session: session.__delitem__("known"), None, True),
    "set_expiry": (lambda session: session.set_expiry(10), None, True),
    "no expiry": (lambda session: session.set_expiry(None), None, False),
    "set_test_cookie": (lambda session: session.set_test_cookie(), None, True),
    "test_cookie_worked": (lambda session: session.test_cookie_worked(), False, False),
    "get_expiry_age": (lambda session: session.get_expiry_age(), FORTNIGHT, False),
    "get_expire_at_browser_close": (lambda session: session.get_expire_at_browser_close(), False, False),
}


@pytest.fixture
def stored(make: type[Any]) -> Any:
    """A session as the next request finds it."""
    session = make()
    session["known"] = "value"
    session.save()
    return make(session.session_key)


@each(ALL)
@pytest.mark.parametrize("use", USES)
def test_every_use_is_an_access_and_writing_a_modification(stored: Any, use: str) -> None:
    call, expected, modified = USES[use]
    assert not stored.accessed
    assert not stored.modified
    assert call(stored) == expected
    assert stored.accessed
    assert stored.modified is modified


@each(ALL)
@pytest.mark.parametrize("call", [lambda session: session["unknown"], lambda session: session.pop("unknown")])
def test_an_unknown_key_is_a_key_error(stored: Any, call: Callable[[Any], Any]) -> None:
    with pytest.raises(KeyError):
        call(stored)


@each(ALL)
def test_a_new_session_is_empty_and_untouched(make: type[Any]) -> None:
    session = make()
    assert session.is_empty()
    assert session.session_key is None
    assert (session.accessed, session.modified) == (False, False)
    assert list(session.items()) == []


@each(ALL)
@pytest.mark.parametrize("key", [None, "", "1", "1234567"])
def test_a_key_that_is_too_short_is_none(make: type[Any], key: str | None) -> None:
    assert make(key).session_key is None


@each(ALL)
def test_the_key_cannot_be_assigned(make: type[Any]) -> None:
    with pytest.raises(AttributeError):
        make().session_key = "12345678"


@each(ALL)
def test_what_was_saved_is_there_under_its_key(make: type[Any]) -> None:
    session = make()
    session["a"] = {"b": [1, "c"]}
    session.save()
    assert dict(make(session.session_key).items()) == dict(session.items()) == {"a": {"b": [1, "c"]}}


@each(ALL)
def test_an_explicit_save_stores_even_nothing(make: type[Any]) -> None:
    session = make()
    session.save()
    assert session.session_key
    assert not make(session.session_key).is_empty()


@each(ON_SERVERS)
def test_an_explicit_save_on_a_server_need_not(stored: Any) -> None:
    stored.save()
    assert not stored.modified


@each(ON_SERVERS)
def test_a_saved_session_exists(make: type[Any]) -> None:
    session = make()
    session.save()
    assert session.exists(session.session_key)


@each(ON_SERVERS)
def test_a_save_keeps_the_key(stored: Any) -> None:
    key = stored.session_key
    stored["more"] = 1
    stored.save()
    assert stored.session_key == key


@each(ON_SERVERS)
def test_create_makes_a_record_at_once_with_a_key_of_its_own(make: type[Any]) -> None:
    first, second = make(), make()
    first.create()
    second.create()
    assert first.session_key != second.session_key
    assert first.modified
    assert second.exists(first.session_key)


@each(ON_SERVERS)
def test_to_create_what_exists_is_a_create_error(stored: Any) -> None:
    with pytest.raises(CreateError):
        stored.save(must_create=True)


@each(ALL)
def test_must_create_stores_what_is_new(make: type[Any]) -> None:
    session = make()
    session["a"] = 1
    session.save(must_create=True)
    assert make(session.session_key)["a"] == 1


@each(ON_SERVERS)
def test_what_was_deleted_does_not_exist(stored: Any) -> None:
    key = stored.session_key
    stored.delete(key)
    assert not stored.exists(key)


@each(ON_SERVERS)
def test_another_session_can_be_deleted_by_its_key(make: type[Any], stored: Any) -> None:
    session = make()
    session["mine"] = 1
    session.save()
    session.delete(stored.session_key)
    assert not session.exists(stored.session_key)
    assert make(session.session_key)["mine"] == 1


@each(ALL)
@pytest.mark.parametrize("key", [None, "1", "nosuchsessionatall0123456789"])
def test_to_delete_nothing_is_no_error(make: type[Any], key: str | None) -> None:
    make().delete(key)


@each(ON_SERVERS)
def test_to_delete_what_was_never_saved_keeps_it(make: type[Any]) -> None:
    session = make()
    session["a"] = 1
    session.delete()
    assert session["a"] == 1


@each(ON_SERVERS)
def test_flush_ends_the_record_and_forgets_the_key(stored: Any) -> None:
    key = stored.session_key
    stored.flush()
    assert stored.session_key is None
    assert stored.is_empty()
    assert (stored.accessed, stored.modified) == (True, True)
    assert not stored.exists(key)


@each(ALL)
def test_what_is_written_after_a_flush_is_another_session(make: type[Any], stored: Any) -> None:
    key = stored.session_key
    stored.flush()
    stored["next"] = 1
    stored.save()
    assert stored.session_key != key
    assert dict(make(stored.session_key).items()) == {"next": 1}


@each(ON_SERVERS)
@pytest.mark.parametrize("loaded", [True, False])
def test_cycle_key_keeps_the_values_and_ends_the_key(stored: Any, loaded: bool) -> None:
    key = stored.session_key
    if loaded:
        assert stored["known"] == "value"
    stored.cycle_key()
    assert stored.session_key != key
    assert not stored.exists(key)
    assert stored.exists(stored.session_key)
    assert dict(stored.items()) == {"known": "value"}
    assert stored.modified


@each(ON_SERVERS)
def test_cycle_key_of_a_new_session_creates_it(make: type[Any]) -> None:
    session = make()
    session["a"] = 1
    session.cycle_key()
    assert make(session.session_key)["a"] == 1


@each(ALL)
def test_cycle_key_saves_what_this_request_wrote(make: type[Any], stored: Any) -> None:
    stored["more"] = 1
    stored.cycle_key()
    stored.save()
    assert dict(make(stored.session_key).items()) == {"known": "value", "more": 1}


@each(ON_SERVERS)
def test_an_unknown_key_is_not_adopted(make: type[Any]) -> None:
    session = make("chosen-by-an-attacker-1234567890")
    assert session.load() == {}
    assert session.session_key is None
    session["a"] = 1
    session.save()
    assert session.session_key != "chosen-by-an-attacker-1234567890"


@each(ON_SERVERS)
def test_a_save_never_brings_back_what_another_request_ended(make: type[Any], stored: Any) -> None:
    late = make(stored.session_key)
    assert late["known"] == "value"
    late["known"] = "changed"
    stored.delete()
    with pytest.raises(UpdateError):
        late.save()
    assert make(late.session_key).load() == {}


@each(ON_SERVERS)
def test_neither_does_a_save_of_what_was_only_read(make: type[Any], stored: Any) -> None:
    late = make(stored.session_key)
    assert late["known"] == "value"
    stored.delete()
    with pytest.raises(UpdateError):
        late.save()


@each(ON_SERVERS)
def test_a_session_that_was_cleared_unread_is_stored_empty(make: type[Any], stored: Any) -> None:
    stored.clear()
    stored.save()
    assert make(stored.session_key).load() == {}
    assert stored.exists(stored.session_key)


@each(ALL)
def test_encode_and_decode_are_opposites(make: type[Any]) -> None:
    session = make()
    assert session.decode(session.encode({"a": [1]})) == {"a": [1]}


# Expiry


EXPIRIES: dict[str, Callable[[], Any]] = {
    "seconds": lambda: 10,
    "a span": lambda: timedelta(seconds=10),
    "a moment": lambda: timezone.now() + timedelta(seconds=10),
}


@each(ALL)
@pytest.mark.parametrize("kind", EXPIRIES)
def test_an_expiry_survives_the_save(make: type[Any], kind: str) -> None:
    session = make()
    session.set_expiry(EXPIRIES[kind]())
    session.save()
    later = make(session.session_key)
    assert later.get_expiry_age() in (9, 10)
    assert abs(later.get_expiry_date() - timezone.now() - timedelta(seconds=10)) < timedelta(seconds=2)
    assert not later.get_expire_at_browser_close()


@each(ALL)
def test_an_expiry_can_be_taken_back(make: type[Any]) -> None:
    session = make()
    session.set_expiry(10)
    session.set_expiry(None)
    session.set_expiry(None)
    assert session.get_expiry_age() == FORTNIGHT


@each(ALL)
@pytest.mark.parametrize(
    ("expiry", "setting", "closes"),
    [(None, False, False), (None, True, True), (0, False, True), (9, True, False)],
)
def test_who_decides_that_it_ends_with_the_browser(
    make: type[Any], expiry: int | None, setting: bool, closes: bool
) -> None:
    session = make()
    session.set_expiry(expiry)
    with override_settings(SESSION_EXPIRE_AT_BROWSER_CLOSE=setting):
        assert session.get_expire_at_browser_close() is closes


@each(["db", "cached_db", "cache", "file", *STORES])
@pytest.mark.parametrize("expiry", [-10, timedelta(seconds=-10), datetime(2001, 1, 1, tzinfo=UTC)])
def test_what_expired_is_gone(make: type[Any], expiry: Any) -> None:
    session = make()
    session["a"] = 1
    session.set_expiry(expiry)
    session.save()
    assert "a" not in make(session.session_key)


@pytest.fixture(params=["cookie", "server"])
def clocked(request: pytest.FixtureRequest) -> Iterator[ManualClock]:
    """The clock of the store in the settings, which lets nothing live longer than 1000 days."""
    clock = ManualClock()
    lifetime = Lifetime(absolute=timedelta(days=1000))
    if request.param == "cookie":
        store: Any = CookieStore(KEY, clock=clock, lifetime=lifetime)
    else:
        store = ServerStore(MemoryBackend(clock=clock), KEY, clock=clock, lifetime=lifetime)
    with with_store(store):
        yield clock


def written(**values: Any) -> Any:
    session = SessionStore()
    session.update(values)
    session.save()
    return session


def test_the_server_ends_a_session_at_the_age_of_the_cookie(clocked: ManualClock) -> None:
    key = written(a=1).session_key
    clocked.advance(FORTNIGHT - 1)
    assert SessionStore(key)["a"] == 1
    clocked.advance(1)
    assert "a" not in SessionStore(key)


def test_a_span_counts_from_the_last_save(clocked: ManualClock) -> None:
    session = written(a=1, _session_expiry=60)
    clocked.advance(59)
    later = SessionStore(session.session_key)
    later["b"] = 1
    later.save()
    clocked.advance(59)
    assert SessionStore(later.session_key)["a"] == 1


def test_so_does_a_save_that_changed_nothing(clocked: ManualClock) -> None:
    session = written(a=1)
    clocked.advance(3600)
    later = SessionStore(session.session_key)
    later.save()
    clocked.advance(FORTNIGHT - 1)
    assert SessionStore(later.session_key)["a"] == 1


def test_an_explicit_save_into_a_cookie_reaches_the_browser() -> None:
    """As with Django's signed cookies: it prolongs the session, even if nothing was changed."""
    clock = ManualClock()
    with with_store(CookieStore(KEY, clock=clock)):
        key = written(a=1).session_key
        clock.advance(3600)
        later = SessionStore(key)
        later.save()
        assert later.modified
        assert later.session_key != key


def test_to_read_is_no_activity(clocked: ManualClock) -> None:
    key = written(a=1, _session_expiry=60).session_key
    clocked.advance(59)
    reading = SessionStore(key)
    assert reading["a"] == 1
    assert not reading.modified
    clocked.advance(1)
    assert "a" not in SessionStore(key)


def test_a_longer_expiry_than_the_settings_is_kept(clocked: ManualClock) -> None:
    session = SessionStore()
    session["a"] = 1
    session.set_expiry(100 * 24 * 3600)
    session.save()
    clocked.advance(99 * 24 * 3600)
    assert SessionStore(session.session_key)["a"] == 1


@pytest.mark.parametrize("days", [100, 399])
def test_the_store_of_a_url_lets_django_decide(days: int) -> None:
    with with_store("memory:"):
        session = SessionStore()
        session.set_expiry(days * 24 * 3600)
        session.save()
        record = _django_settings.current_store().backend.load(session._inner.handle)
        left = record.expires - datetime.now(UTC).timestamp()
        assert abs(left - days * 24 * 3600) < 120


@each(["db", "file", *STORES[1:]])
def test_clearsessions_keeps_what_is_alive(make: type[Any], stored: Any) -> None:
    call_command("clearsessions")
    assert stored.exists(stored.session_key)


def test_clearsessions_removes_expired_records() -> None:
    clock = ManualClock()
    backend = MemoryBackend(clock=clock)
    with with_store(ServerStore(backend, KEY, clock=clock)):
        gone = written(a=1, _session_expiry=60)._inner.handle
        kept = written(a=1)._inner.handle
        clock.advance(60 + 61)
        call_command("clearsessions")
        assert backend.load(kept) is not None
        clock.now -= 121
        assert backend.load(gone) is None, "it is not only hidden by its age"


def test_clearsessions_has_nothing_to_do_for_cookies() -> None:
    with with_store("cookie:"):
        call_command("clearsessions")


# Settings


def test_without_a_store_the_session_is_in_the_cookie() -> None:
    with override_settings(SESSION_ENGINE=OURS):
        key = written(a=1).session_key
        assert dict(CookieStore(settings.SECRET_KEY).open("sessionid", [key])) == {"a": 1}


def test_the_secret_key_is_the_key() -> None:
    with override_settings(SECRET_KEY=KEY), with_store("cookie:"):
        key = written(a=1).session_key
    assert dict(CookieStore(KEY).open("sessionid", [key])) == {"a": 1}


def test_keys_of_their_own_come_before_the_secret_key() -> None:
    with with_store("cookie:", SESSIONS_WSGI_KEYS=f"{KEY} {OTHER_KEY}"):
        key = written(a=1).session_key
    assert dict(CookieStore(KEY).open("sessionid", [key])) == {"a": 1}


def test_a_store_is_taken_as_it_is() -> None:
    with with_store(CookieStore(KEY, encrypt=True)):
        client = Client()
        client.get("/cart/add/apple")
        assert client.get("/cart").content == b"apple"
    opened = CookieStore(KEY, encrypt=True).open("sessionid", [client.cookies["sessionid"].value])
    assert dict(opened) == {"cart": ["apple"]}


@pytest.mark.parametrize("url", ["cookie:", "memory:"])
def test_a_fallback_opens_and_what_it_opened_is_sealed_anew(url: str, tmp_path: Path) -> None:
    url = url if url == "cookie:" else f"file://{tmp_path}/sessions"
    client = Client()
    with override_settings(SECRET_KEY=OTHER_KEY), with_store(url):
        client.get("/cart/add/apple")
        old = client.cookies["sessionid"].value
    with override_settings(SECRET_KEY=KEY, SECRET_KEY_FALLBACKS=[OTHER_KEY, OTHER_KEY]), with_store(url):
        assert client.get("/cart").content == b"apple"
        assert client.cookies["sessionid"].value != old
    with override_settings(SECRET_KEY=KEY), with_store(url):
        assert client.get("/cart").content == b"apple"


def test_without_the_fallback_an_old_cookie_is_worth_nothing() -> None:
    client = Client()
    with override_settings(SECRET_KEY=OTHER_KEY), with_store("cookie:"):
        client.get("/cart/add/apple")
    with with_store("cookie:"):
        assert client.get("/cart").content == b""


@pytest.fixture
def fresh_keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """No key was made yet, and stretching takes no time; the texts that were stretched."""
    stretched: list[str] = []

    def stretch(text: str, salt: bytes) -> Key:
        assert len(salt) >= 16
        stretched.append(text)
        return Key((text * 9)[:8] + KEY)

    monkeypatch.setattr(_django_settings.Key, "from_passphrase", stretch)
    for remembered in (_django_settings._key, _django_settings._warn):
        remembered.cache_clear()
    yield stretched
    for remembered in (_django_settings._key, _django_settings._warn):
        remembered.cache_clear()


def test_short_secrets_are_stretched_once_and_warned_of_once(
    fresh_keys: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    for url in ("cookie:", "memory:", "cookie:"):
        with override_settings(SECRET_KEY="short", SECRET_KEY_FALLBACKS=["older", KEY]), with_store(url):
            written(a=1)
    assert fresh_keys == ["short", "older"]
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "SESSIONS_WSGI_KEYS" in warnings[0]
    assert "older" not in warnings[0]


def test_a_good_secret_is_neither_stretched_nor_warned_of(
    fresh_keys: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with with_store("cookie:"):
        written(a=1)
    assert fresh_keys == caplog.records == []


def test_a_secret_of_bytes_is_taken() -> None:
    with override_settings(SECRET_KEY=KEY.encode()), with_store("cookie:"):
        key = written(a=1).session_key
    assert dict(CookieStore(KEY).open("sessionid", [key])) == {"a": 1}


def test_a_really_stretched_secret_opens_what_it_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    with override_settings(SECRET_KEY="short"), with_store("cookie:"):
        key = written(a=1).session_key
        assert SessionStore(key)["a"] == 1


def test_the_store_is_made_once_and_again_after_an_override() -> None:
    with with_store("memory:"):
        key = written(a=1).session_key
        assert SessionStore(key)["a"] == 1
        with override_settings(USE_TZ=False):
            assert SessionStore(key)["a"] == 1, "another setting changes nothing"
        with override_settings(SESSIONS_WSGI_KEYS=OTHER_KEY):
            assert "a" not in SessionStore(key)


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "scheme": ({"SESSIONS_WSGI_STORE": "sqlight:///x"}, "SESSIONS_WSGI_STORE", "did you mean 'sqlite'"),
    "no URL": ({"SESSIONS_WSGI_STORE": "nonsense"}, "SESSIONS_WSGI_STORE", "must be a URL"),
    "no store": ({"SESSIONS_WSGI_STORE": 7}, "SESSIONS_WSGI_STORE", "must be a URL or a store"),
    "a class": ({"SESSIONS_WSGI_STORE": CookieStore}, "SESSIONS_WSGI_STORE", "must be a URL or a store"),
    "short key": ({"SESSIONS_WSGI_KEYS": "short"}, "SESSIONS_WSGI_KEYS", "at least 32 bytes"),
    "empty keys": ({"SESSIONS_WSGI_KEYS": ""}, "SESSIONS_WSGI_KEYS", "at least one key"),
    "misspelled": ({"SESSIONS_WSGI_KEY": KEY}, "SESSIONS_WSGI_KEY", "did you mean 'SESSIONS_WSGI_KEYS'"),
    "keys beside a store": (
        {"SESSIONS_WSGI_STORE": CookieStore(KEY), "SESSIONS_WSGI_KEYS": KEY},
        "SESSIONS_WSGI_KEYS",
        "give it to the store",
    ),
    "accept": ({"SESSIONS_WSGI_ACCEPT": [7]}, "SESSIONS_WSGI_ACCEPT", "must hold importers and stores"),
    "accept text": ({"SESSIONS_WSGI_ACCEPT": "x.db"}, "SESSIONS_WSGI_ACCEPT", "must be a list"),
    "an engine like another": (
        {"SESSIONS_WSGI_ACCEPT": ["django.contrib.sessions.backends.dv"]},
        "SESSIONS_WSGI_ACCEPT",
        "did you mean 'django.contrib.sessions.backends.db'",
    ),
    "no engine": ({"SESSIONS_WSGI_ACCEPT": ["no.engine"]}, "SESSIONS_WSGI_ACCEPT", "'no.engine'"),
    "signed cookies": (
        {"SESSIONS_WSGI_ACCEPT": ["django.contrib.sessions.backends.signed_cookies"]},
        "SESSIONS_WSGI_ACCEPT",
        "DjangoImporter",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_setting_is_refused_by_its_name(case: str) -> None:
    values, option, message = WRONG[case]
    with override_settings(**values), pytest.raises(ConfigError, match=message) as caught:
        written(a=1)
    assert caught.value.option == option
    assert repr(option) in str(caught.value)


@pytest.mark.parametrize(("store", "kept"), [("cookie:", False), ("memory:", True)])
def test_what_a_test_saves_into_the_client_s_session_is_kept_on_a_server_only(store: str, kept: bool) -> None:
    """In a cookie it would be in the new text, which the client is not told: as with Django's own."""
    with override_settings(SESSION_ENGINE="sessions_wsgi.ext.django", SESSIONS_WSGI_STORE=store):
        client = Client()
        session = client.session
        session["a"] = 1
        session.save()
        assert ("a" in client.session) is kept


def test_no_message_holds_a_key_or_a_password() -> None:
    for values in ({"SESSIONS_WSGI_KEYS": "hunter2"}, {"SESSIONS_WSGI_STORE": "redisss://u:hunter2@host"}):
        with override_settings(**values), pytest.raises(ConfigError) as caught:
            written(a=1)
        assert "hunter2" not in str(caught.value)


def test_wrong_settings_fail_while_the_site_starts() -> None:
    program = (
        "from django.conf import settings\n"
        f"settings.configure(SESSION_ENGINE={OURS!r}, SECRET_KEY={KEY!r}, SESSIONS_WSGI_STORE='nonsense')\n"
        "from django.contrib.sessions.middleware import SessionMiddleware\n"
        "SessionMiddleware(lambda request: None)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "ConfigError: 'SESSIONS_WSGI_STORE' must be a URL" in ended.stderr


# Nobody is logged out


def same_visitor(client: Client) -> Client:
    """The same cookies at a site that was started anew."""
    later = Client()
    later.cookies = client.cookies
    return later


@pytest.mark.parametrize("engine", ["db", "cached_db", "cache", "file"], indirect=True)
@pytest.mark.parametrize("url", ["cookie:", "memory:"])
def test_visitors_of_another_engine_stay_signed_in(client: Client, ada: Any, url: str) -> None:
    sign_in(client, remember="on")
    client.get("/cart/add/apple")
    old, before = client.cookies["sessionid"].value, import_module(settings.SESSION_ENGINE).SessionStore
    with with_store(url, SESSIONS_WSGI_ACCEPT=[settings.SESSION_ENGINE]):
        client = same_visitor(client)
        cookie = sent(client.get("/members"))
        assert cookie is not None, "the cookie is changed with the first answer"
        assert MONTH - 5 <= cookie["max-age"] <= MONTH
        assert client.get("/members").content == b"members only"
        assert client.get("/cart").content == b"apple"
        assert not before().exists(old), "it must not outlive the sign-out"


@pytest.mark.parametrize("text", ["abcdefgh\0ij", "abc", "A" * 32, "a" * 41, "../../secret", "é" * 10, ""])
def test_what_no_engine_made_is_not_looked_up(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Django undoes the quotes of cookies, NUL included, for which PostgreSQL raises."""
    engine = Engine("django.contrib.sessions.backends.db")
    monkeypatch.setattr(engine, "_sessions", lambda *_: pytest.fail("it was looked up"))
    assert engine.open("sessionid", [text]).is_new


@pytest.mark.parametrize("engine", ["db"], indirect=True)
def test_a_sign_out_at_once_ends_the_session_of_the_other_engine(client: Client, ada: Any) -> None:
    sign_in(client)
    old, before = client.cookies["sessionid"].value, import_module(settings.SESSION_ENGINE).SessionStore
    with with_store("memory:", SESSIONS_WSGI_ACCEPT=[settings.SESSION_ENGINE]):
        client = same_visitor(client)
        client.get("/sign-out")
        client.cookies["sessionid"] = old
        assert client.get("/members").status_code == 302
    assert not before().exists(old)


@pytest.mark.parametrize("engine", ["db"], indirect=True)
def test_what_the_other_engine_does_not_know_is_new(client: Client) -> None:
    client.cookies["sessionid"] = "0123456789abcdef0123456789abcdef"
    with with_store("memory:", SESSIONS_WSGI_ACCEPT=[settings.SESSION_ENGINE]):
        client = same_visitor(client)
        client.get("/cart/add/apple")
        assert client.get("/cart").content == b"apple"


def test_visitors_of_another_store_of_ours_move_to_this_one() -> None:
    client, old = Client(), CookieStore(KEY)
    with with_store(old):
        client.get("/cart/add/apple")
    with with_store(ServerStore(MemoryBackend(), OTHER_KEY, accept=[old])):
        assert sent(client.get("/cart")) is not None
        assert sent(client.get("/cart")) is None
        assert client.get("/cart").content == b"apple"


def test_what_was_taken_over_and_ended_meanwhile_is_not_brought_back() -> None:
    old = ServerStore(MemoryBackend(), KEY)
    with with_store(old):
        before = written(a=1)
    with with_store(ServerStore(MemoryBackend(), OTHER_KEY, accept=[old])):
        late = SessionStore(before.session_key)
        assert late["a"] == 1
        SessionStore(before.session_key).flush()
        late["a"] = 2
        with pytest.raises(UpdateError):
            late.save()


@pytest.mark.parametrize("engine", ["db"], indirect=True)
def test_what_was_logged_out_of_an_old_engine_meanwhile_is_not_brought_back(client: Client) -> None:
    old = import_module(settings.SESSION_ENGINE).SessionStore()
    old["a"] = 1
    old.save()
    with with_store("memory:", SESSIONS_WSGI_ACCEPT=[settings.SESSION_ENGINE]):
        late = SessionStore(old.session_key)
        assert late["a"] == 1
        SessionStore(old.session_key).flush()
        late["a"] = 2
        with pytest.raises(UpdateError):
            late.save()


def test_what_cannot_be_kept_is_not_taken_over(caplog: pytest.LogCaptureFixture) -> None:
    """It would fail each page of a visitor who has done nothing."""
    old = ServerStore(MemoryBackend(), KEY)
    with with_store(old):
        before = written(cart="x" * 5000)
    with with_store(CookieStore(OTHER_KEY, accept=[old])):
        client = Client()
        client.cookies["sessionid"] = before.session_key
        assert client.get("/cart").content == b""
        assert "a session 'sessionid' of elsewhere was not taken over" in caplog.text
        client.get("/cart/add/apple")
        assert client.get("/cart").content == b"apple"


def test_a_key_that_was_taken_over_is_deleted_with_its_record() -> None:
    old = ServerStore(MemoryBackend(), KEY)
    with with_store(old):
        before = written(a=1)
    with with_store(ServerStore(MemoryBackend(), OTHER_KEY, accept=[old])):
        SessionStore().delete(before.session_key)
    assert old.open("sessionid", [before.session_key]).is_new


# Who is signed in

CAN_REVOKE = {
    "server": lambda **options: ServerStore(MemoryBackend(), KEY, **options),
    "sealed": lambda **options: ServerStore(MemoryBackend(), KEY, encrypt=True, **options),
    "cookie": lambda **options: CookieStore(KEY, revocations=MemoryBackend(max_bytes=None), **options),
}


@pytest.fixture(params=CAN_REVOKE)
def revoking(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A store that can end sessions, in the settings."""
    store = CAN_REVOKE[request.param]()
    with with_store(store):
        yield store


def handles(store: Any, user: Any) -> list[str]:
    return [info.handle for info in store.sessions_of(str(user.pk))]


def test_who_signs_in_is_the_principal(revoking: Any, ada: Any) -> None:
    client = Client()
    client.get("/cart/add/apple")
    assert handles(revoking, ada) == []
    sign_in(client)
    found = revoking.open("sessionid", [client.cookies["sessionid"].value])
    assert found.principal == str(ada.pk)
    assert found.authenticated_at is not None
    assert handles(revoking, ada) == [found.handle]


def test_a_new_visitor_who_signs_in_is_listed_once(revoking: Any, ada: Any) -> None:
    sign_in(Client())
    assert len(handles(revoking, ada)) == 1


def test_to_revoke_signs_out_with_the_very_next_request(revoking: Any, ada: Any) -> None:
    phone, laptop = Client(), Client()
    sign_in(phone)
    sign_in(laptop)
    revoking.revoke(str(ada.pk))
    for client in (phone, laptop):
        assert client.get("/members").status_code == 302
    assert handles(revoking, ada) == []
    sign_in(phone)
    assert phone.get("/members").content == b"members only"


def test_to_revoke_touches_nobody_else(revoking: Any, ada: Any) -> None:
    client = Client()
    sign_in(client)
    revoking.revoke(str(ada.pk + 1))
    assert client.get("/members").content == b"members only"


def test_a_request_on_its_way_while_its_user_is_revoked_changes_nothing(revoking: Any, ada: Any) -> None:
    client = Client()
    sign_in(client)
    late = SessionStore(client.cookies["sessionid"].value)
    late["cart"] = ["apple"]
    revoking.revoke(str(ada.pk))
    late.save()
    assert SessionStore(late.session_key).load() == {}


def test_a_session_may_be_kept(revoking: Any, ada: Any) -> None:
    phone, laptop = Client(), Client()
    sign_in(phone)
    sign_in(laptop)
    mine = SessionStore(laptop.cookies["sessionid"].value)
    revoking.revoke(str(ada.pk), keep=mine)
    assert mine.modified
    mine.save()
    laptop.cookies["sessionid"] = mine.session_key
    assert phone.get("/members").status_code == 302
    assert laptop.get("/members").content == b"members only"
    assert handles(revoking, ada) == [mine.handle]


def test_so_may_one_that_was_not_saved_since_the_sign_in(revoking: Any, ada: Any) -> None:
    phone = Client()
    sign_in(phone)
    mine = SessionStore()
    mine["_auth_user_id"] = str(ada.pk)
    revoking.revoke(str(ada.pk), keep=mine)
    mine.save()
    assert phone.get("/members").status_code == 302
    assert SessionStore(mine.session_key).principal == str(ada.pk)


def test_of_one_that_was_revoked_itself_nothing_is_kept(revoking: Any, ada: Any) -> None:
    client = Client()
    sign_in(client)
    mine = SessionStore(client.cookies["sessionid"].value)
    assert mine.principal == str(ada.pk)
    revoking.revoke(str(ada.pk))
    revoking.revoke(str(ada.pk), keep=mine)
    with pytest.raises(UpdateError):
        mine.save()
    assert client.get("/members").status_code == 302


@pytest.mark.parametrize("values", [{}, {"_auth_user_id": "7"}], ids=["nobody", "another"])
def test_a_session_of_others_cannot_be_kept(revoking: Any, values: Any) -> None:
    with pytest.raises(UsageError, match="'keep'"):
        revoking.revoke("8", keep=written(**values))


def test_who_signs_out_is_listed_no_more(revoking: Any, ada: Any) -> None:
    client = Client()
    sign_in(client)
    client.get("/sign-out")
    assert handles(revoking, ada) == []
    client.get("/cart/add/apple")
    assert revoking.open("sessionid", [client.cookies["sessionid"].value]).principal is None


def test_a_new_password_ends_the_other_sessions_and_lists_this_one(revoking: Any, ada: Any) -> None:
    phone, laptop = Client(), Client()
    sign_in(phone)
    sign_in(laptop)
    form = {"old_password": "lovelace-1815", "new_password1": "x-babbage-91", "new_password2": "x-babbage-91"}
    assert laptop.post("/password", form).content == b"changed"
    assert phone.get("/members").status_code == 302
    mine = SessionStore(laptop.cookies["sessionid"].value)
    assert handles(revoking, ada) == [mine.handle]
    revoking.revoke(str(ada.pk))
    assert laptop.get("/members").status_code == 302


def test_a_device_is_ended_by_its_handle(revoking: Any, ada: Any) -> None:
    client = Client()
    sign_in(client)
    (handle,) = handles(revoking, ada)
    assert revoking.end(str(ada.pk), handle)
    assert client.get("/members").status_code == 302


def test_another_user_gets_a_session_of_his_own(revoking: Any, ada: Any) -> None:
    from django.contrib.auth.models import User

    client, grace = Client(), User.objects.create_user("grace", password="hopper-1906")
    sign_in(client)
    client.post("/sign-in", {"username": "grace", "password": "hopper-1906"})
    assert handles(revoking, ada) == []
    assert len(handles(revoking, grace)) == 1


@pytest.mark.parametrize("user", [None, "8"], ids=["nobody", "another"])
def test_a_user_who_is_replaced_in_place_takes_the_key_along(revoking: Any, user: str | None) -> None:
    """Not Django's own way, but some applications change who is signed in by themselves."""
    session = written(_auth_user_id="7", cart=["apple"])
    old = session.session_key
    if user is None:
        del session["_auth_user_id"]
    else:
        session["_auth_user_id"] = user
    session.save()
    assert revoking.open("sessionid", [session.session_key]).principal == user
    assert session["cart"] == ["apple"]
    assert SessionStore(old).load() == {}
    assert revoking.sessions_of("7") == []
    assert len(revoking.sessions_of("8")) == (user == "8")


def test_a_session_that_was_cleared_unread_names_nobody(revoking: Any) -> None:
    session = SessionStore(written(_auth_user_id="7").session_key)
    session.clear()
    session.save()
    assert revoking.sessions_of("7") == []


@pytest.mark.parametrize("revoking", ["server", "sealed"], indirect=True)
def test_the_key_stays_while_somebody_signs_in(revoking: Any, ada: Any) -> None:
    """Applications store it by the signal `user_logged_in`, after `cycle_key`."""
    session = written(cart=["apple"])
    session.cycle_key()
    key = session.session_key
    session["_auth_user_id"] = str(ada.pk)
    session.save()
    assert session.session_key == key
    assert handles(revoking, ada) == [session.handle]


@pytest.mark.parametrize("user", ["", "a\nb"])
def test_a_user_whom_no_principal_can_name_is_nobody(revoking: Any, user: str) -> None:
    session = written(_auth_user_id=user)
    assert session.principal is None
    assert SessionStore(session.session_key)["_auth_user_id"] == user


def test_a_number_is_taken_for_its_text(revoking: Any) -> None:
    written(_auth_user_id=7)
    assert len(revoking.sessions_of("7")) == 1


def test_a_login_of_another_program_is_left_alone(revoking: Any) -> None:
    """A site of several parts, one of them in Django."""
    session = revoking.open("sessionid", [])
    session.login("ada@example.com")
    text = revoking.commit(session)
    ours = SessionStore(text)
    ours["cart"] = ["apple"]
    ours.save()
    assert revoking.open("sessionid", [ours.session_key]).principal == "ada@example.com"


def test_a_session_from_before_names_its_user_at_the_next_request(revoking: Any, ada: Any) -> None:
    client = Client()
    sign_in(client)
    before = revoking.open("sessionid", [client.cookies["sessionid"].value])
    before.extras = {"max_age": MONTH}
    before.mark_changed()
    before.regenerate()
    client.cookies["sessionid"] = revoking.commit(before)
    assert client.get("/members").content == b"members only"
    assert len(handles(revoking, ada)) == 1
    assert sent(client.get("/members")) is None, "once is enough"


def test_so_it_does_if_something_was_said_before_it_was_read(revoking: Any) -> None:
    """A middleware may set `modified`, or a label, before anybody looks into the session."""
    before = revoking.open("sessionid", [])
    before.update({"_auth_user_id": "7"})
    session = SessionStore(revoking.commit(before))
    session.modified = True
    assert session["_auth_user_id"] == "7"
    session.save()
    assert len(revoking.sessions_of("7")) == 1


def test_two_requests_that_name_its_user_keep_what_both_wrote() -> None:
    with with_store(ServerStore(MemoryBackend(), KEY)):
        store = _django_settings.current_store()
        before = store.open("sessionid", [])
        before.update({"_auth_user_id": "7"})
        key = store.commit(before)
        one, two = SessionStore(key), SessionStore(key)
        one["a"], two["b"] = 1, 2
        one.save()
        two.save()
        found = SessionStore(two.session_key)
        assert (found["a"], found["b"], found.principal) == (1, 2, "7")


def test_a_label_is_shown_in_lists(revoking: Any) -> None:
    session = written(a=1)
    session["_auth_user_id"] = "7"
    session.label = "Firefox on Linux"
    session.save()
    assert [info.label for info in revoking.sessions_of("7")] == ["Firefox on Linux"]
    again = SessionStore(session.session_key)
    again.label = "Lynx"
    assert (again.label, again.modified) == ("Lynx", True)
    again.save()
    assert [info.label for info in revoking.sessions_of("7")] == ["Lynx"]


def test_the_same_label_once_more_is_no_change(revoking: Any) -> None:
    session = written(a=1)
    session.label = "Lynx"
    session.save()
    again = SessionStore(session.session_key)
    again.label = "Lynx"
    assert not again.modified


def test_a_label_is_a_text(revoking: Any) -> None:
    with pytest.raises(UsageError, match="'label'"):
        SessionStore().label = 7


def test_a_new_session_has_neither_principal_nor_handle(revoking: Any) -> None:
    session = SessionStore()
    assert (session.principal, session.handle, session.label) == (None, None, None)


@pytest.mark.parametrize("engine", ["db", "signed_cookies"], indirect=True)
@pytest.mark.parametrize("when", ["before", "after"])
def test_to_revoke_counts_for_sessions_of_another_engine(client: Client, ada: Any, when: str) -> None:
    importer = DjangoImporter(settings.SECRET_KEY, until=datetime(2100, 1, 1, tzinfo=UTC))
    is_signed = settings.SESSION_ENGINE.endswith("signed_cookies")
    sign_in(client)
    with with_store("memory:", SESSIONS_WSGI_ACCEPT=[importer if is_signed else settings.SESSION_ENGINE]):
        client, store = same_visitor(client), _django_settings.current_store()
        if when == "after":
            assert client.get("/members").content == b"members only"
            assert len(handles(store, ada)) == 1
        store.revoke(str(ada.pk))
        assert client.get("/members").status_code == 302


@pytest.mark.parametrize("engine", ["db"], indirect=True)
def test_a_sign_in_elsewhere_revokes_nothing_of_another_engine(client: Client, ada: Any) -> None:
    sign_in(client)
    with with_store("memory:", SESSIONS_WSGI_ACCEPT=[settings.SESSION_ENGINE]):
        sign_in(Client())
        assert same_visitor(client).get("/members").content == b"members only"


def test_the_command_line_knows_djangos_users(
    ada: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, user = f"sqlite:///{tmp_path}/sessions.db", str(ada.pk)
    told = ["--option", "lifetime.absolute=none", "--option", "lifetime.idle=400d"]
    with with_store(url):
        client = Client()
        sign_in(client)
        mine = SessionStore(client.cookies["sessionid"].value).handle
        assert main(["list", url, user, *told, "--json"]) == 0
        assert mine in capsys.readouterr().out
        assert main(["revoke", url, user]) == 0
        assert client.get("/members").status_code == 302


# The page of the documentation

PAGE = (Path(__file__).parents[2] / "docs" / "django.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("engine", ["db"], indirect=True)
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_settings_of_the_page_work(
    client: Client, ada: Any, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SESSION_KEYS", KEY)
    names: dict[str, Any] = {}
    exec("import os\n" + BLOCKS[number], names)
    values = {name: value for name, value in names.items() if name.isupper()}
    sign_in(client)
    with override_settings(**{"SESSION_ENGINE": OURS} | values):
        client = same_visitor(client)
        assert client.get("/members").status_code == (200 if "SESSIONS_WSGI_ACCEPT" in values else 302)
        sign_in(client)
        assert client.get("/members").content == b"members only"


def test_the_views_of_the_page_work(ada: Any) -> None:
    (block,) = (block for block in BLOCKS if "def devices" in block)
    site = ModuleType("site_of_the_page")
    exec("from django_site import *\nfrom django_site import urlpatterns\n" + block, vars(site))
    site.urlpatterns = [
        *site.urlpatterns,
        path("devices", site.devices),
        path("elsewhere", site.sign_out_elsewhere),
    ]
    with with_store("memory:", ROOT_URLCONF=site):
        phone, laptop = Client(headers={"User-Agent": "phone"}), Client(headers={"User-Agent": "laptop"})
        for client in (phone, laptop):
            sign_in(client)
            client.get("/devices")
        assert sorted(phone.get("/devices").content.decode().split("\n")) == ["laptop", "phone (here)"]
        assert phone.get("/elsewhere").content == b"all other devices are out"
        assert laptop.get("/members").status_code == 302
        assert phone.get("/devices").content == b"phone (here)"


# Stores of other authors


class Shelf:
    """A store that has only what the Protocol asks for; it keeps no empty sessions."""

    def __init__(self) -> None:
        self.options, self.kept = CookieOptions(), dict[str, dict[Any, Any]]()

    def open(self, name: str, texts: Sequence[str]) -> Session:
        for text in texts:
            if text in self.kept:
                values = dict(self.kept[text])
                return Session(name, values, options=self.options, is_new=False, origin=text)
        return Session(name, options=self.options)

    def commit(self, session: Session) -> str | None:
        if session.ended is not None:
            self.kept.pop(session.ended, None)
        if session.state == "destroyed":
            return ""
        if not session.stored_values or session.origin not in (None, *self.kept):
            return None
        session.origin = session.origin or f"number-{len(self.kept)}-of-the-shelf"
        self.kept[session.origin] = dict(session.stored_values)
        return str(session.origin)


def test_a_store_of_another_author_carries_the_whole_site(ada: Any) -> None:
    with with_store(Shelf()):
        client = Client()
        client.get("/cart/add/apple")
        sign_in(client)
        assert client.get("/members").content == b"members only"
        assert client.get("/cart").content == b"apple"
        client.get("/sign-out")
        assert client.get("/members").status_code == 302
        call_command("clearsessions")


def test_a_store_that_keeps_no_empty_sessions_may(ada: Any) -> None:
    with with_store(Shelf()):
        session = SessionStore()
        session.save()
        assert session.session_key is None
        client = Client()
        sign_in(client)
        assert client.get("/members").content == b"members only"


def test_a_session_that_ended_in_such_a_store_stays_ended() -> None:
    with with_store(Shelf()):
        session = written(a=1)
        SessionStore(session.session_key).flush()
        session["a"] = 2
        with pytest.raises(UpdateError):
            session.save()


# The async twins


@since_5_1
@each(ALL)
def test_an_async_site_signs_in_and_out(engine: str, ada: Any) -> None:
    async def visit() -> list[bytes]:
        client = AsyncClient()
        paths = ("/async/home", "/async/sign-out", "/async/home")
        answers = [await client.post("/async/sign-in", {"username": "ada"})]
        answers += [await client.get(path) for path in paths]
        return [answer.content for answer in answers]

    pages = async_to_sync(visit)()
    assert pages[0] == str(MONTH).encode()
    assert pages[1:] == [b"hello ada: apple", b"bye", b"hello stranger: "]


@since_5_1
def test_an_async_sign_in_is_known_to_the_store(revoking: Any, ada: Any) -> None:
    async def visit(client: AsyncClient, *paths: str) -> bytes:
        answers = [await client.post(path, {"username": "ada"}) for path in paths]
        return bytes(answers[-1].content)

    phone, laptop = AsyncClient(), AsyncClient()
    async_to_sync(visit)(phone, "/async/sign-in")
    async_to_sync(visit)(laptop, "/async/sign-in")
    assert len(handles(revoking, ada)) == 2
    async_to_sync(visit)(phone, "/async/sign-out")
    assert len(handles(revoking, ada)) == 1
    revoking.revoke(str(ada.pk))
    assert async_to_sync(visit)(laptop, "/async/home").startswith(b"hello stranger")


@since_5_1
@each(ALL)
def test_the_async_twins_do_what_the_others_do(make: type[Any]) -> None:
    async def use() -> None:
        session = make()
        await session.aset("a", [1])
        await session.aset_test_cookie()
        await session.asave()
        later = make(session.session_key)
        assert await later.aget("a") == [1]
        assert await later.atest_cookie_worked()
        assert await later.ahas_key("a")
        assert await later.apop("a") == [1]
        assert await later.asetdefault("b", 2) == 2
        await later.aupdate({"c": 3})
        await later.aset_expiry(60)
        assert await later.aget_expiry_age() == 60
        assert not await later.aget_expire_at_browser_close()
        await later.asave()
        found = dict(await make(later.session_key).aitems())
        assert found == {"testcookie": "worked", "b": 2, "c": 3, "_session_expiry": 60}

    async_to_sync(use)()


@since_5_1
@each(ON_SERVERS)
def test_the_async_twins_end_keys(make: type[Any]) -> None:
    async def use() -> None:
        session = make()
        await session.acreate()
        first = session.session_key
        await session.aset("a", 1)
        await session.acycle_key()
        second = session.session_key
        assert [await session.aexists(key) for key in (first, second)] == [False, True]
        assert await make(second).aload() == {"a": 1}
        late = make(second)
        await late.aset("a", 2)
        await session.aflush()
        assert not await session.aexists(second)
        with pytest.raises(UpdateError):
            await late.asave()
        await make().aclear_expired()

    async_to_sync(use)()
