"""``sessions-wsgi doctor``: the cookies that a page sets, judged."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from sessions_wsgi.cli._fetch import Answer, FetchError, fetch
from sessions_wsgi.cli._header import SetCookie, set_cookie
from sessions_wsgi.cli._judge import Finding, Site, is_loopback, judge
from sessions_wsgi.cli._judge_response import judge_response
from sessions_wsgi.cli._output import Output, Table
from sessions_wsgi.cli._sources import url_of

_BY_LEVEL = ("error", "warning", "note")


class Row(NamedTuple):
    """A finding, where it was found."""

    url: str
    #: None: it is about the response.
    cookie: str | None
    finding: Finding

    def as_dict(self) -> dict[str, Any]:
        return {"url": self.url, "cookie": self.cookie, **self.finding._asdict()}


def run(args: Namespace, output: Output, clock: Callable[[], float]) -> int:
    """Fetch a page and judge its cookies; 1 when there is an error or a warning, or no cookie."""
    url = url_of(args.url, output)
    try:
        answers = fetch(url, args.timeout)
    except FetchError as error:
        output.failed(str(error))
        return 1
    responses = [(answer, _cookies(answer, args.name)) for answer in answers]
    names = [cookie.name for _, cookies in responses for cookie in cookies]
    if not names:
        output.failed("the page sets no such cookie; name one that does, after sign-in say", findings=[])
        return 1
    rows = [row for answer, cookies in responses if cookies for row in _rows(answer, cookies, clock())]
    rows.sort(key=lambda row: _BY_LEVEL.index(row.finding.level))
    _show(output, names, rows)
    return 1 if any(row.finding.level != "note" for row in rows) else 0


def _cookies(answer: Answer, name: str | None) -> list[SetCookie]:
    cookies = map(set_cookie, answer.all("set-cookie"))
    return [cookie for cookie in cookies if name in (None, cookie.name)]


def _rows(answer: Answer, cookies: list[SetCookie], now: float) -> Iterator[Row]:
    site = Site(answer.scheme, answer.host, now)
    for cookie in cookies:
        yield from (Row(answer.url, cookie.name, finding) for finding in judge(cookie, site))
    cache_control, vary = (", ".join(answer.all(name)) for name in ("cache-control", "vary"))
    around = judge_response(cache_control, vary, cookies)
    yield from (Row(answer.url, None, finding) for finding in around)
    if answer.scheme == "http" and not is_loopback(answer.host):
        plain = Finding("error", "http", "cookies over plain http: all on the way can read them; use https")
        yield Row(answer.url, None, plain)


def _show(output: Output, names: list[str], rows: list[Row]) -> None:
    counts = {level: sum(row.finding.level == level for row in rows) for level in _BY_LEVEL}
    data = {"cookies": names, "findings": [row.as_dict() for row in rows], "counts": counts}
    cells = [(row.finding.level, row.cookie or "(the response)", row.finding.says) for row in rows]
    said = ", ".join(f"{level}s: {count}" for level, count in counts.items())
    table = [Table(("LEVEL", "COOKIE", "FINDING"), cells)] if cells else []
    output.show(data, *table, f"cookies: {len(names)}; {said}")
