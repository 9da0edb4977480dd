"""Cookies: which one is found in a request, what is written into a response, which options are refused."""

from __future__ import annotations

import dataclasses
import re
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookies import SimpleCookie
from typing import Any

import pytest
import webob
from hypothesis import given, settings
from hypothesis import strategies as st

from sessions_wsgi import ConfigError, CookieOptions, CookieTooLargeError, SessionsError
from sessions_wsgi.cookies import MAX_AGE_LIMIT, find_cookies, set_cookie

PROPERTY = settings(deadline=None, derandomize=True, database=None)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
PREFIXES = ["__Host-", "__Secure-", "__Http-", "__Host-Http-"]


def attributes(set_cookie_text: str) -> dict[str, str]:
    """The attributes of a Set-Cookie by name; none comes twice."""
    _, *pairs = [part.partition("=")[::2] for part in set_cookie_text.split("; ")]
    found = dict(pairs)
    assert len(found) == len(pairs)
    return found


def written(text: str = "value", age: float | None = None, **options: Any) -> dict[str, str]:
    """The attributes of a cookie with these options."""
    return attributes(set_cookie("name", text, CookieOptions(**options), age, NOW))


def in_plain_words(header: str, name: str) -> list[str]:
    """`find_cookies` as simple as can be."""
    found = []
    for cookie in header.split(";"):
        key, sign, value = cookie.partition("=")
        value = value.strip(" \t")
        if len(value) >= 2 and value[0] == value[-1] == '"':
            value = value[1:-1]
        if sign and key.strip(" \t") == name:
            found.append(value)
    return found[:4]


# Finding


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ("name=a", ["a"]),
        ("name=a; other=b", ["a"]),
        ("other=b; name=a", ["a"]),
        ("one=1; name=a; two=2", ["a"]),
        ("one=1;name=a;two=2", ["a"]),
        ("name=", [""]),
        ("name=; other=b", [""]),
        ("name=a=b==; other=c", ["a=b=="]),
        ("name=name=name", ["name=name"]),
    ],
)
def test_the_value_is_found(header: str, expected: list[str]) -> None:
    assert find_cookies(header, "name") == expected


@pytest.mark.parametrize(
    "header",
    [
        "Name=a",
        "NAME=a",
        "names=a",
        "myname=a",
        "name2=a; 2name=b",
        "__Host-name=a",
        "na me=a",
        "n=ame=a",
        "name",
        "name; name",
        "other=name=a",
        "other=name=a; another=; name",
        'other="name=a"',
        "=name=a",
        "= name=a",
        "other= name=a",
        "other name=a",
        "name:a",
        "name\0=a",
        "\0name=a",
        "n\u0430me=a",
    ],
)
def test_only_exactly_this_name_is_found(header: str) -> None:
    """Not one that ends or begins with it, nor where it stands in a value, nor without "="."""
    assert find_cookies(header, "name") == []


@pytest.mark.parametrize("header", ["=a", "=a; name=b", "name=b; =a", "; =a; name=b;"])
def test_nameless_cookies_are_ignored(header: str) -> None:
    assert "a" not in find_cookies(header, "name")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('name="a"', ["a"]),
        ('name=""', [""]),
        ('name="', ['"']),
        ('name="a', ['"a']),
        ('name=a"', ['a"']),
        ('name="a"b"', ['a"b']),
        ('name=""a""', ['"a"']),
        ('name= "a" ; other=b', ["a"]),
        ('name=" a "', [" a "]),
    ],
)
def test_one_pair_of_quotes_is_taken_off(header: str, expected: list[str]) -> None:
    assert find_cookies(header, "name") == expected


@pytest.mark.parametrize(
    "header",
    [
        " name=a",
        "\t name=a",
        "name=a ",
        "name=a \t",
        "name=a\t; other=b",
        "name= a",
        "name=\ta",
        "name= a ; other=b",
        "other=b; name= a",
        "other=b;  name=a",
        "other=b;\tname=a",
        "other=b ;name=a",
        "name =a",
        "name\t= a",
        "other=b; name = a ",
        ";;; name=a;;",
    ],
)
def test_space_and_tab_are_trimmed(header: str) -> None:
    assert find_cookies(header, "name") == ["a"]


