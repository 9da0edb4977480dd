"""What people and programs read: plain text, tables by rich on a terminal that has it, or JSON."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TextIO

Advance = Callable[[int], object]


class Table(NamedTuple):
    """Rows under a heading."""

    heading: Sequence[str]
    rows: Sequence[Sequence[str]]


class Output:
    """Results go to standard output, all else to standard error."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._secrets: list[str] = []
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # no label of a session may break the command
                stream.reconfigure(errors="backslashreplace")

    def show(self, data: Mapping[str, Any], *parts: str | Table) -> None:
        """A result: for programs `data`, for people the parts."""
        if self.as_json:
            print(json.dumps(data))
            return
        for part in parts:
            if isinstance(part, str):
                print(printable(part))
            else:
                _print_table(part)

    def note(self, message: str) -> None:
        """Say something that is no result."""
        print(f"sessions-wsgi: {printable(message)}", file=sys.stderr)

    def failed(self, message: str, **data: Any) -> None:
        """Say why there is no result, or only a part of it."""
        self.note(message)
        if self.as_json:
            print(json.dumps({"error": message, **data}))

    # Errors of drivers

    def hide(self, secret: str | None) -> None:
        """Never show this text of a URL, whatever a driver says."""
        if secret:
            self._secrets.append(secret)

    def explained(self, error: Exception) -> str:
        """An error and its cause, in one line."""
        if error.__cause__ is None:
            return str(error)
        cause = error.__cause__
        first, _, _ = str(cause).strip().partition("\n")
        for secret in self._secrets:
            first = first.replace(secret, "***")
        return f"{error}: {type(cause).__name__}: {first}" if first else f"{error}: {type(cause).__name__}"

    # While something takes long

    @contextmanager
    def progress(self, doing: str, done: str) -> Iterator[Advance]:
        """Shows how far it is, on a terminal: call what it gives with a number."""
        if not sys.stderr.isatty():
            yield lambda _count: None
        elif (rich := _rich()) is None:
            yield from _plain_progress(sys.stderr, doing, done)
        else:
            yield from rich.progress(sys.stderr, doing, done)


def printable(text: str) -> str:
    """The text without what would command a terminal: labels and cookies are written by visitors."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _rich() -> Any:
    try:
        from sessions_wsgi.cli import _rich
    except ImportError:
        return None
    return _rich


def _print_table(table: Table) -> None:
    rows = [[printable(cell) for cell in row] for row in table.rows]
    rich = _rich() if sys.stdout.isatty() else None
    if rich is not None:
        rich.print_table(sys.stdout, table.heading, rows)
        return
    lines = [list(table.heading), *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _plain_progress(stream: TextIO, doing: str, done: str) -> Iterator[Advance]:
    def advance(count: int) -> None:
        stream.write(f"\r{doing}: {count} {done}")
        stream.flush()

    advance(0)
    try:
        yield advance
    finally:
        stream.write("\n")


_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def span(seconds: float) -> str:
    """A time for people: ``2 d 3 h``."""
    if seconds < 0:
        return f"-{span(-seconds)}"
    left, parts = int(seconds), []
    for size, unit in _UNITS:
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2]) or f"{left} s"
