"""The way of a request through `SessionMiddleware`: every style of application, every promise."""

from __future__ import annotations

import ast
import gc
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from types import MappingProxyType
from typing import Any, NamedTuple
from wsgiref.util import FileWrapper

import pytest
from webob import Request, Response

from sessions_wsgi import (
    BackendError,
    ConfigError,
    CookieOptions,
    CookieTooLargeError,
    Lifetime,
    Registry,
    SerializeError,
    SessionMiddleware,
    SessionSealedError,
    UnknownSessionError,
    _advice,
    get_registry,
    get_session,
)

Work = Callable[[dict[str, Any]], Any]

TYPE = [("Content-Type", "text/plain")]


def headers(status: str = "200 OK", *more: tuple[str, str]) -> list[tuple[str, str]]:
    return [*([] if status[:3] in ("204", "304") else TYPE), *more]


# What the applications do


def nothing(environ: dict[str, Any]) -> None:
    """Leave the session alone."""


def count(environ: dict[str, Any]) -> None:
    session = get_session(environ)
    session["n"] = session.get("n", 0) + 1


def read(environ: dict[str, Any]) -> None:
    get_session(environ).get("n")


def put_unstorable(environ: dict[str, Any]) -> None:
    get_session(environ)["cart"] = [object()]


# The styles of applications: each does its work where a change can still be saved, and answers "hello"

STYLES: dict[str, Callable[..., Any]] = {}


def style(make: Callable[..., Any]) -> Callable[..., Any]:
    STYLES[make.__name__] = make
    return make


@style
def list_(work: Work, status: str = "200 OK") -> Any:
    def app(environ, start_response):
        work(environ)
        start_response(status, headers(status))
        return [b"hello"]

    return app


@style
def list_after_start(work: Work, status: str = "200 OK") -> Any:
    def app(environ, start_response):
        start_response(status, headers(status))
        work(environ)
        return [b"hello"]

    return app


@style
def tuple_(work: Work, status: str = "200 OK") -> Any:
    def app(environ, start_response):
        start_response(status, headers(status))
        work(environ)
        return (b"hel", b"lo")

    return app


@style
def generator_function(work: Work, status: str = "200 OK") -> Any:
    def app(environ, start_response):
        start_response(status, headers(status))
        work(environ)
        yield b"hel"
        yield b"lo"

    return app


@style
def generator_function_without_items(work: Work, status: str = "200 OK") -> Any:
    def app(environ, start_response):
        start_response(status, headers(status))
        work(environ)
        yield from ()

    return app


@style
def empty_first_chunks(work: Work, status: str = "200 OK") -> Any:
    def app(environ, start_response):
        start_response(status, headers(status))
        work(environ)
        yield b""
        yield b""
        yield b"hello"

    return app


@style
def iterator(work: Work, status: str = "200 OK") -> Any:
    def app(environ, start_response):
        start_response(status, headers(status))
        work(environ)
        return iter([b"hel", b"lo"])

    return app


@style
def generator_object(work: Work, status: str = "200 OK") -> Any:
    def app(environ, start_response):
        work(environ)
        start_response(status, headers(status))
        return (chunk for chunk in (b"hel", b"lo"))

    return app


@style
def class_(work: Work, status: str = "200 OK") -> Any:
    class App:
        def __init__(self, environ, start_response):
            self.environ, self.start_response = environ, start_response

        def __iter__(self):
            work(self.environ)
            self.start_response(status, headers(status))
            yield b"hello"

    return App


@style
def write(work: Work, status: str = "200 OK") -> Any:
    def app(environ, start_response):
        write = start_response(status, headers(status))
        work(environ)
        write(b"hel")
        write(b"lo")
        return []

    return app


@style
def write_then_list(work: Work, status: str = "200 OK") -> Any:
    def app(environ, start_response):
        write = start_response(status, headers(status))
        work(environ)
        write(b"hel")
        return [b"lo"]

    return app


@style
def write_then_iterator(work: Work, status: str = "200 OK") -> Any:
    def app(environ, start_response):
        work(environ)
        start_response(status, headers(status))(b"hel")
        return iter([b"lo"])

    return app


@style
def two_starts(work: Work, status: str = "200 OK") -> Any:
    def app(environ, start_response):
        start_response("201 Created", headers())
        try:
            raise LookupError
        except LookupError:
            start_response(status, headers(status), sys.exc_info())
        work(environ)
        return [b"hello"]

    return app


@style
def empty_body(work: Work, status: str = "200 OK") -> Any:
    def app(environ, start_response):
        start_response(status, headers(status))
        work(environ)
        return []

    return app


@style
def file(work: Work, status: str = "200 OK") -> Any:
    def app(environ, start_response):
        work(environ)
        start_response(status, headers(status))
        return environ.get("wsgi.file_wrapper", FileWrapper)(BytesIO(b"hello"))

    return app


@style
def webob(work: Work, status: str = "200 OK") -> Any:
    def app(environ, start_response):
        response = Response(b"hello", status, content_type="text/plain")
        work(environ)
        return response(environ, start_response)

    return app


WITHOUT_BODY = {"generator_function_without_items", "empty_body"}


