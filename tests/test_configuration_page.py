"""The page of all options from strings, and what the code knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sessions_wsgi import CookieOptions, Lifetime, _texts, store_from_url
from sessions_wsgi._urls import KINDS
from sessions_wsgi.config import store_from_settings

PAGE = (Path(__file__).parent.parent / "docs" / "configuration.md").read_text("utf-8")
KEY = "wN8qZr4LxTk0Vd2JhP6cYs9BmFg5aUe7iRo3WnXtCvM"


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


ROWS = {
    row[0].strip("`"): row[1:]
    for row in re.findall(r"(?m)^\| (`[\w.]+`) \| (.*?) \| (.*?) \| (.*?) \|$", section("All options"))
}


def test_every_option_is_in_the_page_once_and_nothing_else() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \|", section("All options"), re.MULTILINE)
    assert sorted(rows) == sorted([*_texts.STORE, *_texts.MIDDLEWARE])
    assert set(rows) == set(ROWS)


@pytest.mark.parametrize("option", sorted(_texts.STORE.keys() | _texts.MIDDLEWARE.keys()))
def test_the_kind_is_the_one_that_is_read(option: str) -> None:
    read = {**_texts.STORE, **_texts.MIDDLEWARE}[option]
    kinds = {
        "_flag": "flag",
        "_duration": "duration",
        "_wait": "duration",
        "_count": "number",
        "_object": "object",
        "_objects": "objects",
    }
    expected = kinds.get(read.__name__)
    assert expected is None or ROWS[option][0] == expected


@pytest.mark.parametrize(
    "option", [name for name in _texts.SHARED if name.startswith(("cookie.", "lifetime."))]
)
def test_the_default_is_that_of_the_code(option: str) -> None:
    """What the page gives is the same as to say nothing."""
    default = {"empty": "", "this host only": None}.get(ROWS[option][1], ROWS[option][1].strip("`"))
    group, _, name = option.partition(".")
    chosen = CookieOptions() if group == "cookie" else Lifetime()
    value = None if default is None else _texts.value(option, default, str, _texts.STORE)
    expected = getattr(chosen, name)
    assert value == expected


@pytest.mark.parametrize(
    ("option", "url"),
    [
        ("encrypt", "cookie:"),
        ("serializer", "cookie:"),
        ("conflict", "memory:"),
        ("durability", "file:///x"),
        ("sweep_every", "file:///x"),
        ("max_bytes", "memory:"),
        ("timeout", "redis://localhost"),
        ("prefix", "redis://localhost"),
        ("table", "postgresql://localhost/x"),
    ],
)
def test_the_default_can_be_given(option: str, url: str) -> None:
    default = ROWS[option][1].strip("`")
    store_from_settings({"sessions.url": url, "sessions.keys": KEY, f"sessions.{option}": default})


@pytest.mark.parametrize(
    "scheme", sorted({kind.partition("+")[0] for kind in KINDS} - {"postgres"} | {"cookie"})
)
def test_every_scheme_is_in_the_page(scheme: str) -> None:
    assert re.search(rf"`{scheme}:", section("Store URLs"))


@pytest.mark.parametrize("url", re.findall(r"`(\w[\w+]*:[^`…\s]*)`", section("Store URLs")))
def test_every_url_of_the_page_is_one(url: str) -> None:
    if not url.endswith("://"):
        store_from_url(url, KEY)


def test_what_holds_for_every_session_is_told() -> None:
    told = section("Several sessions")
    for option in _texts.SHARED:
        group = option.partition(".")[0]
        assert f"`{group}.*`" in told if "." in option else f"`{option}`" in told
