"""`sessions_wsgi.testing`: a client that keeps cookies as browsers do, and sessions opened from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from wsgiref.validate import validator

import pytest
from webob import Request, Response
from webtest import TestApp

from sessions_wsgi import (
    ConfigError,
    CookieOptions,
    CookieStore,
    CookieTooLargeError,
    KeyRing,
    Lifetime,
    MemoryStore,
    SessionMiddleware,
    SessionSealedError,
    UsageError,
    get_session,
)
from sessions_wsgi.testing import Client, ManualClock, make_cookie, open_session

HERE = "https://shop.example.com"
DAY = 86400


def echo(environ, start_response):
    """Sets the cookies that the query asks for, tells the ones that came."""
    request = Request(environ)
    response = Response(request.headers.get("Cookie", ""), content_type="text/plain")
    for header in request.GET.getall("set"):
        response.headers.add("Set-Cookie", header)
    return response(environ, start_response)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def browser(clock) -> Callable[..., Client]:
    """Makes a client of an application that sets what it is told and echoes the cookies that came."""

    def make(base_url: str = HERE, app=echo) -> Client:
        return Client(app, base_url, clock=clock)

    return make


def visit(client: Client, header: str, url: str = "/", **options) -> None:
    """Let a response set a cookie."""
    client.get(url, params={"set": header}, **options)


def sent(client: Client, url: str = "/", **options) -> str:
    """The Cookie header of a request."""
    return client.get(url, **options).text


# The jar: what is kept


@pytest.mark.parametrize(
    ("header", "cookie"),
    [
        ("a=1", "a=1"),
        ("  a \t= 1\t ; Path=/", "a=1"),
        ("a=b=c", "a=b=c"),
        ("a=", "a="),
        ('a="1"', 'a="1"'),
        ("lonely", "lonely"),
        ("=lonely", "lonely"),
        ("a=1; secure; HTTPONLY; path=/", "a=1"),
        ("a=1; Unknown=x; ; =", "a=1"),
        ("a=1; Path=" + "/x" * 600, "a=1"),  # an attribute of over 1024 bytes is as if it were not there
    ],
)
def test_a_cookie_is_kept_and_sent(browser, header, cookie):
    client = browser()
    visit(client, header)
    assert sent(client) == cookie


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("", "neither name nor value"),
        ("=; Path=/", "neither name nor value"),
        ("a=1\x07", "control characters"),
        ("a=" + "1" * 4096, "over 4096 bytes"),
        ("a=1; Domain=other.example", "not that of the host"),
        ("a=1; Domain=admin.shop.example.com", "not that of the host"),
        ("a=1; Domain=op.example.com", "not that of the host"),
        ("a=1; Domain=com", "public suffix"),
        ("a=1; Domain=co.uk", "public suffix"),
        ("a=1; SameSite=None", "SameSite=None without Secure"),
        ("a=1; Partitioned", "Partitioned without Secure"),
        ("__Secure-a=1", "needs Secure"),
        ("__secure-a=1", "needs Secure"),
        ("__Host-a=1; Path=/", "needs Secure"),
        ("__Host-a=1; Secure", "needs Path=/"),
        ("__Host-a=1; Secure; Path=/x", "needs Path=/"),
        ("__Host-a=1; Secure; Path=/; Domain=shop.example.com", "needs Path=/ and no Domain"),
        ("__Http-a=1; Secure", "needs HttpOnly"),
        ("__Http-a=1; HttpOnly", "needs Secure"),
        ("__Host-Http-a=1; Secure; Path=/", "needs HttpOnly"),
        ("__Host-Http-a=1; Secure; HttpOnly; Path=/x", "needs Path=/"),
        ("__Host-a", "no name"),
        ("=__Secure-a=1", "no name"),
    ],
)
def test_a_cookie_is_refused(browser, header, reason):
    client = browser()
    visit(client, header, "/path/page")
    assert sent(client, "/path/page") == ""
    assert reason in client.jar.receive(*_place_of(header))


def _place_of(header):
    from sessions_wsgi._client.sites import Visit, place

    return place(HERE + "/path/page"), header, Visit()


def test_what_was_refused_is_told_with_the_reason(browser):
    client = browser()
    visit(client, "__Host-a=1; Path=/")
    assert client.refused == [("__Host-a", "its prefix needs Secure")]


def test_what_was_refused_is_that_of_the_last_request(browser):
    client = browser()
    visit(client, "__Host-a=1; Path=/")
    client.get()
    assert client.refused == []


@pytest.mark.parametrize(
    "header",
    [
        "__Secure-a=1; Secure; Domain=example.com; Path=/",
        "__Host-a=1; Secure; Path=/",
        "__Http-a=1; Secure; HttpOnly; Path=/",
        "__Host-Http-a=1; Secure; HttpOnly; Path=/",
    ],
)
def test_a_prefix_whose_rules_are_kept_is_no_obstacle(browser, header):
    client = browser()
    visit(client, header)
    assert sent(client) == header.partition(";")[0]


# Hosts


@pytest.mark.parametrize(
    ("header", "host", "arrives"),
    [
        ("a=1", "shop.example.com", True),
        ("a=1", "www.shop.example.com", False),
        ("a=1", "example.com", False),
        ("a=1; Domain=shop.example.com", "www.shop.example.com", True),
        ("a=1; Domain=example.com", "example.com", True),
        ("a=1; Domain=.example.com", "www.example.com", True),
        ("a=1; Domain=EXAMPLE.com", "shop.example.com", True),
        ("a=1; Domain=example.com", "badexample.com", False),
        ("a=1; Domain=", "shop.example.com", True),
        ("a=1; Domain=", "www.shop.example.com", False),
        ("a=1; Domain=other.example; Domain=example.com", "example.com", True),  # the last one counts
    ],
)
def test_a_cookie_goes_to_hosts(browser, header, host, arrives):
    client = browser()
    visit(client, header)
    assert bool(sent(client, f"https://{host}/")) is arrives


def test_the_domain_of_a_host_that_is_a_public_suffix_is_the_host(browser):
    client = browser("http://localhost")
    visit(client, "a=1; Domain=localhost")
    assert sent(client) == "a=1"
    assert sent(client, "http://sub.localhost/") == ""


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.0.0.7"])
def test_an_address_has_no_domains_above(browser, host):
    client = browser(f"https://{host}")
    visit(client, "a=1")
    visit(client, "b=1; Domain=0.0.1")
    assert sent(client) == "a=1"


def test_ports_do_not_keep_cookies_apart(browser):
    client = browser(HERE + ":8443")
    visit(client, "a=1")
    assert sent(client, HERE + ":9443/") == "a=1"


# Paths


@pytest.mark.parametrize(
    ("cookie_path", "path", "arrives"),
    [
        ("/", "/any/where", True),
        ("/shop", "/shop", True),
        ("/shop", "/shop/", True),
        ("/shop", "/shop/cart", True),
        ("/shop", "/shopping", False),
        ("/shop", "/", False),
        ("/shop/", "/shop", False),
        ("/shop/", "/shop/cart", True),
        ("/Shop", "/shop", False),
    ],
)
def test_a_cookie_goes_to_paths(browser, cookie_path, path, arrives):
    client = browser()
    visit(client, f"a=1; Path={cookie_path}")
    assert bool(sent(client, path)) is arrives


@pytest.mark.parametrize(
    ("page", "arrives"),
    [("/", "/"), ("/page", "/"), ("/folder/page", "/folder"), ("/folder/", "/folder")],
)
@pytest.mark.parametrize("attribute", ["", "; Path=", "; Path=relative"])
def test_without_a_path_a_cookie_is_for_the_folder_of_its_page(browser, page, arrives, attribute):
    client = browser()
    visit(client, "a=1" + attribute, page)
    assert [cookie.path for cookie in client.jar] == [arrives]


# Secure, HttpOnly


@pytest.mark.parametrize(
    ("url", "arrives"),
    [
        ("https://shop.example.com/", True),
        ("http://shop.example.com/", False),
    ],
)
def test_a_secure_cookie_goes_over_https_only(browser, url, arrives):
    client = browser()
    visit(client, "a=1; Secure")
    assert bool(sent(client, url)) is arrives


@pytest.mark.parametrize("host", ["localhost", "shop.localhost", "127.0.0.1", "127.8.8.8", "[::1]"])
def test_loopback_is_as_good_as_https(browser, host):
    client = browser(f"http://{host}:8080")
    visit(client, "__Host-a=1; Secure; Path=/")
    assert sent(client) == "__Host-a=1"


@pytest.mark.parametrize(
    "host", ["shop.example.com", "localhost.example.com", "128.0.0.1", "127.example.com"]
)
def test_a_secure_cookie_is_not_taken_from_plain_http(browser, host):
    client = browser(f"http://{host}")
    visit(client, "a=1; Secure")
    assert client.refused == [("a", "it is Secure, and did not come over https")]


@pytest.mark.parametrize("page", ["http://shop.example.com/", "http://sub.shop.example.com/"])
def test_plain_http_does_not_replace_a_secure_cookie(browser, page):
    client = browser()
    visit(client, "a=good; Secure; Path=/; Domain=shop.example.com")
    visit(client, "a=evil; Path=/; Domain=shop.example.com", page)
    assert [cookie.value for cookie in client.jar] == ["good"]


def test_plain_http_replaces_cookies_that_are_not_secure(browser):
    client = browser()
    visit(client, "a=1")
    visit(client, "a=2", "http://shop.example.com/")
    assert sent(client) == "a=2"


def test_scripts_do_not_see_what_is_httponly(browser):
    client = browser()
    visit(client, "a=1; HttpOnly")
    visit(client, "b=2")
    assert client.cookies_for("/", script=True) == {"b": "2"}


@pytest.mark.parametrize("header", ["a=evil; Path=/", "b=evil; HttpOnly"])
def test_scripts_neither_replace_nor_make_what_is_httponly(browser, header):
    from sessions_wsgi._client.sites import Visit, place

    client = browser()
    visit(client, "a=good; HttpOnly; Path=/")
    assert "HttpOnly" in client.jar.receive(place(HERE), header, Visit(), script=True)
    assert sent(client) == "a=good"


# SameSite


@pytest.mark.parametrize(
    ("samesite", "method", "options", "arrives"),
    [
        ("Strict", "GET", {}, True),
        ("Strict", "POST", {"site": "https://www.example.com/page"}, True),
        ("Strict", "GET", {"site": "https://other.example"}, False),
        ("Lax", "GET", {"site": "https://other.example"}, True),
        ("Lax", "HEAD", {"site": "https://other.example"}, True),
        ("Lax", "POST", {"site": "https://other.example"}, False),
        ("Lax", "GET", {"site": "https://other.example", "embedded": True}, False),
        ("Lax", "GET", {"site": "http://shop.example.com"}, True),
        ("Strict", "GET", {"site": "http://shop.example.com"}, False),  # sites differ by scheme, too
        ("Lax", "GET", {"site": "https://www.example.com", "embedded": True}, True),
        ("None", "POST", {"site": "https://other.example"}, True),
        ("None", "GET", {"site": "https://other.example", "embedded": True}, True),
    ],
)
def test_samesite_decides_about_requests_from_elsewhere(browser, samesite, method, options, arrives):
    client = browser(app=_cookie_into_header)
    client.set_cookie("a", "1", CookieOptions(samesite=samesite))
    response = client.request(method, "/", **options)
    assert ("a=1" in response.headers["X-Cookie"]) is arrives


def _cookie_into_header(environ, start_response):
    start_response("200 OK", [("X-Cookie", environ.get("HTTP_COOKIE", ""))])
    return []


@pytest.mark.parametrize("attribute", ["", "; SameSite", "; SameSite=Sometimes"])
def test_a_cookie_without_samesite_is_lax(browser, attribute):
    client = browser()
    visit(client, "a=1" + attribute)
    assert sent(client, site="https://other.example") == "a=1"
    assert client.post(site="https://other.example").text == ""


@pytest.mark.parametrize(("header", "kept"), [("a=1", 0), ("a=1; SameSite=None; Secure", 1)])
def test_what_is_embedded_elsewhere_sets_no_cookies_but_samesite_none(browser, header, kept):
    client = browser()
    visit(client, header, site="https://other.example", embedded=True)
    assert len(client.jar) == kept


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.example.com", "https://b.example.com", True),
        ("https://a.co.uk", "https://b.co.uk", False),
        ("https://a.b.co.uk", "https://c.b.co.uk", True),
        ("https://10.0.0.1", "https://11.0.0.1", False),
        ("https://localhost", "https://localhost:8080", True),
    ],
)
def test_a_site_is_a_registrable_domain(browser, one, other, same):
    client = browser(one)
    client.set_cookie("a", "1", CookieOptions(samesite="Strict"))
    assert bool(sent(client, site=other)) is same


# Partitioned


def test_a_partitioned_cookie_stays_under_the_site_in_the_address_bar(browser):
    client = browser()
    widget = "a=1; Secure; Partitioned; SameSite=None"
    visit(client, widget, site="https://one.example", embedded=True)
    assert sent(client, site="https://one.example", embedded=True) == "a=1"
    assert sent(client, site="https://two.example", embedded=True) == ""
    assert sent(client) == ""


def test_each_partition_has_a_cookie_of_its_own(browser):
    client = browser()
    for number, site in enumerate(["https://one.example", "https://two.example", ""]):
        visit(client, f"a={number}; Secure; Partitioned; SameSite=None", site=site, embedded=bool(site))
    assert [cookie.value for cookie in client.jar] == ["0", "1", "2"]


def test_a_cookie_that_is_not_partitioned_goes_everywhere(browser):
    client = browser()
    visit(client, "a=1; Secure; SameSite=None")
    assert sent(client, site="https://one.example", embedded=True) == "a=1"


# Time


@pytest.mark.parametrize(
    ("attributes", "lives"),
    [
        ("Max-Age=60", 60),
        ("Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", 60),
        ("Max-Age=1; Max-Age=60", 60),
        ("Max-Age=99999999999", 400 * DAY),
        ("Expires=Fri, 15 Jan 2027 08:01:00 GMT", 60),
        ("Expires=Friday, 15-Jan-27 08:01:00 GMT", 60),
        ("Expires=Fri Jan 15 08:01:00 2027", 60),
        ("Expires=15 jan 2027 8:1:0", 60),
        ("Expires=Sun, 01 Jan 2090 00:00:00 GMT", 400 * DAY),
        ("Max-Age=soon; Expires=Fri, 15 Jan 2027 08:01:00 GMT", 60),
    ],
)
def test_a_cookie_lives_until(browser, clock, attributes, lives):
    client = browser()
    visit(client, f"a=1; {attributes}")
    clock.advance(lives - 1)
    assert sent(client) == "a=1"
    clock.advance(1)
    assert sent(client) == ""


@pytest.mark.parametrize(
    "attributes",
    [
        "",
        "; Expires=never",
        "; Expires=Fri, 15 Jan 2027",
        "; Expires=08:01:00",
        "; Expires=31 Feb 2027 08:00:00",
        "; Expires=15 Jan 2027 25:00:00",
        "; Expires=15 Jan 1600 08:00:00",
        "; Max-Age=1.5",
        "; Max-Age=",
    ],
)
def test_a_cookie_without_a_date_lives_until_the_browser_closes(browser, clock, attributes):
    client = browser()
    visit(client, "a=1" + attributes)
    clock.advance(1000 * DAY)
    assert sent(client) == "a=1"
    client.jar.close_browser()
    assert sent(client) == ""


@pytest.mark.parametrize(
    "attributes",
    ["Max-Age=0", "Max-Age=-1", "Expires=Thu, 01 Jan 1970 00:00:00 GMT", "Expires=1 Jan 70 0:0:0"],
)
def test_a_cookie_is_deleted_by_a_date_that_is_over(browser, attributes):
    client = browser()
    visit(client, "a=1; Path=/x", "/x")
    visit(client, f"a=; Path=/x; {attributes}", "/x")
    assert list(client.jar) == []


@pytest.mark.parametrize("other", ["Path=/", "Path=/x; Domain=example.com"])
def test_a_deletion_with_another_place_deletes_nothing(browser, other):
    client = browser()
    visit(client, "a=1; Path=/x", "/x")
    visit(client, f"a=; Max-Age=0; {other}", "/x")
    assert sent(client, "/x") == "a=1"


def test_what_a_browser_keeps_survives_its_closing(browser):
    client = browser()
    visit(client, "a=1; Max-Age=60")
    client.jar.close_browser()
    assert sent(client) == "a=1"


# Order and identity


def test_longer_paths_come_first_then_older_cookies(browser):
    client = browser()
    for header in ("c=1; Path=/", "d=1; Path=/x", "a=1; Path=/", "b=1; Path=/x/y"):
        visit(client, header, "/x/y")
    assert sent(client, "/x/y") == "b=1; d=1; c=1; a=1"


def test_a_cookie_that_is_set_again_keeps_its_place(browser):
    client = browser()
    for header in ("a=1", "b=1", "a=2"):
        visit(client, header)
    assert sent(client) == "a=2; b=1"


def test_the_same_name_on_two_paths_is_two_cookies(browser):
    client = browser()
    visit(client, "a=1; Path=/")
    visit(client, "a=2; Path=/x")
    assert sent(client, "/x") == "a=2; a=1"
    assert client.cookies_for("/x") == {"a": "2"}


def test_names_differ_by_case(browser):
    client = browser()
    visit(client, "a=1")
    visit(client, "A=2")
    assert sent(client) == "a=1; A=2"


def test_a_jar_can_be_cleared(browser):
    client = browser()
    visit(client, "a=1")
    client.jar.clear()
    assert sent(client) == ""


def test_neither_jar_nor_cookie_shows_a_value(browser):
    client = browser()
    visit(client, "a=hidden")
    assert "hidden" not in repr(client.jar) + repr(list(client.jar))


# Requests


def told(environ, start_response):
    """Tells what came."""
    request = Request(environ)
    body = [request.method, request.url, request.content_type, request.body.decode()]
    return Response("|".join(body), content_type="text/plain")(environ, start_response)


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options"])
def test_there_is_a_verb_for_each_method(browser, method):
    answer = getattr(browser(app=told), method)("/path").text
    assert answer.startswith(f"{method.upper()}|{HERE}/path|")


def test_head_has_headers_and_no_body(browser):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "5")])
        return []

    response = browser(app=app).head()
    assert (response.content_length, response.body) == (5, b"")


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"params": {"a": "1 2", "b": ["x", "y"]}}, "PATCH|URL?q=1&a=1+2&b=x&b=y||"),
        ({"params": [("a", 1), ("a", 2)]}, "PATCH|URL?q=1&a=1&a=2||"),
        ({"form": {"a": "ä"}}, "PATCH|URL?q=1|application/x-www-form-urlencoded|a=%C3%A4"),
        ({"form": [("a", "1"), ("a", "2")]}, "PATCH|URL?q=1|application/x-www-form-urlencoded|a=1&a=2"),
        ({"json": {"a": [1]}}, 'PATCH|URL?q=1|application/json|{"a":[1]}'),
        ({"body": b"raw", "headers": {"Content-Type": "text/x"}}, "PATCH|URL?q=1|text/x|raw"),
    ],
)
def test_what_a_request_carries(browser, options, answer):
    response = browser(app=told).patch("/path?q=1", **options)
    assert response.text == answer.replace("URL", HERE + "/path")


def test_files_are_uploaded(browser):
    def app(environ, start_response):
        upload = Request(environ).POST["file"]
        return Response(f"{upload.filename}: {upload.file.read().decode()}")(environ, start_response)

    assert browser(app=app).post(form={"file": ("a.txt", b"content")}).text == "a.txt: content"


def test_headers_are_sent(browser):
    def app(environ, start_response):
        return Response(environ["HTTP_X_ONE"])(environ, start_response)

    assert browser(app=app).get(headers={"X-One": "1"}).text == "1"


def test_a_cookie_header_of_ones_own_comes_beside_the_jar(browser):
    client = browser()
    visit(client, "a=1")
    assert sent(client, headers={"Cookie": "b=2"}) == "a=1; b=2"


@pytest.mark.parametrize(
    ("method", "options", "origin"),
    [
        ("GET", {}, "None"),
        ("POST", {}, HERE),
        ("POST", {"site": "https://other.example/page"}, "https://other.example"),
        ("POST", {"headers": {"Origin": "null"}}, "null"),
    ],
)
def test_what_changes_things_tells_its_origin(browser, method, options, origin):
    def app(environ, start_response):
        return Response(str(environ.get("HTTP_ORIGIN")))(environ, start_response)

    assert browser(app=app).request(method, **options).text == origin


def test_the_environ_is_that_of_a_server(browser):
    def app(environ, start_response):
        assert environ["wsgi.input"].read() == b"a=1"
        assert environ["REMOTE_ADDR"] == "127.0.0.1"
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"", b"done"]

    assert browser(app=validator(_reads_with_size(app))).post(form={"a": "1"}).text == "done"


def _reads_with_size(app):
    def reading(environ, start_response):
        import io

        raw = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        return app({**environ, "wsgi.input": io.BytesIO(raw)}, start_response)

    return reading


@pytest.mark.parametrize(
    "options",
    [{"form": {}, "json": 1}, {"form": {}, "body": b""}, {"embedded": True}, {"site": "other.example"}],
)
def test_options_that_make_no_sense_are_refused(browser, options):
    with pytest.raises(UsageError):
        browser().post(**options)


@pytest.mark.parametrize("base_url", ["localhost", "https://localhost/app", "/", ""])
def test_the_base_must_be_a_scheme_and_a_host(base_url):
    with pytest.raises(UsageError):
        Client(echo, base_url)


def test_the_application_must_be_one():
    with pytest.raises(UsageError, match="'app'"):
        Client("application")


# Responses


class Body:
    """A body that tells whether it was closed."""

    def __init__(self, *items):
        self.items, self.closed = items, 0

    def __iter__(self) -> Iterator[bytes]:
        for item in self.items:
            if isinstance(item, Exception):
                raise item
            yield item

    def close(self) -> None:
        self.closed += 1


def streaming(body, *, write=b""):
    def app(environ, start_response):
        writer = start_response("200 OK", [("Content-Type", "text/plain")])
        if write:
            writer(write)
        return body

    return app


def test_the_body_is_read_and_closed_once(browser):
    body = Body(b"one ", b"", b"two")
    assert browser(app=streaming(body)).get().text == "one two"
    assert body.closed == 1


def test_the_body_is_closed_when_it_raises(browser):
    body = Body(b"one", LookupError("in the body"))
    with pytest.raises(LookupError, match="in the body"):
        browser(app=streaming(body)).get()
    assert body.closed == 1


def test_what_is_written_comes_first(browser):
    assert browser(app=streaming([b"two"], write=b"one ")).get().text == "one two"


def test_what_the_application_raises_is_raised(browser):
    def app(environ, start_response):
        raise LookupError("in the application")

    with pytest.raises(LookupError, match="in the application"):
        browser(app=app).get()


def test_a_generator_may_start_late(browser):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"late"

    assert browser(app=app).get().text == "late"


def failing(*, sends):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield sends
        try:
            raise LookupError("on the way")
        except LookupError:
            import sys

            start_response("500 Oh", [("Content-Type", "text/plain")], sys.exc_info())
        yield b"sorry"

    return app


def test_an_error_page_replaces_what_was_not_sent_yet(browser):
    response = browser(app=failing(sends=b"")).get()
    assert (response.status_int, response.text) == (500, "sorry")


def test_an_error_page_comes_too_late_for_what_was_sent(browser):
    with pytest.raises(LookupError, match="on the way"):
        browser(app=failing(sends=b"hello")).get()


def no_start(environ, start_response):
    return []


def two_starts(environ, start_response):
    start_response("200 OK", [])
    start_response("200 OK", [])
    return []


@pytest.mark.parametrize("app", [no_start, two_starts])
def test_applications_that_break_the_protocol_are_told(browser, app):
    with pytest.raises(AssertionError, match="start_response"):
        browser(app=app).get()


# Redirects


def redirecting(status, location):
    def app(environ, start_response):
        if environ["PATH_INFO"] == "/from":
            start_response(f"{status} Moved", [("Location", location), ("Set-Cookie", "seen=1; Path=/")])
            return []
        return told(environ, start_response)

    return app


@pytest.mark.parametrize(
    ("status", "method", "answer"),
    [
        (301, "POST", "GET|URL||"),
        (302, "POST", "GET|URL||"),
        (302, "PUT", "PUT|URL|application/x-www-form-urlencoded|a=1"),
        (303, "POST", "GET|URL||"),
        (303, "DELETE", "GET|URL||"),
        (307, "POST", "POST|URL|application/x-www-form-urlencoded|a=1"),
        (308, "PATCH", "PATCH|URL|application/x-www-form-urlencoded|a=1"),
    ],
)
def test_a_redirect_keeps_or_changes_the_method(browser, status, method, answer):
    client = browser(app=redirecting(status, "/to?x=1#part"))
    response = client.request(method, "/from", form={"a": "1"}, follow=True)
    assert response.text == answer.replace("URL", HERE + "/to?x=1")


@pytest.mark.parametrize("location", ["to", "/to", "//shop.example.com/to", HERE + "/to"])
def test_a_redirect_may_be_relative(browser, location):
    response = browser(app=redirecting(302, location)).get("/from", follow=True)
    assert response.text == f"GET|{HERE}/to||"


def test_a_redirect_may_lead_to_https(browser):
    response = browser("http://shop.example.com", redirecting(301, HERE + "/to")).get("/from", follow=True)
    assert response.text == f"GET|{HERE}/to||"


@pytest.mark.parametrize("location", ["https://other.example/to", "mailto:somebody@example.com"])
def test_a_redirect_to_elsewhere_is_the_answer(browser, location):
    response = browser(app=redirecting(302, location)).get("/from", follow=True)
    assert (response.status_int, response.headers["Location"]) == (302, location)


def test_redirects_are_not_followed_unless_asked_for(browser):
    assert browser(app=redirecting(302, "/to")).get("/from").status_int == 302


def test_the_cookies_of_a_redirect_are_kept(browser):
    client = browser(app=redirecting(302, "/to"))
    client.get("/from", follow=True)
    assert client.cookies == {"seen": "1"}


def test_a_visitor_from_elsewhere_still_comes_from_there_after_a_redirect(browser):
    def app(environ, start_response):
        if environ["PATH_INFO"] == "/from":
            start_response("302 Found", [("Location", "/to")])
            return []
        return echo(environ, start_response)

    client = browser(app=app)
    client.set_cookie("a", "1", CookieOptions(samesite="Strict"))
    assert client.get("/from", follow=True, site="https://other.example").text == ""


def test_redirects_must_end(browser):
    with pytest.raises(UsageError, match="more than 20 redirects"):
        browser(app=redirecting(302, "/from")).get("/from", follow=True)


# make_cookie


def greeting(environ, start_response):
    session = get_session(environ)
    session["visits"] = session.get("visits", 0) + 1
    return Response(f"{session.principal} {session['visits']}", content_type="text/plain")(
        environ, start_response
    )


@pytest.fixture(params=["cookie", "memory"])
def store(request, make_store, clock):
    return make_store(request.param, clock=clock)


@pytest.fixture
def client(store, clock) -> Client:
    return Client(SessionMiddleware(greeting, store), clock=clock)


def test_a_made_cookie_is_a_session(client, store):
    client.set_cookie("session", make_cookie(store, "session", {"visits": 41}))
    assert client.get().text == "None 42"


def test_a_made_cookie_signs_somebody_in(client, store):
    client.set_cookie("session", make_cookie(store, "session", {}, principal="ada"))
    assert client.get().text == "ada 1"


def test_a_made_cookie_can_be_revoked(client, memory_store, clock):
    client = Client(SessionMiddleware(greeting, memory_store))
    client.set_cookie("session", make_cookie(memory_store, "session", {}, principal="ada"))
    memory_store.revoke("ada")
    assert client.get().text == "None 1"


def test_a_made_cookie_is_bound_to_the_full_name(key):
    store = CookieStore(key, options=CookieOptions(prefix="__Host-"))
    text = make_cookie(store, "session", {"a": 1})
    assert dict(store.open("session", [text])) == {"a": 1}


def test_nothing_makes_no_cookie(store):
    with pytest.raises(UsageError, match="'values'"):
        make_cookie(store, "session", {})


def test_too_much_makes_no_cookie(cookie_store):
    with pytest.raises(CookieTooLargeError):
        make_cookie(cookie_store, "session", {"a": "x" * 4000})


def test_a_name_that_is_none_makes_no_cookie(cookie_store):
    with pytest.raises(ConfigError, match="'name'"):
        make_cookie(cookie_store, "my session", {"a": 1})


def test_make_cookie_takes_a_store_of_ones_own(key):
    from custom_store import PreferencesStore  # of the examples

    store = PreferencesStore(KeyRing(key))
    assert dict(store.open("preferences", [make_cookie(store, "preferences", {"theme": "dark"})])) == {
        "theme": "dark"
    }


# Sessions from outside


def test_a_session_is_written_before_the_first_request(client, store):
    with client.session(store) as session:
        session["visits"] = 41
    assert client.get().text == "None 42"


def test_a_session_is_read_after_a_request(client, store):
    client.get()
    with client.session(store) as session:
        assert dict(session) == {"visits": 1}


def test_a_session_is_changed_between_requests(client, store):
    client.get()
    with client.session(store) as session:
        session["visits"] += 10
    assert client.get().text == "None 12"


def test_a_session_is_signed_in_without_the_form(client, store):
    client.get()
    with client.session(store) as session:
        session.login("ada")
    assert client.get().text == "ada 2"


def test_a_session_is_destroyed_from_outside(client, store):
    client.get()
    with client.session(store) as session:
        session.destroy()
    assert client.cookies == {}
    assert client.get().text == "None 1"


def test_a_session_that_was_only_read_sets_no_cookie(client, store):
    with client.session(store) as session:
        assert session.is_new
    assert client.cookies == {}


def test_nothing_is_saved_when_something_is_raised(client, store):
    with pytest.raises(LookupError), client.session(store) as session:
        session["visits"] = 41
        raise LookupError
    assert client.get().text == "None 1"


def test_a_session_that_was_closed_cannot_be_written(client, store):
    with client.session(store) as session:
        session["visits"] = 41
    with pytest.raises(SessionSealedError):
        session["visits"] = 42


def test_a_session_has_the_name_that_it_has_in_the_middleware(make_store):
    def app(environ, start_response):
        return Response(str(get_session(environ, "cart")["items"]))(environ, start_response)

    store = make_store("encrypted")
    client = Client(SessionMiddleware(app, {"cart": store}))
    with client.session(store, "cart") as session:
        session["items"] = ("apple",)
    assert client.get().text == "('apple',)"


@pytest.mark.parametrize(
    ("options", "base_url"),
    [
        ({"path": "/shop"}, "https://localhost"),
        ({"domain": "example.com"}, "https://shop.example.com"),
        ({"prefix": "__Host-Http-"}, "https://localhost"),
        ({"partitioned": True, "samesite": "None"}, "https://localhost"),
        ({"samesite": "Strict", "max_age": 60}, "https://localhost"),
        ({}, "http://localhost:8080"),
        ({"secure": False}, "http://shop.example.com"),
    ],
)
def test_a_session_finds_its_cookie_whatever_the_attributes(key, options, base_url):
    store = CookieStore(key, options=CookieOptions(**options))
    client = Client(SessionMiddleware(greeting, store), base_url)
    with client.session(store) as session:
        session["visits"] = 41
    assert client.get(store.options.path).text == "None 42"
    with client.session(store) as session:
        assert session["visits"] == 42


@pytest.mark.parametrize("make", [Client, TestApp])
def test_a_session_that_the_application_does_not_have_is_told(make, key):
    """What would be written into it, nobody would read."""
    cart, basket = MemoryStore(key), MemoryStore(key)
    site = SessionMiddleware(SessionMiddleware(echo, {"cart": cart}), {"basket": basket})
    client = make(site)
    with open_session(client, cart, "cart") as session:
        session["n"] = 1
    wrong = pytest.raises(UsageError, match=r"no session 'crat'; did you mean 'cart'\?")
    with wrong, open_session(client, cart, "crat"):
        pass
    wrong = pytest.raises(UsageError, match="no session 'session'; known: basket, cart")
    with wrong, open_session(client, cart):
        pass


def test_a_session_whose_cookie_a_browser_would_refuse_is_told(key, caplog):
    store = CookieStore(key)
    client = Client(SessionMiddleware(greeting, store), "http://shop.example.com")
    refused = pytest.raises(UsageError, match="refuses the cookie 'session': it is Secure")
    with refused, client.session(store) as session:
        session["visits"] = 41


def test_a_session_of_an_old_store_moves_when_it_is_opened(make_store, key):
    old = make_store("cookie")
    new = MemoryStore(key, options=CookieOptions(prefix="__Host-"), accept=[old])
    client = Client(SessionMiddleware(greeting, new))
    client.set_cookie("session", make_cookie(old, "session", {"visits": 41}))
    with client.session(new) as session:
        session["visits"] += 0
    assert list(client.cookies) == ["__Host-session"]


def test_sessions_and_cookies_end_by_one_clock(make_store, clock):
    store = make_store("memory", clock=clock, lifetime=Lifetime(idle=60))
    client = Client(SessionMiddleware(greeting, store), clock=clock)
    client.get()
    clock.advance(61)
    assert client.get().text == "None 1"


def test_a_session_needs_somebody_who_has_one(store):
    with pytest.raises(UsageError, match="'client'"), open_session(object(), store):
        pass


# WebTest


@pytest.fixture
def testapp(store) -> TestApp:
    return TestApp(SessionMiddleware(greeting, store), extra_environ={"wsgi.url_scheme": "https"})


def test_webtest_takes_a_made_cookie(testapp, store):
    testapp.set_cookie("session", make_cookie(store, "session", {"visits": 41}))
    assert testapp.get("/").text == "None 42"


def test_a_session_of_webtest_is_read_back(testapp, store):
    testapp.set_cookie("session", make_cookie(store, "session", {"visits": 41}))
    testapp.get("/")
    with open_session(testapp, store) as session:
        assert dict(session) == {"visits": 42}


def test_a_session_of_webtest_is_read_after_a_request(testapp, store):
    testapp.get("/")
    with open_session(testapp, store) as session:
        assert dict(session) == {"visits": 1}


def test_a_session_of_webtest_is_written(testapp, store):
    with open_session(testapp, store) as session:
        session["visits"] = 41
    assert testapp.get("/").text == "None 42"


def test_a_session_of_webtest_is_changed_between_requests(testapp, store):
    testapp.get("/")
    with open_session(testapp, store) as session:
        session["visits"] += 10
    assert testapp.get("/").text == "None 12"


def test_a_session_of_webtest_is_signed_in(testapp, store):
    testapp.get("/")
    with open_session(testapp, store) as session:
        session.login("ada")
    assert testapp.get("/").text == "ada 2"
    assert list(testapp.cookies) == ["session"]


def test_a_session_of_webtest_is_destroyed(testapp, store):
    testapp.get("/")
    with open_session(testapp, store) as session:
        session.destroy()
    assert testapp.cookies == {}


def test_webtest_over_plain_http_gets_the_session_too(store):
    testapp = TestApp(SessionMiddleware(greeting, store))
    with open_session(testapp, store) as session:
        session["visits"] = 41
    assert testapp.get("/").text == "None 42"
