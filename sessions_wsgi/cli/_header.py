"""Cookies in texts that people paste: a value alone, headers, a whole response."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_FIELD = re.compile(r"(set-cookie|cookie)[ \t]*:[ \t]*(.*)", re.IGNORECASE)
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
#: RFC 6265bis 5.6, and what browsers add to it.
ATTRIBUTES = frozenset(
    {"domain", "path", "expires", "max-age", "secure", "httponly", "samesite", "partitioned", "priority"}
)


class SetCookie(NamedTuple):
    """A Set-Cookie header as browsers read it (RFC 6265bis 5.6)."""

    name: str
    value: str
    #: By their names in lower case; of one that comes twice, the last.
    attributes: dict[str, str]

    @property
    def deletes(self) -> bool:
        """Whether it is there to remove the cookie."""
        age = self.attributes.get("max-age", "")
        if re.fullmatch(r"-?[0-9]+", age):
            return age.startswith("-") or not age.strip("0")
        return not self.value and "1970" in self.attributes.get("expires", "")


class Found(NamedTuple):
    """A cookie in a text; `name` is None for a value alone."""

    name: str | None
    value: str


def set_cookie(header: str) -> SetCookie:
    """The parts of a Set-Cookie header."""
    pair, *rest = header.split(";")
    name, equals, value = pair.partition("=")
    if not equals:  # browsers take it for the value of a cookie without a name
        name, value = "", pair
    parts = (part.partition("=") for part in rest)
    attributes = {key.strip(" \t").lower(): text.strip(" \t") for key, _, text in parts}
    return SetCookie(name.strip(" \t"), value.strip(" \t"), attributes)


def cookies_in(text: str) -> list[Found]:
    """The cookies in a text: of all headers that it has, else of the text itself."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    fields = [match for line in lines if (match := _FIELD.fullmatch(line))]
    if fields:
        return [found for match in fields for found in _of_field(match[1].lower(), match[2])]
    return list(_of_value(lines[0])) if lines else []


def _of_field(field: str, value: str) -> Iterator[Found]:
    if field == "set-cookie":
        cookie = set_cookie(value)
        yield Found(cookie.name, _unquoted(cookie.value))
    else:
        yield from _pairs(value)


def _of_value(text: str) -> Iterator[Found]:
    pair, semicolon, rest = text.partition(";")
    name, _, value = pair.partition("=")
    # The "=" at the end of a value alone is padding.
    if not semicolon and (not _NAME.fullmatch(name) or not value.strip("= ")):
        yield Found(None, _unquoted(text))
    elif any(part.partition("=")[0].strip().lower() in ATTRIBUTES for part in rest.split(";")):
        yield from _of_field("set-cookie", text)
    else:
        yield from _pairs(text)


def _pairs(header: str) -> Iterator[Found]:
    for part in header.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            yield Found(name.strip(" \t"), _unquoted(value.strip(" \t")))


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] == '"' else value