@pytest.mark.parametrize("blank", list("\u00a0\x85\x0b\x0c\x1c\r\n\u2003\ufeff\0"))
def test_nothing_else_is_trimmed(blank: str) -> None:
    """`str.strip` would take off what browsers and proxies take for part of the cookie."""
    assert find_cookies(f"name=a{blank}", "name") == [f"a{blank}"]
    assert find_cookies(f"name={blank}a; other=b", "name") == [f"{blank}a"]
    assert find_cookies(f"other=b; {blank}name=a", "name") == []
    assert find_cookies(f"{blank}name=a", "name") == []
    assert find_cookies(f"name{blank}=a", "name") == []


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("name=a; name=b", ["a", "b"]),
        ("name=a; other=x; name=b; name=a", ["a", "b", "a"]),
        ("name=1; name=2; name=3; name=4", ["1", "2", "3", "4"]),
        ("name=1; name=2; name=3; name=4; name=5", ["1", "2", "3", "4"]),
        ("name=; name=a", ["", "a"]),
        ("name =a; name=b", ["a", "b"]),
        ("name=b; name =a", ["b", "a"]),
        ("name=a;name=b", ["a", "b"]),
    ],
)
def test_up_to_four_of_one_name_come_in_their_order(header: str, expected: list[str]) -> None:
    """A sibling domain may have planted one (RFC 6265bis 8.6)."""
    assert find_cookies(header, "name") == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("other=b,name=a", []),
        ("other=b, name=a", []),
        ("name=a, other=b", ["a, other=b"]),
        ("name=a,name=b; name=c", ["a,name=b", "c"]),
        ("lang=en,__Host-name=planted", []),
        ("__Host-name=expired; lang=en,__Host-name=planted", ["expired"]),
    ],
)
def test_a_comma_is_a_part_of_the_value(header: str, expected: list[str]) -> None:
    """Else a sibling domain's `lang=en,__Host-name=...` would be a cookie that the prefix keeps out."""
    assert find_cookies(header, "__Host-name" if "__Host-" in header else "name") == expected


def test_attributes_of_the_old_rfc_are_cookies_like_any_other() -> None:
    header = '$Version=1; name=a; $Path="/"; $Domain=example.com'
    assert find_cookies(header, "name") == ["a"]
    assert find_cookies(header, "$Version") == ["1"]
    assert find_cookies(header, "Path") == []


@pytest.mark.parametrize("name", ["a.b", "a+b", "$", "^a|b*", "!#$%&'*+-.^_`|~", "__Host-a"])
def test_a_name_is_no_pattern(name: str) -> None:
    assert find_cookies(f"aXb=1; {name}=2; a=3; {name} =4", name) == ["2", "4"]
    assert find_cookies("aXb=1; aab=2; b=3", name) == []


PIECES = ["name", "name=", "other", "=", ";", "; ", ",", " ", "\t", '"', "x", "na", "\u00a0", "name=a; "]


@settings(PROPERTY, max_examples=500)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_finds_what_plain_words_find(header: str) -> None:
    """The short way for what browsers send, and the pattern for everything else, agree."""
    assert find_cookies(header, "name") == in_plain_words(header, "name")


@PROPERTY
@given(header=st.text(), name=st.text("abc$.*+", min_size=1, max_size=3))
def test_any_header_is_searched(header: str, name: str) -> None:
    assert find_cookies(header, name) == in_plain_words(header, name)


@pytest.mark.parametrize(
    "hostile",
    [
        "n" * 8192,
        ";" * 8192,
        " " * 8192,
        "\t " * 4096,
        "=" * 8192,
        '"' * 8192,
        "name=" * 1638,
        "name =" * 1365,
        "name" * 2048,
        "; " * 4096,
        "name" + " " * 8188,
        ";name" * 1638,
        "; name " * 1170,
        "name=;" * 1365,
        "name=" + '"' * 8187,
        "," * 8192,
    ],
    ids=lambda header: repr(header[:8]),
)
def test_a_hostile_header_takes_linear_time(hostile: str) -> None:
    """At most some dozen times as long as an ordinary header of 8 kB; quadratic would be thousands."""
    plain = ("one=1; " * 1168) + "name=a; name=b"

    def best(header: str) -> float:
        times = []
        for _ in range(5):
            start = time.perf_counter()
            find_cookies(header, "name")
            times.append(time.perf_counter() - start)
        return min(times)

    assert best(hostile) < 50 * best(plain)