@pytest.fixture(params=STYLES)
def style_name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=["plain", "validated"])
def through(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Puts the middleware between validators, which hide lists behind iterators, and between nothing."""
    return request.getfixturevalue(request.param)


def with_pages(app: Any, name: str = "session") -> Any:
    """The application, with two pages beside it: /seed fills the session, /read shows its values."""

    def paged(environ, start_response):
        if environ["PATH_INFO"] == "/seed":
            get_session(environ, name).update(n=1, cart=[])
            return list_(nothing)(environ, start_response)
        if environ["PATH_INFO"] == "/read":
            start_response("200 OK", headers())
            return [repr(dict(get_session(environ, name))).encode()]
        return app(environ, start_response)

    return paged


def seeded(make: Callable[..., Any], app: Any, store: Any, **options: Any) -> Any:
    """A visitor whose session holds n=1 and an empty cart."""
    visitor = make(with_pages(app), store, **options)
    visitor.get("/seed")
    return visitor


def stored(visitor: Any) -> Any:
    return ast.literal_eval(visitor.get("/read").body.decode())


SEED = {"n": 1, "cart": []}


# Every style


def test_every_style_saves(style_name, store, through):
    visitor = through(with_pages(STYLES[style_name](count)), store)
    replies = [visitor.get(), visitor.get()]
    assert stored(visitor) == {"n": 2}
    assert [reply.body for reply in replies] == [b"" if style_name in WITHOUT_BODY else b"hello"] * 2
    assert [reply.status for reply in replies] == ["200 OK"] * 2


def test_every_style_gets_its_cookie_with_the_first_change(style_name, store, through):
    assert list(through(STYLES[style_name](count), store).get().cookies) == ["session"]


def test_every_style_sends_nothing_for_an_unchanged_session(style_name, store, through):
    visitor = seeded(through, STYLES[style_name](read), store)
    reply = visitor.get()
    assert reply.cookies == {}
    assert reply.all("cache-control") == []


def test_every_style_saves_nested_changes(style_name, store, through):
    visitor = seeded(through, STYLES[style_name](lambda e: get_session(e)["cart"].append("apple")), store)
    visitor.get()
    assert stored(visitor)["cart"] == ["apple"]


def test_every_style_is_answered_as_it_was_when_the_session_is_untouched(style_name, store, through):
    reply = through(STYLES[style_name](nothing), store).get()
    assert reply.cookies == {}
    assert reply.all("vary") == reply.all("cache-control") == []


def test_every_style_saves_nothing_when_it_answers_500(style_name, store, through):
    visitor = seeded(through, STYLES[style_name](count, "500 Oops"), store)
    reply = visitor.get()
    assert reply.status == "500 Oops"
    assert reply.cookies == {}
    assert stored(visitor) == SEED


def test_every_style_creates_nothing_when_it_answers_500(style_name, broken_store, through):
    store = broken_store()
    through(STYLES[style_name](count, "500 Oops"), store).get()
    assert store.backend.calls == []


@pytest.mark.parametrize("status", ["501 Not Implemented", "503 Busy", "599 Unknown"])
def test_whatever_is_500_or_higher_is_an_error(status, store, validated):
    visitor = seeded(validated, list_(count, status), store)
    assert visitor.get().status == status
    assert stored(visitor) == SEED


def test_every_style_rolls_a_regenerate_back_when_it_answers_500(style_name, store, through):
    visitor = seeded(through, STYLES[style_name](lambda e: get_session(e).regenerate(), "500 Oops"), store)
    before = dict(visitor.jar)
    assert visitor.get().cookies == {}
    assert stored(visitor) == SEED
    assert visitor.jar == before


def test_every_style_saves_when_it_answers_400_or_so(style_name, store, through):
    visitor = through(with_pages(STYLES[style_name](count, "404 Not Found")), store)
    visitor.get()
    assert stored(visitor) == {"n": 1}


def test_every_style_saves_at_500_with_save_on_error(style_name, store, through):
    visitor = through(with_pages(STYLES[style_name](count, "500 Oops")), store, save_on_error=True)
    visitor.get()
    assert stored(visitor) == {"n": 1}


def test_every_style_fails_before_any_header_for_a_value_that_cannot_be_stored(style_name, store, through):
    visitor = through(STYLES[style_name](put_unstorable), store)
    with pytest.raises(SerializeError) as raised:
        visitor.get()
    visitor.server.close()
    assert visitor.server.starts == []
    assert raised.value.path == "session['cart'][0]"
    assert raised.value.type == "object"


@pytest.mark.parametrize("operation", ["load", "update"])
def test_every_style_is_answered_503_when_the_backend_is_down(style_name, operation, broken_store, through):
    store = broken_store()
    visitor = seeded(through, STYLES[style_name](count), store)
    store.backend.broken = {operation}
    reply = visitor.get()
    assert reply.status.startswith("503 ")
    assert int(reply.all("retry-after")[0]) > 0
    assert reply.cookies == {}


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified", "302 Found"])
@pytest.mark.parametrize("style_name", sorted(WITHOUT_BODY))
def test_answers_without_a_body_carry_the_cookie(style_name, status, store, through):
    reply = through(STYLES[style_name](count, status), store).get()
    assert reply.status == status
    assert list(reply.cookies) == ["session"]
    assert reply.body == b""


def test_head_is_answered_with_the_cookie_and_whatever_the_application_returned(style_name, store, through):
    """Servers drop the body; a middleware that does so hides its length from them."""
    reply = through(STYLES[style_name](count), store).get(REQUEST_METHOD="HEAD")
    assert list(reply.cookies) == ["session"]
    if style_name != "webob":  # which drops it by itself
        assert reply.body == (b"" if style_name in WITHOUT_BODY else b"hello")


# When the headers leave


def test_headers_do_not_wait_for_the_first_item_of_an_iterator(store, plain):
    produced = []

    def app(environ, start_response):
        start_response("200 OK", headers())
        count(environ)
        return (produced.append(1) or b"x" for _ in range(3))

    server = plain(app, store).start()
    assert len(server.starts) == 1
    assert server.reply.cookies
    assert produced == []


def test_headers_of_a_generator_function_wait_for_its_first_item(store, plain):
    server = plain(generator_function(count), store).start()
    assert server.starts == []
    next(iter(server.body))
    assert len(server.starts) == 1


def test_an_outer_middleware_sees_start_response_before_the_return(store, wrap_order, visit):
    seen = wrap_order(SessionMiddleware(list_(count), store))
    visit(seen.app).get()
    assert seen.order == ["start_response", "return"]


@pytest.fixture
def wrap_order() -> Callable[..., Any]:
    """Makes an outer middleware that notes what it sees, in order."""

    class Seen(NamedTuple):
        app: Any
        order: list[str]

    def wrap(inner):
        order: list[str] = []

        def app(environ, start_response):
            def noting(*args):
                order.append("start_response")
                return start_response(*args)

            body = inner(environ, noting)
            order.append("return")
            return body

        return Seen(app, order)

    return wrap


@pytest.mark.parametrize("style_name", ["generator_function", "iterator", "empty_first_chunks"])
def test_a_stream_is_not_read_ahead(style_name, store, plain):
    """When the server has n items, the application has produced n, after the first one as well."""
    produced = 0

    def chunks(items):
        nonlocal produced
        for item in items:
            produced += 1
            yield item

    def app(environ, start_response):
        original = STYLES[style_name](count)(environ, start_response)
        return chunks(original)

    def lazy(environ, start_response):
        yield from chunks(STYLES[style_name](count)(environ, start_response))

    server = plain(lazy if style_name == "generator_function" else app, store).start()
    for taken, _ in enumerate(server.body, 1):
        assert produced == taken
    server.close()


@pytest.mark.parametrize("first", [b"", b"x"])
def test_the_first_item_of_a_generator_function_ends_the_time_for_changes(first, cookie_store, validated):
    late = []

    def app(environ, start_response):
        start_response("200 OK", headers())
        yield first
        with pytest.raises(SessionSealedError):
            count(environ)
        late.append(True)

    validated(app, cookie_store).get()
    assert late == [True]


def test_the_first_write_ends_the_time_for_changes(cookie_store, validated):
    def app(environ, start_response):
        write = start_response("200 OK", headers())
        write(b"")
        with pytest.raises(SessionSealedError):
            count(environ)
        return [b"x"]

    assert validated(app, cookie_store).get().cookies == {}


def test_an_application_that_never_calls_start_response_is_an_error(store, plain):
    def app(environ, start_response):
        yield b"x"

    visitor = plain(app, store)
    with pytest.raises(AssertionError, match="start_response"):
        visitor.get()


# start_response


def test_of_two_calls_the_last_one_counts(store, validated):
    reply = validated(two_starts(count, "418 Teapot"), store).get()
    assert reply.status == "418 Teapot"
    assert len(reply.all("content-type")) == 1


@pytest.mark.parametrize("work", [nothing, read, count])
def test_the_server_is_told_exc_info(work, store, plain):
    visitor = plain(two_starts(work), store)
    visitor.get()
    [(_, _, exc_info)] = visitor.server.starts
    assert exc_info[0] is LookupError


@pytest.mark.parametrize("when", ["before the commit", "after the commit"])
def test_a_second_call_without_exc_info_is_refused(when, store, plain):
    def app(environ, start_response):
        write = start_response("200 OK", headers())
        if when == "after the commit":
            write(b"x")
        with pytest.raises(AssertionError):
            start_response("201 Created", headers())
        return []

    assert plain(app, store).get().status == "200 OK"


def fails_late(chunk: bytes, seen: list[Any]) -> Any:
    """An application that fails behind its first chunk, and starts another answer."""

    def app(environ, start_response):
        start_response("200 OK", headers())
        count(environ)
        yield chunk
        try:
            raise LookupError("late")
        except LookupError:
            try:
                start_response("500 Oops", headers(), sys.exc_info())
            except LookupError as error:
                seen.append(error)
                raise
        yield b"sorry"

    return app


def test_exc_info_after_the_commit_is_forwarded_with_our_headers_again(store, plain):
    """The server may still drop the first headers, when only empty chunks went over them."""
    visitor = plain(fails_late(b"", []), store)
    reply = visitor.get()
    first, second = visitor.server.starts
    assert reply.status == "500 Oops"
    assert reply.body == b"sorry"
    ours = {"set-cookie", "vary", "cache-control"}
    sent = [[item for item in start[1] if item[0].lower() in ours] for start in (first, second)]
    assert sent[0] == sent[1]
    assert len(sent[0]) == 3


def test_exc_info_after_the_headers_left_is_raised_again_by_the_server(store, validated):
    seen: list[Any] = []
    visitor = validated(fails_late(b"x", seen), store)
    with pytest.raises(LookupError, match="late"):
        visitor.get()
    assert len(seen) == 1


class ServerGoneError(Exception):
    """What a server raises out of its start_response."""


@pytest.mark.parametrize("work", [nothing, read, count])
def test_a_start_response_that_raises_ends_the_request(work, store):
    environ = Request.blank("/").environ

    def gone(*_):
        raise ServerGoneError

    with pytest.raises(ServerGoneError):
        SessionMiddleware(list_(work), store)(environ, gone)
    registry = get_registry(environ)
    assert registry.sealed
    assert environ not in vars(registry).values()


# When it is over


@pytest.mark.parametrize("work", [nothing, read, count])
@pytest.mark.parametrize("style_name", ["list_", "generator_function", "iterator", "write", "file"])
def test_when_it_is_over_sessions_are_read_and_not_changed(work, style_name, store, plain):
    visitor = seeded(plain, STYLES[style_name](work), store)
    visitor.get()
    registry = get_registry(visitor.server.environ)
    session = registry["session"]
    assert session["n"] >= 1
    with pytest.raises(SessionSealedError):
        session["n"] = 7


@pytest.mark.parametrize("work", [nothing, read, count])
@pytest.mark.parametrize("style_name", ["list_", "generator_function", "iterator"])
def test_an_inner_middleware_gives_its_place_back(work, style_name, store, memory_store, plain):
    """What stands between two middlewares has the sessions of the outer one, once the inner one is done."""

    def between(environ, start_response):
        outer = get_registry(environ)
        body = SessionMiddleware(STYLES[style_name](work), store)(environ, start_response)
        chunks = list(body)
        getattr(body, "close", list)()
        assert get_registry(environ) is outer
        get_session(environ, "outer")["n"] = 1
        return chunks

    assert "outer" in plain(between, {"outer": memory_store}).get().cookies


@pytest.mark.parametrize("work", [nothing, read, count])
def test_it_keeps_its_place_when_the_headers_of_the_outer_one_have_left(work, store, memory_store, plain):
    """Else what it holds could not be read any more."""
    found = []

    def between(environ, start_response):
        def respond(*args):
            write = start_response(*args)
            write(b"x")
            return write

        SessionMiddleware(list_(work), store)(environ, respond)
        found.append(get_session(environ, "session")["n"])
        return []

    visitor = plain(between, {"outer": memory_store})
    visitor.jar["session"] = seeded(plain, list_(nothing), store).jar["session"]
    visitor.get()
    assert found == [2 if work is count else 1]


@pytest.mark.parametrize("work", [nothing, read, count])
@pytest.mark.parametrize("exc_info", [(), ((LookupError, LookupError(), None),)], ids=["plain", "exc_info"])
def test_nothing_starts_once_it_is_over(work, exc_info, store, plain):
    kept = []

    def app(environ, start_response):
        kept.extend([start_response, start_response("200 OK", headers())])
        work(environ)
        return [b"x"]

    plain(app, store).get()
    start, write = kept
    with pytest.raises(AssertionError):
        start("500 Oops", headers(), *exc_info)
    with pytest.raises(AssertionError):
        write(b"x")


# What the server gets


@pytest.mark.parametrize("body", [[b"a", b"b"], (b"a", b"b"), [], ()], ids=repr)
@pytest.mark.parametrize("work", [nothing, read, count])
def test_a_list_or_tuple_stays_the_same_object(body, work, store, plain):
    def app(environ, start_response):
        work(environ)
        start_response("200 OK", headers())
        return body

    assert plain(app, store).start().body is body


class Sendfile:
    """A file wrapper as servers have them."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def __iter__(self):
        return iter(self.file)

    def read(self, size: int = -1) -> bytes:
        return self.file.read(size)

    def close(self) -> None:
        self.file.close()


@pytest.mark.parametrize("wrapper", [Sendfile, lambda file: Sendfile(file)], ids=["class", "function"])
@pytest.mark.parametrize("work", [nothing, count])
def test_a_file_wrapper_passes_through_unwrapped(wrapper, work, store, plain):
    server = plain(file(work), store).start(**{"wsgi.file_wrapper": wrapper})
    assert type(server.body) is Sendfile
    server.close()


def test_the_applications_header_list_is_not_mutated(store, validated):
    own = [*TYPE, ("Vary", "Accept"), ("Cache-Control", "public"), ("Set-Cookie", "session=foreign")]
    before = list(own)

    def app(environ, start_response):
        start_response("200 OK", own)
        count(environ)
        return [b"x"]

    validated(app, store).get()
    assert own == before


def test_foreign_headers_keep_their_order_and_spelling(store, plain):
    own = [("X-B", "1"), ("x-a", "2"), ("Set-Cookie", "other=1"), ("X-B", "3"), ("Set-Cookie", "third=1")]

    def app(environ, start_response):
        start_response("200 OK", own)
        count(environ)
        return []

    assert plain(app, store).get().headers[: len(own)] == own


@pytest.mark.parametrize("location", ["/there", "there?a=b", "//host/x", "", "https://example.com/"])
def test_a_location_stays_as_it_is(location, store, validated):
    def app(environ, start_response):
        count(environ)
        start_response("302 Found", headers("302", ("Location", location)))
        return []

    assert validated(app, store).get().all("location") == [location]


# close()


class Body:
    """A body that counts how often it was closed."""

    def __init__(self, *chunks: Any, on_close: Callable[[], Any] = lambda: None) -> None:
        self.chunks, self.on_close, self.closed = chunks, on_close, 0

    def __iter__(self):
        for chunk in self.chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    def close(self) -> None:
        self.closed += 1
        self.on_close()


def returning(body: Any, work: Work = count, status: str = "200 OK") -> Any:
    def app(environ, start_response):
        work(environ)
        start_response(status, headers(status))
        return body

    return app


def take(server: Any, chunks: int) -> None:
    """Send so many chunks, then close, as a server whose visitor went away."""
    items = iter(server.body)
    for _ in range(chunks):
        next(items)
    server.close()
    del items
    gc.collect()


@pytest.mark.parametrize("chunks", [0, 1, 2])
def test_close_is_called_once_when_the_server_stops_early(chunks, store, plain):
    body = Body(b"a", b"b", b"c")
    take(plain(returning(body), store).start(), chunks)
    assert body.closed == 1


def test_close_is_called_once_when_the_server_never_iterates(store, plain):
    body = Body(b"a")
    plain(returning(body), store).start().close()
    assert body.closed == 1


def test_close_is_called_once_after_the_last_item_and_not_before(store, plain):
    body = Body(b"a")
    server = plain(returning(body), store).start()
    assert list(server.body) == [b"a"]
    assert body.closed == 0
    server.close()
    assert body.closed == 1


@pytest.mark.parametrize("chunks", [(LookupError(),), (b"a", LookupError())], ids=["first", "second"])
def test_close_is_called_once_when_the_body_raises(chunks, store, plain):
    body = Body(*chunks)
    visitor = plain(returning(body), store)
    with pytest.raises(LookupError):
        visitor.get()
    assert body.closed == 1


def test_close_is_called_once_when_the_session_cannot_be_saved(store, plain):
    body = Body(b"a")
    with pytest.raises(SerializeError):
        plain(returning(body, put_unstorable), store).get()
    assert body.closed == 1


def test_close_is_called_once_when_the_backend_is_down(broken_store, plain):
    body = Body(b"a")
    assert plain(returning(body), broken_store("create")).get().status.startswith("503")
    assert body.closed == 1


def test_the_body_of_the_unavailable_answer_is_closed_although_the_other_close_raises(broken_store, plain):
    def fail():
        raise LookupError("close")

    class Lazy(Body):
        def __init__(self, environ, start_response):
            super().__init__(on_close=fail)
            self.answer = generator_function(count)(environ, start_response)

        def __iter__(self):
            return iter(self.answer)

    answer = Body(b"sorry")

    def unavailable(environ, start_response):
        start_response("503 Busy", headers())
        return answer

    with pytest.raises(LookupError, match="close"):
        plain(Lazy, broken_store("create"), unavailable=unavailable).get()
    assert answer.closed == 1


@pytest.mark.parametrize("chunks", [1, 2])
def test_the_body_of_the_unavailable_answer_is_closed_once(chunks, broken_store, plain):
    class Answer(Body):
        def __iter__(self):
            return self

        def __next__(self):
            return b"sorry"

    answer = Answer()

    def unavailable(environ, start_response):
        start_response("503 Busy", headers())
        return answer

    visitor = plain(generator_function(count), broken_store("create"), unavailable=unavailable)
    take(visitor.start(), chunks)
    assert answer.closed == 1


def test_a_generator_is_closed_when_the_server_stops_early(store, plain):
    ended = []

    def app(environ, start_response):
        start_response("200 OK", headers())
        try:
            yield b"a"
            yield b"b"
        finally:
            ended.append(True)

    server = plain(app, store).start()
    items = iter(server.body)
    next(items)
    server.close()
    assert ended == [True]


def test_what_close_raises_reaches_the_server(store, validated):
    def fail():
        raise LookupError("close")

    visitor = validated(returning(Body(b"a", on_close=fail)), store)
    with pytest.raises(LookupError, match="close"):
        visitor.get()


# Exceptions


def raising(place: str, error: BaseException, work: Work = count) -> Any:
    """An application that raises in some place, always behind its work."""

    def early(environ, start_response):
        work(environ)
        if place == "after start_response":
            start_response("200 OK", headers())
        raise error

    def generator(environ, start_response):
        start_response("200 OK", headers())
        work(environ)
        if place == "in the first next() of a generator function":
            raise error
        yield b"a"
        raise error

    return generator if "next" in place or "stream" in place else early


BEFORE_THE_COMMIT = [
    "before start_response",
    "after start_response",
    "in the first next() of a generator function",
]


@pytest.mark.parametrize("error", [LookupError("x"), KeyboardInterrupt(), SystemExit(1)], ids=repr)
@pytest.mark.parametrize("place", BEFORE_THE_COMMIT)
def test_nothing_is_saved_when_the_application_raises(place, error, store, plain):
    visitor = seeded(plain, raising(place, error), store)
    with pytest.raises(type(error)):
        visitor.get()
    assert visitor.server.starts == []
    assert stored(visitor) == SEED


@pytest.mark.parametrize("save_on_error", [False, True])
@pytest.mark.parametrize("place", BEFORE_THE_COMMIT)
def test_no_record_is_created_when_the_application_raises(place, save_on_error, broken_store, plain):
    """Its id could not be sent to anybody."""
    store = broken_store()
    visitor = plain(raising(place, LookupError()), store, save_on_error=save_on_error)
    with pytest.raises(LookupError):
        visitor.get()
    assert store.backend.calls == []


@pytest.mark.parametrize("place", BEFORE_THE_COMMIT)
def test_a_regenerate_is_rolled_back_when_the_application_raises(place, store, plain):
    def work(environ):
        get_session(environ).login("ada")

    visitor = seeded(plain, raising(place, LookupError(), work), store)
    with pytest.raises(LookupError):
        visitor.get()
    assert stored(visitor) == SEED


@pytest.mark.parametrize("place", [*BEFORE_THE_COMMIT, "500"])
def test_destroy_ends_the_record_although_the_request_failed(place, memory_store, plain):
    def work(environ):
        get_session(environ).destroy()

    app = list_(work, "500 Oops") if place == "500" else raising(place, LookupError(), work)
    visitor = seeded(plain, app, memory_store)
    try:
        assert visitor.get().cookies == {}
    except LookupError:
        assert place != "500"
    assert stored(visitor) == {}


def test_what_a_failed_request_wrote_after_destroy_is_not_saved(broken_store, plain):
    """Nothing is created whose id nobody has, however the answer is made."""

    def work(environ):
        get_session(environ).destroy()
        count(environ)

    store = broken_store()
    visitor = seeded(plain, iterator(work, "500 Oops"), store)
    store.backend.calls.clear()
    visitor.get()
    assert store.backend.calls == ["load", "update"]


@pytest.mark.parametrize("place", BEFORE_THE_COMMIT)
def test_save_on_error_saves_on_the_server_when_the_application_raises(place, memory_store, plain):
    visitor = seeded(plain, raising(place, LookupError()), memory_store, save_on_error=True)
    with pytest.raises(LookupError):
        visitor.get()
    assert stored(visitor) == {"n": 2, "cart": []}


@pytest.mark.parametrize("place", BEFORE_THE_COMMIT)
def test_save_on_error_gives_no_new_id_when_the_application_raises(place, memory_store, plain):
    """No cookie can be sent any more: a new id would lose the session."""

    def work(environ):
        get_session(environ).regenerate()

    visitor = seeded(plain, raising(place, LookupError(), work), memory_store, save_on_error=True)
    with pytest.raises(LookupError):
        visitor.get()
    assert stored(visitor) == SEED


@pytest.mark.parametrize("place", BEFORE_THE_COMMIT)
def test_save_on_error_tells_that_a_cookie_session_was_lost(place, cookie_store, plain, events):
    """No cookie can be sent any more, so nothing was saved."""
    visitor = seeded(
        plain, raising(place, LookupError()), cookie_store, save_on_error=True, on_event=events.append
    )
    events.clear()
    with pytest.raises(LookupError):
        visitor.get()
    assert "saved" not in [event.kind for event in events]


def test_an_exception_in_the_stream_reaches_the_server(store, validated):
    visitor = validated(raising("in the stream", LookupError("x")), store)
    with pytest.raises(LookupError):
        visitor.get()
    assert visitor.server.chunks == [b"a"]


def test_an_exception_in_the_first_item_behind_start_response_reaches_the_server(store, validated):
    visitor = validated(returning(Body(LookupError("x"))), store)
    with pytest.raises(LookupError):
        visitor.get()
    assert len(visitor.server.starts) == 1
    assert visitor.server.chunks == []


# A save that fails


def test_a_cookie_that_is_too_large_names_the_sizes(cookie_store, validated):
    def work(environ):
        get_session(environ).update(small="x", large="y" * 5000)

    visitor = validated(list_(work), cookie_store)
    with pytest.raises(CookieTooLargeError) as raised:
        visitor.get()
    assert visitor.server.starts == []
    assert raised.value.name == "session"
    assert raised.value.size > raised.value.limit == 4096
    assert list(raised.value.sizes) == ["small", "large"]
    assert 5000 < raised.value.sizes["large"] < 5020


def two_sessions(first: Any, second: Any) -> Any:
    def app(environ, start_response):
        get_session(environ, "first")["x"] = first
        get_session(environ, "second")["x"] = second
        start_response("200 OK", headers())
        return [b"hello"]

    return app


def test_several_failing_saves_are_an_exception_group(cookie_store, broken_store, validated):
    visitor = validated(two_sessions(object(), "y" * 5000), {"first": broken_store(), "second": cookie_store})
    with pytest.raises(ExceptionGroup) as raised:
        visitor.get()
    assert [type(error) for error in raised.value.exceptions] == [SerializeError, CookieTooLargeError]
    assert visitor.server.starts == []


def test_several_failing_backends_are_one_503(broken_store, validated):
    stores = {"first": broken_store("create"), "second": broken_store("create")}
    assert validated(two_sessions(1, 2), stores).get().status.startswith("503")


@pytest.mark.parametrize("save_on_error", [False, True])
@pytest.mark.parametrize("bad", [object(), "y" * 5000], ids=["unstorable", "too large"])
def test_nothing_is_written_when_one_session_cannot_be_encoded(
    bad, save_on_error, cookie_store, broken_store, plain
):
    stores = {"first": broken_store(), "second": cookie_store}
    visitor = plain(two_sessions(1, bad), stores, save_on_error=save_on_error)
    with pytest.raises((SerializeError, CookieTooLargeError)):
        visitor.get()
    assert stores["first"].backend.calls == []


def test_nothing_is_written_to_a_record_when_another_session_cannot_be_encoded_with_save_on_error(
    cookie_store, broken_store, plain
):
    stores = {"first": broken_store(), "second": cookie_store}
    visitor = plain(two_sessions(1, 1), stores, save_on_error=True)
    visitor.get()
    visitor.app = SessionMiddleware(two_sessions(2, object()), stores, save_on_error=True)
    stores["first"].backend.calls.clear()
    with pytest.raises(SerializeError):
        visitor.get()
    assert stores["first"].backend.calls == ["load"]


@pytest.mark.parametrize("save_on_error", [False, True])
def test_a_backend_that_failed_is_not_asked_again(save_on_error, broken_store, plain):
    store = broken_store()
    visitor = seeded(plain, list_(count), store, save_on_error=save_on_error)
    store.backend.broken = {"update"}
    store.backend.calls.clear()
    assert visitor.get().status.startswith("503")
    assert store.backend.calls == ["load", "update"]


FAILING: list[tuple[str, Work]] = [
    ("load", read),
    ("create", count),
    ("update", lambda environ: get_session(environ).update(n=5)),
    ("update", lambda environ: get_session(environ).regenerate()),
    ("update", lambda environ: get_session(environ).destroy()),
]


@pytest.mark.parametrize(("operation", "work"), FAILING)
def test_every_operation_that_fails_is_a_503(operation, work, broken_store, validated, caplog):
    store = broken_store()
    visitor = validated(with_pages(list_(work)), store)
    if operation != "create":
        visitor.get("/seed")
    store.backend.broken = {operation}
    with caplog.at_level("ERROR", "sessions_wsgi"):
        reply = visitor.get()
    assert reply.status == "503 Service Unavailable"
    assert reply.cookies == {}
    assert any("sessions are not available" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("operation", ["load", "update"])
def test_the_unavailable_application_answers_when_a_backend_fails(operation, broken_store, validated):
    def unavailable(environ, start_response):
        start_response("503 Back soon", headers("503", ("X-Mine", "yes")))
        return [environ["PATH_INFO"].encode()]

    store = broken_store()
    visitor = seeded(validated, list_(count), store, unavailable=unavailable)
    store.backend.broken = {operation}
    reply = visitor.get("/here")
    assert (reply.status, reply.body, reply.all("x-mine")) == ("503 Back soon", b"/here", ["yes"])


def framework(make: Callable[..., Any], status: str = "500 Oops") -> Any:
    """An application of a framework that makes its own page of whatever its views raise."""

    def quiet(environ):
        try:
            count(environ)
        except Exception:
            environ["failed"] = True

    def app(environ, start_response):
        quiet(environ)
        answer = make(nothing, status if environ.get("failed") else "200 OK")
        return answer(environ, start_response)

    return app


@pytest.mark.parametrize("save_on_error", [False, True])
@pytest.mark.parametrize("status", ["500 Oops", "502 Bad"])
def test_a_500_that_a_framework_made_of_a_failing_backend_is_a_503(
    style_name, status, save_on_error, broken_store, through
):
    store = broken_store()
    visitor = seeded(through, framework(STYLES[style_name], status), store, save_on_error=save_on_error)
    store.backend.broken = {"load"}
    reply = visitor.get()
    assert reply.status == "503 Service Unavailable"
    assert reply.all("retry-after")


def test_an_application_that_does_without_its_session_is_left_alone(broken_store, validated):
    store = broken_store()
    visitor = seeded(validated, framework(list_, "200 OK"), store)
    store.backend.broken = {"load"}
    assert visitor.get().status == "200 OK"


def test_a_failing_backend_behind_the_headers_is_no_503(broken_store, validated):
    store = broken_store()

    def app(environ, start_response):
        start_response("200 OK", headers())
        yield b"a"
        read(environ)

    visitor = seeded(validated, app, store)
    store.backend.broken = {"load"}
    with pytest.raises(BackendError):
        visitor.get()
    assert len(visitor.server.starts) == 1


# After the commit


def streaming(late: Work, first: Work = read, status: str = "200 OK") -> Any:
    """An application that does something more when its first chunk has left."""

    def app(environ, start_response):
        start_response(status, headers(status))
        first(environ)
        yield b"a"
        late(environ)
        yield b"b"

    return app


def in_close(late: Work, first: Work = read) -> Any:
    """An application that does something more when its body is closed."""

    def app(environ, start_response):
        start_response("200 OK", headers())
        first(environ)
        return Body(b"a", on_close=lambda: late(environ))

    return app


LATE_PLACES = {"in the stream": streaming, "in close()": in_close}


@pytest.fixture(params=LATE_PLACES)
def late_place(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return LATE_PLACES[request.param]


WRITES: dict[str, Work] = {
    "set": lambda e: get_session(e).__setitem__("n", 2),
    "delete": lambda e: get_session(e).__delitem__("n"),
    "update": lambda e: get_session(e).update(n=2),
    "flash": lambda e: get_session(e).flash("x"),
    "csrf": lambda e: get_session(e).csrf_token(),
    "label": lambda e: setattr(get_session(e), "label", "x"),
}

LIFE: dict[str, Work] = {
    "login": lambda e: get_session(e).login("ada"),
    "regenerate": lambda e: get_session(e).regenerate(),
    "max_age": lambda e: setattr(get_session(e), "max_age", 60),
    "options": lambda e: setattr(get_session(e), "options", CookieOptions(path="/x")),
}


def refused(work: Work, seen: list[str]) -> Work:
    def late(environ):
        with pytest.raises(SessionSealedError) as raised:
            work(environ)
        seen.append(raised.value.name)

    return late


@pytest.mark.parametrize("work", [*WRITES.values(), *LIFE.values()], ids=[*WRITES, *LIFE])
@pytest.mark.parametrize("opened", [read, nothing], ids=["opened before", "opened late"])
def test_a_late_write_to_a_cookie_session_raises_at_its_line(work, opened, late_place, cookie_store, plain):
    seen: list[str] = []
    visitor = seeded(plain, late_place(refused(work, seen), opened), cookie_store)
    assert visitor.get().cookies == {}
    assert seen == ["session"]
    assert stored(visitor) == SEED


@pytest.mark.parametrize("kind", [kind for kind in [*WRITES, *LIFE] if kind != "delete"])
def test_a_late_write_to_a_session_whose_id_was_not_sent_raises_at_its_line(
    kind, late_place, memory_store, plain
):
    seen: list[str] = []
    assert plain(late_place(refused((WRITES | LIFE)[kind], seen)), memory_store).get().cookies == {}
    assert seen == ["session"]


@pytest.mark.parametrize("work", LIFE.values(), ids=LIFE)
def test_what_needs_a_cookie_raises_late_on_every_store(work, late_place, store, plain):
    seen: list[str] = []
    visitor = seeded(plain, late_place(refused(work, seen)), store)
    visitor.get()
    assert seen == ["session"]
    assert stored(visitor) == SEED


@pytest.mark.parametrize("opened", [read, nothing], ids=["opened before", "opened late"])
@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (WRITES["set"], {"n": 2, "cart": []}),
        (WRITES["delete"], {"cart": []}),
        (lambda e: get_session(e)["cart"].append(1), {"n": 1, "cart": [1]}),
    ],
)
def test_a_late_change_of_a_server_side_session_is_saved(
    work, expected, opened, late_place, memory_store, through
):
    visitor = seeded(through, late_place(work, opened), memory_store)
    visitor.get()
    assert stored(visitor) == expected


def test_a_late_change_of_a_session_that_this_response_began_is_saved(late_place, memory_store, through):
    visitor = through(with_pages(late_place(count, first=count)), memory_store)
    visitor.get()
    assert stored(visitor) == {"n": 2}


def test_a_late_change_is_saved_when_the_server_stops_early(memory_store, plain):
    visitor = seeded(plain, streaming(count), memory_store)
    take(visitor.start(), 2)
    assert stored(visitor)["n"] == 2


def test_a_late_change_is_not_saved_when_the_body_raises(memory_store, plain):
    def late(environ):
        count(environ)
        raise LookupError

    visitor = seeded(plain, streaming(late), memory_store)
    with pytest.raises(LookupError):
        visitor.get()
    assert stored(visitor) == SEED


@pytest.mark.parametrize("then", [list_, tuple_, iterator, file, empty_body])
def test_a_change_between_write_and_the_return_is_saved(then, memory_store, plain):
    """The body may pass through unwrapped, so there may be no close() to wait for."""

    def app(environ, start_response):
        write = start_response("200 OK", headers())
        read(environ)
        write(b"a")
        count(environ)
        return then(nothing)(environ, lambda *_: None)

    visitor = seeded(plain, app, memory_store)
    visitor.get()
    assert stored(visitor)["n"] == 2


@pytest.mark.parametrize("opened", [read, nothing], ids=["opened before", "opened late"])
@pytest.mark.parametrize("make", [list_, tuple_, file, iterator])
def test_a_change_that_an_outer_middleware_makes_behind_us_is_saved_or_raises(make, opened, store, plain):
    """It may not be lost in silence."""
    visitor = seeded(plain, make(opened), store)
    inner, raised = visitor.app, []

    def outer(environ, start_response):
        body = inner(environ, start_response)
        if environ["PATH_INFO"] == "/":
            try:
                count(environ)
            except SessionSealedError:
                raised.append(True)
        return body

    visitor.app = outer
    visitor.get()
    assert raised or stored(visitor)["n"] == 2


@pytest.mark.parametrize("kind", ["cookie", "encrypted"])
def test_a_late_nested_change_of_a_cookie_session_is_an_event(kind, late_place, make_store, plain, events):
    def late(environ):
        get_session(environ)["cart"].append(1)

    visitor = seeded(plain, late_place(late), make_store(kind), on_event=events.append)
    events.clear()
    visitor.get()
    assert [event.kind for event in events] == ["opened", "late_change"]
    assert stored(visitor) == SEED


@pytest.mark.parametrize("work", [lambda e: get_session(e)["cart"], read], ids=["list", "int"])
@pytest.mark.parametrize("opened", [read, nothing], ids=["opened before", "opened late"])
def test_a_late_reader_of_a_cookie_session_causes_no_event(
    work, opened, cookie_store, key, other_key, make_store, plain, events
):
    """Also when the cookie should be sealed anew: nobody changed anything."""
    visitor = seeded(plain, nothing, cookie_store)
    rotated = make_store("cookie", [other_key, key])
    visitor.app = SessionMiddleware(streaming(work, opened), rotated, on_event=events.append)
    visitor.get()
    assert "late_change" not in [event.kind for event in events]


def test_a_late_save_that_fails_is_an_event_only(late_place, broken_store, plain, events):
    store = broken_store()
    visitor = seeded(plain, late_place(count), store, on_event=events.append)
    store.backend.broken = {"update"}
    assert visitor.get().status == "200 OK"
    assert [event.kind for event in events][-1] == "late_change"


def test_a_late_value_that_cannot_be_stored_is_an_event_and_nothing_else(
    late_place, memory_store, plain, events
):
    visitor = seeded(plain, late_place(put_unstorable), memory_store, on_event=events.append)
    assert visitor.get().status == "200 OK"
    assert [event.kind for event in events][-1] == "late_change"
    assert stored(visitor) == SEED


@pytest.mark.parametrize("opened", [read, nothing], ids=["opened before", "opened late"])
def test_a_late_change_behind_an_answer_of_500_is_not_saved(opened, memory_store, plain):
    visitor = seeded(plain, streaming(count, opened, "500 Oops"), memory_store)
    visitor.get()
    assert stored(visitor) == SEED


@pytest.mark.parametrize("opened", [read, nothing], ids=["opened before", "opened late"])
def test_a_late_destroy_behind_an_answer_of_500_ends_the_record(opened, memory_store, plain):
    def late(environ):
        get_session(environ).destroy()

    visitor = seeded(plain, streaming(late, opened, "500 Oops"), memory_store)
    visitor.get()
    assert stored(visitor) == {}


def test_a_late_destroy_ends_the_record(late_place, memory_store, through, events):
    def late(environ):
        get_session(environ).destroy()

    visitor = seeded(through, late_place(late), memory_store, on_event=events.append)
    assert visitor.get().cookies == {}
    assert [event.kind for event in events][-1] == "destroyed"
    assert stored(visitor) == {}


@pytest.mark.parametrize("place", ["in the stream", "in close()", "in the stream, then close() raises"])
def test_a_late_destroy_ends_the_record_although_the_body_raised(place, memory_store, plain):
    def fail(environ):
        raise LookupError

    def destroy(environ):
        get_session(environ).destroy()

    def both(environ):
        destroy(environ)
        fail(environ)

    def app(environ, start_response):
        start_response("200 OK", headers())
        read(environ)

        def chunks():
            yield b"a"
            destroy(environ)

        return chunks(), environ

    def destroy_then_raise_in_close(environ, start_response):
        chunks, environ = app(environ, start_response)

        class Closing(Body):
            def __iter__(self):
                return chunks

        return Closing(on_close=lambda: fail(environ))

    apps = {"in the stream": streaming(both), "in close()": in_close(both)}
    visitor = seeded(plain, apps.get(place, destroy_then_raise_in_close), memory_store)
    with pytest.raises(LookupError):
        visitor.get()
    assert stored(visitor) == {}


def test_a_late_destroy_ends_what_another_request_renewed(late_place, memory_store, plain):
    """Its id is that from before, but what lives under the new one is meant."""

    def late(environ):
        session = get_session(environ)
        with pytest.raises(SessionSealedError):
            session["n"] = 7
        session.destroy()

    first = seeded(plain, list_(lambda e: get_session(e).regenerate()), memory_store)
    second = plain(late_place(late), memory_store)
    second.jar = dict(first.jar)
    first.get()
    assert second.get().cookies == {}
    assert stored(first) == {}


def test_what_is_written_after_a_late_destroy_raises(late_place, memory_store, plain):
    seen: list[str] = []

    def late(environ):
        get_session(environ).destroy()
        refused(count, seen)(environ)

    visitor = seeded(plain, late_place(late), memory_store)
    visitor.get()
    assert seen == ["session"]
    assert stored(visitor) == {}


def test_a_late_destroy_of_a_cookie_session_raises(late_place, cookie_store, plain):
    seen: list[str] = []
    visitor = seeded(plain, late_place(refused(lambda e: get_session(e).destroy(), seen)), cookie_store)
    visitor.get()
    assert seen == ["session"]


# Untouched


class Untouchable:
    """A store that must be left alone."""

    options = CookieOptions()

    def open(self, name: str, texts: Any) -> Any:
        raise AssertionError("the session was opened")

    def commit(self, session: Any) -> Any:
        raise AssertionError("the session was saved")


@pytest.mark.parametrize("cookie", [None, "session=x", "other=y", ";;=;"])
def test_an_untouched_session_is_not_parsed(cookie, style_name, plain):
    more = {} if cookie is None else {"HTTP_COOKIE": cookie}
    visitor = plain(STYLES[style_name](nothing), Untouchable())
    reply = visitor.get(**more)
    assert {name for name, _ in reply.headers} <= {"Content-Type", "Content-Length"}


def test_the_header_list_of_an_untouched_response_reaches_the_server_as_it_is(plain):
    own = headers()

    def app(environ, start_response):
        start_response("200 OK", own)
        return []

    visitor = plain(app, Untouchable())
    visitor.get()
    assert visitor.server.starts[0][1] is own


def test_looking_at_the_registry_opens_nothing(plain):
    def look(environ):
        registry = get_registry(environ)
        assert "session" not in registry
        assert list(registry) == []
        assert list(registry.stores) == ["session"]

    plain(list_(look), Untouchable()).get()


# Vary and Cache-Control


def answering(*more: tuple[str, str], work: Work = count) -> Any:
    def app(environ, start_response):
        work(environ)
        start_response("200 OK", headers("200", *more))
        return [b"x"]

    return app


@pytest.mark.parametrize("work", [read, count])
@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ([], ["Cookie"]),
        (["Accept"], ["Accept, Cookie"]),
        (["Accept, Accept-Language"], ["Accept, Accept-Language, Cookie"]),
        (["*"], ["*"]),
        (["Cookie"], ["Cookie"]),
        (["accept, COOKIE"], ["accept, COOKIE"]),
        (["X-Cookie"], ["X-Cookie, Cookie"]),
        (["Accept", "Origin"], ["Accept, Cookie", "Origin"]),
        (["Accept", "cookie"], ["Accept", "cookie"]),
        (["Accept", "*"], ["Accept", "*"]),
    ],
)
def test_vary_names_cookie_when_a_session_was_handed_out(own, expected, work, store, validated):
    app = answering(*[("Vary", value) for value in own], work=work)
    assert validated(app, store).get().all("vary") == expected


