"""Flask over our sessions, beside Flask over its own: inside the real framework, through its test client."""

from __future__ import annotations

import copy
import gc
import hashlib
import logging
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener
from uuid import UUID

import flask
import pytest
from flask import Flask, flash, get_flashed_messages, redirect, render_template_string, request, session
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from flask.views import MethodView
from itsdangerous import BadSignature
from markupsafe import Markup
from serving import waitress_serving
from werkzeug.security import check_password_hash, generate_password_hash

import sessions_wsgi.ext.flask as ours
from sessions_wsgi import (
    BackendError,
    CBORSerializer,
    ConfigError,
    CookieOptions,
    CookieStore,
    CookieTooLargeError,
    Imported,
    JSONSerializer,
    Key,
    Lifetime,
    MemoryStore,
    SerializeError,
    ServerStore,
    SessionMiddleware,
    SessionSealedError,
    SignedCodec,
    UsageError,
)
from sessions_wsgi._advice import about_flask_session
from sessions_wsgi.backends import Record
from sessions_wsgi.backends.memory import MemoryBackend
from sessions_wsgi.errors import DecodeError
from sessions_wsgi.ext.flask import FlaskSession, SessionInterface
from sessions_wsgi.session import Session
from sessions_wsgi.testing import ManualClock

KEY = "tGq7dYw2Lk0vXo4sRz9BfUc1MhJe6NpAiKx3WyTb5Qg"
OTHER_KEY = "Zr8nVt5xHq2JmLw0EoKb7CsPd4YgXf9UaTi1NvRh6Mk"

OURS: dict[str, Callable[[], Any]] = {
    "by config": SessionInterface,
    "cookie": lambda: SessionInterface(CookieStore(OTHER_KEY, encrypt=True)),
    "revocable": lambda: SessionInterface(CookieStore(OTHER_KEY, revocations=MemoryBackend(max_bytes=None))),
    "server": lambda: SessionInterface(MemoryStore(OTHER_KEY)),
    "json": lambda: SessionInterface(CookieStore(OTHER_KEY, serializer=JSONSerializer())),
    "custom": lambda: SessionInterface(PlainStore()),
}
ALL = {"Flask's own": SecureCookieSessionInterface, **OURS}


class PlainStore:
    """A store by the Protocol alone: open, commit, options."""

    options = CookieOptions()

    def __init__(self) -> None:
        self._codec, self._json = SignedCodec(KEY, "plain"), JSONSerializer()

    def open(self, name: str, texts: Any) -> Session:
        for text in texts:
            try:
                values, flashes = self._json.loads(self._codec.open(name, text))
            except DecodeError:
                continue
            extras = {"flashes": flashes} if flashes else {}
            return Session(name, values, options=self.options, extras=extras, is_new=False, origin=text)
        return Session(name, options=self.options)

    def commit(self, session: Session) -> str | None:
        if session.state == "destroyed":
            return ""
        content = [session.stored_values, session.extras.get("flashes", [])]
        text = self._codec.seal(session.name, self._json.dumps(content))
        if text == session.origin and not session.resend:
            return None
        session.origin = text
        return text


def make_app(interface: Any, **config: Any) -> Flask:
    app = Flask("shop")
    app.config.update(SECRET_KEY=KEY, TESTING=True, **config)
    app.session_interface = interface
    return app


def cookies_of(response: Any) -> list[str]:
    return response.headers.getlist("Set-Cookie")


@pytest.fixture(params=ALL)
def any_app(request: pytest.FixtureRequest) -> Flask:
    """An application over Flask's own sessions, and over each of ours."""
    return make_app(ALL[request.param]())


@pytest.fixture(params=OURS)
def app(request: pytest.FixtureRequest) -> Flask:
    return make_app(OURS[request.param]())


def stored(app: Flask, **values: Any) -> Any:
    """A client whose session holds these values."""
    client = app.test_client()
    with client.session_transaction() as opened:
        opened.update(values)
    return client


def content(client: Any) -> dict[str, Any]:
    """What the client's session holds."""
    with client.session_transaction() as opened:
        return dict(opened)


def view(app: Flask, function: Callable[[], Any], path: str = "/") -> None:
    """Answer requests by this function; None is an empty page."""
    app.add_url_rule(path, path, lambda: function() or "", methods=["GET", "POST"])


# A whole site


def make_site(interface: Any) -> Flask:
    """Members who register, log in, write notes and log out; each step flashes."""
    app = make_app(interface)
    members: dict[str, str] = {}
    notes: list[tuple[str, str]] = []
    page = (
        "{% for category, message in get_flashed_messages(with_categories=true) %}"
        "<p class={{ category }}>{{ message }}</p>{% endfor %}"
        "{% if g.member %}<b>{{ g.member }}</b>{% endif %}{% for note in notes %}<li>{{ note }}{% endfor %}"
    )

    @app.before_request
    def who() -> None:
        name = session.get("member")
        flask.g.member = name if name in members else None

    def back(message: Any, category: str = "message", to: str = "/") -> Any:
        flash(message, category)
        return redirect(to)

    @app.get("/")
    def index() -> str:
        return render_template_string(page, notes=[note for name, note in notes if name == flask.g.member])

    @app.post("/register")
    def register() -> Any:
        name, password = request.form["name"], request.form["password"]
        if not name or name in members:
            return back(Markup("<i>That name</i> is taken."), "error")
        members[name] = generate_password_hash(password, "pbkdf2:sha256:1")
        return back("Registered.")

    @app.post("/login")
    def login() -> Any:
        name, password = request.form["name"], request.form["password"]
        if name not in members or not check_password_hash(members[name], password):
            return back("Wrong name or password.", "error")
        session.clear()
        session["member"] = name
        session.permanent = "remember" in request.form
        return back(f"Welcome, {name}.")

    class Notes(MethodView):
        def post(self) -> Any:
            if flask.g.member is None:
                return back("Log in first.", "error")
            notes.append((flask.g.member, request.form["text"]))
            return back("Noted.")

    app.add_url_rule("/notes", view_func=Notes.as_view("notes"))

    @app.get("/logout")
    def logout() -> Any:
        session.clear()
        return redirect("/")

    return app


WELCOME = "<p class=message>Welcome, ada.</p><b>ada</b>"
MILK = "<li>&lt;milk&gt;"

#: What a visitor does, and the page to which it leads.
SCENARIO: list[tuple[str, dict[str, str] | None, str]] = [
    ("/", None, ""),
    ("/notes", {"text": "too early"}, "<p class=error>Log in first.</p>"),
    ("/", None, ""),
    ("/register", {"name": "ada", "password": "x"}, "<p class=message>Registered.</p>"),
    ("/register", {"name": "ada", "password": "y"}, "<p class=error><i>That name</i> is taken.</p>"),
    ("/login", {"name": "ada", "password": "y"}, "<p class=error>Wrong name or password.</p>"),
    ("/login", {"name": "ada", "password": "x"}, WELCOME),
    ("/", None, "<b>ada</b>"),
    ("/notes", {"text": "<milk>"}, "<p class=message>Noted.</p><b>ada</b>" + MILK),
    ("/logout", None, ""),
    ("/", None, ""),
    ("/login", {"name": "ada", "password": "x", "remember": "1"}, WELCOME + MILK),
    ("/logout", None, ""),
]


