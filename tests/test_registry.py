"""The registry of one request, and everything that works without the middleware, as on WebOb's objects."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from webob import Request, Response

from sessions_wsgi import (
    BackendError,
    ConfigError,
    CookieOptions,
    CookieTooLargeError,
    Registry,
    SerializeError,
    Session,
    Store,
    UnknownSessionError,
    UsageError,
    get_registry,
    get_session,
)


@pytest.fixture
def registry(store: Any, memory_store: Any) -> Registry:
    return Registry({"session": store, "cart": memory_store}, {"HTTP_COOKIE": "other=1"})


def request_with(*responses: Response) -> Request:
    """The next request of a browser that got these responses."""
    jar = {}
    for response in responses:
        for value in response.headers.getall("Set-Cookie"):
            name, _, text = value.split(";")[0].partition("=")
            jar[name] = text
    headers = {"Cookie": "; ".join(f"{name}={text}" for name, text in jar.items() if text)}
    return Request.blank("https://localhost/", headers=headers if any(jar.values()) else {})


def cookies(response: Response) -> list[str]:
    return [value.partition("=")[0] for value in response.headers.getall("Set-Cookie")]


# The registry


def test_a_registry_opens_a_session_by_its_name(registry):
    assert registry["session"].name == "session"
    assert registry["cart"].name == "cart"


def test_a_session_is_the_same_object_every_time(registry):
    assert registry["session"] is registry["session"]
    assert registry.open(registry.stores["session"], "session") is registry["session"]


def test_in_iteration_and_length_tell_the_open_sessions(registry):
    assert ("session" in registry, list(registry), len(registry)) == (False, [], 0)
    registry["cart"]
    assert ("session" in registry, "cart" in registry) == (False, True)
    assert (list(registry), len(registry)) == (["cart"], 1)


@pytest.mark.parametrize("name", ["unknown", "", 7, None, ()])
def test_what_is_not_open_is_not_in_the_registry(name, registry):
    assert name not in registry


def test_a_registry_without_open_sessions_is_true(registry):
    """`if registry:` asks whether there is one."""
    assert registry


def test_stores_are_those_that_were_configured(registry, memory_store):
    assert list(registry.stores) == ["session", "cart"]
    assert registry.stores["cart"] is memory_store


def test_an_unknown_name_is_told_with_the_known_ones(registry):
    with pytest.raises(UnknownSessionError) as raised:
        registry["basket"]
    assert (raised.value.name, raised.value.known) == ("basket", ("cart", "session"))
    assert isinstance(raised.value, KeyError)


def test_the_request_is_made_once_and_is_of_this_environ(registry):
    assert registry.request is registry.request
    assert isinstance(registry.request, Request)
    assert registry.request.environ is registry.environ


def test_one_name_cannot_be_open_from_two_stores(registry, make_store):
    registry["session"]
    with pytest.raises(UsageError, match="'session'"):
        registry.open(make_store("cookie"), "session")


def test_a_name_of_another_store_may_be_opened_beside_the_configured_ones(registry, make_store):
    session = registry.open(make_store("cookie"), "wishes")
    assert registry["wishes"] is session


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a;b", "a,b", "é", "a\r\nSet-Cookie: b", 7, None])
def test_a_name_that_is_no_token_is_refused_wherever_it_is_given(name, store):
    request = Request.blank("/")
    for open_it in (store.get, store.new, lambda where, name: get_registry(where).open(store, name)):
        with pytest.raises(ConfigError):
            open_it(request, name)


def test_a_repr_shows_names_only(registry):
    registry["session"]["secret-key"] = "secret-value"
    assert "session" in repr(registry)
    assert "secret" not in repr(registry)


def test_a_registry_is_freed_with_its_request(store):
    """A registry and its environ hold each other, and nothing else holds them."""
    environ: dict[str, Any] = {}
    gone = weakref.ref(store.get(environ, "session"))
    environ.clear()
    gc.collect()
    assert gone() is None


# Where a registry is found

WHERE = {
    "environ": lambda environ: environ,
    "WebOb": Request,
    ".environ": lambda environ: SimpleNamespace(environ=environ),
    ".env": lambda environ: SimpleNamespace(env=environ),
    "both": lambda environ: SimpleNamespace(environ=environ, env={}),
    "no .environ": lambda environ: SimpleNamespace(environ=None, env=environ),
}


@pytest.mark.parametrize("where", WHERE.values(), ids=WHERE)
def test_a_registry_is_found_through_whatever_has_an_environ(where):
    environ: dict[str, Any] = {}
    registry = get_registry(environ)
    assert get_registry(where(environ)) is registry


@pytest.mark.parametrize("where", WHERE.values(), ids=WHERE)
def test_a_session_is_found_through_whatever_has_an_environ(where, store):
    environ: dict[str, Any] = {}
    session = store.get(environ, "session")
    assert get_session(where(environ)) is session
    assert store.get(where(environ), "session") is session


WRONG = [None, 7, "environ", [], object(), SimpleNamespace(environ=7), SimpleNamespace(env="x"), dict]


@pytest.mark.parametrize("where", WRONG, ids=repr)
def test_a_wrong_argument_is_told_with_what_it_must_be(where, store):
    for function in (get_registry, get_session, lambda where: store.get(where, "session")):
        with pytest.raises(UsageError, match="'where'"):
            function(where)


def test_an_empty_registry_is_made_where_there_is_none():
    environ: dict[str, Any] = {}
    registry = get_registry(environ)
    assert environ["sessions_wsgi.registry"] is registry
    assert list(registry) == list(registry.stores) == []


def test_the_stores_of_an_empty_registry_cannot_be_changed(store):
    with pytest.raises(TypeError):
        get_registry({}).stores["session"] = store


@pytest.mark.parametrize("environ", [{}, {"sessions_wsgi.registry": None}], ids=["none", "None"])
def test_without_a_middleware_the_error_tells_the_fix(environ):
    with pytest.raises(UnknownSessionError, match="SessionMiddleware") as raised:
        get_session(environ)
    assert (raised.value.name, raised.value.known) == ("session", ())
    assert "store.get" in str(raised.value)


def test_asking_without_a_middleware_leaves_the_environ_alone():
    environ: dict[str, Any] = {}
    with pytest.raises(UnknownSessionError):
        get_session(environ)
    assert environ == {}


def test_the_error_of_an_empty_registry_tells_the_fix():
    environ: dict[str, Any] = {}
    get_registry(environ)
    with pytest.raises(UnknownSessionError, match="SessionMiddleware"):
        get_session(environ)


# Explicit use


def test_get_returns_the_same_object_in_one_request(store):
    request = Request.blank("/")
    assert store.get(request, "session") is store.get(request, "session")
    assert store.get(Request(request.environ), "session") is store.get(request, "session")


def test_get_returns_another_object_in_another_request(store):
    assert store.get(Request.blank("/"), "session") is not store.get(Request.blank("/"), "session")


def test_one_store_serves_several_names_in_one_request(store):
    request = Request.blank("/")
    assert store.get(request, "one") is not store.get(request, "two")
    assert sorted(get_registry(request)) == ["one", "two"]


@pytest.mark.parametrize("kind", ["cookie", "encrypted", "memory"])
def test_a_saved_session_comes_back(kind, make_store):
    store, response = make_store(kind), Response()
    session = store.get(Request.blank("/"), "session-name")
    session["foo"], session[42] = "bar", 43
    session.save(response)
    again = store.get(request_with(response), "session-name")
    assert dict(again) == {"foo": "bar", 42: 43}
    assert not again.is_new


def test_new_is_decoded_again_and_never_kept(store):
    response = Response()
    first = store.get(Request.blank("/"), "session")
    first["n"] = 1
    first.save(response)
    request = request_with(response)
    news = [store.new(request, "session") for _ in range(2)]
    kept = store.get(request, "session")
    assert len({id(session) for session in (*news, kept)}) == 3
    kept["n"] = 2
    news[0]["n"] = 3
    assert dict(store.new(request, "session")) == {"n": 1}


def test_new_opens_nothing_in_the_requests_registry(store):
    request = Request.blank("/")
    store.new(request, "session")
    assert list(get_registry(request)) == []


def test_what_new_returned_can_be_saved(store):
    response = Response()
    session = store.new(Request.blank("/"), "session")
    session["n"] = 1
    session.save(response)
    assert dict(store.get(request_with(response), "session")) == {"n": 1}


def test_the_save_of_a_store_is_the_save_of_the_session(store):
    request, response = Request.blank("/"), Response()
    session = store.get(request, "session")
    session["n"] = 1
    store.save(request, response, session)
    assert dict(store.get(request_with(response), "session")) == {"n": 1}


def test_a_session_that_was_made_by_hand_cannot_be_saved():
    with pytest.raises(UsageError, match=r"store\.get"):
        Session("session", options=CookieOptions()).save(Response())


def test_save_without_a_response_tells_who_saves(store):
    """As people write who come from Beaker."""
    session = store.get(Request.blank("/"), "session")
    with pytest.raises(UsageError, match="behind SessionMiddleware sessions are saved by themselves"):
        session.save()


def test_saving_one_session_leaves_the_others(store):
    request, response = Request.blank("/"), Response()
    one, two = store.get(request, "one"), store.get(request, "two")
    one["n"] = two["n"] = 1
    one.save(response)
    assert cookies(response) == ["one"]
    assert two.is_new


def test_saving_a_registry_saves_every_session_on_every_store(make_store):
    request, response = Request.blank("/"), Response()
    stores = [make_store(kind) for kind in ("cookie", "encrypted", "memory", "memory")]
    for number, store in enumerate(stores):
        store.get(request, f"session-{number}")["n"] = number
    get_registry(request).save(response)
    again = request_with(response)
    assert [store.get(again, f"session-{n}")["n"] for n, store in enumerate(stores)] == [0, 1, 2, 3]


def test_saving_an_empty_registry_does_nothing():
    response = Response("x", headers={"Vary": "Accept"})
    before = list(response.headerlist)
    get_registry(Request.blank("/")).save(response)
    assert response.headerlist == before


def test_saving_unchanged_sessions_sends_no_cookie(store):
    first, second = Response(), Response()
    store.get(request := Request.blank("/"), "session")["n"] = 1
    get_registry(request).save(first)
    store.get(request := request_with(first), "session").get("n")
    get_registry(request).save(second)
    assert cookies(second) == []


@pytest.mark.parametrize("times", [2, 3])
def test_saving_again_leaves_one_cookie(times, store):
    request, response = Request.blank("/"), Response()
    session = store.get(request, "session")
    for number in range(times):
        session["n"] = number
        session.save(response)
        get_registry(request).save(response)
    assert cookies(response) == ["session"]
    assert store.get(request_with(response), "session")["n"] == times - 1


def test_an_explicit_save_keeps_the_other_headers_of_the_response(store):
    response = Response("x", headers={"Set-Cookie": "other=1", "Vary": "Accept", "Location": "/there"})
    session = store.get(Request.blank("/"), "session")
    session["n"] = 1
    session.save(response)
    assert cookies(response) == ["other", "session"]
    assert response.headers["Location"] == "/there"
    assert response.headers["Vary"] == "Accept, Cookie"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.body == b"x"


def test_an_explicit_destroy_deletes_the_cookie(store):
    response, last = Response(), Response()
    session = store.get(Request.blank("/"), "session")
    session["n"] = 1
    session.save(response)
    session = store.get(request_with(response), "session")
    session.destroy()
    session.save(last)
    [value] = last.headers.getall("Set-Cookie")
    assert value.startswith("session=; Max-Age=0")


@pytest.mark.parametrize("save", [lambda session, request, response: session.save(response)])
@pytest.mark.parametrize(
    ("value", "error"), [(object(), SerializeError), ("y" * 5000, CookieTooLargeError)], ids=["type", "size"]
)
def test_a_save_that_fails_leaves_the_response_alone(value, error, save, cookie_store):
    request, response = Request.blank("/"), Response()
    before = list(response.headerlist)
    session = cookie_store.get(request, "session")
    session["x"] = value
    with pytest.raises(error):
        save(session, request, response)
    with pytest.raises(error):
        get_registry(request).save(response)
    assert response.headerlist == before


def test_a_batch_writes_nothing_when_one_session_cannot_be_encoded(cookie_store, broken_store):
    request, store = Request.blank("/"), broken_store()
    store.get(request, "good")["x"] = 1
    cookie_store.get(request, "bad")["x"] = object()
    with pytest.raises(SerializeError):
        get_registry(request).save(Response())
    assert store.backend.calls == []


def test_several_failures_of_a_batch_come_as_a_group(broken_store):
    request, response = Request.blank("/"), Response()
    broken_store("create").get(request, "one")["x"] = 1
    broken_store("create").get(request, "two")["x"] = 1
    with pytest.raises(ExceptionGroup) as raised:
        get_registry(request).save(response)
    assert [type(error) for error in raised.value.exceptions] == [BackendError] * 2
    assert cookies(response) == []


def test_a_failing_backend_reaches_who_asked_for_the_session(broken_store):
    store, response = broken_store(), Response()
    store.get(request := Request.blank("/"), "session")["n"] = 1
    get_registry(request).save(response)
    store.backend.broken = {"load"}
    with pytest.raises(BackendError) as raised:
        store.get(request_with(response), "session")
    assert isinstance(raised.value.__cause__, OSError)


def test_a_bad_cookie_does_not(store):
    request = Request.blank("/", headers={"Cookie": "session=x"})
    session = store.get(request, "session")
    assert (session.is_new, session.rejected) == (True, "malformed")


# A store of one's own: open and commit, nothing else


class PlainStore:
    """Keeps one number in the cookie, as text. Every forger's delight."""

    options = CookieOptions()

    def __init__(self) -> None:
        self.committed = 0

    def open(self, name: str, texts: Sequence[str]) -> Session:
        for text in texts:
            if text.isdecimal():
                return Session(name, {"n": int(text)}, options=self.options, is_new=False, origin=text)
        return Session(name, options=self.options, rejected="malformed" if texts else None)

    def commit(self, session: Session) -> str | None:
        self.committed += 1
        if session.state == "destroyed":
            return ""
        text = str(session["n"]) if "n" in session else None
        return None if text == session.origin else text


