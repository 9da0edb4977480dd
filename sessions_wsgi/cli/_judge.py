"""What browsers refuse in a Set-Cookie, and what OWASP objects to.

Sources: RFC 6265bis (draft 22) 4.1.3, 5.6, 5.7; CHIPS; OWASP Session Management Cheat Sheet, "Cookies" and
"Web Content Caching"; OWASP ASVS 5 chapters 3.3 and 14.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Literal, NamedTuple

from sessions_wsgi.cli._header import SetCookie
from sessions_wsgi.cli._ours import shape_of
from sessions_wsgi.cookies import _PREFIXES, MAX_AGE_LIMIT, MAX_COOKIE_BYTES

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NUMBER = re.compile(r"-?[0-9]{1,18}")
_MAX_ATTRIBUTE_BYTES = 1024
# Read by scripts on purpose: they send it back in a header.
_FOR_SCRIPTS = re.compile(r"(csrf|xsrf)", re.IGNORECASE)
_OTHER_HOST = 'named __Host-…, no other host could plant it; here: CookieOptions(prefix="__Host-")'

Level = Literal["error", "warning", "note"]


class Finding(NamedTuple):
    """An objection. An error: browsers drop the cookie, or it is open to others; a note costs nothing."""

    level: Level
    rule: str
    says: str


class Site(NamedTuple):
    """Where a cookie came from. `now` in seconds since the epoch."""

    scheme: str
    host: str
    now: float

    @property
    def trusted(self) -> bool:
        """Whether browsers take it for secure: https, or this machine."""
        return self.scheme == "https" or is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def judge(cookie: SetCookie, site: Site) -> list[Finding]:
    """All objections to a cookie."""
    found = [*_text(cookie), *_transport(cookie, site), *_prefix(cookie), *_domain(cookie, site)]
    if not cookie.deletes:
        found += [*_reach(cookie), *_age(cookie, site), *_contents(cookie)]
    return found


def _text(cookie: SetCookie) -> Iterator[Finding]:
    size = len(cookie.name.encode()) + len(cookie.value.encode()) + 1
    if not cookie.name:
        yield Finding("error", "name", "has no name: several of these overwrite each other; give it one")
    elif not _TOKEN.fullmatch(cookie.name):
        yield Finding(
            "warning", "name", "its name is no RFC 9110 token; servers read such a name differently"
        )
    if size > MAX_COOKIE_BYTES:
        yield Finding(
            "error", "size", f"{size} bytes of name and value: browsers drop it over {MAX_COOKIE_BYTES}"
        )
    for name, value in cookie.attributes.items():
        if len(value.encode()) > _MAX_ATTRIBUTE_BYTES:
            yield Finding("error", "size", f"browsers ignore its {name}: over {_MAX_ATTRIBUTE_BYTES} bytes")


def _transport(cookie: SetCookie, site: Site) -> Iterator[Finding]:
    secure = "secure" in cookie.attributes
    if not secure and not cookie.deletes:
        yield Finding("warning", "secure", "no Secure: it is sent over plain http too, for all to read")
    if secure and not site.trusted:
        yield Finding("error", "secure", "Secure over plain http: browsers drop it; answer over https")
    if not secure and cookie.attributes.get("samesite", "").lower() == "none":
        yield Finding("error", "samesite", "SameSite=None without Secure: browsers drop it; add Secure")
    if not secure and "partitioned" in cookie.attributes:
        yield Finding("error", "partitioned", "Partitioned without Secure: browsers drop it; add Secure")


def _prefix(cookie: SetCookie) -> Iterator[Finding]:
    lowered = cookie.name.lower()  # browsers do not regard case
    prefix = next((each for each in _PREFIXES if lowered.startswith(each.lower())), None)
    if prefix is None:
        if not cookie.deletes and "domain" not in cookie.attributes:
            yield Finding("note", "prefix", _OTHER_HOST)
        return
    if not cookie.name.startswith(prefix):
        yield Finding(
            "warning", "prefix", f"{prefix} is written in another case, as only some browsers know it"
        )
    needed = {"Secure": "secure" in cookie.attributes}
    if "Host-" in prefix:
        needed["Path=/"] = cookie.attributes.get("path") == "/"
        needed["no Domain"] = "domain" not in cookie.attributes
    if "Http-" in prefix:
        needed["HttpOnly"] = "httponly" in cookie.attributes
    if missing := [need for need, is_met in needed.items() if not is_met]:
        yield Finding("error", "prefix", f"{prefix} needs {', '.join(missing)}: browsers drop it")


def _domain(cookie: SetCookie, site: Site) -> Iterator[Finding]:
    domain = cookie.attributes.get("domain", "").lower().removeprefix(".")
    if not domain:
        return
    if site.host != domain and (not site.host.endswith(f".{domain}") or is_loopback(site.host)):
        yield Finding("error", "domain", "Domain is not that of this host: browsers drop it; leave it out")
    elif "." not in domain and domain != "localhost":
        yield Finding("error", "domain", "Domain is a whole top-level domain: browsers drop it; leave it out")
    elif not cookie.deletes:
        rule = "Domain sends it to all hosts under it, and any of them can replace it; leave it out"
        yield Finding("warning", "domain", rule)


def _reach(cookie: SetCookie) -> Iterator[Finding]:
    if "httponly" not in cookie.attributes:
        level: Level = "note" if _FOR_SCRIPTS.search(cookie.name) else "warning"
        yield Finding(level, "httponly", "no HttpOnly: any script on the page can read it")
    samesite = cookie.attributes.get("samesite", "").lower()
    if samesite == "none":
        yield Finding(
            "note", "samesite", "SameSite=None: other sites send it too; guard against forged requests"
        )
    elif "samesite" not in cookie.attributes:
        yield Finding(
            "warning", "samesite", "no SameSite: browsers differ in what they assume; add SameSite=Lax"
        )
    elif samesite not in ("lax", "strict"):
        yield Finding("warning", "samesite", "SameSite is none of Lax, Strict, None: browsers ignore it")


def _age(cookie: SetCookie, site: Site) -> Iterator[Finding]:
    seconds, text = None, cookie.attributes.get("max-age")
    if text is not None and not _NUMBER.fullmatch(text):
        yield Finding("warning", "max-age", "Max-Age is no whole number: browsers ignore it")
    elif text is not None:
        seconds = float(text)
    elif expires := cookie.attributes.get("expires"):
        seconds = _until(expires, site.now)
        if seconds is None:
            yield Finding("warning", "max-age", "Expires is no date of HTTP: browsers may ignore it")
    if seconds is not None and seconds > MAX_AGE_LIMIT + 60:
        yield Finding(
            "warning", "max-age", "kept for over 400 days: browsers cut it; a stolen one lasts as long"
        )


def _until(expires: str, now: float) -> float | None:
    try:
        moment = parsedate_to_datetime(expires.replace("-", " "))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now


def _contents(cookie: SetCookie) -> Iterator[Finding]:
    shape = shape_of(cookie.value)
    if shape is not None and shape.format == "signed":
        yield Finding(
            "note", "readable", "signed: visitors can read what it holds; CookieStore(keys, encrypt=True)"
        )