# Options


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[("path", path) for path in ["", "a", "a/b", "*", None, 7, b"/", "/a;b", "/; Secure", "/a\r\nX: y"]],
        *[("path", path) for path in ["/\0", "/\n", "/\x7f", "/\t", "/ü", "/\u2028", "/" + "x" * 1024]],
        *[("domain", name) for name in ["", ".", "..", "a..b", "a.", "-a.example", "a-.example", "a b", 7]],
        *[("domain", name) for name in ["a;b", "a; Secure", "a\r\nX: y", "a\n", "a\0", "a_b.c", "a/b"]],
        *[("domain", name) for name in ["bücher.example", "a:80", "[::1]", "x" * 64, "a." * 126 + "ab"]],
        *[("max_age", age) for age in [0, -1, 0.5, True, "3600", MAX_AGE_LIMIT + 1, float("inf"), 10**400]],
        *[("max_age", age) for age in [float("nan"), timedelta(0), timedelta(days=401), timedelta(days=-1)]],
        *[("secure", flag) for flag in [None, 1, 0, "yes", ""]],
        *[("httponly", flag) for flag in [None, 1, "yes"]],
        *[("partitioned", flag) for flag in [None, 1, "yes"]],
        *[("samesite", word) for word in [None, "", "lax;", "Relaxed", "Lax\r\n", True, 1]],
        *[("prefix", word) for word in [None, "__Host", "__host-", "__HOST-", "Host-", "x", "__Host-;", []]],
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_wrong_option_is_refused_by_name(option: str, value: Any) -> None:
    """While the application starts; the message names the option, the rule and what came."""
    with pytest.raises(ConfigError) as caught:
        CookieOptions(**{option: value})
    assert caught.value.option == option
    assert str(caught.value).startswith(repr(option))
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"samesite": "None", "secure": False}, "samesite"),
        ({"samesite": "none", "secure": False}, "samesite"),
        ({"partitioned": True, "secure": False}, "partitioned"),
        *[({"prefix": prefix, "secure": False}, "prefix") for prefix in PREFIXES],
        *[({"prefix": prefix, "domain": "example.com"}, "prefix") for prefix in ["__Host-", "__Host-Http-"]],
        *[({"prefix": prefix, "path": "/app"}, "prefix") for prefix in ["__Host-", "__Host-Http-"]],
        *[({"prefix": prefix, "httponly": False}, "prefix") for prefix in ["__Http-", "__Host-Http-"]],
    ],
)
def test_what_browsers_would_refuse_is_refused(options: dict[str, Any], option: str) -> None:
    with pytest.raises(ConfigError) as caught:
        CookieOptions(**options)
    assert caught.value.option == option


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"secure": False},
        {"samesite": "None"},
        {"samesite": "Strict"},
        {"partitioned": True, "samesite": "None"},
        *[{"prefix": prefix} for prefix in PREFIXES],
        {"prefix": "__Secure-", "domain": "example.com", "path": "/app", "httponly": False},
        {"prefix": "__Http-", "domain": "example.com", "path": "/app"},
        {"prefix": "__Host-", "httponly": False},
        {"domain": "localhost"},
        {"domain": "xn--bcher-kva.example"},
        {"domain": "192.0.2.1"},
        {"path": "/a b/!$&'()*+,=:@~"},
        {"max_age": 1},
        {"max_age": MAX_AGE_LIMIT},
        {"max_age": timedelta(days=400)},
        {"max_age": 0.5 + 1},
    ],
    ids=str,
)
def test_what_browsers_take_is_taken(options: dict[str, Any]) -> None:
    CookieOptions(**options)


def test_the_defaults_are_the_safe_ones() -> None:
    """Secure, HttpOnly, Lax, this host only, until the browser closes (OWASP ASVS 3.3)."""
    assert CookieOptions() == CookieOptions(
        path="/",
        domain=None,
        max_age=None,
        secure=True,
        httponly=True,
        samesite="Lax",
        partitioned=False,
        prefix="",
    )


def test_options_are_frozen_and_copied_with_changes() -> None:
    options = CookieOptions()
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.secure = False  # type: ignore[misc]
    changed = dataclasses.replace(options, samesite="Strict")
    assert (changed.samesite, options.samesite) == ("Strict", "Lax")
    assert hash(changed) != hash(options)
    with pytest.raises(ConfigError):
        dataclasses.replace(CookieOptions(samesite="None"), secure=False)


def test_options_are_normalised() -> None:
    options: Any = CookieOptions(samesite="sTRICT", domain=".Example.COM", max_age=timedelta(hours=1))  # type: ignore[arg-type]
    assert (options.samesite, options.domain, options.max_age) == ("Strict", "example.com", 3600)