@pytest.mark.parametrize(
    ("own", "option", "expected"),
    [
        ([], "no-store", ["no-store"]),
        ([], "private, no-cache", ["private, no-cache"]),
        ([], None, []),
        (["private"], "no-store", ["private"]),
        (["no-store"], "no-store", ["no-store"]),
        (["private, max-age=60"], "no-store", ["private, max-age=60"]),
        (["no-cache"], None, ["no-cache, private"]),
    ],
)
def test_cache_control_of_a_response_that_sets_a_cookie(own, option, expected, store, validated, events):
    app = answering(*[("Cache-Control", value) for value in own])
    reply = validated(app, store, cache_control=option, on_event=events.append).get()
    assert reply.all("cache-control") == expected
    assert "uncacheable" not in [event.kind for event in events]


@pytest.mark.parametrize("option", ["no-store", None])
@pytest.mark.parametrize(
    ("own", "kept"),
    [
        (["public"], set()),
        (["public, max-age=60"], {"max-age=60"}),
        (["PUBLIC , Max-Age=60"], {"max-age=60"}),
        (["s-maxage=60"], set()),
        (["max-age=1, s-maxage=600, must-revalidate"], {"max-age=1", "must-revalidate"}),
        (["public", "max-age=60"], {"max-age=60"}),
        (["private, public"], set()),
        (["no-store, public"], {"no-store"}),
        (['private="x-y", s-maxage=9'], set()),
    ],
)
def test_shared_caches_are_shut_out_of_a_response_that_sets_a_cookie(
    own, kept, option, store, validated, events
):
    app = answering(*[("Cache-Control", value) for value in own])
    reply = validated(app, store, cache_control=option, on_event=events.append).get()
    directives = {part.strip().lower() for value in reply.all("cache-control") for part in value.split(",")}
    assert directives == {"private", *kept}
    assert [event.kind for event in events].count("uncacheable") == 1


