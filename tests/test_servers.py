"""The same checks over sockets, under every server that people run."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import socketserver
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import pytest
from serving import SECONDS, in_thread, waitress_serving

from sessions_wsgi import BackendError, CookieStore, MemoryStore, ServerStore, SessionMiddleware, get_session
from sessions_wsgi.backends.memory import MemoryBackend

KEY = "kP4wZr8LxTq0Nd2VhJ6cYs9BmFg5aUe7iRo3WnXtCvM"
MODULE = __name__.rpartition(".")[2]


# The application. It is imported by gunicorn, so it is made when the module is.


class DownBackend(MemoryBackend):
    def load(self, key: str) -> Any:
        raise BackendError("down", "load")

    def create(self, key: str, data: bytes, expires: float) -> Any:
        raise BackendError("down", "create")


TEXT = [("Content-Type", "text/plain")]


def count(environ: dict[str, Any]) -> list[bytes]:
    """Counts in two sessions on two stores."""
    sessions = [get_session(environ, name) for name in ("cookie", "server")]
    for session in sessions:
        session["n"] = session.get("n", 0) + 1
    return [" ".join(str(session["n"]) for session in sessions).encode()]


def whoami(environ: dict[str, Any]) -> list[bytes]:
    return [" ".join(str(get_session(environ, name).principal) for name in ("cookie", "server")).encode()]


def page_list(environ, start_response):
    body = {"/count": count, "/whoami": whoami}.get(environ["PATH_INFO"], lambda _: [b"untouched"])(environ)
    start_response("200 OK", [*TEXT, ("Content-Length", str(len(body[0])))])
    return body


def page_login(environ, start_response):
    start_response("303 See Other", [*TEXT, ("Location", "whoami?from=here"), ("Content-Length", "0")])
    for name in ("cookie", "server"):
        get_session(environ, name).login("ada")
    return []


def page_logout(environ, start_response):
    for name in ("cookie", "server"):
        get_session(environ, name).destroy()
    start_response("200 OK", [*TEXT, ("Content-Length", "3")])
    return [b"bye"]


def page_stream(environ, start_response):
    """Sends its second chunk when the gate, a file, is there."""
    start_response("200 OK", list(TEXT))
    count(environ)
    yield b"first"
    deadline = time.monotonic() + SECONDS
    while not os.path.exists(environ["HTTP_X_GATE"]) and time.monotonic() < deadline:
        time.sleep(0.005)
    yield b"second"


def page_late(environ, start_response):
    start_response("200 OK", list(TEXT))
    get_session(environ, "server").get("n")

    def body():
        yield b"a"
        get_session(environ, "server")["n"] = 1000
        yield b"b"

    return body()


def page_write(environ, start_response):
    write = start_response("200 OK", list(TEXT))
    count(environ)
    write(b"hel")
    write(b"lo")
    return [b"!"]


def page_file(environ, start_response):
    count(environ)
    start_response("200 OK", [*TEXT, ("Content-Length", "100000")])
    wrapper = environ.get("wsgi.file_wrapper", lambda file: iter(lambda: file.read(8192), b""))
    return wrapper(BytesIO(b"x" * 100_000))


def page_empty(environ, start_response):
    count(environ)
    start_response({"/204": "204 No Content", "/304": "304 Not Modified"}[environ["PATH_INFO"]], [])
    return []


def page_fails(environ, start_response):
    count(environ)
    if environ["PATH_INFO"] == "/fails-late":
        start_response("200 OK", list(TEXT))
    raise LookupError("on purpose")


def page_fails_in_the_first_item(environ, start_response):
    start_response("200 OK", list(TEXT))
    count(environ)
    raise LookupError("on purpose")
    yield b""


def page_unstorable(environ, start_response):
    get_session(environ, "server")["x"] = object()
    start_response("200 OK", list(TEXT))
    return [b"never"]


def page_error(environ, start_response):
    count(environ)
    start_response("500 Oops", list(TEXT))
    return iter([b"oops"])


def page_down(environ, start_response):
    get_session(environ, "down")["x"] = 1
    start_response("200 OK", list(TEXT))
    return [b"never"]


def page_replaced(environ, start_response):
    start_response("200 OK", list(TEXT))
    try:
        raise LookupError
    except LookupError:
        start_response("418 Teapot", [*TEXT, ("Content-Length", "6")], sys.exc_info())
    count(environ)
    return [b"teapot"]


PAGES = {
    "/login": page_login,
    "/logout": page_logout,
    "/stream": page_stream,
    "/late": page_late,
    "/write": page_write,
    "/file": page_file,
    "/204": page_empty,
    "/304": page_empty,
    "/fails": page_fails,
    "/fails-late": page_fails,
    "/fails-first": page_fails_in_the_first_item,
    "/unstorable": page_unstorable,
    "/error": page_error,
    "/down": page_down,
    "/replaced": page_replaced,
}


def pages(environ, start_response):
    return PAGES.get(environ["PATH_INFO"], page_list)(environ, start_response)


def make_application() -> SessionMiddleware:
    stores = {
        "cookie": CookieStore(KEY),
        "server": MemoryStore(KEY),
        "down": ServerStore(DownBackend(), KEY),
    }
    return SessionMiddleware(pages, stores)


# The servers. Each is a context in which something answers on a port of the loopback interface.


@contextlib.contextmanager
def waitress() -> Iterator[int]:
    with waitress_serving(make_application()) as port:
        yield port


@contextlib.contextmanager
def wsgiref() -> Iterator[int]:
    class Threaded(socketserver.ThreadingMixIn, WSGIServer):
        daemon_threads = True
        block_on_close = True

    class Handler(WSGIRequestHandler):
        timeout = SECONDS

        def log_message(self, *args: Any) -> None:
            """Keep quiet."""

    with Threaded(("127.0.0.1", 0), Handler) as server:
        server.set_app(make_application())
        with in_thread(lambda: server.serve_forever(0.02), server.shutdown):
            yield server.server_port


@contextlib.contextmanager
def process(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A Python that can import this module and the package."""
    package = os.path.dirname(os.path.dirname(sys.modules["sessions_wsgi"].__file__ or ""))
    path = os.pathsep.join([os.path.dirname(os.path.abspath(__file__)), package])
    child = subprocess.Popen(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.DEVNULL,
        **{"stdout": subprocess.DEVNULL, **options},
    )
    with child:
        try:
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()