def test_a_store_of_ones_own_is_a_store():
    store: Store = PlainStore()
    assert store.open("session", ["7"])["n"] == 7


def app_of(work: Any) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        work(get_session(environ))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"x"]

    return app


def count(session: Session) -> None:
    session["n"] = session.get("n", 0) + 1


def test_a_store_of_ones_own_works_behind_the_middleware(validated):
    visitor = validated(app_of(count), PlainStore())
    assert [visitor.get().cookies["session"] for _ in range(3)] == ["1", "2", "3"]


def test_a_store_of_ones_own_works_without_the_middleware():
    request, response = Request.blank("/", headers={"Cookie": "session=7"}), Response()
    count(get_registry(request).open(PlainStore(), "session"))
    get_registry(request).save(response)
    [value] = response.headers.getall("Set-Cookie")
    assert value.startswith("session=8;")


def test_none_from_a_store_of_ones_own_sends_nothing(validated):
    visitor = validated(app_of(lambda session: session.get("n")), PlainStore())
    assert visitor.get(HTTP_COOKIE="session=7").cookies == {}


def test_an_empty_text_from_a_store_of_ones_own_deletes_the_cookie(validated):
    visitor = validated(app_of(lambda session: session.destroy()), PlainStore())
    reply = visitor.get(HTTP_COOKIE="session=7")
    assert "Max-Age=0" in reply.all("set-cookie")[0]