def test_cache_control_stays_when_no_cookie_is_set(store, validated, events):
    app = answering(("Cache-Control", "public, max-age=60"), work=read)
    visitor = seeded(validated, app, store, on_event=events.append)
    assert visitor.get().all("cache-control") == ["public, max-age=60"]
    assert "uncacheable" not in [event.kind for event in events]


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ((), 1),
        ((("Cache-Control", "public, max-age=60"),), 1),
        ((("Cache-Control", "no-cache"), ("Vary", "Accept, X-Cookie")), 1),
        ((("vary", "Accept"), ("Vary", "cookie")), 0),
        ((("Vary", "*"),), 0),
        ((("Cache-Control", "max-age=1, Private"),), 0),
        ((("cache-control", "no-store"),), 0),
    ],
)
@pytest.mark.parametrize("more", [nothing, read])
def test_what_is_opened_when_the_headers_have_left_is_told(own, told, more, store, validated, events):
    """No Vary tells caches then that the response is one visitor's."""

    def app(environ, start_response):
        start_response("200 OK", headers("200 OK", *own))
        more(environ)
        return (repr(dict(get_session(environ))).encode() for _ in range(2))

    visitor = seeded(validated, app, store, on_event=events.append)
    events.clear()
    reply = visitor.get()
    assert reply.body == repr(SEED).encode() * 2
    kinds = [event.kind for event in events]
    assert kinds == (["opened", "uncacheable"] if told and more is nothing else ["opened"])