@contextlib.contextmanager
def gunicorn(*arguments: str) -> Iterator[int]:
    """A master and one worker, with a socket that is open before they start, so nobody has to wait for it."""
    config = pytest.importorskip("gunicorn.config")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [
            "-m",
            "gunicorn",
            "--bind",
            f"fd://{listener.fileno()}",
            "--graceful-timeout",
            "1",
            *arguments,
        ]
        if any("--no-control-socket" in (setting.cli or ()) for setting in config.KNOWN_SETTINGS):
            command.append("--no-control-socket")  # newer ones put one into the home directory
        with process(*command, f"{MODULE}:make_application()", pass_fds=[listener.fileno()]):
            yield listener.getsockname()[1]


@contextlib.contextmanager
def cheroot() -> Iterator[int]:
    """In a process of its own: the files of its connections complain when they are freed."""
    pytest.importorskip("cheroot.wsgi")
    code = f"import {MODULE}; {MODULE}.serve_with_cheroot()"
    with process("-c", code, stdout=subprocess.PIPE) as child:
        yield int(child.stdout.readline())  # type: ignore[union-attr]


def serve_with_cheroot() -> None:
    from cheroot.wsgi import Server

    server = Server(("127.0.0.1", 0), make_application(), numthreads=2)
    server.prepare()
    print(server.bind_addr[1], flush=True)
    server.serve()


SERVERS = {
    "wsgiref": wsgiref,
    "waitress": waitress,
    "cheroot": cheroot,
    "gunicorn sync": gunicorn,
    "gunicorn gthread": lambda: gunicorn("--worker-class", "gthread", "--threads", "2"),
}


@pytest.fixture(scope="module", params=SERVERS)
def server_name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def port(server_name: str) -> Iterator[int]:
    with SERVERS[server_name]() as port:
        yield port


