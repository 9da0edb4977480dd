"""`sessions_wsgi.compat.beaker`: one application under the real Beaker and under ours."""

from __future__ import annotations

import json
import operator
import pickle
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from beaker.middleware import SessionMiddleware as Beaker
from webob import Request, Response

from sessions_wsgi import (
    CBORSerializer,
    ConfigError,
    CookieStore,
    FileStore,
    MemoryStore,
    ServerStore,
    UsageError,
)
from sessions_wsgi.compat import beaker
from sessions_wsgi.testing import Client, ManualClock, make_cookie

SECRET = "tGq7dYw2Lk0vXo4sRz9BfUc1MhJe6NpAiKx3WyTb5Qg"
OTHER = "Zr8nVt5xHq2JmLw0EoKb7CsPd4YgXf9UaTi1NvRh6Mk"

MIDDLEWARES = {"beaker": Beaker, "ours": beaker.SessionMiddleware}
TYPES = {
    "memory": {"session.type": "memory", "session.secret": SECRET},
    "file": {"session.type": "file", "session.secret": SECRET, "session.data_dir": "data"},
    "dbm": {"session.type": "dbm", "session.secret": SECRET, "session.data_dir": "data"},
    "cookie": {"session.type": "cookie", "session.validate_key": SECRET},
    "encrypted": {"session.type": "cookie", "session.validate_key": SECRET, "session.encrypt_key": OTHER},
    "encrypted file": {
        "session.type": "file",
        "session.data_dir": "data",
        "session.secret": SECRET,
        "session.validate_key": SECRET,
        "session.encrypt_key": OTHER,
    },
}
SERVER_SIDE = ["memory", "file", "dbm", "encrypted file"]


@pytest.fixture(autouse=True)
def _empty_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=MIDDLEWARES)
def middleware(request) -> Any:
    return MIDDLEWARES[request.param]


@pytest.fixture(params=TYPES)
def config(request) -> dict[str, Any]:
    return {**TYPES[request.param], "session.data_serializer": "json"}


@pytest.fixture(params=SERVER_SIDE)
def server_config(request) -> dict[str, Any]:
    return {**TYPES[request.param], "session.data_serializer": "json"}


def on(middleware: Any, config: dict[str, Any], work: Callable[[Any], Any], **kwargs: Any) -> Client:
    """A visitor of an application that does this with its session, and answers in JSON."""
    return Client(middleware(answering(work), config, **kwargs))


def answering(work: Callable[[Any], Any]) -> Any:
    def application(environ, start_response):
        request = Request(environ)
        result = (
            work(environ["beaker.session"])
            if work.__code__.co_argcount == 1
            else work(environ["beaker.session"], request)
        )
        return Response(json=result)(environ, start_response)

    return application


def shop(session, request):
    """Signs up, signs in, leaves a message, signs out."""
    name = request.params.get("name")
    match request.path_info:
        case "/join":
            session["users"] = [*session.get("users", []), name]
            session["message"] = f"welcome, {name}"
            session.save()
        case "/login":
            if name in session.get("users", []):
                session["user"] = name
                if "_id" not in session:  # Beaker's cookie sessions fail here
                    session.regenerate_id()
                session.save()
        case "/read":
            message = session.pop("message", None)
            session.save()
            return message
        case "/logout":
            session.delete()
        case "/forget":
            session.invalidate()
            session["message"] = "bye"
            session.save()
    return session.get("user")


def test_the_whole_scenario(middleware, config):
    visitor = on(middleware, config, shop)
    visitor.post("/join", form={"name": "ada"})
    assert visitor.get("/read").json == "welcome, ada"
    assert visitor.get("/read").json is None
    assert visitor.post("/login", form={"name": "eve"}).json is None
    assert visitor.post("/login", form={"name": "ada"}).json == "ada"
    assert visitor.get("/").json == "ada"
    visitor.post("/logout")
    assert visitor.get("/").json is None


def test_what_is_written_after_invalidate_is_a_new_session(middleware, server_config):
    visitor = on(middleware, server_config, shop)
    visitor.post("/join", form={"name": "ada"})
    visitor.post("/login", form={"name": "ada"})
    visitor.post("/forget")
    assert visitor.get("/read").json == "bye"
    assert visitor.get("/").json is None


# One fact each, of both


def count(session, request):
    session["n"] = session.get("n", 0) + 1
    if "save" in request.GET:
        session.save()
    return session["n"]


