"""HTML from templates: whatever is filled in is escaped, unless it is HTML already; and numbers in words."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from html import escape
from string import Template


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def fill(template: str, **parts: object) -> Markup:
    """The template with each ``$name`` replaced by its part, escaped."""
    return Markup(Template(template).substitute({name: escaped(part) for name, part in parts.items()}))


def escaped(part: object) -> Markup:
    """HTML that shows the part as it is; HTML stays HTML."""
    return part if isinstance(part, Markup) else Markup(escape(str(part)))


def joined(parts: Iterable[Markup]) -> Markup:
    """The parts, one after the other."""
    return Markup("".join(parts))


def counted(number: int, noun: str) -> str:
    """So many of them."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def span(seconds: float) -> str:
    """A number of seconds as people read it."""
    return str(timedelta(seconds=seconds)).removesuffix(", 0:00:00")