def test_the_first_good_text_of_a_store_of_ones_own_counts(validated):
    visitor = validated(app_of(count), PlainStore())
    assert visitor.get(HTTP_COOKIE="session=x; session=7; session=9").cookies == {"session": "8"}


@pytest.mark.parametrize("status", ["500 Oops", "503 Busy"])
def test_a_store_of_ones_own_is_not_asked_to_save_what_failed(status, validated):
    def app(environ, start_response):
        count(get_session(environ))
        start_response(status, [("Content-Type", "text/plain")])
        return iter([b"x"])

    store = PlainStore()
    assert validated(app, store).get().cookies == {}
    assert store.committed == 0


def test_a_text_that_is_too_large_is_refused_before_any_header(validated):
    class Large(PlainStore):
        def commit(self, session):
            return "7" * 5000

    visitor = validated(app_of(count), Large())
    with pytest.raises(CookieTooLargeError):
        visitor.get()
    assert visitor.server.starts == []


class Telling(PlainStore):
    """Sends a text as it is, and shows what came."""

    def __init__(self, text: Any) -> None:
        super().__init__()
        self.text: Any = text
        self.came: list[str] = []

    def open(self, name: str, texts: Sequence[str]) -> Session:
        self.came.extend(texts)
        return Session(name, options=self.options)

    def commit(self, session: Session) -> str | None:
        return self.text