def test_a_second_session_that_is_opened_late_is_not(make_store, plain, events):
    """The first one's Vary tells caches already."""

    def app(environ, start_response):
        start_response("200 OK", headers())
        get_session(environ, "first")
        return (str(get_session(environ, "second")).encode() for _ in range(1))

    stores = {"first": make_store("cookie"), "second": make_store("memory")}
    visitor = plain(app, stores, on_event=events.append)
    visitor.get()
    assert [event.kind for event in events] == ["created", "created"]


def test_nor_is_one_that_is_opened_when_all_is_over(store, plain, events):
    visitor = plain(list_(nothing), store, on_event=events.append)
    visitor.get()
    get_registry(visitor.server.environ)["session"].get("n")
    assert [event.kind for event in events] == ["created"]


def test_deleting_a_cookie_counts_as_setting_one(store, validated):
    visitor = seeded(validated, answering(work=lambda e: get_session(e).destroy()), store)
    reply = visitor.get()
    assert reply.cookies == {"session": ""}
    assert reply.all("cache-control") == ["no-store"]
    assert reply.all("vary") == ["Cookie"]


# Cookies


def test_an_empty_new_session_sends_no_cookie(store, validated):
    def work(environ):
        session = get_session(environ)
        session["x"] = 1
        del session["x"]

    assert validated(list_(work), store).get().cookies == {}