def test_without_save_nothing_is_kept(middleware, config):
    visitor = on(middleware, config, count)
    assert [visitor.get().json for _ in range(2)] == [1, 1]


def test_with_save_it_is_kept(middleware, config):
    visitor = on(middleware, config, count)
    assert [visitor.get("/?save").json for _ in range(3)] == [1, 2, 3]


def test_what_was_not_saved_is_dropped_beside_what_was(middleware, config):
    visitor = on(middleware, config, count)
    assert [visitor.get(path).json for path in ("/?save", "/", "/?save")] == [1, 2, 2]


def test_auto_saves_by_itself(middleware, config):
    visitor = on(middleware, {**config, "session.auto": "true"}, count)
    assert [visitor.get().json for _ in range(3)] == [1, 2, 3]


def test_revert_goes_back_to_what_was_loaded(middleware, config):
    def work(session, request):
        session["n"] = session.get("n", 0) + 1
        if request.path_info == "/revert":
            session.revert()
        session.save()
        return session.get("n")

    visitor = on(middleware, config, work)
    assert [visitor.get(path).json for path in ("/", "/revert", "/")] == [1, 1, 2]


def test_an_error_status_is_no_obstacle(middleware, config):
    def application(environ, start_response):
        session = environ["beaker.session"]
        session["n"] = session.get("n", 0) + 1
        session.save()
        start_response("500 Oh", [("Content-Type", "text/plain")])
        return [str(session["n"]).encode()]

    visitor = Client(middleware(application, config))
    assert [visitor.get().text for _ in range(2)] == ["1", "2"]


def test_what_was_raised_drops_the_changes(middleware, config):
    def work(session, request):
        session["n"] = session.get("n", 0) + 1
        session.save()
        if request.path_info == "/raise":
            raise LookupError
        return session["n"]

    visitor = on(middleware, config, work)
    visitor.get()
    with pytest.raises(LookupError):
        visitor.get("/raise")
    assert visitor.get().json == 2


def test_an_empty_session_is_stored_by_save(middleware, config):
    def work(session, request):
        if "save" in request.GET:
            session.save()
        return session.is_new

    visitor = on(middleware, config, work)
    assert [visitor.get(path).json for path in ("/?save", "/")] == [True, False]


def test_who_does_not_look_gets_no_cookie(middleware, config):
    visitor = on(middleware, config, lambda session: session.accessed())
    assert visitor.get().json is False
    assert visitor.cookies == {}


def test_there_is_no_cookie_for_who_only_reads(middleware, config):
    visitor = on(middleware, config, lambda session: session.get("n"))
    visitor.get()
    assert visitor.cookies == {}


def test_the_cookie_has_the_name_of_the_key(middleware, config):
    visitor = on(middleware, {**config, "session.key": "shop"}, count)
    visitor.get("/?save")
    assert list(visitor.cookies) == ["shop"]


def test_the_cookie_has_the_attributes(middleware, config):
    more = {"session.cookie_path": "/app", "session.cookie_domain": "example.com", "session.secure": "true"}
    more |= {"session.httponly": "yes", "session.samesite": "Strict"}
    client = Client(
        middleware(answering(count), {**config, **more}),
        "https://www.example.com",
    )
    client.get("/app?save")
    (cookie,) = client.jar
    assert (cookie.path, cookie.domain, cookie.secure, cookie.httponly, cookie.samesite) == (
        "/app",
        "example.com",
        True,
        True,
        "Strict",
    )


@pytest.mark.parametrize(
    ("expires", "seconds"),
    [("true", None), (True, None), (3600, 3600), ("3600", 3600), (timedelta(hours=1), 3600)],
)
def test_the_cookie_expires(middleware, config, expires, seconds):
    visitor = on(middleware, {**config, "session.cookie_expires": expires}, count)
    visitor.get("/?save")
    (cookie,) = visitor.jar
    assert cookie.expires == (None if seconds is None else pytest.approx(time.time() + seconds, abs=5))


def test_the_cookie_expires_at_a_date(middleware, config):
    date = (datetime.now(UTC) + timedelta(hours=2)).replace(microsecond=0)
    visitor = on(middleware, {**config, "session.cookie_expires": date}, count)
    visitor.get("/?save")
    (cookie,) = visitor.jar
    assert cookie.expires == pytest.approx(date.timestamp(), abs=5)


