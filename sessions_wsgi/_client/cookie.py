"""A Set-Cookie header becomes a cookie, or is refused, as browsers do it (RFC 6265bis 5.6 and 5.7)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from sessions_wsgi._client.dates import parse_date
from sessions_wsgi._client.sites import (
    Place,
    Visit,
    default_path,
    domain_matches,
    is_public_suffix,
)
from sessions_wsgi.cookies import MAX_AGE_LIMIT, MAX_COOKIE_BYTES

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_MAX_ATTRIBUTE = 1024
_SAMESITE = {"strict": "Strict", "lax": "Lax", "none": "None"}
_PREFIXES = ("__host-http-", "__http-", "__host-", "__secure-")


class Refused(Exception):  # noqa: N818 - no error: browsers do this every day
    """The browser ignores the cookie; the text says why."""


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie in a jar."""

    name: str
    value: str = field(repr=False)
    domain: str
    #: Sent to this very host only, as no Domain was given.
    host_only: bool
    path: str
    #: Seconds since the epoch; None: until the browser closes.
    expires: float | None
    secure: bool
    httponly: bool
    #: "Strict", "Lax", "None", or empty where none was given, which counts as "Lax".
    samesite: str
    #: The site in whose address bar it counts (CHIPS); empty: everywhere.
    partition: str

    @property
    def place(self) -> tuple[str, str, bool, str, str]:
        """What makes it another cookie: a jar has one of each."""
        return self.name, self.domain, self.host_only, self.path, self.partition

    @property
    def text(self) -> str:
        """As it stands in a Cookie header."""
        return f"{self.name}={self.value}" if self.name else self.value


class SetCookie(NamedTuple):
    """A Set-Cookie header, taken apart."""

    name: str
    value: str
    #: By lower-case name; of several, the last counts.
    attributes: dict[str, str]


def parse(header: str) -> SetCookie:
    """Take a Set-Cookie header apart.

    :raises Refused: control characters, nothing at all, or over 4096 bytes of name and value.
    """
    if _CONTROL.search(header):
        raise Refused("it holds control characters")
    pair, *parts = header.split(";")
    name, equals, value = pair.partition("=")
    name, value = (name.strip(" \t"), value.strip(" \t")) if equals else ("", pair.strip(" \t"))
    if not name and not value:
        raise Refused("it has neither name nor value")
    if len(name) + len(value) > MAX_COOKIE_BYTES:
        raise Refused(f"name and value have over {MAX_COOKIE_BYTES} bytes")
    split = (part.partition("=") for part in parts)
    attributes = {
        each.strip(" \t").lower(): text.strip(" \t") for each, _, text in split if len(text) <= _MAX_ATTRIBUTE
    }
    return SetCookie(name, value, attributes)


def made(found: SetCookie, source: Place, visit: Visit, now: float, *, script: bool) -> Cookie:
    """The cookie that a response from `source`, or a script there, sets.

    :raises Refused: a browser would ignore it.
    """
    attributes = found.attributes
    domain, host_only = _domain(attributes.get("domain", ""), source.host)
    path = attributes.get("path", "")
    cookie = Cookie(
        found.name,
        found.value,
        domain,
        host_only,
        path if path.startswith("/") else default_path(source.path),
        _expires(attributes, now),
        secure="secure" in attributes,
        httponly="httponly" in attributes,
        samesite=_SAMESITE.get(attributes.get("samesite", "").lower(), ""),
        partition=visit.partition(source) if "partitioned" in attributes else "",
    )
    _check(cookie, source, script=script)
    _check_prefix(cookie, explicit_path=path)
    if cookie.samesite != "None" and visit.embedded and not visit.is_same_site(source):
        raise Refused("it comes from another site and is not SameSite=None")
    return cookie


def _domain(attribute: str, host: str) -> tuple[str, bool]:
    domain = attribute.removeprefix(".").lower()
    if domain == host and is_public_suffix(domain):
        domain = ""
    if not domain:
        return host, True
    if is_public_suffix(domain):
        raise Refused(f"Domain={domain} is a public suffix")
    if not domain_matches(host, domain):
        raise Refused(f"Domain={domain} is not that of the host {host}")
    return domain, False


def _expires(attributes: dict[str, str], now: float) -> float | None:
    """Max-Age before Expires, no more than 400 days."""
    age = attributes.get("max-age", "")
    if re.fullmatch(r"-?[0-9]+", age):
        seconds = int(age)
        return now + min(seconds, MAX_AGE_LIMIT) if seconds > 0 else float("-inf")
    date = parse_date(attributes.get("expires", ""))
    return None if date is None else min(date, now + MAX_AGE_LIMIT)


def _check(cookie: Cookie, source: Place, *, script: bool) -> None:
    if cookie.secure and not source.is_secure:
        raise Refused("it is Secure, and did not come over https")
    if script and cookie.httponly:
        raise Refused("it is HttpOnly, and a script set it")
    if cookie.samesite == "None" and not cookie.secure:
        raise Refused("it is SameSite=None without Secure")
    if cookie.partition and not cookie.secure:
        raise Refused("it is Partitioned without Secure")


def _check_prefix(cookie: Cookie, *, explicit_path: str) -> None:
    # A nameless cookie is sent as its value alone: servers would take "__Host-x=1" for the real one.
    if not cookie.name and cookie.value.lower().startswith(_PREFIXES):
        raise Refused("it has no name, and its value begins with a prefix")
    prefix = next((each for each in _PREFIXES if cookie.name.lower().startswith(each)), "")
    if not prefix:
        return
    if not cookie.secure:
        raise Refused("its prefix needs Secure")
    if "http-" in prefix and not cookie.httponly:
        raise Refused("its prefix needs HttpOnly")
    if "host-" in prefix and not (cookie.host_only and explicit_path == cookie.path == "/"):
        raise Refused("its prefix needs Path=/ and no Domain")
