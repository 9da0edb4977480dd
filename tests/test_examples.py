"""The examples: short, complete, and showing what they say."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path

import bottle_app
import cherrypy_app
import counter
import custom_backend
import custom_store
import falcon_app
import hello
import login
import pytest
import rotation
import two_sessions
import webob_app
import without_middleware
from browsing import Browser

from sessions_wsgi import Key, KeyRing

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.fixture
def keys() -> KeyRing:
    return KeyRing(Key.generate())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_has_at_most_sixty_lines(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 60


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_as_its_docstring_says(path: Path) -> None:
    assert f"python examples/{path.name} 8000" in path.read_text("utf-8").splitlines()[0]
    with serving(path) as port:
        assert answer(port) == 200


def test_every_example_is_asserted_here() -> None:
    assert {path.stem for path in EXAMPLES} <= set(globals())


def test_hello_knows_who_was_here(keys: KeyRing) -> None:
    browser = Browser(hello.make_app(keys))
    assert browser.get() == "Hello, stranger!"
    assert browser.get() == "Hello again!"
    assert browser.set_cookies == [], "nothing changed, so nothing was sent"


def test_counter_counts_and_keeps_the_last_three_times(keys: KeyRing) -> None:
    browser = Browser(counter.make_app(keys))
    pages = [browser.get() for _ in range(5)]
    assert [page.splitlines()[0] for page in pages] == [f"Visit {n}." for n in range(1, 6)]
    assert [len(page.splitlines()) - 1 for page in pages] == [1, 2, 3, 3, 3]


def test_login_signs_in_with_a_message_that_is_read_once(keys: KeyRing) -> None:
    browser = Browser(login.make_app(keys))
    browser.get()
    page = browser.post("/", name="Ada <i>")
    assert "<p>Welcome.</p>" in page
    assert "Hello Ada &lt;i&gt;!" in page
    assert "Welcome" not in browser.get()
    assert "Max-Age" not in str(browser.set_cookie("session"))


def test_login_remembers(keys: KeyRing) -> None:
    browser = Browser(login.make_app(keys))
    browser.get()
    browser.post("/", name="Ada", remember="on")
    assert "; Max-Age=" in str(browser.set_cookie("session"))


def test_login_signs_out(keys: KeyRing) -> None:
    browser = Browser(login.make_app(keys))
    browser.get()
    browser.post("/", name="Ada")
    page = browser.post("/")
    assert "Good-bye." in page
    assert "Sign in" in page


def test_login_refuses_a_form_without_a_token(keys: KeyRing) -> None:
    browser = Browser(login.make_app(keys))
    browser.get()
    browser.post("/", name="Ada", csrf="forged")
    assert browser.response.status_int == 403
    assert "Sign in" in browser.get()


def test_two_sessions_live_and_end_apart(keys: KeyRing, tmp_path: Path) -> None:
    browser = Browser(two_sessions.make_app(keys, tmp_path / "carts"))
    browser.get("/lang/fr")
    browser.get("/add/apple")
    assert browser.get("/add/apple") == "language: fr\ncart: {'apple': 2}"
    assert set(browser.jar) == {"preferences", "cart"}
    assert browser.get("/clear") == "language: fr\ncart: {}"
    assert set(browser.jar) == {"preferences"}


def test_rotation_seals_anew_what_the_old_key_sealed() -> None:
    old, new = (Key.generate().secret.decode() for _ in range(2))
    browser = Browser(rotation.make_app(KeyRing(old)))
    assert browser.get() == "session: new, rejected: None"

    browser.app = rotation.make_app(KeyRing(f"{new} {old}"))
    assert browser.get() == "session: found, rejected: None"
    assert browser.set_cookies
    assert browser.get() == "session: found, rejected: None"
    assert not browser.set_cookies

    browser.app = rotation.make_app(KeyRing(new))
    assert browser.get() == "session: found, rejected: None"
    browser.app = rotation.make_app(KeyRing(old))
    assert browser.get() == "session: new, rejected: unknown_key"


def test_rotation_can_be_planned() -> None:
    old, new = (Key.generate().secret.decode() for _ in range(2))
    ring = rotation.planned(new, old, datetime.now(UTC) + timedelta(hours=1))
    browser = Browser(rotation.make_app(ring))
    browser.get()
    browser.app = rotation.make_app(KeyRing(old))
    assert browser.get() == "session: found, rejected: None", "until the date the old key seals"


def test_custom_backend_keeps_sessions(keys: KeyRing) -> None:
    browser = Browser(custom_backend.make_app(keys))
    assert browser.get() == "Hello, stranger!"
    assert browser.get() == "Hello again!"
    browser.app = custom_backend.make_app(keys)
    assert browser.get() == "Hello, stranger!", "another backend has no such record"


def test_custom_backend_keeps_the_rules() -> None:
    backend, key, later = custom_backend.DictBackend(), "0" * 64, time.time() + 60
    version = backend.create(key, b"1", later)
    assert version is not None
    assert backend.create(key, b"taken", later) is None
    second = backend.update(key, b"2", later, version)
    assert backend.update(key, b"late", later, version) == custom_backend.Conflict(backend.load(key))
    assert not backend.touch(key, later + 1, version)
    assert backend.touch(key, later + 1, second)
    assert backend.load(key) == (b"2", second, later + 1)
    assert (backend.delete(key), backend.delete(key)) == (True, False)
    assert backend.update(key, b"3", later, second) == custom_backend.GONE
    assert backend.create(key, b"past", time.time() - 1) != second
    assert backend.load(key) is None


def test_custom_store_keeps_readable_values(keys: KeyRing) -> None:
    browser = Browser(custom_store.make_app(keys))
    assert browser.get() == "Hello, stranger!"
    assert "HttpOnly" not in str(browser.set_cookie("session"))
    assert browser.get() == "Hello again!"
    assert browser.set_cookies == []
    browser.jar["session"] = browser.jar["session"][:-1]
    assert browser.get() == "Hello, stranger!"


def test_without_middleware_two_stores_save_onto_one_response(keys: KeyRing) -> None:
    browser = Browser(without_middleware.make_app(keys))
    assert browser.get() == "Visit 1."
    assert browser.get("/draft?text=Dear") == "Visit 2."
    assert set(browser.jar) == {"session", "draft"}


def test_bottle_app_adds_to_a_list_and_says_so_once(keys: KeyRing) -> None:
    browser = Browser(bottle_app.make_app(keys))
    assert browser.post("/", item="apple").startswith("<p>Added apple.</p><li>apple<form")
    assert browser.post("/", item="<i>").startswith("<p>Added &lt;i&gt;.</p><li>apple<li>&lt;i&gt;<form")
    assert browser.get().startswith("<li>apple<li>")


def test_falcon_app_counts_and_forgets(keys: KeyRing) -> None:
    browser = Browser(falcon_app.make_app(keys))
    assert [browser.get() for _ in range(3)] == [f'{{"visits": {n}}}' for n in (1, 2, 3)]
    browser.delete("/")
    assert browser.jar == {}
    assert browser.get() == '{"visits": 1}'


def test_cherrypy_app_signs_in_and_out(keys: KeyRing) -> None:
    browser = Browser(cherrypy_app.make_app(keys))
    assert "Sign in" in browser.get()
    assert browser.jar == {}
    assert browser.post("/", name="Ada <i>") == "<p>Hello Ada &lt;i&gt;!</p>"
    assert "Sign in" in browser.get("/out")
    assert browser.jar == {}


def test_webob_app_takes_one_vote(keys: KeyRing) -> None:
    browser = Browser(webob_app.make_app(keys))
    assert "Do you like cookies?" in browser.get()
    assert "Thank you." in browser.post("/")
    assert "Do you like cookies?" in browser.get()
    assert "You have voted before." in browser.post("/")
    browser.post("/", csrf="forged")
    assert browser.response.status_int == 403


@contextmanager
def serving(path: Path) -> Iterator[int]:
    """The example as a process of its own, on a free port of the loopback interface."""
    with socket.create_server(("localhost", 0)) as found:
        port = found.getsockname()[1]
    command = [sys.executable, str(path), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == f"http://localhost:{port}\n".encode()
            yield port
        finally:
            process.terminate()


def answer(port: int) -> int:
    """The status of the first page."""
    connection = HTTPConnection("localhost", port, timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    finally:
        connection.close()