def test_a_cookie_that_never_expires_is_kept_as_long_as_browsers_do(middleware, config):
    visitor = on(middleware, {**config, "session.cookie_expires": False}, count)
    visitor.get("/?save")
    (cookie,) = visitor.jar
    assert cookie.expires == pytest.approx(time.time() + 400 * 86400, abs=5)


def test_options_without_prefix_are_keyword_arguments(middleware):
    visitor = on(middleware, {}, count, type="cookie", validate_key=SECRET, data_serializer="json", auto=True)
    assert [visitor.get().json for _ in range(2)] == [1, 2]


def test_settings_of_others_are_not_looked_at(middleware, config):
    visitor = on(middleware, {**config, "debug": "true", "cache.type": "memory", "url": "x"}, count)
    assert visitor.get("/?save").json == 1


def test_the_other_prefix_counts_as_well(middleware, config):
    renamed = {f"beaker.{name}": value for name, value in config.items()}
    visitor = on(middleware, renamed, count)
    assert [visitor.get("/?save").json for _ in range(2)] == [1, 2]


def test_the_environ_key_can_be_another(middleware, config):
    def application(environ, start_response):
        return Response(json=environ["my.session"].get("n"))(environ, start_response)

    assert Client(middleware(application, config, environ_key="my.session")).get().json is None


@pytest.mark.parametrize(
    ("work", "result"),
    [
        (lambda session: session.setdefault("a", 1), 1),
        (lambda session: session.update({"a": 1}) or session["a"], 1),
        (lambda session: [session.update(a=1, b=2), session.pop("a"), "a" in session][1:], [1, False]),
        (lambda session: session.get("missing", "x"), "x"),
        (lambda session: sorted(key for key in session if not key.startswith("_")), []),
        (lambda session: [session.__setitem__("a", 1), session.clear(), session.get("a")][2], None),
        (lambda session: session.has_key("a"), False),
        (lambda session: bool(session), True),
        (lambda session: session.copy().get("a"), None),
        (lambda session: session.is_new, True),
        (lambda session: session.path, "/"),
        (lambda session: session.domain, None),
        (lambda session: session.key, "beaker.session.id"),
        (lambda session: session.timeout, None),
        (lambda session: session.cookie_expires, True),
        (lambda session: session.dirty(), False),
        (lambda session: [session.save(), session.dirty()][1], True),
        (lambda session: session.accessed(), False),
    ],
)
def test_a_new_session_tells(middleware, config, work, result):
    assert on(middleware, config, work).get().json == result


def test_a_new_session_has_its_times_among_the_values(middleware, server_config):
    visitor = on(middleware, server_config, lambda session: sorted(session.keys()))
    assert visitor.get().json == ["_accessed_time", "_creation_time", "_domain", "_path"]


def test_a_session_has_an_id_that_stays(middleware, config):
    def work(session):
        session.save()
        return session.id

    visitor = on(middleware, config, work)
    one, two = visitor.get().json, visitor.get().json
    assert one == two
    assert on(middleware, config, work).get().json != one


def test_a_session_knows_when_it_began(middleware, config):
    def work(session):
        if "n" not in session:
            session["n"] = 1
            session.save()
            return None
        return [session.created, session["_creation_time"], session["_accessed_time"]]

    visitor = on(middleware, config, work)
    visitor.get()
    assert visitor.get().json == [pytest.approx(time.time(), abs=5)] * 3


def test_the_last_visit_is_told(middleware, server_config):
    def work(session):
        session.save()
        return session.last_accessed

    visitor = on(middleware, server_config, work)
    assert visitor.get().json is None
    assert visitor.get().json == pytest.approx(time.time(), abs=5)


def test_a_session_is_found_by_its_id(middleware, server_config):
    def work(session, request):
        if request.path_info == "/find":
            found = session.get_by_id(request.GET["id"])
            return None if found is None else found["n"]
        session["n"] = 7
        session.save()
        return session.id

    app = middleware(answering(work), server_config)
    found = Client(app).get().json
    assert Client(app).get("/find", params={"id": found}).json == 7


@pytest.mark.parametrize("unknown", ["0" * 64, "0" * 32, "x", "", "../../etc"])
def test_an_id_that_is_unknown_finds_nothing(unknown):
    def work(session):
        return session.get_by_id(unknown)

    assert on(beaker.SessionMiddleware, TYPES["memory"], work).get().json is None