@pytest.mark.parametrize("text", ["1,2", "a b", '"', 'a"', "a=b==", "{'n': [1, 2]}", "%41"])
def test_a_text_of_a_store_of_ones_own_comes_back_whole(text, validated):
    store = Telling(text)
    visitor = validated(app_of(count), store)
    visitor.get()
    visitor.get()
    assert store.came == [text]


@pytest.mark.parametrize(
    "text", ["a;b", "a\r\nX: y", "é", "\x7f", b"a", 7, " a", "a ", "\t", '""', '"a"', '"a;b"']
)
def test_a_text_that_would_not_is_refused_before_any_header(text, validated):
    visitor = validated(app_of(count), Telling(text))
    with pytest.raises(UsageError, match="the text of a cookie must"):
        visitor.get()
    assert visitor.server.starts == []


def test_a_failing_backend_of_a_store_of_ones_own_is_a_503(validated):
    class Failing(PlainStore):
        def open(self, name, texts):
            raise BackendError("mine", "answer")

    assert validated(app_of(count), Failing()).get().status.startswith("503")


def test_the_events_of_a_store_of_ones_own_are_told(validated, events):
    visitor = validated(app_of(count), PlainStore(), on_event=events.append)
    visitor.get()
    visitor.get(HTTP_COOKIE="session=x")
    assert [event.kind for event in events] == ["created", "saved", "rejected", "saved"]


