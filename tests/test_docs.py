"""The pages under docs/: their code runs, their files load, their commands are understood, their links lead
somewhere.
"""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from paste.deploy import loadapp
from pyramid.config import Configurator
from pyramid.interfaces import ISessionFactory
from webob import Request

from sessions_wsgi import Key
from sessions_wsgi.cli._arguments import _parser
from sessions_wsgi.config import middleware_from_env, middleware_from_settings

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))

page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def blocks(page: Path, language: str = "python") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@page
def test_its_code_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One block after the other, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SESSION_KEYS", Key.generate().secret.decode())
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    for number, block in enumerate(blocks(page), 1):
        exec(compile(block, f"{page.name}, block {number}", "exec"), vars(module))


def test_the_page_on_testing_is_a_file_of_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of its blocks in one file, as somebody puts them together; pytest runs them."""
    monkeypatch.setenv("SESSION_KEYS", Key.generate().secret.decode())
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)  # options of these tests, not of that file
    content = "\n".join(blocks(ROOT / "docs" / "testing.md"))
    (tmp_path / "test_page.py").write_text(content, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
    assert int(re.findall(r"(\d+) passed", ended.stdout)[0]) > content.count("\ndef test_") > 5


@page
def test_its_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / link).exists(), link


@page
def test_the_readme_leads_to_it(page: Path) -> None:
    assert f"docs/{page.name}" in (ROOT / "README.md").read_text("utf-8")


# Ini files


def test_each_ini_file_is_loaded_by_one_of_these_tests() -> None:
    counted = {page.stem: len(blocks(page, "ini")) for page in PAGES if blocks(page, "ini")}
    assert counted == {"paste": 2, "beaker": 1, "pyramid": 1, "configuration": 1}


def filled_in(page: str, number: int = 0) -> str:
    """An ini file, with a key where the page has three dots."""
    text = blocks(ROOT / "docs" / f"{page}.md", "ini")[number]
    return text.replace("...", Key.generate().secret.decode())


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Loads a site from the text of an ini file; `shop` is the module of the page about Paste Deploy."""
    shop = ModuleType("shop")
    exec(blocks(ROOT / "docs" / "paste.md")[0], vars(shop))
    monkeypatch.setitem(sys.modules, "shop", shop)

    def load(text: str) -> Any:
        (tmp_path / "site.ini").write_text(text, "utf-8")
        return loadapp(f"config:{tmp_path}/site.ini")

    return load


SHOP = "\n[app:main]\npaste.app_factory = shop:make_app\nfilter-with = sessions\n"


def visits(site: Any) -> list[str]:
    """The answers to two requests of one visitor."""
    first = Request.blank("/").get_response(site)
    pairs = [header.partition(";")[0] for header in first.headers.getall("Set-Cookie")]
    return [first.text, Request.blank("/", headers={"Cookie": "; ".join(pairs)}).get_response(site).text]


@pytest.mark.parametrize(("number", "more"), [(0, ""), (1, SHOP)])
def test_the_site_of_paste_deploy_has_sessions(load: Any, number: int, more: str) -> None:
    site = load(filled_in("paste", number) + more)
    assert list(site.stores) == (["session"] if number == 0 else ["session", "cart"])
    assert visits(site) == ["1", "2"]


def test_the_site_of_the_stand_in_for_beaker_has_sessions(load: Any, key: str) -> None:
    module = ModuleType("old_shop")
    exec(blocks(ROOT / "docs" / "beaker.md")[0].partition("site =")[0], vars(module))
    module.make_app = lambda global_conf: module.application  # type: ignore[attr-defined]
    sys.modules["shop"].make_app = module.make_app  # type: ignore[attr-defined]
    assert visits(load(f"[DEFAULT]\nsecret = {key}\n{filled_in('beaker')}{SHOP}")) == ["1", "2"]


def test_the_settings_of_pyramid_make_a_factory() -> None:
    parser = configparser.ConfigParser()
    parser.read_string(filled_in("pyramid"))
    with Configurator(settings=dict(parser["app:main"])) as config:
        config.commit()
        assert config.registry.queryUtility(ISessionFactory) is not None


def test_the_settings_of_several_sessions_make_them() -> None:
    parser = configparser.ConfigParser()
    parser.read_string(f"[site]\n{filled_in('configuration')}")
    site = middleware_from_settings(lambda environ, start_response: [], dict(parser["site"]))
    assert list(site.stores) == ["session", "cart"]
    assert [store.options.samesite for store in site.stores.values()] == ["Strict", "Strict"]


# Commands

COMMANDS = [
    (page.name, line.partition(" #")[0].strip())
    for page in [*PAGES, ROOT / "README.md"]
    for block in blocks(page, "sh")
    for line in block.splitlines()
]


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_a_command_is_one_that_works(page: str, line: str) -> None:
    """As far as can be told without running it."""
    for part in re.split(r"&&|\|", line.partition("<")[0]):
        words = shlex.split(part)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            del words[0]
        match words:
            case ["sessions-wsgi", *arguments]:
                _parser()[0].parse_args(arguments)
            case ["pip", "install", package]:
                name, extra = package.rstrip("]").split("[")
                assert (name, extra in metadata(name).get_all("Provides-Extra", [])) == (name, True)
            case [("tox" | ".venv/bin/tox"), "run", "-e", name, *_]:
                assert f"[testenv:{name}]" in (ROOT / "tox.ini").read_text("utf-8")
            case ["export", *pairs]:
                _require_known(pair.partition("=")[0] for pair in pairs)
            case _:
                assert words[0] in ("python3", ".venv/bin/pip", "curl"), f"{page}: {line}"


def _require_known(names: Any) -> None:
    values = {"SESSIONS_LIFETIME_IDLE": "12h"}
    variables = {name: values.get(name, "none") for name in names if name.startswith("SESSIONS_")}
    key = Key.generate().secret.decode()
    middleware_from_env(
        lambda environ, start_response: [],
        environ={**variables, "SESSIONS_URL": "cookie:", "SESSIONS_KEYS": key},
    )