def test_a_session_that_was_found_is_saved_at_once(middleware, server_config):
    def work(session, request):
        if request.path_info == "/add":
            found = session.get_by_id(request.GET["id"])
            found["n"] += 1
            found.save()
            return session.get_by_id(request.GET["id"])["n"]
        session.setdefault("n", 1)
        session.save()
        return [session.id, session["n"]]

    visitor = on(middleware, server_config, work)
    found, _ = visitor.get().json
    assert visitor.get("/add", params={"id": found}).json == 2
    assert visitor.get().json[1] == 2


# What is better, or was never right


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def ours(work: Any, kind: str = "memory", clock: Any = time.time, **options: Any) -> Client:
    """A visitor of our middleware."""
    config = {**TYPES[kind], **{f"session.{name}": value for name, value in options.items()}}
    return Client(beaker.SessionMiddleware(answering(work), config, clock=clock), clock=clock)


@pytest.mark.parametrize("kind", TYPES)
def test_a_nested_change_that_was_not_saved_is_dropped(kind):
    def work(session, request):
        session.setdefault("list", []).append(1)
        if "save" in request.GET:
            session.save()
        return len(session["list"])

    visitor = ours(work, kind)
    assert [visitor.get(path).json for path in ("/?save", "/", "/?save", "/")] == [1, 2, 2, 3]


@pytest.mark.parametrize("kind", TYPES)
def test_types_stay(kind):
    def work(session):
        kept = session.get(1) == (1, 2)
        session[1] = (1, 2)
        session.save()
        return kept

    visitor = ours(work, kind)
    assert [visitor.get().json for _ in range(2)] == [False, True]


@pytest.mark.parametrize("kind", SERVER_SIDE)
@pytest.mark.parametrize("end", ["delete", "invalidate", "regenerate_id"])
def test_the_old_id_is_dead(kind, end):
    def work(session, request):
        if request.path_info == "/end":
            getattr(session, end)()
        elif "n" not in session:
            session["n"] = 1
            session.save()
        return session.is_new

    visitor = ours(work, kind)
    visitor.get()
    old = visitor.cookies["beaker.session.id"]
    visitor.get("/end")
    visitor.set_cookie("beaker.session.id", old)
    assert visitor.get().json is True


@pytest.mark.parametrize("kind", TYPES)
def test_delete_removes_the_cookie(kind):
    def work(session, request):
        if request.path_info == "/end":
            session.delete()
        else:
            session.save()

    visitor = ours(work, kind)
    visitor.get()
    visitor.get("/end")
    assert visitor.cookies == {}


@pytest.mark.parametrize("kind", TYPES)
def test_what_is_saved_after_delete_is_a_new_session(kind):
    def work(session, request):
        if request.path_info == "/end":
            session.delete()
            session["b"] = 2
            session.save()
        elif session.is_new:
            session["a"] = 1
            session.save()
        return [session.get("a"), session.get("b")]

    visitor = ours(work, kind)
    visitor.get()
    visitor.get("/end")
    assert visitor.get().json == [None, 2]


@pytest.mark.parametrize("kind", SERVER_SIDE)
def test_regenerate_keeps_the_values_and_tells_the_new_id(kind):
    def work(session, request):
        old = session.id
        if request.path_info == "/new":
            session.regenerate_id()
        elif session.is_new:
            session["n"] = 1
            session.save()
        return [old, session.id, session.get("n")]

    visitor = ours(work, kind)
    visitor.get()
    old, new, _ = visitor.get("/new").json
    assert old != new
    assert visitor.get().json == [new, new, 1]


def test_an_id_that_was_only_asked_for_leaves_nothing_behind():
    visitor = ours(lambda session: session.id)
    found = visitor.get().json
    assert visitor.cookies == {}
    assert ours_find(visitor, found) is None


def ours_find(visitor: Client, found: str) -> Any:
    from sessions_wsgi.compat._beaker_session import find

    return find(visitor.app._setup, found)


def test_an_id_is_no_cookie():
    visitor = ours(lambda session: [session.save(), session.id][1])
    found = visitor.get().json
    visitor.set_cookie("beaker.session.id", found)
    assert visitor.get().json != found


def test_an_id_that_somebody_planted_is_not_taken_over():
    visitor = ours(lambda session: [session.save(), session.id][1])
    visitor.set_cookie("beaker.session.id", "0" * 64)
    assert visitor.get().json != "0" * 64


