"""Django: a small site and the engine's contract, with Django's own engines and with ours side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.cookies import Morsel
from importlib import import_module
from pathlib import Path
from typing import Any

import django
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.test import Client, override_settings
from django.utils.functional import empty
from django.utils.safestring import mark_safe

from sessions_wsgi import (
    BackendError,
    SerializeError,
)
from sessions_wsgi.ext import _django_settings
from sessions_wsgi.ext.django import SessionStore

SECRET = "w8#k2!vq^z0p5r7t9y1u3i(o4a6s8d0f-g2h4j6k8l0x2c4v6b8"
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


@pytest.fixture(scope="module", autouse=True)
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A project of Django for the tests of this module; what was configured before is put back."""
    before, settings._wrapped = settings._wrapped, empty
    database = tmp_path_factory.mktemp("django") / "django.db"
    settings.configure(
        SECRET_KEY=SECRET,
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF="django_site",
        USE_TZ=True,
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(database)}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "django.contrib.sessions",
            "django.contrib.messages",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
    )
    django.setup()
    call_command("migrate", verbosity=0)
    yield
    connections.close_all()
    settings._wrapped = before
    _django_settings._made.cache_clear()


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