def test_a_session_of_a_store_of_ones_own_is_new_until_it_was_saved():
    request = Request.blank("/")
    session = get_registry(request).open(PlainStore(), "session")
    assert session.is_new
    count(session)
    session.save(Response())
    assert not session.is_new


class Sliding:
    """A store that opens through another one, and sends its cookie with every response."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.options = inner, inner.options

    def open(self, name: str, texts: Sequence[str]) -> Session:
        return self.inner.open(name, texts)

    def commit(self, session: Session) -> str | None:
        session.resend = True
        return self.inner.commit(session)


def test_a_store_that_opens_through_another_is_asked_to_commit(validated, cookie_store):
    """Though the inner one has nothing left to do: it does not decide for the outer one."""
    cookie = validated(app_of(count), cookie_store).get().cookies["session"]
    again = validated(app_of(lambda session: session.get("n")), Sliding(cookie_store))
    assert "session" in again.get(HTTP_COOKIE=f"session={cookie}").cookies


def test_a_copy_is_a_dict_of_its_own(cookie_store):
    session = cookie_store.open("session", ())
    session["a"] = [1]
    shallow, deep = copy.copy(session), copy.deepcopy(session)
    shallow["b"] = 2
    deep["a"].append(2)
    assert (type(shallow), type(deep), dict(session)) == (dict, dict, {"a": [1]})