def test_auto_leaves_nothing_of_those_who_only_look():
    visitor = ours(lambda session: session.get("n"), auto=True)
    visitor.get()
    assert visitor.cookies == {}


def test_load_drops_what_was_not_saved():
    def work(session):
        if session.is_new:
            session["n"] = 1
            session.save()
        else:
            session["n"] = 2
            session.load()
        return session["n"]

    visitor = ours(work)
    assert [visitor.get().json for _ in range(2)] == [1, 1]


def test_a_session_without_a_cookie_can_be_made():
    def application(environ, start_response):
        made = environ["beaker.get_session"]()
        made["n"] = 1
        made.save()
        found = environ["beaker.session"].get_by_id(made.id)
        numbers = [found["n"]]
        found.delete()
        numbers.append(environ["beaker.session"].get_by_id(made.id))
        return Response(json=numbers)(environ, start_response)

    assert Client(beaker.SessionMiddleware(application, TYPES["memory"])).get().json == [1, None]


def test_what_there_is_none_of_is_told():
    with pytest.raises(UsageError):
        ours(lambda session: session.get_by_id("0"), "cookie").get()


def test_a_lock_is_taken_and_given_back(middleware, server_config):
    def work(session):
        session.save()
        session.persist()  # before that, Beaker's have none
        session.lock()
        try:
            session["n"] = session.get("n", 0) + 1
        finally:
            session.unlock()
        return session["n"]

    visitor = on(middleware, server_config, work)
    assert visitor.get().json == 1


@pytest.mark.parametrize("kind", ["memory", "cookie"])
def test_a_lock_does_nothing(kind):
    """In Beaker a new session, or one in a cookie, has none: `AttributeError`."""
    assert (
        ours(lambda session: [session.unlock(), session.lock(), session.lock()], kind).get().json
        == [None] * 3
    )


def users(values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if not key.startswith("_")}


def test_the_last_item_is_popped(middleware, server_config):
    def work(session, request):
        if "save" in request.params:
            session.update(a=1, b=2)
            return session.save()
        return [session.popitem(), session.popitem(), users(session)]

    visitor = on(middleware, server_config, work)
    visitor.get("/?save")
    assert visitor.get().json == [["b", 2], ["a", 1], {}]


@pytest.mark.parametrize(
    ("do", "result"),
    [
        (lambda session: users(session | {"b": 3, "c": 4}), {"a": 1, "b": 3, "c": 4}),
        (lambda session: users({"b": 3, "c": 4} | session), {"b": 2, "c": 4, "a": 1}),
        (lambda session: [session | {"c": 3}, users(session)][1], {"a": 1, "b": 2}),
        (lambda session: type(session | {}).__name__, "dict"),
        (lambda session: users(operator.ior(session, {"c": 3})), {"a": 1, "b": 2, "c": 3}),
        (lambda session: users(operator.ior(session, [("c", 3)])), {"a": 1, "b": 2, "c": 3}),
        (lambda session: [operator.ior(session, {}) is session], [True]),
    ],
)
def test_a_session_that_was_found_is_as_a_dict(middleware, server_config, do, result):
    """In Beaker that of the environ is not, and refuses; ours are alike."""

    def work(session, request):
        if request.path == "/":
            session.update(a=1, b=2)
            session.save()
            return session.id
        return do(session.get_by_id(request.params["id"]))

    visitor = on(middleware, server_config, work)
    found = visitor.get().json
    assert visitor.get(f"/do?id={found}").json == result


@pytest.mark.parametrize("work", [lambda session: session | 1, lambda session: 1 | session])
def test_what_is_no_mapping_cannot_be_joined(work):
    with pytest.raises(TypeError):
        ours(work).get()


def test_a_timeout_ends_what_is_not_visited(clock):
    visitor = ours(count, clock=clock, timeout=600)
    visitor.get("/?save")
    clock.advance(599)
    assert visitor.get("/?save").json == 2
    clock.advance(601)
    assert visitor.get("/?save").json == 1


def test_without_a_timeout_visitors_of_every_month_stay(clock):
    visitor = ours(count, clock=clock)
    for number in range(1, 20):
        assert visitor.get("/?save").json == number
        clock.advance(29 * 86400)


def test_reading_prolongs_a_session(clock):
    visitor = ours(count, clock=clock, timeout=600)
    visitor.get("/?save")
    for _ in range(5):
        clock.advance(500)
        assert visitor.get().json == 2


