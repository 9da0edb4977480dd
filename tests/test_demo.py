"""The demo site: what a visitor can do there, and what the panel tells."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from html import escape, unescape
from http.client import HTTPConnection
from pathlib import Path

import pytest
from browsing import Browser
from demo.__main__ import greet, main, parser
from demo.app import make_app
from demo.server import listening
from demo.stores import KINDS
from webob import Request

from sessions_wsgi import Key, KeyRing

EXAMPLES = Path(__file__).parent.parent / "examples"
HOSTILE = "<script>alert(1)</script>\"'&"


@pytest.fixture
def site(tmp_path: Path) -> Callable[[str], Browser]:
    """Opens the first page of a demo on a store."""

    def open_site(store: str = "cookie") -> Browser:
        browser = Browser(make_app(store, keys=KeyRing(Key.generate()), directory=tmp_path))
        browser.get()
        return browser

    return open_site


@pytest.fixture(params=KINDS)
def browser(request: pytest.FixtureRequest, site: Callable[[str], Browser]) -> Browser:
    return site(request.param)


def panel(page: str, cookie: str) -> dict[str, str]:
    """What the panel says that the server reads in a cookie."""
    section = page.split(f'id="cookie-{cookie}"')[1].split("</section>", maxsplit=1)[0]
    return {
        unescape(term): unescape(value) for term, value in re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", section)
    }


# What a visitor does


def test_signing_in(browser: Browser) -> None:
    page = browser.post("/sign-in", name=" Ada ")
    assert 'Signed in as <strong class="name">Ada</strong>, until the browser closes' in page
    assert panel(page, "visitor")["principal"] == "Ada"
    assert "Max-Age" not in str(browser.set_cookie("visitor"))


def test_signing_in_changes_the_cookie_and_the_token(browser: Browser) -> None:
    text, page = browser.jar["visitor"], browser.response.text
    browser.post("/sign-in", name="Ada")
    assert browser.jar["visitor"] != text
    token = re.search('name="csrf" value="([^"]*)"', page)
    assert token is not None
    browser.post("/basket/add", number="1", csrf=token[1])
    assert browser.response.status_int == 403


def test_remember_me_stays_chosen(browser: Browser) -> None:
    page = browser.post("/sign-in", name="Ada", remember="1")
    age = re.search(r"Max-Age=(\d+)", str(browser.set_cookie("visitor")))
    assert age is not None
    assert 30 * 86400 - 60 < int(age[1]) <= 30 * 86400
    assert "remembered for 30 days" in page
    page = browser.get()
    assert "remembered for 30 days" in page
    assert panel(page, "visitor")["max_age"] == "30 days"


@pytest.mark.parametrize("name", ["", "   ", "x" * 41, "a\nb"])
def test_a_name_that_will_not_do(site: Callable[..., Browser], name: str) -> None:
    browser = site()
    page = browser.post("/sign-in", name=name)
    assert '<p class="flash error"' in page
    assert panel(page, "visitor")["principal"] == "None"


def test_signing_out_ends_one_session_only(browser: Browser) -> None:
    browser.post("/sign-in", name="Ada", remember="1")
    browser.post("/basket/add", number="1")
    page = browser.post("/sign-out")
    assert "You are signed out." in page
    assert panel(page, "visitor") | {
        "principal": "None",
        "max_age": "None: until the browser closes",
    } == panel(page, "visitor")
    assert panel(page, "basket")["session[1]"] == "1"


def test_a_copy_of_the_cookie_is_worth_nothing_after_signing_out_where_the_server_holds_the_session(
    site: Callable[[str], Browser],
) -> None:
    browser = site("file")
    browser.post("/sign-in", name="Ada")
    copy = browser.jar["visitor"]
    browser.post("/sign-out")
    browser.jar["visitor"] = copy
    assert panel(browser.get(), "visitor")["principal"] == "None"


def test_a_basket_is_filled_and_emptied(browser: Browser) -> None:
    assert "basket" not in browser.jar
    for number in ("1", "1", "3"):
        page = browser.post("/basket/add", number=number)
    assert "€ 1.55" in page
    assert panel(page, "basket") | {"session[1]": "2", "session[3]": "1"} == panel(page, "basket")
    page = browser.post("/basket/take-out", number="1")
    assert "session[1]" not in panel(page, "basket")
    browser.post("/basket/empty")
    assert "basket" not in browser.jar


@pytest.mark.parametrize("number", ["", "0", "99", "-1", "x", "1" * 5000, "²"])
def test_nothing_else_is_for_sale(site: Callable[..., Browser], number: str) -> None:
    browser = site()
    browser.post("/basket/add", number=number)
    browser.post("/basket/take-out", number=number)
    assert "basket" not in browser.jar


def test_a_message_is_read_once(browser: Browser) -> None:
    page = browser.post("/basket/add", number="2")
    assert '<p class="flash success" role="status"><b>Done.</b> Pear: in your basket.</p>' in page
    assert "in your basket" not in browser.get()


def test_pages_are_counted(browser: Browser) -> None:
    assert "You have opened 1 page in this session." in browser.response.text
    assert "You have opened 2 pages in this session." in browser.get()


# What the panel tells


def test_the_panel_shows_what_was_sent(browser: Browser) -> None:
    page = browser.post("/basket/add", number="1")
    for name, text in browser.jar.items():
        assert f"{len(name) + 1 + len(text)} of 4096 bytes" in page
        assert text[:24] in page
        assert text not in page, "all of it would be as good as a password"
    for attribute in ("Path=/", "HttpOnly", "SameSite=Lax"):
        assert page.count(f"<code>{attribute}</code>") == 2


@pytest.mark.parametrize(("store", "words"), [(name, kind.note) for name, kind in KINDS.items()])
def test_the_panel_says_how_a_session_is_kept(site: Callable[[str], Browser], store: str, words: str) -> None:
    page = site(store).response.text
    assert escape(words) in page
    assert f'<code>visitor</code> <span class="badge {KINDS[store].sealed}">' in page


def test_the_panel_tells_that_an_empty_session_has_no_cookie(browser: Browser) -> None:
    assert browser.response.text.count("No cookie: a session with nothing in it") == 1
    assert panel(browser.response.text, "basket") == {}


def test_the_panel_tells_new_from_known(browser: Browser) -> None:
    assert panel(browser.response.text, "visitor")["is_new"].startswith("True")
    assert panel(browser.get(), "visitor")["is_new"].startswith("False")


def test_a_cookie_that_did_not_change_is_not_sent_again(browser: Browser) -> None:
    browser.post("/basket/add", number="1")
    page = browser.get()
    assert browser.set_cookie("basket") is None
    assert page.count("Not sent again: nothing changed.") >= 1


def test_a_tampered_cookie_is_a_new_session(browser: Browser) -> None:
    browser.post("/sign-in", name="Ada")
    browser.post("/basket/add", number="1")
    page = browser.post("/tamper")
    assert browser.response.status_int == 200
    assert "The cookie that came was rejected: forged." in page
    assert panel(page, "visitor") | {"rejected": "forged", "principal": "None"} == panel(page, "visitor")
    assert panel(page, "basket")["session[1]"] == "1"
    assert panel(browser.get(), "visitor")["rejected"] == "None"


@pytest.mark.parametrize("text", ["", "x", "a.b", '"', "=;=,", "é", "A" * 8000, HOSTILE.replace(";", "")])
def test_junk_is_no_error(browser: Browser, text: str) -> None:
    browser.jar = {"visitor": text, "basket": text, "other": text}
    page = browser.get()
    assert browser.response.status_int == 200
    assert "<script" not in page


def test_cookies_of_other_programs_are_named(site: Callable[..., Browser]) -> None:
    browser = site()
    browser.jar["<b>"] = "1"
    assert "1 cookie, and 1 cookie of other programs (&lt;b&gt;)" in browser.get()


# What nobody can do


@pytest.mark.parametrize("token", ["", "forged", "A" * 88, "é"])
@pytest.mark.parametrize(
    "path", ["/sign-in", "/sign-out", "/basket/add", "/basket/take-out", "/basket/empty", "/tamper"]
)
def test_a_form_without_a_valid_token_changes_nothing(
    site: Callable[..., Browser], path: str, token: str
) -> None:
    browser = site()
    browser.post("/sign-in", name="Ada")
    browser.post("/basket/add", number="1")
    assert "That form is not valid any more" in browser.post(path, name="Eve", number="1", csrf=token)
    assert browser.response.status_int == 403
    page = browser.get()
    assert panel(page, "visitor")["principal"] == "Ada"
    assert panel(page, "basket")["session[1]"] == "1"


def test_a_hostile_name_is_only_text(browser: Browser) -> None:
    page = browser.post("/sign-in", name=HOSTILE)
    assert "<script" not in page
    assert panel(page, "visitor")["principal"] == HOSTILE


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/sign-in", 405),
        ("POST", "/", 405),
        ("GET", "/nowhere", 404),
        ("GET", "/\xff", 404),
        ("HEAD", "/", 200),
    ],
)
def test_other_requests_are_answered(
    site: Callable[..., Browser], method: str, path: str, status: int
) -> None:
    request = Request.blank("/", method=method)
    request.environ["PATH_INFO"] = path
    response = request.get_response(site().app)
    assert (response.status_int, bool(response.body)) == (status, method != "HEAD")


def test_an_upload_in_place_of_a_text_is_no_error(site: Callable[..., Browser]) -> None:
    browser = site()
    token = re.search('name="csrf" value="([^"]*)"', browser.response.text)
    assert token is not None
    request = Request.blank("/sign-in", POST={"csrf": token[1], "name": ("name.txt", b"Ada")})
    request.headers["Cookie"] = f"visitor={browser.jar['visitor']}"
    del request.environ["webob.is_body_seekable"]
    response = request.get_response(browser.app)
    assert (response.status_int, response.headers["Location"]) == (303, "http://localhost/")
    assert response.body


def test_pages_allow_no_scripts_and_files_open_no_session(site: Callable[..., Browser]) -> None:
    browser = site()
    assert "default-src 'none'" in browser.response.headers["Content-Security-Policy"]
    for path in ("/style.css", "/icon.svg"):
        browser.get(path)
        assert (browser.response.status_int, browser.set_cookies) == (200, [])
        assert "Vary" not in browser.response.headers


# Serving


def test_a_taken_port_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--host", "127.0.0.1", "--port", str(port)]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"demo: port {port} of 127.0.0.1 is taken: choose another one with --port 8081")
    assert "(behind tox: -- --port 8081)" in err


@pytest.mark.parametrize("port", ["99999", "-1", "http"])
def test_what_is_no_port_is_told_with_the_rule(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([f"--port={port}"])
    assert ended.value.code == 2
    assert "must be a number from 0 to 65535" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "keys", "words"),
    [
        (["--host", "no.such.host.invalid"], "", "cannot serve on port"),
        (["--port", "0"], "short", "$SESSION_KEYS"),
    ],
)
def test_what_keeps_it_from_serving_is_one_line(
    arguments: list[str],
    keys: str,
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SESSION_KEYS", keys)
    assert main(arguments) == 1
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--port", "65536"], ["--port", "x"], ["--store", "nowhere"]])
def test_a_wrong_argument_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_its_greeting_can_be_copied(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Into another shell, where no command of an environment is found."""
    monkeypatch.delenv("SESSION_KEYS", raising=False)
    greet(parser().parse_args(["--host", "::1"]), 8080)
    out = capsys.readouterr().out
    assert "http://[::1]:8080 " in out
    command = re.findall(r'export SESSION_KEYS="\$\((.*)\)"', out)[0]
    made = subprocess.run(["sh", "-c", f"PATH= {command}"], capture_output=True, text=True, check=True)
    assert Key(made.stdout.strip())


