"""Sections of the results that pages of the documentation show: copied by the run, and compared by a test."""

from __future__ import annotations

import re
from pathlib import Path

_BLOCK = re.compile(r"(<!-- results: (?P<title>[\w ]+) -->\n)(?P<text>.*?)(<!-- end -->)", re.DOTALL)


def section(results: str, title: str) -> str:
    """The text below a heading of the results."""
    found = re.search(rf"^## {re.escape(title)}\n\n(.*?)(?=^## |\Z)", results, re.DOTALL | re.MULTILINE)
    if found is None:
        raise ValueError(f"the results have no section {title!r}")
    return found[1].strip()


def quoted(page: str) -> dict[str, str]:
    """What a page shows, by the titles of the sections."""
    return {found["title"]: found["text"].strip() for found in _BLOCK.finditer(page)}


def updated(page: str, results: str) -> str:
    """The page with what the results say now."""
    return _BLOCK.sub(lambda found: f"{found[1]}\n{section(results, found['title'])}\n\n{found[4]}", page)


def update(path: Path, results: str) -> None:
    """The same for a file, if it is there."""
    if path.exists():
        path.write_text(updated(path.read_text("utf-8"), results), "utf-8")
