"""Response headers that a session has a say in: Set-Cookie, Vary, Cache-Control.

No list is changed in place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Headers = list[tuple[str, str]]

_OURS = frozenset({"vary", "set-cookie"})
#: What nearly every response has, known to be none of ours without a closer look.
_COMMON = frozenset({"Content-Type", "Content-Length", "content-type", "content-length", "Location", "Date"})

_DIRECTIVE = re.compile(r'([^\s,="]+)(?:\s*=\s*(?:"[^"]*"|[^\s,"]*))?')


def are_plain(headers: Headers) -> bool:
    """Whether nothing in them is ours to look at: what is added stands beside it."""
    for name, _ in headers:
        if name in _COMMON:
            continue
        lowered = name.lower()
        if lowered in _OURS or lowered.endswith("control"):
            return False
    return True


def with_all(
    headers: Headers, cookies: Mapping[str, str], cache_control: str | None
) -> tuple[Headers, list[str], bool]:
    """The headers with these cookies, Vary and Cache-Control; the Set-Cookie values that had to go; whether
    the application had allowed shared caches.
    """
    headers, replaced = with_cookies(with_vary(headers), cookies)
    headers, allowed = with_private_cache(headers, cache_control)
    return headers, replaced, allowed


def with_cookies(headers: Headers, cookies: Mapping[str, str]) -> tuple[Headers, list[str]]:
    """The headers with these cookies, each name once, and the Set-Cookie values that had to go.

    :param cookies: full name → value of its Set-Cookie.
    """
    kept, replaced = [], []
    for header in headers:
        name = _cookie_name(header)
        if name not in cookies:
            kept.append(header)
        elif header[1] != cookies[name]:
            replaced.append(header[1])
    return [*kept, *(("Set-Cookie", value) for value in cookies.values())], replaced


def with_vary(headers: Headers) -> Headers:
    """The headers with ``Vary: Cookie``: appended to what is there, ``*`` stays (RFC 9110 12.5.5)."""
    at = -1
    for i, (name, _) in enumerate(headers):
        if len(name) == 4 and name.lower() == "vary":
            at = i
            break
    if at < 0:
        return [*headers, ("Vary", "Cookie")]
    fields = {
        part.strip().lower() for name, value in headers if name.lower() == "vary" for part in value.split(",")
    }
    if fields & {"*", "cookie"}:
        return headers
    name, value = headers[at]
    return [*headers[:at], (name, f"{value}, Cookie" if value.strip() else "Cookie"), *headers[at + 1 :]]


def with_private_cache(headers: Headers, default: str | None) -> tuple[Headers, bool]:
    """The headers such that no shared cache keeps the response, and whether the application had allowed it.

    A stored Set-Cookie hands one visitor's session to another (CVE-2023-30861; OWASP Session Management,
    "Web Content Caching").

    :param default: the Cache-Control of a response that has none; None or empty: leave it alone.
    """
    # RFC 9213 and its forerunner: they overrule Cache-Control.
    headers = [h for h in headers if not h[0].lower().endswith(("cdn-cache-control", "surrogate-control"))]
    values = [value for name, value in headers if name.lower() == "cache-control"]
    if not values:
        return ([*headers, ("Cache-Control", default)] if default else headers), False
    directives = {match[1].lower(): match[0] for match in _DIRECTIVE.finditer(",".join(values))}
    allowed = not directives.keys().isdisjoint({"public", "s-maxage"})
    if not allowed and ("no-store" in directives or directives.get("private", "").lower() == "private"):
        return headers, False
    # A bare max-age lets shared caches in, too (RFC 9111 3); private="…" only guards some headers.
    kept = [text for name, text in directives.items() if name not in {"public", "s-maxage", "private"}]
    rest = [header for header in headers if header[0].lower() != "cache-control"]
    return [*rest, ("Cache-Control", ", ".join([*kept, "private"]))], allowed or "max-age" in directives


def may_be_shared(headers: Headers) -> bool:
    """Whether a cache might give the response to other visitors, for all that these headers say."""
    told = {"vary": "", "cache-control": ""}
    for name, value in headers:
        if name.lower() in told:
            told[name.lower()] += f", {value.lower()}"
    fields = {field.strip() for field in told["vary"].split(",")}
    directives = {match[1] for match in _DIRECTIVE.finditer(told["cache-control"])}
    return not fields & {"cookie", "*"} and not directives & {"no-store", "private"}


def _cookie_name(header: tuple[str, str]) -> str:
    if len(header[0]) != 10 or header[0].lower() != "set-cookie":
        return ""
    return header[1].partition("=")[0].strip()