def test_it_listens_on_one_port_of_every_address() -> None:
    with listening("localhost", 0) as sockets:
        assert len({each.getsockname()[1] for each in sockets}) == 1


# WebOb imports cgi; waitress may be told to stop between accepting a connection and keeping it.
QUIET = "ignore::DeprecationWarning,ignore::ResourceWarning"


@pytest.mark.parametrize("before", ["", "trap '' INT; "], ids=["in front", "in the background of a script"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_serves_until_interrupted_and_leaves_nothing_behind(
    number: signal.Signals, before: str, tmp_path: Path
) -> None:
    demo = shlex.join([sys.executable, "-m", "demo", "--port", "0", "--store", "file"])
    command = ["sh", "-c", f"{before}exec {demo}"]
    options = {
        "cwd": EXAMPLES,
        "env": {**os.environ, "TMPDIR": str(tmp_path), "PYTHONWARNINGS": QUIET},
        "text": True,
    }
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}

    def heed() -> None:
        """As a terminal starts it; these tests may run under nohup."""
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_DFL)

    with subprocess.Popen(command, preexec_fn=heed, **options, **pipes) as process:
        try:
            port = re.search(r"http://localhost:(\d+)", process.stdout.readline())
            assert port is not None
            connection = HTTPConnection("localhost", int(port[1]), timeout=10)
            connection.request("GET", "/")
            assert connection.getresponse().status == 200
            connection.close()
            process.send_signal(number)
            _, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, err) == (0, "")
    assert list(tmp_path.iterdir()) == []
