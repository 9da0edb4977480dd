"""The pages under docs/: their code runs, their links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from sessions_wsgi import Key

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))

page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


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