def test_one_session_may_be_remembered_longer(clock):
    def work(session, request):
        if request.path_info == "/remember":
            session.cookie_expires = timedelta(days=7)
        session["n"] = 1
        session.save()
        return session.cookie_expires is True

    visitor = ours(work, clock=clock)
    visitor.get("/remember")
    assert [cookie.expires for cookie in visitor.jar] == [clock() + 7 * 86400]


def test_path_and_domain_of_one_session_can_be_others():
    def work(session):
        if session.is_new:
            session.path, session.domain = "/app", "example.com"
            session.save()
        return [session.path, session.domain]

    visitor = Client(beaker.SessionMiddleware(answering(work), TYPES["memory"]), "https://www.example.com")
    visitor.get("/app")
    assert [(cookie.path, cookie.domain) for cookie in visitor.jar] == [("/app", "example.com")]
    assert visitor.get("/app/x").json == ["/app", "example.com"]


def test_a_stream_may_save_late():
    def application(environ, start_response):
        session = environ["beaker.session"]
        session.setdefault("n", 0)
        session.save()
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield str(session["n"]).encode()
        session["n"] += 1
        session.save()

    visitor = Client(beaker.SessionMiddleware(application, TYPES["memory"]))
    assert [visitor.get().text for _ in range(2)] == ["0", "1"]


def test_visitors_of_another_store_are_taken_over():
    old = CookieStore(SECRET)
    app = beaker.SessionMiddleware(answering(count), TYPES["memory"], accept=[old])
    visitor = Client(app)
    visitor.set_cookie("beaker.session.id", make_cookie(old, "beaker.session.id", {"n": 41}))
    assert visitor.get().json == 42


def test_the_webtest_variable_is_set():
    app = beaker.SessionMiddleware(answering(count), TYPES["memory"], webtest_varname="session")
    variables: dict[str, Any] = {}
    environ = Request.blank("/", environ={"paste.testing_variables": variables}).environ
    list(app(environ, lambda *_: print))
    assert variables["session"]["n"] == 1


def test_a_repr_shows_no_values():
    visitor = ours(lambda session: [session.__setitem__("a", "hidden"), repr(session)][1])
    assert visitor.get().json == "<BeakerSession 'beaker.session.id' accessed>"


def test_paste_gets_factories():
    app = answering(count)
    for made in (
        beaker.session_filter_factory(TYPES["memory"], auto="true")(app),
        beaker.session_filter_app_factory(app, {"debug": "no"}, **TYPES["cookie"]),
    ):
        assert Client(made).get("/?save").json == 1


# Options


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, MemoryStore),
        ({"type": "memory"}, MemoryStore),
        ({"data_dir": "data", "secret": SECRET}, FileStore),
        ({"type": "cookie", "validate_key": SECRET}, CookieStore),
        ({"type": "ext:redis", "url": "redis://localhost:6379/3", "secret": SECRET}, ServerStore),
        ({"type": "ext:rediscluster", "url": "redis://a:1,redis://b:2", "secret": SECRET}, ServerStore),
        ({"type": "ext:rediscluster", "urls": "redis://a:1", "secret": SECRET}, ServerStore),
        ({"type": "ext:memcached", "url": "a:11211;b:11211", "secret": SECRET}, ServerStore),
        ({"type": "ext:database", "url": "sqlite:///x.db", "secret": SECRET}, ServerStore),
        (
            {"type": "ext:database", "sa.url": "sqlite:///x.db", "secret": SECRET},
            ServerStore,
        ),
        ({"type": "ext:database", "sa_opts": {"sa.url": "sqlite:///x.db"}, "secret": SECRET}, ServerStore),
    ],
)
def test_each_type_has_a_store(options, kind):
    assert type(beaker.SessionMiddleware(count, **options).store) is kind


SERVERS = {
    "ext:redis": ("redis_server", "redis://{0.address}/0"),
    "ext:rediscluster": ("redis_cluster", "redis://{0[0].address},redis://{0[1].address}"),
    "ext:memcached": ("memcached_server", "{0.address}"),
    "ext:database": ("postgresql_server", "{0.url}"),
    "ext:sqla": ("mariadb_server", "{0.url}"),
}


@pytest.fixture(params=SERVERS)
def server(request) -> dict[str, Any]:
    """The options of a type whose server runs."""
    fixture, url = SERVERS[request.param]
    options = {"type": request.param, "url": url.format(request.getfixturevalue(fixture)), "secret": SECRET}
    return {f"session.{name}": value for name, value in options.items()}