@pytest.mark.parametrize("make", ALL.values(), ids=ALL)
def test_a_whole_site_runs_through_sign_up_sign_in_and_sign_out(make: Callable[[], Any]) -> None:
    client = make_site(make()).test_client()
    for path, form, page in SCENARIO:
        method = "GET" if form is None else "POST"
        assert client.open(path, method=method, data=form, follow_redirects=True).text == page
    assert client.get_cookie("session") is None


@pytest.mark.parametrize("make", [SecureCookieSessionInterface, OURS["server"]], ids=["Flask's own", "ours"])
def test_a_whole_site_runs_on_a_real_server(make: Callable[[], Any]) -> None:
    browser = build_opener(HTTPCookieProcessor())
    with serving(make_site(make())) as url:
        for path, form, page in SCENARIO:
            data = None if form is None else urlencode(form).encode()
            with browser.open(url + path, data, timeout=10) as response:
                assert response.read().decode() == page


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    with waitress_serving(app) as port:
        yield f"http://127.0.0.1:{port}"


# Flask's surface, over its own sessions and over each of ours


def test_values_come_back_in_the_next_request(any_app: Flask) -> None:
    assert content(stored(any_app, a=1, b={"c": [True, None, 1.5]})) == {
        "a": 1,
        "b": {"c": [True, None, 1.5]},
    }


@pytest.mark.parametrize(
    "value",
    [
        Markup("<b>&amp;</b>"),
        [Markup("<i>")],
        {"deep": ({"m": Markup("x")},)},
        datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
        UUID(int=7),
        b"\x00\xff",
        (1, ("a", [()])),
        2**80,
        "\u2603",
        {" m": "looks like a tag"},
        {" t": [1]},
        {" di": {" m__": 1}},
    ],
    ids=repr,
)
def test_what_flask_keeps_is_kept(any_app: Flask, value: Any) -> None:
    found = content(stored(any_app, value=value))["value"]
    assert (found, type(found)) == (value, type(value))
    if isinstance(value, list):
        assert isinstance(found[0], Markup)


class Point(NamedTuple):
    x: Any
    y: Any


class Colour(str, Enum):  # noqa: UP042 - the kind whose str() is not its value
    RED = "red"


class Lazy:
    """A translation that is made late, as extensions have them."""

    def __html__(self) -> str:
        return "<p>late</p>"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (OrderedDict(a=1), {"a": 1}),
        (Colour.RED, "red"),
        (Lazy(), Markup("<p>late</p>")),
        (type("Number", (int,), {})(5), 5),
        (type("Real", (float,), {})(0.5), 0.5),
        (type("Items", (list,), {})([(1,)]), [(1,)]),
        (Point(1, 2), (1, 2)),
    ],
)
def test_subclasses_come_back_as_what_they_are_made_of(any_app: Flask, value: Any, plain: Any) -> None:
    found = content(stored(any_app, value=value))["value"]
    assert (found, type(found)) == (plain, type(plain))


def test_what_cannot_be_kept_is_a_type_error_of_that_request(any_app: Flask) -> None:
    view(any_app, lambda: session.update(value=object()))
    with pytest.raises(TypeError):
        any_app.test_client().get("/")


def test_the_session_has_the_type_that_extensions_look_for(any_app: Flask) -> None:
    with any_app.test_request_context():
        assert isinstance(session, SessionMixin)
        assert (session.new, session.permanent, session.modified) in [
            (False, False, False),
            (True, False, False),
        ]


def test_it_is_a_mapping_as_a_dict_is(any_app: Flask) -> None:
    with any_app.test_request_context():
        session.update(a=1, b=2)
        session.setdefault("c", []).append(3)
        with suppress(AttributeError):  # a proxy's own, from which the name is taken away
            session._get_current_object().__ior__({"d": 4})
        assert session == {"a": 1, "b": 2, "c": [3], "d": 4}
        assert (len(session), list(session), "a" in session, "z" in session) == (
            4,
            ["a", "b", "c", "d"],
            True,
            False,
        )
        assert (session.pop("a"), session.pop("z", None), session.get("z")) == (1, None, None)
        assert session.popitem() == ("d", 4)
        copied = session.copy()
        copied["b"] = 9
        assert (type(copied), session["b"]) == (dict, 2)
        with pytest.raises(KeyError):
            session["z"]
        with pytest.raises(KeyError):
            del session["z"]


def test_it_is_joined_turned_and_copied_as_a_dict_is(any_app: Flask) -> None:
    with any_app.test_request_context():
        session.update(a=1, b=[2])
        assert session | {"b": 3, "c": 4} == {"a": 1, "b": 3, "c": 4}
        assert {"b": 3, "c": 4} | session == {"b": [2], "c": 4, "a": 1}
        assert (session == {"a": 1, "b": [2]}, list(reversed(session))) == (True, ["b", "a"])
        with pytest.raises(TypeError):
            session | 1
        for copied in (copy.copy(session._get_current_object()), session.copy()):
            copied["a"] = 9
            assert session["a"] == 1


def test_a_deep_copy_is_apart(app: Flask) -> None:
    with app.test_request_context():
        session["b"] = [2]
        copied = copy.deepcopy(session._get_current_object())
        copied["b"].append(3)
        assert (session["b"], type(copied)) == ([2], dict)


def test_modified_and_accessed_tell_what_happened(any_app: Flask) -> None:
    client = stored(any_app, value=1)
    seen: list[tuple[bool, bool]] = []

    def look() -> None:
        session.get("value")
        seen.append((session.modified, session.accessed))
        session["value"] = 1
        seen.append((session.modified, session.accessed))

    view(any_app, look)
    client.get("/")
    assert seen == [(False, True), (True, True)]


def test_a_write_sends_the_cookie_even_if_the_value_is_the_same(any_app: Flask) -> None:
    view(any_app, lambda: session.update(value=1))
    assert cookies_of(stored(any_app, value=1).get("/"))


def test_an_empty_update_counts_as_a_write(any_app: Flask) -> None:
    view(any_app, lambda: session.update({}))
    assert cookies_of(stored(any_app, value=1).get("/"))


def test_reading_sends_no_cookie_but_vary(any_app: Flask) -> None:
    view(any_app, lambda: str(session["value"]))
    response = stored(any_app, value=1).get("/")
    assert (cookies_of(response), response.headers["Vary"]) == ([], "Cookie")


def test_a_session_that_was_not_looked_at_adds_nothing(any_app: Flask) -> None:
    view(any_app, lambda: None)
    response = stored(any_app, value=1).get("/")
    assert (cookies_of(response), response.headers.get("Vary")) == ([], None)


