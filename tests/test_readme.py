"""The README: its commands, its code, its links."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import Browser
from webob import Response

import sessions_wsgi
from sessions_wsgi import Key

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
SETUP = "python3 -m venv .venv && .venv/bin/pip install -q tox && .venv/bin/tox run -e "


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the blocks of the README define, run one after the other in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SESSION_KEYS", Key.generate().secret.decode())
    names: dict[str, Any] = {}
    for number, block in enumerate(blocks("python"), 1):
        exec(compile(block, f"README.md, block {number}", "exec"), names)
    yield names


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("environment", ["demo", "tests"])
def test_the_two_commands_are_there_word_by_word(environment: str) -> None:
    assert blocks("sh").count(SETUP + environment + "\n") == 1


def test_the_commands_lead_to_environments_of_tox() -> None:
    tox = configparser.ConfigParser()
    tox.read(ROOT / "tox.ini")
    for environment in ("tests", "lint", "typing", "demo"):
        assert f"testenv:{environment}" in tox


def test_the_nutshell_gives_sessions(ran: dict[str, Any]) -> None:
    browser = Browser(ran["application"])
    assert browser.get() == "hello"
    session = sessions_wsgi.CookieStore(ran["keys"]).open("session", [browser.jar["session"]])
    assert dict(session) == {"foo": "bar", 42: 43}


def test_several_sessions_have_several_cookies(ran: dict[str, Any]) -> None:
    browser = Browser(ran["shop"])
    assert browser.get() == "in your cart"
    assert set(browser.jar) == {"cart"}, "the other session was not touched"


def test_without_the_middleware_a_response_gets_the_cookie(ran: dict[str, Any]) -> None:
    response: Response = ran["response"]
    assert "; Max-Age=2592000;" in response.headers["Set-Cookie"]
    assert ran["session"].principal == "ada"


def test_every_store_in_the_table_exists() -> None:
    for name in re.findall(r"^\| `(\w+)\(", README, re.MULTILINE):
        assert name in sessions_wsgi.__all__


@pytest.mark.parametrize("page", PAGES)
def test_links_inside_the_repository_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text("utf-8")):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_it_fits_on_a_screen_or_two() -> None:
    assert len(README.splitlines()) <= 140
