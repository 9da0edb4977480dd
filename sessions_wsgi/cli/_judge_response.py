"""What may go wrong with a response that sets cookies: with its caching most of all."""

from __future__ import annotations

from collections.abc import Iterator

from sessions_wsgi.cli._header import SetCookie
from sessions_wsgi.cli._judge import Finding


def judge_response(cache_control: str, vary: str, cookies: list[SetCookie]) -> list[Finding]:
    """Objections to the response around them; both headers joined by commas."""
    found = [*_caching(cache_control)]
    fields = {field.strip().lower() for field in vary.split(",")}
    if not fields & {"cookie", "*"}:
        found.append(
            Finding("warning", "vary", "no Vary: Cookie: a cache may give one visitor's page to another")
        )
    names = [
        (cookie.name, cookie.attributes.get("domain"), cookie.attributes.get("path")) for cookie in cookies
    ]
    twice = sorted({name for name in names if names.count(name) > 1}, key=str)
    says = "is set twice: browsers may keep either"
    return found + [Finding("warning", "twice", f"{name[0]} {says}") for name in twice]


def _caching(cache_control: str) -> Iterator[Finding]:
    parts = {part.partition("=")[0].strip().lower() for part in cache_control.split(",")}
    if "no-store" in parts:
        return
    if parts & {"public", "s-maxage"}:
        yield Finding("error", "cacheable", "caches may keep the cookie for others; Cache-Control: no-store")
    elif parts & {"private", "no-cache"}:
        yield Finding("note", "cacheable", "the browser may keep this page on disk; Cache-Control: no-store")
    else:
        yield Finding(
            "warning", "cacheable", "a cache may keep the cookie for others; Cache-Control: no-store"
        )