def test_modified_may_be_set_to_send_the_cookie(any_app: Flask) -> None:
    view(any_app, lambda: setattr(session, "modified", True))
    assert cookies_of(stored(any_app, value=1).get("/"))


def test_modified_may_be_set_to_drop_what_was_written(any_app: Flask) -> None:
    def change() -> None:
        session["value"] = 2
        session.modified = False

    view(any_app, change)
    client = stored(any_app, value=1)
    assert not cookies_of(client.get("/"))
    assert content(client) == {"value": 1}


def test_an_emptied_session_loses_its_cookie(any_app: Flask) -> None:
    view(any_app, lambda: session.pop("value") and "")
    client = stored(any_app, value=1)
    (cookie,) = cookies_of(client.get("/"))
    assert cookie.startswith("session=; ")
    assert "Max-Age=0" in cookie
    assert client.get_cookie("session") is None


def test_an_empty_session_is_not_stored(any_app: Flask) -> None:
    view(any_app, lambda: str(session.get("value")))
    assert not cookies_of(any_app.test_client().get("/"))


def test_what_after_request_writes_is_saved(any_app: Flask) -> None:
    @any_app.after_request
    def last(response: Any) -> Any:
        session["last"] = request.path
        return response

    view(any_app, lambda: None)
    client = any_app.test_client()
    client.get("/")
    assert content(client) == {"last": "/"}


@pytest.mark.parametrize("status", [404, 500])
def test_an_error_page_saves_as_well(any_app: Flask, status: int) -> None:
    def fail() -> None:
        session["value"] = 1
        flask.abort(status)

    view(any_app, fail)
    client = any_app.test_client()
    assert client.get("/").status_code == status
    assert content(client) == {"value": 1}


def test_a_view_that_raises_saves_as_well(any_app: Flask) -> None:
    def fail() -> None:
        session["value"] = 1
        raise LookupError

    any_app.testing = False
    any_app.logger.disabled = True
    view(any_app, fail)
    client = any_app.test_client()
    assert client.get("/").status_code == 500
    assert content(client) == {"value": 1}


@pytest.mark.parametrize("ending", [False, True], ids=["changed", "cleared"])
def test_an_error_page_made_after_saving_carries_the_cookie(any_app: Flask, ending: bool) -> None:
    def fail(*_: Any, **__: Any) -> None:
        flask.request_finished.disconnect(fail, any_app)
        raise LookupError

    any_app.testing = False
    any_app.logger.disabled = True
    view(any_app, lambda: session.clear() if ending else session.update(value=2))
    client = stored(any_app, value=1)
    flask.request_finished.connect(fail, any_app)
    response = client.get("/")
    assert response.status_code == 500
    assert len(cookies_of(response)) == 1
    assert content(client) == ({} if ending else {"value": 2})


def test_flashes_come_once_in_order_with_their_categories(any_app: Flask) -> None:
    def leave() -> None:
        flash("one")
        flash(Markup("<b>two</b>"), "warning")
        flash({"three": (3,)}, "warning")

    view(any_app, leave, "/leave")
    view(any_app, lambda: repr(get_flashed_messages(with_categories=True)), "/read")
    client = any_app.test_client()
    client.get("/leave")
    told = [("message", "one"), ("warning", Markup("<b>two</b>")), ("warning", {"three": (3,)})]
    assert client.get("/read").text == repr(told)
    assert client.get("/read").text == "[]"


def test_flashes_filter_by_category(any_app: Flask) -> None:
    view(
        any_app,
        lambda: (flash("a"), flash("b", "error"), repr(get_flashed_messages(category_filter=["error"])))[2],
    )
    assert any_app.test_client().get("/").text == "['b']"


def test_flashes_are_read_in_the_request_that_left_them(any_app: Flask) -> None:
    view(any_app, lambda: (flash("a"), repr(get_flashed_messages()))[1])
    client = any_app.test_client()
    assert client.get("/").text == "['a']"
    assert content(client) == {}


def test_flashes_are_where_flask_has_them(any_app: Flask) -> None:
    with any_app.test_request_context():
        assert "_flashes" not in session
        flash("a", "x")
        assert session["_flashes"] == [("x", "a")]
        assert list(session.items()) == [("_flashes", [("x", "a")])]
        assert (bool(session), len(session), "_flashes" in session) == (True, 1, True)
        assert session.pop("_flashes") == [("x", "a")]
        with pytest.raises(KeyError):
            del session["_flashes"]


def test_a_transaction_of_the_test_client_reads_and_writes(any_app: Flask) -> None:
    view(any_app, lambda: str(session["count"] + 1))
    client = stored(any_app, count=1)
    assert client.get("/").text == "2"
    with client.session_transaction() as opened:
        opened["count"] += 10
    assert client.get("/").text == "12"


def test_a_kept_context_still_shows_the_session(any_app: Flask) -> None:
    view(any_app, lambda: session.update(value=1))
    with any_app.test_client() as client:
        client.get("/")
        assert session["value"] == 1


def test_a_template_sees_the_session(any_app: Flask) -> None:
    view(any_app, lambda: render_template_string("{{ session.value }}{{ session['value'] }}"))
    assert stored(any_app, value="<").get("/").text == "&lt;&lt;"


def test_a_streamed_body_reads_the_session(any_app: Flask) -> None:
    def stream() -> Any:
        return flask.Response(flask.stream_with_context(str(session["value"]) for _ in range(2)))

    view(any_app, stream)
    assert stored(any_app, value=1).get("/").text == "11"


def test_a_streamed_template_shows_flashes(any_app: Flask) -> None:
    page = "{% for message in get_flashed_messages() %}{{ message }}{% endfor %}"
    view(any_app, lambda: flash("hello"), "/leave")
    view(any_app, lambda: flask.stream_template_string(page), "/read")
    client = any_app.test_client()
    client.get("/leave")
    assert client.get("/read").text == "hello"


# Its settings


def session_cookie(app: Flask, permanent: bool = False, url: str = "http://localhost/") -> str:
    """The Set-Cookie of a request that writes."""

    def write() -> None:
        session["value"], session.permanent = 1, permanent

    view(app, write)
    (cookie,) = cookies_of(app.test_client().get(url))
    return cookie


@pytest.mark.parametrize(
    ("setting", "value", "found"),
    [
        ("SESSION_COOKIE_NAME", "sid", "sid="),
        ("SESSION_COOKIE_DOMAIN", "example.com", "; Domain=example.com"),
        ("SESSION_COOKIE_PATH", "/shop", "; Path=/shop"),
        ("APPLICATION_ROOT", "/root", "; Path=/root"),
        ("SESSION_COOKIE_SECURE", True, "; Secure"),
        ("SESSION_COOKIE_SAMESITE", "Strict", "; SameSite=Strict"),
    ],
)
def test_a_setting_shows_in_the_cookie(any_app: Flask, setting: str, value: Any, found: str) -> None:
    any_app.config[setting] = value
    assert found in session_cookie(any_app)