def test_a_stored_session_that_was_emptied_stays_stored(store, validated):
    seen = []

    def work(environ):
        session = get_session(environ)
        seen.append(session.is_new)
        session.clear()

    visitor = seeded(validated, list_(work), store)
    visitor.get()
    visitor.get()
    assert seen == [False, False]


def test_destroy_without_a_session_sends_nothing(store, validated):
    assert validated(list_(lambda e: get_session(e).destroy()), store).get().cookies == {}


def test_writing_after_destroy_begins_a_fresh_session(store, validated):
    def work(environ):
        get_session(environ).destroy()
        get_session(environ)["new"] = True

    visitor = seeded(validated, list_(work), store)
    before = dict(visitor.jar)
    visitor.get()
    assert visitor.jar["session"] != before["session"]
    assert stored(visitor) == {"new": True}


def test_a_cookie_carries_the_attributes_of_its_store(make_store, validated):
    options = CookieOptions(path="/app", domain="example.com", samesite="Strict", max_age=60)
    reply = validated(list_(count), make_store("cookie", options=options)).get()
    _, *attributes = reply.all("set-cookie")[0].split("; ")
    assert {each.split("=")[0] for each in attributes} == {
        "Max-Age", "Expires", "Domain", "Path", "Secure", "HttpOnly", "SameSite",
    }  # fmt: skip


def test_a_prefix_is_part_of_the_cookies_name(make_store, validated):
    store = make_store("memory", options=CookieOptions(prefix="__Host-"))
    visitor = validated(with_pages(list_(count)), store)
    visitor.get()
    assert list(visitor.jar) == ["__Host-session"]
    assert stored(visitor) == {"n": 1}


def test_options_may_differ_for_one_response(store, validated):
    def work(environ):
        session = get_session(environ)
        session.options = CookieOptions(path="/elsewhere", secure=False)

    [value] = seeded(validated, list_(work), store).get().all("set-cookie")
    assert "; Path=/elsewhere" in value
    assert "Secure" not in value


def test_an_opened_session_is_touched_when_that_is_due(make_store, validated):
    now = [1_700_000_000.0]
    lifetime = Lifetime(absolute=None, idle=600, touch_after=60)
    for kind in ("cookie", "memory"):
        store = make_store(kind, lifetime=lifetime, clock=lambda: now[0])
        if kind == "memory":
            store.backend._clock = lambda: now[0]
        visitor = seeded(validated, list_(read), store)
        for _ in range(5):
            now[0] += 400
            visitor.get()
        assert stored(visitor) == SEED


@pytest.mark.parametrize(
    ("host", "scheme", "warned"),
    [
        ("example.com", "http", True),
        ("example.com", "https", False),
        ("localhost:8080", "http", False),
        ("127.0.0.1:8080", "http", False),
    ],
)
def test_a_secure_cookie_on_a_plain_request_logs_one_warning(
    host, scheme, warned, cookie_store, plain, caplog
):
    _advice._plain_http.cache_clear()  # another test may have heard it
    visitor = plain(list_(count), cookie_store)
    for _ in range(2):
        visitor.get(**{"HTTP_HOST": host, "wsgi.url_scheme": scheme})
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == warned
    assert all("secure=False" in record.getMessage() for record in warnings)


# Explicit saves behind the middleware


def webob_app(work: Callable[[Request, Response], Any]) -> Any:
    """`work` gets a request and a response, and returns the response that is sent, or None for the same."""

    def app(environ, start_response):
        request, response = Request(environ), Response("hello", content_type="text/plain")
        return (work(request, response) or response)(environ, start_response)

    return app


def test_an_explicit_save_sends_its_cookie_once(store, validated):
    def work(request, response):
        count(request.environ)
        get_session(request).save(response)
        assert len(response.headers.getall("Set-Cookie")) == 1

    visitor = validated(with_pages(webob_app(work)), store)
    assert len(visitor.get().all("set-cookie")) == 1
    assert stored(visitor) == {"n": 1}


def test_a_saved_cookie_that_is_missing_from_the_final_headers_is_added(store, validated):
    def work(request, response):
        count(request.environ)
        get_session(request).save(response)
        return Response("another", content_type="text/plain")

    visitor = validated(with_pages(webob_app(work)), store)
    reply = visitor.get()
    assert reply.body == b"another"
    assert stored(visitor) == {"n": 1}


def test_a_change_behind_an_explicit_save_is_saved_too(store, validated, caplog):
    def work(request, response):
        count(request.environ)
        get_registry(request).save(response)
        count(request.environ)

    visitor = validated(with_pages(webob_app(work)), store)
    assert len(visitor.get().all("set-cookie")) == 1
    assert stored(visitor) == {"n": 2}
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_saving_twice_sends_one_cookie(store, validated):
    def work(request, response):
        count(request.environ)
        get_session(request).save(response)
        get_registry(request).save(response)
        get_session(request).save(response)

    assert len(validated(webob_app(work), store).get().all("set-cookie")) == 1


@pytest.mark.parametrize(
    "foreign", ["session=evil; Path=/", "session=", "session = evil", "session=a=b; Max-Age=0"]
)
def test_a_foreign_cookie_of_our_name_is_replaced_with_one_warning(foreign, store, validated, caplog):
    visitor = validated(with_pages(answering(("Set-Cookie", foreign), ("set-cookie", "other=1"))), store)
    reply = visitor.get()
    assert sorted(reply.cookies) == ["other", "session"]
    assert stored(visitor) == {"n": 1}
    [warning] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "session" in warning.getMessage()
    assert "evil" not in warning.getMessage()


def test_a_cookie_whose_name_only_begins_like_ours_stays(store, validated, caplog):
    app = answering(("Set-Cookie", "session2=1"), ("Set-Cookie", "x=session=1"), ("Set-Cookie", "Session=1"))
    reply = validated(app, store).get()
    assert len(reply.all("set-cookie")) == 4
    assert caplog.records == []


# Several sessions, and nested middlewares


def test_several_sessions_on_several_stores_are_saved_in_one_response(make_store, validated):
    stores = {"first": make_store("encrypted"), "second": make_store("memory"), "third": make_store("cookie")}
    visitor = validated(two_sessions(1, 2), MappingProxyType(stores))
    assert sorted(visitor.get().cookies) == ["first", "second"]


@pytest.fixture
def nested(visit: Any, make_store: Any) -> Callable[..., Any]:
    """Makes a visitor of an application inside two middlewares; each has a session of its own and "both"."""

    def make(app: Any, between: Callable[[Any], Any] = lambda app: app) -> Any:
        inner = SessionMiddleware(app, {"inner": make_store("memory"), "both": make_store("cookie")})
        outer = {"outer": make_store("cookie"), "both": make_store("memory")}
        return visit(SessionMiddleware(between(inner), outer))

    return make


@pytest.mark.parametrize("style_name", ["list_", "generator_function", "iterator", "write"])
def test_nested_middlewares_find_their_own_sessions_then_those_of_the_parent(style_name, nested):
    seen = []

    def work(environ):
        for name in ("inner", "outer"):
            session = get_session(environ, name)
            session["n"] = session.get("n", 0) + 1
            seen.append(session["n"])

    visitor = nested(STYLES[style_name](work))
    visitor.get()
    assert sorted(visitor.jar) == ["inner", "outer"]
    visitor.get()
    assert seen == [1, 1, 2, 2]


def test_of_two_middlewares_the_inner_one_wins_a_name(nested):
    seen = []
    visitor = nested(list_(lambda e: seen.append(get_session(e, "both").handle is None) or count_both(e)))
    visitor.get()
    visitor.get()
    assert seen == [True, True]  # a cookie session has no handle
    assert visitor.jar["both"].count(".") == 1


def count_both(environ: dict[str, Any]) -> None:
    get_session(environ, "both")["x"] = 1


@pytest.mark.parametrize("broken", ["inner", "outer"])
def test_a_failing_backend_of_either_middleware_is_a_503(broken, broken_store, visit):
    stores = {"inner": broken_store(), "outer": broken_store()}
    stores[broken].backend.broken = {"create"}

    def work(environ):
        for name in stores:
            get_session(environ, name)["n"] = 1

    inner = SessionMiddleware(list_(work), {"inner": stores["inner"]})
    reply = visit(SessionMiddleware(inner, {"outer": stores["outer"]})).get()
    assert reply.status == "503 Service Unavailable"
    assert broken not in reply.cookies


def test_vary_names_cookie_once_behind_two_middlewares(nested):
    reply = nested(list_(lambda e: [get_session(e, name) for name in ("inner", "outer")])).get()
    assert reply.all("vary") == ["Cookie"]


def test_an_unknown_session_is_told_with_all_that_are_known(nested):
    def work(environ):
        with pytest.raises(UnknownSessionError) as raised:
            get_session(environ, "basket")
        assert raised.value.name == "basket"
        assert raised.value.known == ("both", "inner", "outer")
        assert "'inner'" in str(raised.value)
        assert "SessionMiddleware" in str(raised.value)

    nested(list_(work)).get()