def test_sessions_are_kept_on_a_server(server):
    for kind in ({}, {"session.encrypt_key": OTHER}):
        visitors = [on(beaker.SessionMiddleware, server | kind, count) for _ in range(2)]
        for visitor in visitors:
            assert [visitor.get("/?save").json for _ in range(3)] == [1, 2, 3]
            assert visitor.get().json == 4, "which is not saved"
            assert visitor.get("/?save").json == 4


def test_on_a_server_the_whole_scenario_runs(server):
    """Two processes of the site, one visitor."""
    visitor, elsewhere = (on(beaker.SessionMiddleware, server, shop) for _ in range(2))
    elsewhere.jar = visitor.jar
    visitor.post("/join", form={"name": "ada"})
    assert elsewhere.get("/read").json == "welcome, ada"
    assert visitor.get("/read").json is None
    assert elsewhere.post("/login", form={"name": "ada"}).json == "ada"
    assert visitor.get("/").json == "ada"
    visitor.post("/logout")
    assert elsewhere.get("/").json is None


def test_on_a_server_a_session_is_found_by_its_id_and_ended(server):
    def work(session, request):
        if request.path == "/":
            session["a"] = 1
            session.save()
            return session.id
        found = session.get_by_id(request.params["id"])
        if found is not None and request.path == "/end":
            found.delete()
        return found and found.get("a")

    visitor = on(beaker.SessionMiddleware, server, work)
    found = visitor.get().json
    stranger = on(beaker.SessionMiddleware, server, work)
    assert [stranger.get(f"{path}?id={found}").json for path in ("/find", "/end", "/find")] == [1, None, None]


def test_on_a_server_the_old_id_is_dead(server):
    def work(session, request):
        before = session.get("a")
        if request.path != "/":
            getattr(session, request.path[1:])()
        session["a"] = 1
        session.save()
        return before

    for end in ("delete", "invalidate", "regenerate_id"):
        visitor, thief = (on(beaker.SessionMiddleware, server, work) for _ in range(2))
        visitor.get()
        (stolen,) = visitor.jar
        assert visitor.get(f"/{end}").json == 1
        assert thief.get(headers={"Cookie": f"beaker.session.id={stolen.value}"}).json is None


def test_a_client_of_redis_can_be_given(redis_server):
    import redis

    with redis.Redis(port=redis_server.port) as client:
        visitor = ours(count, type="ext:redis", url=client)
        assert [visitor.get("/?save").json for _ in range(2)] == [1, 2]


def test_an_engine_can_be_given():
    import sqlalchemy

    engine = sqlalchemy.create_engine("sqlite:///bound.db")
    visitor = ours(count, type="ext:sqla", bind=engine)
    assert [visitor.get("/?save").json for _ in range(2)] == [1, 2]
    assert sqlalchemy.inspect(engine).get_table_names()[0] == "beaker_sessions"
    engine.dispose()


def test_the_table_is_not_that_of_beaker():
    app = beaker.SessionMiddleware(
        count, type="ext:database", url="sqlite:///x.db", table_name="old", secret=SECRET
    )
    assert "table='old_sessions'" in repr(app.store.backend)