@pytest.mark.skipif(
    not hasattr(SecureCookieSessionInterface, "get_cookie_partitioned"), reason="new in Flask 3.1"
)
def test_partitioned_shows_in_the_cookie(any_app: Flask) -> None:
    any_app.config.update(SESSION_COOKIE_PARTITIONED=True, SESSION_COOKIE_SECURE=True)
    assert "; Partitioned" in session_cookie(any_app)


def test_without_settings_the_cookie_has_flasks_attributes(any_app: Flask) -> None:
    assert session_cookie(any_app).partition(";")[2] == " HttpOnly; Path=/"


def test_httponly_may_be_switched_off(any_app: Flask) -> None:
    any_app.config["SESSION_COOKIE_HTTPONLY"] = False
    assert "HttpOnly" not in session_cookie(any_app)


def test_settings_are_read_at_each_request(any_app: Flask) -> None:
    assert "Secure" not in session_cookie(any_app)
    any_app.config["SESSION_COOKIE_SECURE"] = True
    assert "Secure" in str(cookies_of(any_app.test_client().get("/")))


def test_a_wrong_samesite_is_the_same_error(any_app: Flask) -> None:
    any_app.config["SESSION_COOKIE_SAMESITE"] = "lenient"
    with pytest.raises(ValueError, match="SameSite"):
        session_cookie(any_app)


def test_a_deletion_repeats_the_attributes(any_app: Flask) -> None:
    any_app.config.update(
        SESSION_COOKIE_DOMAIN="localhost", SESSION_COOKIE_PATH="/", SESSION_COOKIE_SECURE=True
    )
    client = stored(any_app, value=1)
    view(any_app, lambda: session.clear())
    (cookie,) = cookies_of(client.get("/"))
    assert all(part in cookie for part in ("Domain=localhost", "Path=/", "Secure", "HttpOnly"))


def expiry(cookie: str) -> datetime:
    return parsedate_to_datetime(cookie.partition("Expires=")[2].partition(";")[0])


def test_a_permanent_session_expires_as_the_settings_say(any_app: Flask) -> None:
    any_app.permanent_session_lifetime = timedelta(days=7)
    left = expiry(session_cookie(any_app, permanent=True)) - datetime.now(UTC)
    assert timedelta(days=6, hours=23, minutes=50) < left <= timedelta(days=7, seconds=1)


def test_another_session_goes_with_the_browser(any_app: Flask) -> None:
    cookie = session_cookie(any_app)
    assert "Expires" not in cookie
    assert "Max-Age" not in cookie


@pytest.mark.parametrize("permanent", [False, True], ids=["not permanent", "permanent"])
@pytest.mark.parametrize("refresh", [False, True], ids=["no refresh", "refresh"])
def test_only_what_is_permanent_is_refreshed_by_each_request(
    any_app: Flask, permanent: bool, refresh: bool
) -> None:
    any_app.config["SESSION_REFRESH_EACH_REQUEST"] = refresh
    view(any_app, lambda: None)
    response = stored(any_app, _permanent=permanent).get("/")
    assert bool(cookies_of(response)) == (permanent and refresh)
    assert response.headers.get("Vary") == ("Cookie" if permanent and refresh else None)


def test_hooks_may_be_overridden_as_flasks(any_app: Flask) -> None:
    class Hooked(type(any_app.session_interface)):  # type: ignore[misc]
        def get_cookie_name(self, app: Flask) -> str:
            return f"sid_{request.headers.get('X-Tenant', 'none')}" if request else "sid"

        def get_cookie_secure(self, app: Flask) -> bool:
            return True

        def get_expiration_time(self, app: Flask, session: Any) -> datetime:
            return datetime(2040, 1, 1, tzinfo=UTC)

        def should_set_cookie(self, app: Flask, session: Any) -> bool:
            return request.path != "/quiet" and super().should_set_cookie(app, session)

    any_app.session_interface.__class__ = Hooked
    view(any_app, lambda: session.update(value=1))
    view(any_app, lambda: session.update(value=2), "/quiet")
    client = any_app.test_client()
    (cookie,) = cookies_of(client.get("/", headers={"X-Tenant": "a"}))
    assert cookie.startswith("sid_a=")
    assert "; Secure" in cookie
    assert expiry(cookie) == datetime(2040, 1, 1, tzinfo=UTC)
    assert not cookies_of(client.get("/quiet", headers={"X-Tenant": "a"}))


# The secret key


@pytest.fixture(params=[SecureCookieSessionInterface, SessionInterface], ids=["Flask's own", "ours"])
def keyed(request: pytest.FixtureRequest) -> Flask:
    """An application whose sessions are keyed by Flask's settings."""
    return make_app(request.param())


def test_without_a_secret_key_writing_is_flasks_error(keyed: Flask) -> None:
    keyed.secret_key = None
    view(keyed, lambda: session.update(value=1))
    with pytest.raises(RuntimeError, match="no secret key was set"):
        keyed.test_client().get("/")


def test_without_a_secret_key_reading_finds_nothing(keyed: Flask) -> None:
    keyed.secret_key = None
    view(keyed, lambda: repr((session.get("value"), len(session), "x" in session)))
    response = keyed.test_client().get("/")
    assert (response.text, cookies_of(response)) == ("(None, 0, False)", [])


def test_without_a_secret_key_there_is_no_transaction(keyed: Flask) -> None:
    keyed.secret_key = None
    with pytest.raises(RuntimeError, match="did not open"), keyed.test_client().session_transaction():
        pass


def test_with_a_store_no_secret_key_is_needed() -> None:
    app = make_app(SessionInterface(CookieStore(KEY)))
    app.secret_key = None
    assert content(stored(app, a=1)) == {"a": 1}


def test_the_secret_key_is_read_at_each_request(keyed: Flask) -> None:
    client = stored(keyed, value=1)
    keyed.secret_key = OTHER_KEY
    assert content(client) == {}


def test_a_fallback_opens_what_the_old_key_sealed(keyed: Flask) -> None:
    if "SECRET_KEY_FALLBACKS" not in keyed.config and not isinstance(
        keyed.session_interface, SessionInterface
    ):
        pytest.skip("new in Flask 3.1")
    client = stored(keyed, value=1)
    keyed.config.update(SECRET_KEY=OTHER_KEY, SECRET_KEY_FALLBACKS=[KEY])
    assert content(client) == {"value": 1}
    keyed.secret_key = KEY
    keyed.config["SECRET_KEY_FALLBACKS"] = []


def test_what_a_fallback_opened_is_sealed_by_the_new_key_when_it_was_read() -> None:
    app = make_app(SessionInterface())
    view(app, lambda: str(session["value"]))
    client = stored(app, value=1)
    app.config.update(SECRET_KEY=OTHER_KEY, SECRET_KEY_FALLBACKS=[KEY])
    assert cookies_of(client.get("/"))
    app.config["SECRET_KEY_FALLBACKS"] = None
    response = client.get("/")
    assert (response.text, cookies_of(response)) == ("1", [])


