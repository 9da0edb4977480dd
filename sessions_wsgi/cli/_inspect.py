"""``sessions-wsgi inspect``: what a cookie is, how old and how large; what it holds only on demand."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable
from typing import Any

from sessions_wsgi.cli._header import Found, cookies_in
from sessions_wsgi.cli._output import Output
from sessions_wsgi.cli._report import Reporter, in_words
from sessions_wsgi.cli._sources import keys_of, settings_of, store_of
from sessions_wsgi.errors import ConfigError

_MAX_INPUT = 2**20


def run(args: Namespace, output: Output, clock: Callable[[], float]) -> int:
    """Tell what each cookie is; 1 when none is ours, or the keys do not open one, or it is over."""
    keys, settings = keys_of(args), settings_of(args)
    if args.show_values and keys is None:
        raise ConfigError(
            "'--show-values' needs the keys: set SESSION_KEYS, or give --keys-file or --keys-env", "keys"
        )
    store = store_of("cookie:", settings)
    reporter = Reporter(
        keys, settings.get("audience", ""), store.lifetime, clock(), show_values=args.show_values
    )
    found = _chosen(cookies_in(_text(args.cookie)), args.name)
    if not found:
        output.failed("there is no such cookie in it")
        return 1
    reports = [reporter.report(cookie) for cookie in found]
    parts = [part for report in reports for part in in_words(report, values=args.show_values)]
    output.show({"cookies": reports}, *parts)
    return 0 if _is_well(reports, checked=keys is not None) else 1


def _chosen(found: list[Found], name: str | None) -> list[Found]:
    """Those with this name; a value alone gets it."""
    if name is None:
        return found
    return [Found(name, cookie.value) for cookie in found if cookie.name in (name, None)]


def _text(argument: str) -> str:
    raw = sys.stdin.buffer.read(_MAX_INPUT) if argument == "-" else os.fsencode(argument)
    return raw.decode("utf-8", "replace")


def _is_well(reports: list[dict[str, Any]], *, checked: bool) -> bool:
    ours = [report for report in reports if report["format"] in ("signed", "encrypted", "id")]
    if not ours:
        return False
    return not checked or all(report["verified"] and not report.get("expired") for report in ours)