# Names


@pytest.mark.parametrize("name", ["session", "a", "A-b_c.9", "!#$%&'*+-.^_`|~", "x" * 100])
def test_the_full_name_is_prefix_and_name(name: str) -> None:
    assert CookieOptions().cookie_name(name) == name
    for prefix in PREFIXES:
        assert CookieOptions(prefix=prefix).cookie_name(name) == prefix + name  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    [
        *["", " ", "a b", "a=b", "a;b", "a,b", 'a"b', "a\n", "a\r\nX: y", "\0", "ü", "a/b", "(a)", "a@b"],
        *["{a}", "<a>", "[a]", "a:b", "a?", "a\\b", "\u00a0", "x" * 5000, None, 7, b"a"],
    ],
    ids=lambda name: repr(name)[:20],
)
def test_a_name_is_a_token(name: Any) -> None:
    """RFC 9110 5.6.2; anything else is refused wherever a name is given."""
    with pytest.raises(ConfigError) as caught:
        CookieOptions().cookie_name(name)
    assert caught.value.option == "name"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("__Host-x", {"path": "/app"}),
        ("__Host-x", {"domain": "example.com"}),
        ("__Host-x", {"secure": False}),
        ("__host-x", {"path": "/app"}),
        ("__HOST-x", {"secure": False}),
        ("__Secure-x", {"secure": False}),
        ("__secure-x", {"secure": False}),
        ("__sEcUrE-", {"secure": False}),
        ("__Http-x", {"httponly": False}),
        ("__hTTP-x", {"secure": False}),
        ("__Host-Http-x", {"httponly": False}),
        ("__host-http-x", {"path": "/app"}),
        ("__HOST-HTTP-x", {"httponly": False}),
    ],
)
def test_a_name_that_browsers_take_for_prefixed_obeys_the_rules(name: str, options: dict[str, Any]) -> None:
    """They match without regard to case (RFC 6265bis 5.7)."""
    with pytest.raises(ConfigError) as caught:
        CookieOptions(**options).cookie_name(name)
    assert caught.value.option == "prefix"
    assert CookieOptions().cookie_name(name) == name


@pytest.mark.parametrize("name", ["__Hos-x", "x__Host-", "_Host-x", "__Hostx", "Secure-x"])
def test_a_name_that_only_looks_similar_is_free(name: str) -> None:
    options = CookieOptions(path="/app", domain="example.com", secure=False, httponly=False)
    assert options.cookie_name(name) == name


# Writing


def test_the_least_that_is_written() -> None:
    bare = CookieOptions(secure=False, httponly=False)
    assert set_cookie("name", "value", bare, None, NOW) == "name=value; Path=/; SameSite=Lax"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"Path": "/", "Secure": "", "HttpOnly": "", "SameSite": "Lax"}),
        ({"secure": False}, {"Path": "/", "HttpOnly": "", "SameSite": "Lax"}),
        ({"httponly": False}, {"Path": "/", "Secure": "", "SameSite": "Lax"}),
        ({"path": "/app"}, {"Path": "/app", "Secure": "", "HttpOnly": "", "SameSite": "Lax"}),
        ({"samesite": "Strict"}, {"Path": "/", "Secure": "", "HttpOnly": "", "SameSite": "Strict"}),
        (
            {"domain": "example.com"},
            {"Domain": "example.com", "Path": "/", "Secure": "", "HttpOnly": "", "SameSite": "Lax"},
        ),
        (
            {"samesite": "None", "partitioned": True},
            {"Path": "/", "Secure": "", "HttpOnly": "", "SameSite": "None", "Partitioned": ""},
        ),
    ],
    ids=str,
)
def test_each_attribute_is_written(options: dict[str, Any], expected: dict[str, str]) -> None:
    assert written(**options) == expected


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"secure": False, "httponly": False},
        {"domain": "example.com", "path": "/app"},
        {"samesite": "None", "partitioned": True},
        {"prefix": "__Host-", "max_age": 3600},
    ],
    ids=str,
)
def test_a_deletion_repeats_what_was_set(options: dict[str, Any]) -> None:
    """Name, domain, path, Secure and Partitioned, or the browser keeps the cookie; prefix rules hold, too."""
    as_set = written(**options)
    deletion = written("", **options)
    assert deletion.pop("Max-Age") == "0"
    assert parsedate_to_datetime(deletion.pop("Expires")).timestamp() == 0
    assert deletion == as_set
    assert set_cookie("name", "", CookieOptions(**options), 3600, NOW).startswith("name=;")


