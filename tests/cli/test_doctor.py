"""``sessions-wsgi doctor``: real pages over sockets, and every objection by itself."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from serving import waitress_serving
from shell import NOW, Done

from sessions_wsgi import CookieOptions, CookieStore, Key, SessionMiddleware, get_session
from sessions_wsgi.cli._header import set_cookie
from sessions_wsgi.cli._judge import Site, is_loopback, judge
from sessions_wsgi.cli._judge_response import judge_response

Cli = Callable[..., Done]

GOOD = "__Host-sid=abc; Path=/; Secure; HttpOnly; SameSite=Lax"
HERE = Site("https", "shop.example.com", NOW)


class Pages:
    """An application whose pages are lists of headers; `seen` holds the requests."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[str, list[tuple[str, str]]]] = {}
        self.seen: list[dict[str, Any]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.seen.append(environ)
        status, headers = self.pages.get(environ["PATH_INFO"], ("404 Not Found", []))
        start_response(status, [("Content-Length", "0"), *headers])
        return [b""]

    def add(self, path: str, *headers: tuple[str, str], status: str = "200 OK") -> None:
        self.pages[path] = (status, list(headers))


@contextlib.contextmanager
def waitress(app: Any) -> Iterator[str]:
    with waitress_serving(app) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Pages, str]]:
    pages = Pages()
    with waitress(pages) as url:
        yield pages, url


@pytest.fixture
def pages(served: tuple[Pages, str]) -> Pages:
    pages, _ = served
    pages.pages.clear()
    pages.seen.clear()
    return pages


@pytest.fixture
def site(served: tuple[Pages, str], pages: Pages) -> str:
    return served[1]


def rules(done: Done) -> set[str]:
    return {finding["rule"] for finding in done.data["findings"] if finding["level"] != "note"}


# A running site


def test_a_site_of_this_library_has_nothing_to_object_to(cli: Cli) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        get_session(environ)["a"] = 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    store = CookieStore(Key.generate(), encrypt=True, options=CookieOptions(prefix="__Host-"))
    with waitress(SessionMiddleware(application, store)) as url:
        done = cli("doctor", url, "--json")
    assert done.data["findings"] == []
    assert done.data["cookies"] == ["__Host-session"]
    assert done.status == 0


def test_a_note_names_where_its_fix_goes(cli: Cli) -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        get_session(environ)["a"] = 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    with waitress(SessionMiddleware(application, CookieStore(Key.generate()))) as url:
        said = cli("doctor", url).out
    assert 'CookieOptions(prefix="__Host-")' in said
    assert "CookieStore(keys, encrypt=True)" in said


def test_a_careless_site_gets_every_finding_and_status_one(cli: Cli, pages: Pages, site: str) -> None:
    pages.add("/", ("Set-Cookie", "sid=abc; Domain=example.com; Max-Age=99999999"))
    done = cli("doctor", site, "--json")
    assert done.status == 1
    assert rules(done) == {"secure", "httponly", "samesite", "domain", "max-age", "cacheable", "vary"}
    assert done.data["counts"] == {"error": 1, "warning": 6, "note": 0}


def test_findings_for_people_come_worst_first(cli: Cli, pages: Pages, site: str) -> None:
    pages.add("/", ("Set-Cookie", "sid=abc; Domain=example.com"), ("Set-Cookie", "csrftoken=x"))
    heading, *lines, summary = cli("doctor", site).out.splitlines()
    levels = [line.split()[0] for line in lines]
    assert heading.split() == ["LEVEL", "COOKIE", "FINDING"]
    assert levels == sorted(levels, key=["error", "warning", "note"].index)
    assert summary.startswith("cookies: 2; errors: 1")


def test_notes_alone_are_status_zero(cli: Cli, pages: Pages, site: str) -> None:
    cookie = GOOD.replace("__Host-", "")
    pages.add("/", ("Set-Cookie", cookie), ("Cache-Control", "no-store"), ("Vary", "Cookie"))
    done = cli("doctor", site, "--json")
    assert done.status == 0
    assert done.data["counts"] == {"error": 0, "warning": 0, "note": 1}


def test_only_the_named_cookie_is_judged(cli: Cli, pages: Pages, site: str) -> None:
    around = (("Cache-Control", "no-store"), ("Vary", "Cookie"))
    pages.add("/", ("Set-Cookie", GOOD), ("Set-Cookie", "other=1"), *around)
    assert cli("doctor", site, "--json", "--name", "__Host-sid").status == 0
    assert cli("doctor", site, "--json").status == 1


def test_a_page_without_cookies_is_told_with_status_one(cli: Cli, pages: Pages, site: str) -> None:
    done = cli("doctor", site, "--json")
    assert done.status == 1
    assert "sets no such cookie" in done.data["error"]


