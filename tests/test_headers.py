"""What sessions add to response headers: nothing is lost, nothing comes twice, no list is changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions_wsgi._headers import with_cookies, with_private_cache, with_vary

Headers = list[tuple[str, str]]

OURS = {"session": "session=new; Path=/", "cart": "cart=; Max-Age=0"}


def values(headers: Headers, name: str) -> list[str]:
    return [value for header, value in headers if header.lower() == name]


def foreign(headers: Headers) -> Headers:
    """What no session has a say in."""
    mine = ("vary", "cache-control")
    return [
        (name, value)
        for name, value in headers
        if name.lower() not in mine
        and not (name.lower() == "set-cookie" and value.partition("=")[0].strip() in OURS)
    ]


# Cookies


def test_cookies_come_behind_what_is_there():
    headers = [("Content-Type", "text/plain"), ("Set-Cookie", "other=1")]
    expected = [*headers, *(("Set-Cookie", value) for value in OURS.values())]
    assert with_cookies(headers, OURS) == (expected, [])


@pytest.mark.parametrize("header", ["Set-Cookie", "set-cookie", "SET-COOKIE"])
@pytest.mark.parametrize(
    "value", ["session=old", "session=old; Path=/", "session=", " session =old", "session", "session=a=b"]
)
def test_a_cookie_of_our_name_is_replaced_and_told(header, value):
    headers, replaced = with_cookies([(header, value)], OURS)
    assert values(headers, "set-cookie") == list(OURS.values())
    assert replaced == [value]


def test_the_very_same_cookie_is_not_told():
    once, _ = with_cookies([], OURS)
    assert with_cookies(once, OURS) == (once, [])


@pytest.mark.parametrize(
    "value", ["Session=1", "session2=1", "my-session=1", "x=session=1", "=session=1", ""]
)
def test_a_cookie_of_another_name_stays(value):
    headers, replaced = with_cookies([("Set-Cookie", value)], OURS)
    assert headers[0] == ("Set-Cookie", value)
    assert replaced == []


@pytest.mark.parametrize("header", ["Set-Cookie2", "X-Set-Cookie", "Cookie", "Location"])
def test_another_header_stays(header):
    headers, replaced = with_cookies([(header, "session=old")], OURS)
    assert headers[0] == (header, "session=old")
    assert replaced == []


# Vary


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ([], ["Cookie"]),
        ([""], ["Cookie"]),
        ([" "], ["Cookie"]),
        (["Accept"], ["Accept, Cookie"]),
        (["Accept,Origin"], ["Accept,Origin, Cookie"]),
        (["*"], ["*"]),
        ([" * "], [" * "]),
        (["Accept, *"], ["Accept, *"]),
        (["cookie"], ["cookie"]),
        (["Accept , COOKIE ,Origin"], ["Accept , COOKIE ,Origin"]),
        (["Cookies"], ["Cookies, Cookie"]),
        (["Accept", "Origin"], ["Accept, Cookie", "Origin"]),
        (["Accept", "Cookie"], ["Accept", "Cookie"]),
    ],
)
def test_vary(own, expected):
    headers = [("X", "1"), *(("vary", value) for value in own), ("Y", "2")]
    assert values(with_vary(headers), "vary") == expected
    assert foreign(with_vary(headers)) == [("X", "1"), ("Y", "2")]


# Cache-Control


def cache(*own: str, default: str | None = "no-store") -> tuple[list[str], bool]:
    headers, shared = with_private_cache([("Cache-control", value) for value in own], default)
    return values(headers, "cache-control"), shared


@pytest.mark.parametrize(
    ("default", "expected"), [("no-store", ["no-store"]), ("a, b", ["a, b"]), (None, [])]
)
def test_the_default_is_set_where_the_application_set_nothing(default, expected):
    assert cache(default=default) == (expected, False)


@pytest.mark.parametrize(
    "own",
    ["private", "no-store", "PRIVATE", "private, max-age=60", "no-store, a", "max-age=0,no-store"],
)
def test_what_no_shared_cache_may_keep_stays_as_it_is(own):
    assert cache(own) == ([own], False)


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (["public"], "private"),
        (["Public"], "private"),
        (["s-maxage=60"], "private"),
        (["S-MaxAge = 60"], "private"),
        (["public, max-age=60"], "max-age=60, private"),
        (["public,s-maxage=1,must-revalidate"], "must-revalidate, private"),
        (["public", "max-age=60"], "max-age=60, private"),
        (["private, public"], "private"),
        (["no-store, public"], "no-store, private"),
        (['private="set-cookie", public'], "private"),
        (['no-cache="set-cookie, x", public'], 'no-cache="set-cookie, x", private'),
        (['ext="public", s-maxage=1'], 'ext="public", private'),
    ],
)
def test_what_shared_caches_were_allowed_is_taken_back(own, expected):
    assert cache(*own) == ([expected], True)


@pytest.mark.parametrize("own", ['ext="public"', "publicly", "x-s-maxage=1", "no-cache"])
def test_a_word_that_only_looks_like_public_allows_nothing(own):
    assert cache(own) == ([f"{own}, private"], False)


def test_a_bare_max_age_lets_shared_caches_in_as_well():
    """RFC 9111 3: a response with max-age may be stored."""
    assert cache("max-age=60") == (["max-age=60, private"], True)


# Whatever comes

names = st.sampled_from(
    ["Set-Cookie", "set-cookie", "Vary", "VARY", "Cache-Control", "cache-control", "Location", "X-Other"]
)
words = st.sampled_from(
    ["session=1", "cart=2; Path=/", "other=3", "*", "Cookie", "Accept", "public", "private", "s-maxage=1"]
) | st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20)
header_lists = st.lists(st.tuples(names, words | st.lists(words, max_size=3).map(", ".join)), max_size=8)

STEPS: dict[str, Callable[[Headers], Headers]] = {
    "with_cookies": lambda headers: with_cookies(headers, OURS)[0],
    "with_vary": with_vary,
    "with_private_cache": lambda headers: with_private_cache(headers, "no-store")[0],
}


every_step = pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)


@every_step
@given(headers=header_lists)
def test_no_list_is_changed(step, headers):
    before = list(headers)
    step(headers)
    assert headers == before


@every_step
@given(headers=header_lists)
def test_nothing_foreign_is_lost_or_moved(step, headers):
    assert foreign(step(headers)) == foreign(headers)


@every_step
@given(headers=header_lists)
def test_doing_it_twice_is_doing_it_once(step, headers):
    assert step(step(headers)) == step(headers)


@given(headers=header_lists)
def test_each_of_our_cookies_is_set_once(headers):
    result, replaced = with_cookies(headers, OURS)
    for name, value in OURS.items():
        ours = [each for each in values(result, "set-cookie") if each.partition("=")[0].strip() == name]
        assert ours == [value]
    assert len(result) == len(headers) - len(replaced) + len(OURS) - sum(
        value in OURS.values() for value in values(headers, "set-cookie")
    )


@given(headers=header_lists)
def test_vary_names_cookie_or_everything(headers):
    fields = {
        field.strip().lower() for value in values(with_vary(headers), "vary") for field in value.split(",")
    }
    assert fields & {"cookie", "*"}


@given(headers=header_lists, default=st.sampled_from(["no-store", "private"]))
def test_no_shared_cache_is_let_in(headers, default):
    result, _ = with_private_cache(headers, default)
    text = ",".join(values(result, "cache-control")).lower()
    assert "private" in text or "no-store" in text


@every_step
@given(headers=header_lists)
def test_the_values_stay_one_line(step, headers):
    """Whatever is put together may not bring a line break into the headers."""
    assert all("\n" not in value and "\r" not in value for _, value in step(headers))