def error_pages(app: Any) -> Any:
    """A middleware that makes the page of a 404 by calling the application again, with the same environ."""

    def middleware(environ, start_response):
        caught = []
        body = app(environ, lambda *args: caught.append(args) or (lambda data: None))
        if not caught or not caught[0][0].startswith("404"):
            start_response(*caught[0])
            return body
        list(body)
        if hasattr(body, "close"):
            body.close()
        environ["PATH_INFO"] = "/error"
        return app(environ, start_response)

    return middleware


def not_found(work: Work) -> Any:
    def app(environ, start_response):
        found = environ["PATH_INFO"] == "/error"
        if found:
            work(environ)
        else:
            read(environ)
        start_response("200 OK" if found else "404 Not Found", headers())
        return [b"x"]

    return app


def test_a_registry_that_is_sealed_is_never_a_parent(store, visit):
    app = SessionMiddleware(with_pages(not_found(count)), store)
    visitor = visit(error_pages(app))
    visitor.get("/missing")
    assert visitor.get("/read").body == b"{'n': 1}"


def test_an_application_entered_once_more_still_finds_the_sessions_around_it(nested):
    """The inner registry has been sealed by then, the outer one has not."""
    seen = []

    def work(environ):
        get_session(environ, "inner")["n"] = 1
        get_session(environ, "outer")["n"] = 1
        seen.append(True)

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/error":
            work(environ)
            return list_(nothing)(environ, start_response)
        return list_(lambda e: get_session(e, "inner"), "404 Not Found")(environ, start_response)

    visitor = nested(app, error_pages)
    reply = visitor.get("/missing")
    assert seen == [True]
    assert sorted(reply.cookies) == ["inner", "outer"]


# One session of one store, asked for inside a middleware and around it


def put(name: str) -> Work:
    def work(environ: dict[str, Any]) -> None:
        get_session(environ)[name] = [1]

    return work


def log_out(environ: dict[str, Any]) -> None:
    get_session(environ).destroy()


def by_hand(store: Any, app: Any, before: Work, after: Work, opens: bool = True) -> Any:
    """The middleware, and around it code that uses its store without one."""
    wrapped = SessionMiddleware(app, store)

    def outer(environ, start_response):
        request = Request(environ)
        get_registry(environ)
        if opens:
            store.get(request, "session")
        before(environ)
        response = request.get_response(wrapped)
        if after is not nothing:
            store.get(request, "session")
        after(environ)
        get_registry(environ).save(response)
        return response(environ, start_response)

    return outer


def by_middleware(store: Any, app: Any, before: Work, after: Work) -> Any:
    """Two middlewares of the same store, and code between them."""

    def between(environ, start_response):
        before(environ)
        body = SessionMiddleware(app, store)(environ, start_response)
        after(environ)
        return body

    return SessionMiddleware(between, store)


def by_hand_late(store: Any, app: Any, before: Work, after: Work) -> Any:
    """The same, but the session is first asked for inside."""
    return by_hand(store, app, before, after, opens=False)


def by_three(store: Any, app: Any, before: Work, after: Work) -> Any:
    """Two middlewares, and between them one that knows nothing of this session."""

    def between(environ, start_response):
        before(environ)
        body = SessionMiddleware(SessionMiddleware(app, store), {"third": store})(environ, start_response)
        after(environ)
        return body

    return SessionMiddleware(between, store)


around = pytest.mark.parametrize("around", [by_hand, by_hand_late, by_middleware, by_three])


@around
@pytest.mark.parametrize("inside", ["a", None])
@pytest.mark.parametrize("before", ["b", None])
@pytest.mark.parametrize("after", ["c", None])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("style_name", ["list_", "generator_object", "iterator", "webob", "file"])
def test_what_is_written_inside_and_around_is_one_session(
    around, inside, before, after, first, style_name, store, visit, caplog
):
    before = None if around is by_hand_late else before  # it asks for nothing
    works = [nothing if name is None else put(name) for name in (inside, before, after)]
    visitor = visit(SessionMiddleware(list_(nothing if first else put("old")), store))
    visitor.get()
    visitor.app = around(store, STYLES[style_name](works[0]), *works[1:])
    reply = visitor.get()
    assert reply.body == b"hello"
    expected = {name for name in ("old" if not first else None, inside, before, after) if name}
    visitor.app = SessionMiddleware(with_pages(list_(nothing)), store)
    assert set(stored(visitor)) == expected
    assert len(reply.all("set-cookie")) <= 1
    assert caplog.records == []


@around
@pytest.mark.parametrize("after", [True, False])
def test_a_log_out_inside_holds_outside(around, after, store, visit):
    visitor = visit(SessionMiddleware(list_(put("old")), store))
    visitor.get()
    after = after or around is by_hand_late  # which asks for nothing before
    works = (nothing, put("hits")) if after else (put("hits"), nothing)
    visitor.app = around(store, list_(log_out), *works)
    reply = visitor.get()
    assert len(reply.all("set-cookie")) == 1
    visitor.app = SessionMiddleware(with_pages(list_(nothing)), store)
    assert stored(visitor) == ({"hits": [1]} if after else {})


@around
def test_another_answer_than_that_of_the_inner_one_has_its_cookies(around, store, visit):
    def discarding(environ, start_response):
        SessionMiddleware(list_(put("inside")), store)(environ, lambda *_: lambda data: None)
        start_response("404 Not Found", headers())
        return [b"another page"]

    def outer(environ, start_response):
        if around in (by_hand, by_hand_late):
            response = Response()
            store.get(Request(environ), "session")
            discarding(environ, lambda *_: None)
            get_registry(environ).save(response)
            return response(environ, start_response)
        return SessionMiddleware(discarding, store)(environ, start_response)

    visitor = visit(outer)
    visitor.get()
    visitor.app = SessionMiddleware(with_pages(list_(nothing)), store)
    assert stored(visitor) == {"inside": [1]}


@pytest.mark.parametrize("how", ["500 Oops", "raises"])
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("verb", ["write", "login", "regenerate", "flash"])
@pytest.mark.parametrize("first", [True, False])
def test_what_a_failing_application_inside_wrote_is_not_saved_outside(how, before, verb, first, store, visit):
    """Though a page of errors outside answers 200, and has a session of the same store."""
    acts = {
        "write": lambda session: session["cart"].append("half"),
        "login": lambda session: session.login("ada"),
        "regenerate": lambda session: session.regenerate(),
        "flash": lambda session: session.flash("half"),
    }

    def failing(environ, start_response):
        get_session(environ).setdefault("cart", [])
        acts[verb](get_session(environ))
        if how == "raises":
            raise LookupError
        start_response(how, headers())
        return [b"x"]

    def error_page(environ, start_response):
        if before:
            get_session(environ)["before"] = 1
        with suppress(LookupError):
            SessionMiddleware(failing, store)(environ, lambda *_: lambda data: None)
        get_session(environ)["after"] = 1
        return list_(nothing)(environ, start_response)

    seed = nothing if first else lambda environ: get_session(environ).update(SEED)
    visitor = visit(SessionMiddleware(list_(seed), store))
    visitor.get()
    text = visitor.jar.get("session")
    visitor.app = SessionMiddleware(error_page, store)
    reply = visitor.get()
    assert len(reply.all("set-cookie")) <= 1
    session = store.open("session", [visitor.jar["session"]])
    assert dict(session) == {**({} if first else SEED), **({"before": 1} if before else {}), "after": 1}
    assert (session.principal, session.flashes()) == (None, [])
    if verb == "regenerate" and not first and session.handle:
        assert visitor.jar["session"] == text


def test_a_log_out_inside_a_failing_application_holds(store, visit):
    def failing(environ, start_response):
        get_session(environ).destroy()
        start_response("500 Oops", headers())
        return [b"x"]

    def error_page(environ, start_response):
        get_session(environ)["before"] = 1
        SessionMiddleware(failing, store)(environ, lambda *_: lambda data: None)
        return list_(nothing)(environ, start_response)

    visitor = visit(SessionMiddleware(list_(put("n")), store))
    visitor.get()
    visitor.app = SessionMiddleware(error_page, store)
    visitor.get()
    visitor.app = SessionMiddleware(with_pages(list_(nothing)), store)
    assert stored(visitor) == {}


def stream(environ, start_response):
    start_response("200 OK", headers())
    put("inside")(environ)
    return (b"x" for _ in range(2))


@pytest.mark.parametrize("closed", [True, False])
def test_a_stream_from_inside_may_be_sent_in_another_answer(closed, store, visit):
    """As middlewares do that change a body; some forget to close it."""

    def between(environ, start_response):
        put("before")(environ)
        body = SessionMiddleware(stream, store)(environ, lambda *_: lambda data: None)
        put("after")(environ)
        start_response("200 OK", headers())
        yield from body
        if closed:
            body.close()

    visitor = visit(SessionMiddleware(between, store))
    visitor.get()
    visitor.app = SessionMiddleware(with_pages(list_(nothing)), store)
    assert stored(visitor) == {"inside": [1], "before": [1], "after": [1]}


def test_what_is_written_while_the_outer_headers_wait_is_saved_and_no_late_change(store, visit, events):
    def writing(environ, start_response):
        start_response("200 OK", headers())
        put("first")(environ)

        def chunks():
            yield b"x"
            put("late")(environ)
            yield b"y"

        return chunks()

    def between(environ, start_response):
        put("before")(environ)
        body = SessionMiddleware(writing, store, on_event=events.append)(environ, start_response)
        whole = list(body)
        body.close()
        put("after")(environ)
        return whole

    visitor = visit(SessionMiddleware(between, store, on_event=events.append))
    visitor.get()
    assert "late_change" not in [event.kind for event in events]
    visitor.app = SessionMiddleware(with_pages(list_(nothing)), store)
    assert set(stored(visitor)) == {"before", "first", "late", "after"}


@pytest.mark.parametrize("by", ["hand", "middleware"])
def test_a_session_that_came_back_can_be_saved(by, store):
    """By its own save(), though the registry that opened it is gone."""
    request, response = Request.blank("/"), Response()
    wrapped = SessionMiddleware(list_(put("inside")), store)
    if by == "hand":
        get_registry(request.environ)
        request.get_response(wrapped)
        gc.collect()
        session = store.get(request, "session")
        session["after"] = 1
        session.save(response)
        assert len(response.headers.getall("Set-Cookie")) == 1
        return

    def between(environ, start_response):
        body = wrapped(environ, start_response)
        gc.collect()
        get_session(environ)["after"] = 1
        get_session(environ).save(response)
        return body

    Request.blank("/").get_response(SessionMiddleware(between, store))
    assert len(response.headers.getall("Set-Cookie")) == 1