class Browser:
    """A visitor over a socket; each request has a connection of its own."""

    def __init__(self, port: int) -> None:
        self.port, self.jar = port, {}

    @contextlib.contextmanager
    def ask(self, path: str, method: str = "GET", **headers: str) -> Iterator[http.client.HTTPResponse]:
        """The response as soon as its headers are there."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        if self.jar:
            headers.setdefault("Cookie", "; ".join(f"{name}={text}" for name, text in self.jar.items()))
        try:
            connection.request(method, path, headers={"Connection": "close", **headers})
            with connection.getresponse() as response:
                for name, text in set_cookies(response).items():
                    self.jar.pop(name, None)
                    if text:
                        self.jar[name] = text
                yield response
        finally:
            connection.close()

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
        with self.ask(path, method, **headers) as response:
            return response, response.read()


def set_cookies(response: http.client.HTTPResponse) -> dict[str, str]:
    values = response.headers.get_all("Set-Cookie") or []
    return dict(value.split(";")[0].split("=", 1) for value in values)


@pytest.fixture
def browser(port: int) -> Browser:
    return Browser(port)


def test_sessions_last_from_request_to_request(browser):
    assert [browser.get("/count")[1] for _ in range(3)] == [b"1 1", b"2 2", b"3 3"]


def test_visitors_do_not_share_sessions(browser):
    browser.get("/count")
    assert Browser(browser.port).get("/count")[1] == b"1 1"


def test_signing_in_and_out(browser):
    browser.get("/count")
    before = dict(browser.jar)
    response, _ = browser.get("/login")
    assert response.status == 303
    assert response.getheader("Location") == "whoami?from=here"
    assert {name for name in before if browser.jar[name] != before[name]} == {"cookie", "server"}
    assert browser.get("/whoami")[1] == b"ada ada"
    browser.get("/logout")
    assert browser.jar == {}
    browser.jar = {"server": before["server"]}
    assert browser.get("/whoami")[1] == b"None None"


def test_an_untouched_session_adds_no_header(browser):
    response, body = browser.get("/untouched", Cookie="cookie=x; server=y")
    assert body == b"untouched"
    assert {"set-cookie", "vary", "cache-control"}.isdisjoint(name.lower() for name in response.headers)


def test_a_cookie_comes_with_vary_and_no_store(browser):
    response, _ = browser.get("/count")
    assert response.headers.get_all("Vary") == ["Cookie"]
    assert response.headers.get_all("Cache-Control") == ["no-store"]
    assert len(response.headers.get_all("Set-Cookie")) == 2


def test_headers_and_first_chunk_of_a_stream_arrive_before_the_second(browser, tmp_path):
    gate = tmp_path / "gate"
    with browser.ask("/stream", **{"X-Gate": str(gate)}) as response:
        assert sorted(set_cookies(response)) == ["cookie", "server"]
        assert response.read(5) == b"first"
        gate.touch()  # only now may the second one come
        assert response.read() == b"second"
    assert browser.get("/count")[1] == b"2 2"


def test_a_visitor_who_leaves_in_the_middle_of_a_stream_does_no_harm(browser, tmp_path):
    gate = tmp_path / "gate"
    with browser.ask("/stream", **{"X-Gate": str(gate)}) as response:
        assert response.read(5) == b"first"
    gate.touch()
    assert browser.get("/count")[1] == b"2 2"


def test_a_change_in_the_stream_is_saved_at_close(browser):
    browser.get("/count")
    assert browser.get("/late")[1] == b"ab"
    last, deadline = b"", time.monotonic() + SECONDS
    while not last.endswith(b" 1001") and time.monotonic() < deadline:  # close() comes behind the last byte
        last = browser.get("/count")[1]
    assert last.endswith(b" 1001")


def test_write_and_a_body_behind_it(browser):
    assert browser.get("/write")[1] == b"hello!"
    assert browser.get("/count")[1] == b"2 2"


def test_a_file_is_sent_whole(browser):
    response, body = browser.get("/file")
    assert body == b"x" * 100_000
    assert sorted(set_cookies(response)) == ["cookie", "server"]


@pytest.mark.parametrize("path", ["/count", "/file"])
def test_head_is_answered_with_the_headers_of_get(path, browser):
    response, body = browser.get(path, "HEAD")
    assert body == b""
    assert int(response.getheader("Content-Length")) > 0
    assert sorted(set_cookies(response)) == ["cookie", "server"]


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_carries_its_cookie(status, browser):
    response, body = browser.get(f"/{status}")
    assert (response.status, body) == (status, b"")
    assert sorted(set_cookies(response)) == ["cookie", "server"]
    assert browser.get("/count")[1] == b"2 2"


@pytest.mark.parametrize("path", ["/fails", "/fails-late", "/fails-first", "/unstorable"])
def test_an_exception_is_a_500_without_a_cookie(path, server_name, browser):
    if (server_name, path) == ("cheroot", "/fails-first"):
        pytest.skip("cheroot hangs up on whatever raises before its headers")
    browser.get("/count")
    response, _ = browser.get(path)
    assert response.status == 500
    assert set_cookies(response) == {}
    assert browser.get("/count")[1] == b"2 2"


def test_an_answer_of_500_saves_nothing(browser):
    browser.get("/count")
    response, body = browser.get("/error")
    assert (response.status, body) == (500, b"oops")
    assert set_cookies(response) == {}
    assert browser.get("/count")[1] == b"2 2"


def test_a_backend_that_is_down_is_a_503(browser):
    response, _ = browser.get("/down")
    assert response.status == 503
    assert int(response.getheader("Retry-After")) > 0
    assert set_cookies(response) == {}


def test_the_second_start_response_counts(browser):
    response, body = browser.get("/replaced")
    assert (response.status, body) == (418, b"teapot")
    assert sorted(set_cookies(response)) == ["cookie", "server"]


@pytest.mark.parametrize("letter", ["a", "=", ";", ",", '"', "cookie=", "cookie=;"])
def test_a_hostile_cookie_header_of_8_kb_is_answered_quickly(letter, browser):
    """WebOb's parser needs 0.9 s for such a header."""
    header = (letter * 8000)[:8000]
    durations = []
    for _ in range(3):
        start = time.perf_counter()
        response, body = browser.get("/count", Cookie=header)
        durations.append(time.perf_counter() - start)
        assert (response.status, body) == (200, b"1 1")
        browser.jar.clear()
    assert min(durations) < 0.4


@pytest.mark.parametrize("text", ["x", "", '"', "\xff", "a.b", "x" * 4000])
def test_a_bad_cookie_is_a_new_session(text, browser):
    response, body = browser.get("/count", Cookie=f"cookie={text}; server={text}")
    assert (response.status, body) == (200, b"1 1")
    assert sorted(set_cookies(response)) == ["cookie", "server"]


def test_two_requests_on_one_connection_are_two_requests(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        for _ in range(2):
            connection.request("GET", "/count")
            with connection.getresponse() as response:
                assert response.read() == b"1 1"
    finally:
        connection.close()