@pytest.mark.parametrize(
    ("max_age", "seconds"),
    [(0.4, 1), (1, 1), (1.9, 1), (3600.0, 3600), (MAX_AGE_LIMIT, 34_560_000)],
)
def test_max_age_and_expires_are_one_moment(max_age: float, seconds: int) -> None:
    """Whole seconds, at least one; the date in the one form of RFC 9110 5.6.7."""
    found = written(age=max_age)
    assert found["Max-Age"] == str(seconds)
    assert parsedate_to_datetime(found["Expires"]).timestamp() == NOW + seconds
    assert re.fullmatch(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", found["Expires"])


def test_without_max_age_the_cookie_ends_with_the_browser() -> None:
    """What is in the options is the store's to decide about, and nothing is written unasked."""
    assert written().keys().isdisjoint({"Max-Age", "Expires"})


def test_a_cookie_of_4096_octets_is_written_and_one_more_is_not() -> None:
    """Name, "=" and value."""
    for name in "s", "__Host-session":
        most = "v" * (4096 - len(name) - 1)
        assert set_cookie(name, most, CookieOptions(), None, NOW).startswith(f"{name}={most};")
        with pytest.raises(CookieTooLargeError) as caught:
            set_cookie(name, most + "v", CookieOptions(), None, NOW)
        assert (caught.value.name, caught.value.size, caught.value.limit) == (name, 4097, 4096)
        assert isinstance(caught.value, ValueError)
        assert isinstance(caught.value, SessionsError)
        assert "server-side" in str(caught.value)


ALL_OPTIONS = [
    {},
    {"secure": False, "httponly": False},
    {"domain": "example.com", "path": "/app", "samesite": "Strict"},
    {"samesite": "None", "prefix": "__Secure-"},
]


@pytest.mark.parametrize("options", ALL_OPTIONS, ids=str)
@pytest.mark.parametrize("text", ["", "aGVsbG8.c2lnbmF0dXJl", "A-_z" * 900])
@pytest.mark.parametrize("max_age", [None, 3600])
def test_the_standard_library_reads_what_is_written(
    options: dict[str, Any], text: str, max_age: float | None
) -> None:
    made = CookieOptions(**options)
    header = set_cookie(made.cookie_name("name"), text, made, max_age, NOW)
    cookies: SimpleCookie = SimpleCookie(header)
    morsel = cookies[made.cookie_name("name")]
    assert morsel.value == text
    assert (morsel["path"], morsel["domain"]) == (made.path, made.domain or "")
    assert (bool(morsel["secure"]), bool(morsel["httponly"])) == (made.secure, made.httponly)
    assert morsel["samesite"] == made.samesite
    assert morsel["max-age"] == ("0" if not text else "" if max_age is None else "3600")


@pytest.mark.parametrize("options", [*ALL_OPTIONS, {"samesite": "None", "partitioned": True}], ids=str)
def test_webob_reads_what_is_written(options: dict[str, Any]) -> None:
    made = CookieOptions(**options)
    name = made.cookie_name("name")
    pair = set_cookie(name, "aGVsbG8.c2lnbmF0dXJl", made, 3600, NOW).partition(";")[0]
    request = webob.Request.blank("/", headers={"Cookie": f"other=1; {pair}"})
    assert request.cookies[name] == "aGVsbG8.c2lnbmF0dXJl"
    assert find_cookies(request.headers["Cookie"], name) == ["aGVsbG8.c2lnbmF0dXJl"]


@PROPERTY
@given(
    st.builds(
        dict,
        path=st.text(st.characters(), max_size=20).map("/".__add__),
        domain=st.none() | st.text(max_size=20),
        samesite=st.sampled_from(["Lax", "strict", "NONE"]) | st.text(max_size=6),
        prefix=st.sampled_from(["", *PREFIXES]),
        max_age=st.none() | st.floats() | st.integers(),
        secure=st.booleans(),
    )
)
def test_options_are_refused_or_written_as_one_clean_header(options: dict[str, Any]) -> None:
    """Nothing an option holds can add an attribute or a header."""
    try:
        made = CookieOptions(**options)
    except ConfigError:
        return
    header = set_cookie(made.cookie_name("name"), "value", made, None, NOW)
    assert header.isascii()
    assert header.isprintable()
    assert attributes(header).keys() <= {"Domain", "Path", "Secure", "HttpOnly", "SameSite"}