def test_an_inner_middleware_hears_what_happens_to_a_session_from_outside(store, events):
    def between(environ, start_response):
        get_session(environ)
        return SessionMiddleware(list_(put("a")), store, on_event=events.append)(environ, start_response)

    Request.blank("/").get_response(SessionMiddleware(between, store))
    assert [event.kind for event in events] == ["saved"]


def test_what_an_observer_does_to_a_saved_session_is_refused(store, visit):
    """It is told when the session stands and its cookie is made."""
    kept: list[Any] = []

    def observer(event):
        if event.kind == "uncacheable":
            with pytest.raises(SessionSealedError):
                kept[0]["late"] = 1
            kept.append(event)

    def app(environ, start_response):
        kept.append(get_session(environ))
        kept[0]["n"] = 1
        start_response("200 OK", headers("200 OK", ("Cache-Control", "public")))
        return [b"x"]

    visit(SessionMiddleware(app, store, on_event=observer)).get()
    assert len(kept) == 2


def test_a_session_of_another_store_is_another_session(make_store, visit):
    """Of two middlewares the inner one wins a name; what it saves is not the outer one's."""
    one, other = make_store("memory"), make_store("memory")

    def between(environ, start_response):
        get_session(environ)["outer"] = 1
        body = SessionMiddleware(list_(put("inner")), other)(environ, start_response)
        assert set(get_session(environ)) == {"outer"}
        return body

    visit(SessionMiddleware(between, one)).get()


def test_a_session_is_found_through_a_copy_of_environ(store, validated):
    visitor = validated(with_pages(list_(lambda e: count(dict(e)))), store)
    visitor.get()
    assert stored(visitor) == {"n": 1}


def test_requests_at_the_same_time_have_sessions_of_their_own(memory_store, plain):
    visitor = plain(generator_function(count), memory_store)
    servers = [visitor.start() for _ in range(3)]
    assert len({server.finish().cookies["session"] for server in servers}) == 3


# Configuration


class NoOptions:
    open = commit = staticmethod(lambda *args: None)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"app": None}, "app"),
    ({"app": "module:app"}, "app"),
    ({"stores": None}, "stores"),
    ({"stores": {}}, "stores"),
    ({"stores": []}, "stores"),
    ({"stores": {"session": None}}, "stores"),
    ({"stores": object()}, "stores"),
    ({"stores": NoOptions()}, "stores"),
    ({"stores": Untouchable}, "stores"),
    ({"cache_control": 0}, "cache_control"),
    ({"cache_control": True}, "cache_control"),
    ({"cache_control": b"no-store"}, "cache_control"),
    ({"cache_control": "no-store\r\nX: y"}, "cache_control"),
    ({"cache_control": "no\u2014store"}, "cache_control"),
    ({"save_on_error": "no"}, "save_on_error"),
    ({"save_on_error": None}, "save_on_error"),
    ({"unavailable": "503"}, "unavailable"),
    ({"unavailable": 503}, "unavailable"),
    ({"on_event": "log"}, "on_event"),
    ({"on_event": []}, "on_event"),
]


@pytest.mark.parametrize(
    ("options", "option"), BAD, ids=[f"{option}-{n}" for n, (_, option) in enumerate(BAD)]
)
def test_a_bad_option_is_refused_while_the_application_starts(options, option):
    with pytest.raises(ConfigError) as raised:
        SessionMiddleware(**{"app": list_(nothing), "stores": Untouchable(), **options})
    assert raised.value.option == option
    assert f"'{option}'" in str(raised.value)


def test_a_url_in_place_of_a_store_is_told_what_makes_one_of_it():
    with pytest.raises(ConfigError, match=r"'stores' .*; a URL goes through store_from_url$") as raised:
        SessionMiddleware(list_(nothing), "redis://shop:hunter2@db")
    assert "hunter2" not in str(raised.value)


def test_a_store_class_in_place_of_a_store_is_refused(make_store):
    with pytest.raises(ConfigError) as raised:
        SessionMiddleware(list_(nothing), type(make_store("cookie")))
    assert raised.value.option == "stores"


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a;b", "é", "a\n", "a,b", 7, None, "x" * 1025])
def test_a_session_name_that_is_no_token_is_refused(name):
    with pytest.raises(ConfigError):
        SessionMiddleware(list_(nothing), {name: Untouchable()})


def test_two_sessions_of_one_cookie_are_refused(make_store):
    stores = {
        "__Host-cart": make_store("cookie"),
        "cart": make_store("memory", options=CookieOptions(prefix="__Host-")),
    }
    with pytest.raises(ConfigError, match="cart") as raised:
        SessionMiddleware(list_(nothing), stores)
    assert raised.value.option == "stores"


def test_a_mapping_of_stores_may_change_afterwards(store, validated):
    stores = {"session": store}
    visitor = validated(with_pages(list_(count)), stores)
    stores.clear()
    visitor.get()
    assert stored(visitor) == {"n": 1}


def test_the_stores_cannot_be_changed_through_the_registry(store, validated):
    def work(environ):
        with pytest.raises(TypeError):
            get_registry(environ).stores["x"] = store

    validated(list_(work), store).get()


# Events


def kinds(visitor: Any, events: list[Any]) -> list[str]:
    events.clear()
    visitor.get()
    return [event.kind for event in events]


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (nothing, []),
        (read, ["opened"]),
        (count, ["opened", "saved"]),
        (lambda e: get_session(e).destroy(), ["opened", "destroyed"]),
    ],
)
def test_events_tell_what_happened(work, expected, store, plain, events):
    assert kinds(seeded(plain, list_(work), store, on_event=events.append), events) == expected


def test_events_carry_the_name_and_the_handle(store, plain, events):
    visitor = seeded(plain, list_(count), store, on_event=events.append)
    visitor.get()
    assert {event.name for event in events} == {"session"}
    assert {len(event.handle or "") for event in events[1:]} == {64 if hasattr(store, "backend") else 0}


def test_a_rejected_cookie_is_an_event_with_its_reason(store, plain, events):
    plain(list_(read), store, on_event=events.append).get(HTTP_COOKIE="session=x")
    assert [(event.kind, event.reason) for event in events] == [("rejected", "malformed")]


def test_a_rejected_cookie_is_one_log_line(store, plain, caplog):
    caplog.set_level(logging.INFO, "sessions_wsgi")
    plain(list_(read), store).get(HTTP_COOKIE="session=x")
    assert [record.name for record in caplog.records] == ["sessions_wsgi"]


@pytest.mark.parametrize("style_name", ["list_", "generator_function", "write"])
def test_an_on_event_that_raises_is_swallowed_and_logged(style_name, store, validated, caplog):
    def on_event(event):
        raise LookupError("observer")

    visitor = validated(with_pages(STYLES[style_name](count)), store, on_event=on_event)
    visitor.get()
    assert "on_event" in caplog.text
    assert stored(visitor) == {"n": 1}


# Nothing that is secret shows up anywhere


SECRET_VALUE = "the-visitors-own-data"


def secret_scenarios(stores: dict[str, Any], other: dict[str, Any]) -> list[tuple[Any, dict[str, Any]]]:
    """Applications and their stores: whatever can be done to a session that holds `SECRET_VALUE`."""

    def late(environ):
        get_session(environ)["cart"].append(SECRET_VALUE)

    def group(environ):
        get_session(environ)["x"] = {"y": [SECRET_VALUE, {SECRET_VALUE}, object()]}

    def too_large(environ):
        get_session(environ)["x"] = SECRET_VALUE * 500

    def group_of_flashes(environ):
        get_session(environ).flash(object(), SECRET_VALUE)

    def destroy(environ):
        get_session(environ).destroy()

    def regenerate(environ):
        get_session(environ).login(SECRET_VALUE)

    def unknown(environ):
        get_session(environ, "unknown")

    works = [read, count, too_large, group_of_flashes, regenerate, unknown, destroy]
    apps = [make(work) for work in works for make in (list_, streaming, in_close)]
    apps += [
        streaming(late),
        in_close(late),
        list_(count, "500 Oops"),
        raising("in the stream", LookupError()),
    ]
    return [(app, each) for app in apps for each in (stores, other)] + [(list_(group), stores)]


@pytest.mark.parametrize("kind", ["cookie", "encrypted", "memory", "broken"])
def test_no_log_message_or_repr_holds_a_secret_a_cookie_or_data(
    kind, make_store, broken_store, key, other_key, plain, caplog, events
):
    caplog.set_level(logging.DEBUG)
    make = (lambda: broken_store("update")) if kind == "broken" else (lambda: make_store(kind))
    stores = {"session": make()}
    other = {"session": make_store("cookie" if kind != "cookie" else "memory", other_key)}
    secrets, told = {key, other_key, SECRET_VALUE}, []

    def keep_reprs(app):
        def keeping(environ, start_response):
            session = get_session(environ)
            registry = get_registry(environ)
            told.extend(map(repr, (session, registry, *registry.stores.values(), session.options)))
            return app(environ, start_response)

        return keeping

    def seed(environ):
        session = get_session(environ)
        session.update(data=SECRET_VALUE, cart=[SECRET_VALUE])
        session.flash(SECRET_VALUE)
        secrets.add(session.csrf_token())

    for app, each in secret_scenarios(stores, other):
        visitor = plain(list_(seed), stores, on_event=events.append)
        visitor.get()
        secrets |= set(visitor.jar.values())
        visitor.app = SessionMiddleware(keep_reprs(app), each, on_event=events.append)
        try:
            secrets |= set(visitor.get(HTTP_HOST="example.com").cookies.values())
        except Exception as error:
            told += [str(error), repr(error)]
    told += [repr(event) for event in events]
    told += [logging.Formatter().format(record) for record in caplog.records]
    assert len(told) > 100
    secrets = {part for secret in secrets for part in (secret, secret.partition(".")[0]) if part}
    assert [text for text in told if any(secret in text for secret in secrets)] == []


def test_behind_the_middleware_a_registry_has_all_that_others_have(cookie_store):
    """It is made without the registry's own constructor."""
    found = []

    def app(environ, start_response):
        found.append(get_registry(environ))
        start_response("200 OK", [])
        return []

    Request.blank("/").get_response(SessionMiddleware(app, cookie_store))
    assert vars(Registry({}, {})).keys() <= vars(found[0]).keys()