def test_a_fallback_may_repeat_the_secret_key() -> None:
    app = make_app(SessionInterface(), SECRET_KEY_FALLBACKS=[KEY, KEY.encode()])
    assert content(stored(app, value=1)) == {"value": 1}


@pytest.mark.parametrize("fallbacks", [OTHER_KEY, OTHER_KEY.encode()], ids=["str", "bytes"])
def test_fallbacks_that_are_one_text_are_refused(fallbacks: Any) -> None:
    with pytest.raises(ConfigError, match="'SECRET_KEY_FALLBACKS' must be a list") as caught:
        stored(make_app(SessionInterface(), SECRET_KEY_FALLBACKS=fallbacks), value=1)
    assert caught.value.option == "SECRET_KEY_FALLBACKS"
    assert OTHER_KEY not in str(caught.value)


class Meeting(MemoryBackend):
    """Answers a load when two requests have asked."""

    def __init__(self) -> None:
        super().__init__()
        self.both: threading.Barrier | None = None

    def load(self, key: str) -> Record | None:
        if self.both is not None:
            self.both.wait(timeout=10)
        return super().load(key)


def test_no_request_waits_for_the_backend_of_another() -> None:
    backend = Meeting()
    app = make_app(SessionInterface(ServerStore(backend, KEY)))
    view(app, lambda: str(session["n"]))
    clients = [stored(app, n=number) for number in range(2)]
    backend.both = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda client: client.get("/").text, clients))
    assert answers == ["0", "1"]


def test_one_store_in_the_middleware_and_the_interface_is_refused() -> None:
    """Each would have a session of its own, and undo a log-out of the other."""
    store = MemoryStore(KEY)
    app = make_app(SessionInterface(store))
    view(app, lambda: session.get("n"))
    inner = app.wsgi_app
    app.wsgi_app = SessionMiddleware(inner, store)  # type: ignore[method-assign]
    with pytest.raises(UsageError, match="keep one of them"):
        app.test_client().get("/")
    app.wsgi_app = SessionMiddleware(inner, {"mine": store})  # type: ignore[method-assign]
    assert app.test_client().get("/").status_code == 200


def test_a_log_out_in_a_stream_follows_what_another_request_renewed() -> None:
    app = make_app(SessionInterface(MemoryStore(KEY)))

    def leaving() -> Any:
        dict(session)

        def body() -> Iterator[str]:
            yield "bye"
            session.clear()

        return flask.Response(flask.stream_with_context(body()))

    view(app, leaving, "/out")
    view(app, lambda: session.regenerate(), "/renew")
    view(app, lambda: str(session.get("n")))
    client, late = stored(app, n=1), app.test_client()
    late.set_cookie("session", client.get_cookie("session").value)
    client.get("/renew")
    with late.get("/out") as response:
        assert response.text == "bye"
    assert client.get("/").text == "None"


@pytest.mark.parametrize("secret", [42, [KEY], {"key": KEY}], ids=repr)
@pytest.mark.parametrize("option", ["SECRET_KEY", "SECRET_KEY_FALLBACKS"])
def test_a_secret_key_that_is_no_text_is_refused(
    option: str, secret: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(SessionInterface())
    app.config[option] = secret if option == "SECRET_KEY" else [secret]
    with pytest.raises(ConfigError, match=rf"'{option}' must be str or bytes \(got \w+\)") as caught:
        stored(app, value=1)
    assert KEY not in str(caught.value)
    app.testing = False
    told: list[Any] = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.exc_info)  # type: ignore[method-assign]
    monkeypatch.setattr(app.logger, "handlers", [handler])
    monkeypatch.setattr(app.logger, "disabled", False)  # which a framework's logging.config does to others
    assert app.test_client().get("/").status_code == 500
    assert [exc_info[0] for exc_info in told if exc_info] == [ConfigError], "and no other error on top"


def test_a_lifetime_that_is_over_at_once_is_refused() -> None:
    with pytest.raises(ConfigError, match="'PERMANENT_SESSION_LIFETIME' must be positive"):
        stored(make_app(SessionInterface(), PERMANENT_SESSION_LIFETIME=0), value=1)