@pytest.mark.parametrize(
    ("url", "scheme"),
    [("redis://a:1,redis://b:2", "redis+cluster"), ("rediss://a:1,rediss://b:2", "rediss+cluster")],
)
def test_a_cluster_keeps_its_encryption(url, scheme):
    app = beaker.SessionMiddleware(count, type="ext:rediscluster", url=url, secret=SECRET)
    assert f"{scheme}://a:1,b:2" in repr(app.store.backend)


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        ("data_serializer", "pickle", "CVE-2013-7489"),
        ("data_serializer", pickle, "CVE-2013-7489"),
        ("data_serializer", "yaml", "must be json"),
        ("crypto_type", "3des", "XAES-256-GCM"),
        ("crypto_type", "none", "XAES-256-GCM"),
        ("use_cookies", False, "get_by_id"),
        ("use_cookies", "false", "get_by_id"),
        ("id", "fixed", "get_by_id"),
        ("invalidate_corrupt", "false", "must be true"),
        ("session_class", dict, "Backend"),
        ("namespace_class", dict, "Backend"),
        ("type", "ext:mongodb", "must be one of"),
        ("type", "ext:google", "must be one of"),
        ("type", "", "must be a text"),
        ("timeout", "soon", "seconds"),
        ("timeout", 0, "seconds"),
        ("timeout", True, "seconds"),
        ("secure", "perhaps", "true or false"),
        ("cookie_expires", "tomorrow", "timedelta"),
        ("samesite", "Sometimes", "must be"),
        ("samesite", "None", "secure"),
        ("cookie_path", "app", "must begin"),
        ("cookie_domain", "a b", "host name"),
        ("key", "my session", "token"),
        ("validate_keys", SECRET, "did you mean 'session.validate_key'"),
        ("cookie_secure", True, "did you mean 'session.secure'"),
        ("cookie_name", "shop", "did you mean 'session.key'"),
        ("cookie_expire", True, "did you mean 'session.cookie_expires'"),
        ("secret", "change-me-change-me-change-me-change-me", "keygen"),
    ],
)
def test_an_option_is_refused_by_its_name(option, value, rule):
    config = {"session.type": "memory", "session.secret": SECRET, f"session.{option}": value}
    with pytest.raises(ConfigError, match=rule) as caught:
        beaker.SessionMiddleware(count, config)
    assert caught.value.option == f"session.{option}"
    assert f"'session.{option}'" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({"type": "file", "data_dir": "data"}, "session.secret"),
        ({"type": "ext:redis", "url": "redis://localhost"}, "session.secret"),
        ({"type": "cookie"}, "session.validate_key"),
        ({"type": "cookie", "secret": ""}, "session.secret"),
        ({"type": "file", "secret": SECRET}, "session.data_dir"),
        ({"type": "dbm", "secret": SECRET}, "session.data_dir"),
        ({"type": "ext:redis", "secret": SECRET}, "session.url"),
        ({"type": "ext:memcached", "secret": SECRET}, "session.url"),
        ({"type": "ext:database", "secret": SECRET}, "session.url"),
        ({"timeout": 60, "save_accessed_time": False}, "session.timeout"),
    ],
)
def test_what_is_missing_is_named(options, missing):
    with pytest.raises(ConfigError) as caught:
        beaker.SessionMiddleware(count, **options)
    assert caught.value.option == missing


def test_a_refusal_shows_no_secret():
    with pytest.raises(ConfigError) as caught:
        beaker.SessionMiddleware(count, secret="abababababababababababababababababababab", data_dir="x")
    assert "abab" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"lock_dir": "locks"},
        {"log_file": "x"},
        {"encrypt_nonce_bits": 48},
        {"crypto_type": "cryptography"},
        {"digest_filenames": False},
        {"invalidate_corrupt": True},
        {"use_cookies": True},
        {"data_serializer": CBORSerializer()},
        {"samesite": None},
        {"timeout": None},
        {"save_accessed_time": False},
    ],
)
def test_options_that_do_no_harm_are_taken(options):
    assert ours(count, **options).get("/?save").json == 1


def test_a_short_key_is_stretched_with_one_warning(caplog):
    one, two = (
        on(beaker.SessionMiddleware, {}, count, type="cookie", validate_key="short key") for _ in range(2)
    )
    assert [record.message for record in caplog.records] == [
        "'session.validate_key' is short, and stretched; better: sessions-wsgi keygen"
    ] * 2
    one.get("/?save")
    two.set_cookie("beaker.session.id", one.cookies["beaker.session.id"])
    assert two.get().json == 2


def test_the_old_prefix_warns():
    with pytest.warns(DeprecationWarning, match="session_type"):
        beaker.SessionMiddleware(count, {"session_type": "memory"})


def test_cookies_are_out_of_reach_of_scripts_unless_told():
    visitor, open_visitor = ours(count), ours(count, httponly="false")
    for each in (visitor, open_visitor):
        each.get("/?save")
    assert [cookie.httponly for each in (visitor, open_visitor) for cookie in each.jar] == [True, False]


def test_an_encrypted_cookie_hides_its_values():
    from base64 import urlsafe_b64decode

    visitor = ours(lambda session: [session.__setitem__("a", "hidden"), session.save()][1], "encrypted")
    visitor.get()
    text = visitor.cookies["beaker.session.id"]
    assert b"hidden" not in urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_the_records_hold_no_pickle(tmp_path):
    visitor = ours(lambda session: [session.__setitem__("a", json.dumps({})), session.save()][1], "file")
    visitor.get()
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(data.startswith(b"\x80") for data in files)