def test_cookie_values_are_never_shown(cli: Cli, pages: Pages, site: str) -> None:
    pages.add("/", ("Set-Cookie", "sid=hidden-value; SameSite=None"))
    for arguments in ((), ("--json",)):
        done = cli("doctor", site, *arguments)
        assert "hidden-value" not in done.out + done.err


# Redirects


def test_redirects_are_followed_and_judged_on_the_way(cli: Cli, pages: Pages, site: str) -> None:
    pages.add("/", ("Location", "/next?a=b"), ("Set-Cookie", "first=1"), status="302 Found")
    pages.add("/next", ("Set-Cookie", "second=2"))
    assert cli("doctor", site, "--json").data["cookies"] == ["first", "second"]
    assert pages.seen[-1]["QUERY_STRING"] == "a=b"


def test_five_redirects_are_followed_and_no_more(cli: Cli, pages: Pages, site: str) -> None:
    for number in range(9):
        path = f"/{number}" if number else "/"
        pages.add(path, ("Location", f"/{number + 1}"), status="307 Temporary Redirect")
    cli("doctor", site, "--json")
    assert len(pages.seen) == 6


@pytest.mark.parametrize(
    "location", ["http://localhost:1/", "//other.example/", "ftp://127.0.0.1/", "http://[", "http://a b/"]
)
def test_no_redirect_leads_away(cli: Cli, pages: Pages, site: str, location: str) -> None:
    pages.add("/", ("Location", location), ("Set-Cookie", "a=1"), status="302 Found")
    assert cli("doctor", site, "--json").data["cookies"] == ["a"]
    assert len(pages.seen) == 1


# What goes wrong on the way


def test_a_site_that_is_not_there_is_told_with_status_one(cli: Cli) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        done = cli("doctor", f"http://127.0.0.1:{unused.getsockname()[1]}", "--json")
    assert done.status == 1
    assert done.data["error"] == "no answer: Connection refused"


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70000])
def test_what_is_no_http_is_told_with_status_one(cli: Cli, answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer_once, args=(listener, answer))
        thread.start()
        done = cli("doctor", f"http://127.0.0.1:{listener.getsockname()[1]}", "--json")
        thread.join(10)
    assert done.status == 1
    assert done.data["error"].startswith("no answer: ")


def answer_once(listener: socket.socket, answer: bytes) -> None:
    connection, _ = listener.accept()
    with connection, contextlib.suppress(OSError):
        connection.recv(65536)
        connection.sendall(answer)