@pytest.fixture
def stretched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The texts that were stretched; at no cost."""
    texts: list[str] = []

    def stretch(text: str, salt: bytes) -> Key:
        texts.append(text)
        assert len(salt) >= 16
        return Key(hashlib.sha256(salt + text.encode()).hexdigest())

    ours._key.cache_clear()
    ours._cookie_store.cache_clear()
    monkeypatch.setattr(ours.Key, "from_passphrase", stretch)
    yield texts
    ours._key.cache_clear()
    ours._cookie_store.cache_clear()


def test_a_short_secret_is_stretched_once_with_one_warning(
    stretched: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(SessionInterface())
    app.secret_key = "dev"
    client = stored(app, value=1)
    app.permanent_session_lifetime = timedelta(days=9)
    assert content(client) == {"value": 1}
    assert stretched == ["dev"]
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "SECRET_KEY is stretched" in warning.getMessage()
    assert "process: it must have at least 32 bytes" in warning.getMessage()
    assert "at least 32 bytes (got 3)" in warning.getMessage()


def test_a_short_secret_in_bytes_is_the_same_as_its_text(stretched: list[str]) -> None:
    app = make_app(SessionInterface())
    app.secret_key = "dev"
    client = stored(app, value=1)
    app.secret_key = b"dev"
    assert content(client) == {"value": 1}


def test_a_short_secret_really_is_stretched() -> None:
    ours._key.cache_clear()
    assert ours._key("dev") == Key.from_passphrase("dev", ours._SALT)


# What ours do beyond


@pytest.mark.parametrize("kind", [kind for kind in OURS if kind != "custom"])  # which keeps empty ones
def test_who_has_no_cookie_is_not_told_to_delete_it(kind: str) -> None:
    app = make_app(OURS[kind]())
    view(app, lambda: (flash("a"), repr(get_flashed_messages()))[1])
    assert cookies_of(app.test_client().get("/")) == []


def test_new_tells_whether_it_was_stored(app: Flask) -> None:
    view(app, lambda: repr(session.new))
    assert app.test_client().get("/").text == "True"
    assert stored(app, value=1).get("/").text == "False"


def test_a_change_inside_a_value_is_saved_without_a_flag(app: Flask) -> None:
    view(app, lambda: session["cart"].append(1), "/add")
    view(app, lambda: str(session["cart"]), "/")
    client = stored(app, cart=[])
    client.get("/add")
    client.get("/add")
    response = client.get("/")
    assert response.text == "[1, 1]"
    if not isinstance(app.session_interface.store, PlainStore):  # type: ignore[attr-defined]
        assert cookies_of(response) == [], "only looked at"


def test_a_change_inside_counts_as_modified_and_stays_the_same_object(app: Flask) -> None:
    client = stored(app, cart=[])

    def change() -> None:
        cart = session["cart"]
        cart.append(Markup("a"))
        assert session.modified
        cart.append("b")

    view(app, change)
    client.get("/")
    assert content(client) == {"cart": ["a", "b"]}


def test_a_registered_type_is_kept_as_it_is() -> None:
    store = CookieStore(KEY, serializer=CBORSerializer({"point/1": Point, "colour/1": Colour}))
    client = stored(make_app(SessionInterface(store)), point=[Point(1, Colour.RED)])
    (found,) = content(client)["point"]
    assert (type(found), type(found.y)) == (Point, Colour)


@pytest.mark.parametrize(
    "value",
    [
        Decimal("1.50"),
        date(2030, 1, 2),
        timedelta(1),
        {1: "int key"},
        {1, 2},
        datetime(2030, 1, 2, 3, 4, 5, 6),  # noqa: DTZ001
    ],
)
def test_more_types_are_kept_exactly_than_by_flask(value: Any) -> None:
    found = content(stored(make_app(SessionInterface()), value=value))["value"]
    assert (found, type(found)) == (value, type(value))


def test_what_is_refused_is_named_by_its_place() -> None:
    with pytest.raises(SerializeError, match=r"session\['cart'\]\[0\]") as caught:
        stored(make_app(SessionInterface()), cart=[object()])
    assert caught.value.path == "session['cart'][0]"


def test_what_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(SerializeError, match="holds itself"):
        stored(make_app(SessionInterface()), endless=endless)


def test_a_cookie_that_browsers_would_drop_is_an_error() -> None:
    with pytest.raises(CookieTooLargeError, match="bytes by key: value 5"):
        stored(make_app(SessionInterface()), value="x" * 5000)


def test_a_session_on_the_server_may_be_large() -> None:
    assert len(content(stored(make_app(OURS["server"]()), value="x" * 5000))["value"]) == 5000


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        (None, "no-store"),
        ("public, max-age=60", "max-age=60, private"),
        ("private", "private"),
        ("no-cache", "no-cache, private"),
    ],
)
def test_no_shared_cache_keeps_a_response_that_sets_the_cookie(
    app: Flask, said: str | None, sent: str
) -> None:
    view(
        app,
        lambda: (session.update(value=1), flask.Response(headers={"Cache-Control": said} if said else {}))[1],
    )
    assert app.test_client().get("/").headers["Cache-Control"] == sent


def test_caching_is_left_alone_otherwise(app: Flask) -> None:
    view(app, lambda: (session.get("value"), flask.Response(headers={"Cache-Control": "public"}))[1])
    assert app.test_client().get("/").headers["Cache-Control"] == "public"


def test_a_subclass_may_leave_the_header_alone() -> None:
    class Quiet(SessionInterface):
        cache_control = None

    app = make_app(Quiet())
    view(app, lambda: session.update(value=1))
    assert "Cache-Control" not in app.test_client().get("/").headers


def test_login_records_who_and_takes_a_new_id() -> None:
    app = make_app(OURS["server"]())
    view(app, lambda: session.login("7"))  # type: ignore[attr-defined]
    view(app, lambda: f"{session.principal} {session['cart']} {session.handle}", "/who")  # type: ignore[attr-defined]
    client = stored(app, cart=1)
    before = client.get("/who").text.split()
    client.get("/")
    after = client.get("/who").text.split()
    assert (before[:2], after[:2]) == (["None", "1"], ["7", "1"])
    assert before[2] != after[2]


def test_login_alone_is_something_to_store(app: Flask) -> None:
    if isinstance(app.session_interface.store, PlainStore):  # type: ignore[attr-defined]
        pytest.skip("it keeps only values")
    view(app, lambda: session.login("7"), "/login")  # type: ignore[attr-defined]
    view(app, lambda: str(session.principal))  # type: ignore[attr-defined]
    client = app.test_client()
    client.get("/login")
    assert client.get("/").text == "7"


def test_clear_logs_out_and_ends_the_record(app: Flask) -> None:
    if isinstance(app.session_interface.store, PlainStore):  # type: ignore[attr-defined]
        pytest.skip("it keeps only values")
    view(app, lambda: session.login("7"), "/login")  # type: ignore[attr-defined]
    view(app, lambda: session.clear(), "/logout")
    view(app, lambda: str(session.principal))  # type: ignore[attr-defined]
    client = app.test_client()
    client.get("/login")
    client.get("/logout")
    assert client.get("/").text == "None"
    assert client.get_cookie("session") is None


@pytest.mark.parametrize("name", ["server", "revocable"])
def test_an_old_cookie_is_dead_after_clear(name: str) -> None:
    app = make_app(OURS[name]())
    view(app, lambda: (session.clear(), session.update(member="ada"))[1])
    client = stored(app, cart=1)
    old = client.get_cookie("session").value
    client.get("/")
    assert content(client) == {"member": "ada"}
    thief = app.test_client()
    thief.set_cookie("session", old)
    assert content(thief) == {}


@pytest.mark.parametrize("name", ["server", "revocable"])
def test_revoke_logs_out_everywhere_else(name: str) -> None:
    app = make_app(OURS[name]())
    store = app.session_interface.store  # type: ignore[attr-defined]
    view(app, lambda: session.login("7"), "/login")  # type: ignore[attr-defined]
    view(app, lambda: store.revoke("7", keep=session), "/revoke")
    view(app, lambda: str(session.principal))  # type: ignore[attr-defined]
    here, there = app.test_client(), app.test_client()
    here.get("/login")
    there.get("/login")
    here.get("/revoke")
    assert (here.get("/").text, there.get("/").text) == ("7", "None")


def test_csrf_tokens_are_those_of_the_session(app: Flask) -> None:
    with app.test_request_context():
        token = session.csrf_token()  # type: ignore[attr-defined]
        assert session.check_csrf(token)  # type: ignore[attr-defined]
        assert not session.check_csrf("x")  # type: ignore[attr-defined]
        assert session.modified


def test_max_age_remembers_for_a_time_of_its_own() -> None:
    app = make_app(OURS["cookie"]())

    def remember() -> None:
        session["value"] = 1
        session.max_age = timedelta(days=3)  # type: ignore[attr-defined]

    view(app, remember)
    (cookie,) = cookies_of(app.test_client().get("/"))
    assert timedelta(days=2, hours=23) < expiry(cookie) - datetime.now(UTC) <= timedelta(days=3, seconds=1)


def test_names_that_neither_flask_nor_ours_have_are_attribute_errors(app: Flask) -> None:
    with app.test_request_context():
        assert not hasattr(session, "sid")
        assert not hasattr(session, "__html__")


def test_no_value_shows_in_its_repr(app: Flask) -> None:
    with app.test_request_context():
        assert repr(session._get_current_object()) == "<Session 'session', not opened>"
        session["secret"] = "hidden"
        assert "hidden" not in repr(session)


# What a store's options say where the settings say nothing


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (CookieOptions(domain="example.com"), "; Domain=example.com"),
        (CookieOptions(path="/shop"), "; Path=/shop"),
        (CookieOptions(samesite="Strict"), "; SameSite=Strict"),
        (CookieOptions(prefix="__Host-"), "__Host-session="),
        (CookieOptions(prefix="__Secure-"), "; Secure"),
        (CookieOptions(max_age=3600), "; Expires="),
    ],
)
def test_a_stores_options_fill_in(options: CookieOptions, found: str) -> None:
    assert found in session_cookie(make_app(SessionInterface(CookieStore(OTHER_KEY, options=options))))


def test_the_settings_win_over_a_stores_options() -> None:
    options = CookieOptions(domain="a.example", path="/a", samesite="Strict")
    app = make_app(
        SessionInterface(CookieStore(OTHER_KEY, options=options)),
        SESSION_COOKIE_DOMAIN="b.example",
        SESSION_COOKIE_PATH="/b",
        SESSION_COOKIE_SAMESITE="Lax",
    )
    assert session_cookie(app).partition(";")[2] == " Domain=b.example; HttpOnly; Path=/b; SameSite=Lax"


@pytest.mark.parametrize("store", ["cookie:", CookieStore, object()], ids=["url", "class", "object"])
def test_what_is_no_store_is_refused(store: Any) -> None:
    with pytest.raises(ConfigError, match="'store' must be a store or None") as caught:
        SessionInterface(store)
    assert caught.value.option == "store"


def test_a_setting_of_flask_session_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    about_flask_session.cache_clear()
    app = Flask("shop")
    app.config["SESSION_TYPE"] = "redis"
    app.session_interface = SessionInterface(MemoryStore(KEY))
    app.add_url_rule("/", "index", lambda: str(len(session)))
    for _ in range(2):
        app.test_client().get("/")
    [warning] = [record.getMessage() for record in caplog.records]
    assert "SESSION_TYPE" in warning
    assert "store_from_url" in warning


# Lazily, and late


class Counting(MemoryBackend):
    """Counts what is loaded; fails when it is told to."""

    loads, failing = 0, False

    def load(self, key: str) -> Any:
        if self.failing:
            raise BackendError("counting", "load")
        self.loads += 1
        return super().load(key)


def test_a_backend_is_not_asked_for_a_session_that_nobody_looks_at() -> None:
    backend = Counting()
    app = make_app(SessionInterface(ServerStore(backend, KEY)), SESSION_REFRESH_EACH_REQUEST=False)
    client = stored(app, value=1)
    view(app, lambda: None)
    backend.loads = 0
    client.get("/")
    assert backend.loads == 0


def test_a_failing_backend_is_an_error_that_the_application_may_handle() -> None:
    backend = Counting()
    app = make_app(SessionInterface(ServerStore(backend, KEY)))
    client = stored(app, value=1)
    app.register_error_handler(BackendError, lambda error: ("closed", 503))
    view(app, lambda: str(session["value"]))
    backend.failing = True
    response = client.get("/")
    assert (response.status_code, response.text) == (503, "closed")


def test_a_failing_backend_fails_no_page_that_does_without_a_session(
    caplog: pytest.LogCaptureFixture,
) -> None:
    backend = Counting()
    app = make_app(SessionInterface(ServerStore(backend, KEY)))
    client = stored(app, _permanent=True)
    view(app, lambda: "open")
    backend.failing = True
    assert client.get("/").text == "open"
    assert "was not refreshed" in caplog.text


def streaming(app: Flask, late: Callable[[], Any], before: Callable[[], Any] = lambda: None) -> None:
    """A page whose body does something after its first item."""

    def stream() -> Any:
        before()

        def body() -> Iterator[str]:
            yield "begin "
            yield str(late())

        return flask.Response(flask.stream_with_context(body()))

    view(app, stream)


@pytest.mark.parametrize("before", [lambda: None, lambda: session.get("value")], ids=["unopened", "opened"])
def test_a_change_while_the_body_streams_is_saved_on_the_server(before: Callable[[], Any]) -> None:
    app = make_app(OURS["server"]())
    streaming(app, lambda: session.update(value=Markup("<b>")), before)
    client = stored(app, value=1)
    with client.get("/") as response:
        assert response.text
    assert content(client) == {"value": Markup("<b>")}
    assert isinstance(content(client)["value"], Markup)


@pytest.mark.parametrize("before", [lambda: None, lambda: session.get("value")], ids=["unopened", "opened"])
def test_a_write_after_the_cookie_has_left_is_an_error_at_its_line(before: Callable[[], Any]) -> None:
    app = make_app(OURS["cookie"](), SESSION_REFRESH_EACH_REQUEST=False)
    streaming(app, lambda: session.update(value=2), before)
    with pytest.raises(SessionSealedError):
        stored(app, value=1).get("/").get_data()


def test_flashes_that_a_streamed_template_read_are_gone_on_the_server() -> None:
    app = make_app(OURS["server"]())
    view(app, lambda: flash("hello"), "/leave")
    streaming(app, lambda: get_flashed_messages())
    client = app.test_client()
    client.get("/leave")
    with client.get("/") as response:
        assert response.text
    assert content(client) == {}


def test_flashes_read_too_late_for_a_cookie_are_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(OURS["cookie"]())
    view(app, lambda: flash("hello"), "/leave")
    streaming(app, lambda: get_flashed_messages())
    client = app.test_client()
    client.get("/leave")
    with client.get("/") as response:
        assert response.text == "begin ['hello']"
    assert "late_change" in caplog.text


def test_two_requests_at_once_lose_neither_change_nor_flash() -> None:
    app = make_app(OURS["server"]())
    client = stored(app, start=1)
    with client.session_transaction() as opened:
        opened["mine"], opened["_flashes"] = Markup("1"), [("message", "mine")]
        with client.session_transaction() as other:
            other["theirs"], other["_flashes"] = Markup("2"), [("message", Markup("theirs"))]
    found = content(client)
    assert sorted(found.pop("_flashes")) == [("message", "mine"), ("message", "theirs")]
    assert found == {"start": 1, "mine": "1", "theirs": "2"}
    assert all(isinstance(found[key], Markup) for key in ("mine", "theirs"))


# Time


def test_without_a_store_a_session_ends_as_long_after_its_last_cookie_as_flasks(monkeypatch: Any) -> None:
    store = ours._cookie_store((KEY,), timedelta(hours=1))
    clock = ManualClock(time.time())
    monkeypatch.setattr(store, "_clock", clock)
    app = make_app(SessionInterface(store), SESSION_REFRESH_EACH_REQUEST=False)
    view(app, lambda: str(session.get("value")))
    client = stored(app, value=1)
    clock.advance(3599)
    response = client.get("/")
    assert (response.text, cookies_of(response)) == ("1", []), "looking at it prolongs nothing, as in Flask"
    clock.advance(2)
    assert client.get("/").text == "None"


def test_a_stores_idle_limit_moves_with_each_visit() -> None:
    clock = ManualClock()
    store = MemoryStore(KEY, lifetime=Lifetime(idle=3600), clock=clock)
    app = make_app(SessionInterface(store))
    view(app, lambda: str(session.get("value")))
    client = stored(app, value=1)
    for _ in range(3):
        clock.advance(3000)
        assert client.get("/").text == "1"
    clock.advance(3601)
    assert client.get("/").text == "None"


# Nobody is logged out


class Foreign:
    """An importer of Flask's cookies, by Flask's own serializer; flashes come apart, or do not."""

    def __init__(self, app: Flask, apart: bool) -> None:
        self._apart = apart
        self._serializer = SecureCookieSessionInterface().get_signing_serializer(app)

    def read(self, text: str, now: float) -> Imported:
        try:
            values = self._serializer.loads(text)  # type: ignore[union-attr]
        except BadSignature:
            raise DecodeError("forged") from None
        flashes = values.pop("_flashes", []) if self._apart else []
        return Imported(values, now, flashes)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("make", [CookieStore, MemoryStore])
def test_a_visitor_with_flasks_cookie_is_not_logged_out(make: Any, apart: bool) -> None:
    app = make_app(SecureCookieSessionInterface())
    client = stored(
        app, member="ada", note=Markup("<b>"), _permanent=True, _flashes=[("message", Markup("<i>"))]
    )
    old = client.get_cookie("session").value
    app.session_interface = SessionInterface(make(OTHER_KEY, accept=[Foreign(app, apart)]))
    view(app, lambda: session["member"])
    response = client.get("/")
    assert (response.text, len(cookies_of(response))) == ("ada", 1)
    assert client.get_cookie("session").value != old
    found = content(client)
    assert found == {"member": "ada", "note": "<b>", "_permanent": True, "_flashes": [("message", "<i>")]}
    assert isinstance(found["note"], Markup)
    assert isinstance(found["_flashes"][0][1], Markup)


def test_an_old_cookie_of_another_name_is_deleted() -> None:
    app = make_app(SessionInterface(CookieStore(KEY, options=CookieOptions(prefix="__Secure-"))))
    client = stored(app, value=1)
    before = app.session_interface.store  # type: ignore[attr-defined]
    app.session_interface = SessionInterface(CookieStore(OTHER_KEY, accept=[before]))
    view(app, lambda: str(session["value"]))
    response = client.get("/", base_url="https://localhost")
    assert response.text == "1"
    assert sorted(cookie.partition("=")[0] for cookie in cookies_of(response)) == [
        "__Secure-session",
        "session",
    ]
    assert client.get_cookie("__Secure-session") is None


@pytest.mark.parametrize("make", [CookieStore, MemoryStore])
def test_a_store_of_json_takes_over_what_flask_keeps(make: Any) -> None:
    app = make_app(SecureCookieSessionInterface())
    values = {"pair": (1, 2), "raw": b"a", "note": Markup("<b>")}
    client = stored(app, **values)
    store = make(OTHER_KEY, accept=[Foreign(app, apart=True)], serializer=JSONSerializer())
    app.session_interface = SessionInterface(store)
    view(app, lambda: repr(session["pair"]))
    for _ in range(2):
        assert client.get("/").text == "(1, 2)"
    assert content(client) == values


@pytest.mark.parametrize("raised", [TypeError, ValueError])
def test_a_serializer_of_one_s_own_may_refuse_as_it_likes(raised: type[Exception]) -> None:
    class Own(JSONSerializer):
        def dumps(self, value: Any) -> bytes:
            try:
                return super().dumps(value)
            except SerializeError:
                raise raised("no") from None

    client = stored(make_app(SessionInterface(MemoryStore(KEY, serializer=Own()))), pair=(1, 2), raw=b"a")
    assert content(client) == {"pair": (1, 2), "raw": b"a"}


class Given:
    """Finds something that no store keeps in whatever comes."""

    def __init__(self, value: Any, options: CookieOptions | None = None) -> None:
        self.value, self.cookie, self.options = value, "foreign", options

    def read(self, text: str, now: float) -> Imported:
        return Imported({"value": self.value}, now)


@pytest.mark.parametrize("make", [CookieStore, MemoryStore])
def test_what_no_store_keeps_is_no_reason_to_fail(make: Any) -> None:
    app = make_app(SessionInterface(make(KEY, accept=[Given(object())])))
    view(app, lambda: f"{dict(session)} {session.rejected}")
    client = app.test_client()
    client.set_cookie("foreign", "x")
    response = client.get("/")
    assert (response.status_code, response.text) == (200, "{} unreadable")


ATTRIBUTES = {"Path=/old", "Domain=example.com"}


@pytest.mark.parametrize("told", ["options", "settings"])
@pytest.mark.parametrize("again", [False, True], ids=["taken over", "set again"])
def test_a_foreign_cookie_is_deleted_where_it_is(told: str, again: bool) -> None:
    """As the importer's options say, else as Flask's settings do."""
    options = CookieOptions(path="/old", domain="example.com") if told == "options" else None
    app = make_app(SessionInterface(CookieStore(KEY, accept=[Given(1, options)])))
    if told == "settings":
        app.config.update(SESSION_COOKIE_PATH="/old", SESSION_COOKIE_DOMAIN="example.com")
    view(app, lambda: (session.clear(), "bye")[1] if again else str(session["value"]))
    client = app.test_client(use_cookies=False)
    headers = {"Cookie": "foreign=x"}
    if again:
        own = app.session_interface.store.open("session", [])  # type: ignore[attr-defined]
        own["value"] = 2
        text = app.session_interface.store.commit(own)  # type: ignore[attr-defined]
        headers = {"Cookie": f"foreign=x; session={text}"}
    response = client.get("/", headers=headers)
    assert response.text == ("bye" if again else "1")
    (deletion,) = [cookie for cookie in cookies_of(response) if cookie.startswith("foreign=;")]
    assert set(deletion.split("; ")) >= ATTRIBUTES | {"Max-Age=0"}


@pytest.mark.parametrize("text", ["", "x", "a.b.c", '"', "é", "x" * 5000])
def test_a_bad_cookie_is_an_empty_session(any_app: Flask, text: str) -> None:
    view(any_app, lambda: repr(dict(session)))
    response = any_app.test_client().get("/", headers={"Cookie": f"session={text}"})
    assert (response.text, cookies_of(response)) == ("{}", [])


def test_a_request_leaves_no_session_behind(app: Flask) -> None:
    kept: list[Any] = []
    view(app, lambda: (session.update(value=1), kept.append(weakref.ref(session._get_current_object())))[0])
    gc.disable()
    try:
        app.test_client().get("/").close()
        gc.collect()
        assert [ref() for ref in kept] == [None]
    finally:
        gc.enable()


def test_the_session_is_of_a_class_that_can_be_named(app: Flask) -> None:
    with app.test_request_context():
        assert type(session._get_current_object()) is FlaskSession