def test_a_silent_server_is_given_up(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        done = cli("doctor", url, "--json", "--timeout", "0.05")
    assert done.data["error"] == "no answer: it took too long"


@pytest.mark.parametrize(
    "url", ["127.0.0.1", "ftp://127.0.0.1/", "http://", "http://a b/", "http://a:b/", "http://["]
)
def test_what_is_no_page_is_wrong_usage(cli: Cli, url: str) -> None:
    done = cli("doctor", url, "--json")
    assert done.status == 2
    assert "must be that of a page" in done.data["error"]


@pytest.mark.parametrize("timeout", ["0", "-1", "soon", "nan", "inf"])
def test_a_timeout_is_positive_seconds(cli: Cli, timeout: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli("doctor", "http://127.0.0.1", "--timeout", timeout)
    assert ended.value.code == 2
    assert "above 0 and at most 3600" in capsys.readouterr().err


def test_a_password_goes_to_the_site_and_nowhere_else(
    cli: Cli, pages: Pages, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages.add("/", ("Set-Cookie", "a=1"))
    monkeypatch.setenv("STAGING", site.replace("//", "//ada:hunter2%21@"))
    done = cli("doctor", "env:STAGING", "--json")
    assert pages.seen[0]["HTTP_AUTHORIZATION"] == "Basic YWRhOmh1bnRlcjIh"
    assert "hunter2" not in done.out + done.err


# Each objection


def objections(header: str, site: Site = HERE) -> set[tuple[str, str]]:
    return {(finding.level, finding.rule) for finding in judge(set_cookie(header), site)}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (GOOD, set()),
        ("a=b; Path=/; Secure; HttpOnly; SameSite=Strict", {("note", "prefix")}),
        (GOOD.replace("; HttpOnly", ""), {("warning", "httponly")}),
        (GOOD.replace("sid", "csrftoken").replace("; HttpOnly", ""), {("note", "httponly")}),
        (GOOD.replace("; SameSite=Lax", ""), {("warning", "samesite")}),
        (GOOD.replace("Lax", "lax"), set()),
        (GOOD.replace("Lax", "Any"), {("warning", "samesite")}),
        (GOOD.replace("Lax", "None"), {("note", "samesite")}),
        (GOOD.replace("Path=/", "Path=/shop"), {("error", "prefix")}),
        (GOOD.replace("Path=/; ", ""), {("error", "prefix")}),
        (GOOD.replace("Secure; ", ""), {("error", "prefix"), ("warning", "secure")}),
        (GOOD + "; Domain=example.com", {("error", "prefix"), ("warning", "domain")}),
        (GOOD.replace("__Host-", "__host-"), {("warning", "prefix")}),
        ("__Secure-sid=abc; HttpOnly; SameSite=Lax", {("error", "prefix"), ("warning", "secure")}),
        ("__Http-sid=abc; Secure; SameSite=Lax", {("error", "prefix"), ("warning", "httponly")}),
        (GOOD.replace("__Host-", "__Host-Http-"), set()),
        (GOOD + "; Max-Age=34560000", set()),
        (GOOD + "; Max-Age=34570000", {("warning", "max-age")}),
        (GOOD + "; Max-Age=soon", {("warning", "max-age")}),
        (GOOD + "; Expires=Fri, 15 Jan 2027 09:00:00 GMT", set()),
        (GOOD + "; Expires=Fri, 15-Jan-2027 09:00:00 GMT", set()),
        (GOOD + "; Expires=Thu, 15 Jan 2032 09:00:00 GMT", {("warning", "max-age")}),
        (GOOD + "; Expires=tomorrow", {("warning", "max-age")}),
        (GOOD + "; Expires=Thu, 15 Jan 2032 09:00:00 GMT; Max-Age=60", set()),
        (GOOD.replace("abc", "a" * 4100), {("error", "size")}),
        (GOOD + "; Comment=" + "a" * 1025, {("error", "size")}),
        (GOOD.replace("__Host-sid", "__Host-s id"), {("warning", "name")}),
        ("=abc; Path=/; Secure; HttpOnly; SameSite=Lax", {("error", "name"), ("note", "prefix")}),
    ],
)  # fmt: skip
def test_of_a_cookie(header: str, expected: set[tuple[str, str]]) -> None:
    assert objections(header) == expected


@pytest.mark.parametrize("attribute", ["SameSite=None", "Partitioned"])
def test_what_needs_secure_is_refused_without(attribute: str) -> None:
    found = objections(f"a=b; HttpOnly; {attribute}")
    assert ("error", attribute.partition("=")[0].lower()) in found


@pytest.mark.parametrize(
    ("domain", "level"),
    [
        ("shop.example.com", "warning"),
        (".example.com", "warning"),
        ("EXAMPLE.com", "warning"),
        ("com", "error"),
        ("other.com", "error"),
        ("hop.example.com", "error"),
        ("ample.com", "error"),
        ("www.shop.example.com", "error"),
    ],
)
def test_of_a_domain(domain: str, level: str) -> None:
    found = objections(f"a=b; Secure; HttpOnly; SameSite=Lax; Domain={domain}")
    assert found == {(level, "domain")}


def test_secure_over_plain_http_is_refused_but_on_this_machine() -> None:
    assert ("error", "secure") in objections(GOOD, Site("http", "example.com", NOW))
    assert objections(GOOD, Site("http", "localhost", NOW)) == set()


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["example.com", "10.0.0.1", "localhost.example.com", "1.2.3"])
def test_other_machines(host: str) -> None:
    assert not is_loopback(host)


def test_a_signed_cookie_of_ours_is_readable() -> None:
    store = CookieStore(Key.generate())
    session = store.open("session", [])
    session["a"] = 1
    assert ("note", "readable") in objections(
        f"session={store.commit(session)}; Secure; HttpOnly; SameSite=Lax"
    )


@pytest.mark.parametrize(
    "end", ["Max-Age=0", "Max-Age=-1", "Max-Age=00", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"]
)
def test_a_deletion_needs_no_attributes_of_safety(end: str) -> None:
    assert objections(f"sid=; Path=/; {end}") == set()


@pytest.mark.parametrize(
    ("cache_control", "level"),
    [
        ("no-store", None),
        ("private, No-Store", None),
        ("private", "note"),
        ("no-cache", "note"),
        ("", "warning"),
        ("max-age=60", "warning"),
        ("public, max-age=60", "error"),
        ("s-maxage=60", "error"),
    ],
)
def test_of_caching(cache_control: str, level: str | None) -> None:
    found = judge_response(cache_control, "Cookie", [])
    assert [finding.level for finding in found if finding.rule == "cacheable"] == ([level] if level else [])


@pytest.mark.parametrize(
    ("vary", "is_well"), [("Cookie", True), ("Accept, cookie", True), ("*", True), ("", False)]
)
def test_of_vary(vary: str, is_well: bool) -> None:
    assert (judge_response("no-store", vary, []) == []) is is_well


def test_a_cookie_that_is_set_twice() -> None:
    twice = [set_cookie("a=1; Path=/"), set_cookie("a=2; Path=/"), set_cookie("a=3; Path=/x")]
    assert [finding.rule for finding in judge_response("no-store", "Cookie", twice)] == ["twice"]
