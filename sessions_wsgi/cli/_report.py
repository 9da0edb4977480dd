"""What ``inspect`` says of one cookie: a dict for programs, lines for people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sessions_wsgi.cli._contents import Contents, contents
from sessions_wsgi.cli._foreign import foreign
from sessions_wsgi.cli._header import Found
from sessions_wsgi.cli._ours import Opened, Shape, opened, shape_of
from sessions_wsgi.cli._output import Table, span
from sessions_wsgi.cookies import _PREFIXES, MAX_COOKIE_BYTES
from sessions_wsgi.envelope import Lifetime, Span
from sessions_wsgi.errors import SerializeError
from sessions_wsgi.keys import KeyRing
from sessions_wsgi.serializers import JSONSerializer
from sessions_wsgi.stores._records import record_key

#: What to try for a value without a name.
_NAMES = ["session", *(f"{prefix}session" for prefix in _PREFIXES)]
_FAR_MS = 2**47
#: Of what the library keeps beside the values.
_SHOWN = ("principal", "label", "max_age")
_HEX_ID = re.compile("[0-9a-f]{64}")

_json = JSONSerializer()


class Reporter:
    """Judges cookies by what the operator gave. `now` in seconds."""

    def __init__(
        self, keys: KeyRing | None, audience: str, lifetime: Lifetime, now: float, *, show_values: bool
    ) -> None:
        self._keys, self._audience, self._now = keys, audience, now
        self._span, self._show = Span(lifetime), show_values

    def report(self, cookie: Found) -> dict[str, Any]:
        """All there is to say of a cookie."""
        name, text = cookie
        report: dict[str, Any] = {"name": name, "format": "unknown", "verified": None}
        size = len(text.encode()) + (0 if name is None else len(name.encode()) + 1)
        report |= {"size": size, "limit": MAX_COOKIE_BYTES}
        shape = shape_of(text)
        if not text:
            report["format"] = "empty"
        elif shape is not None:
            report |= self._of_ours(name, text, shape)
        elif (theirs := foreign(text)) is not None:
            report |= {"format": "foreign", "library": theirs.library}
            if theirs.made is not None:
                report |= {"created": _iso(theirs.made), "age": round(self._now - theirs.made)}
        return report

    def _of_ours(self, name: str | None, text: str, shape: Shape) -> dict[str, Any]:
        found: dict[str, Any] = {"format": shape.format}
        if shape.key_id is not None:
            found["key_id"] = shape.key_id
        data = shape.data
        verdict: Opened | None = None
        if self._keys is not None:
            names = _NAMES if name is None else [name]
            verdict = opened(text, shape, names, self._keys, self._audience, self._now)
            found["verified"] = verdict.key is not None
            if verdict.key is None:
                found["reason"] = verdict.reason
            else:
                found |= {"key_id": verdict.key.id.hex(), "sealed_for": verdict.name}
                data = verdict.data
        if shape.format == "id" and data is not None:
            found["handle"] = record_key(data)
        elif data is not None and (inside := contents(data)) is not None:
            found |= self._of_contents(inside)
            if self._show and found["verified"]:
                found |= _values(inside)
        return found

    def _of_contents(self, inside: Contents) -> dict[str, Any]:
        created, seen = inside.created_ms / 1000, inside.seen_ms / 1000
        extras = {name: value for name, value in inside.extras.items() if _is_time(name, value)}
        end = self._span.end_ms(inside.created_ms, inside.seen_ms, extras) / 1000
        found = {
            "serializer": inside.serializer,
            "created": _iso(created),
            "age": round(self._now - created),
            "last_seen": _iso(seen),
            "unseen": round(self._now - seen),
            "ends": _iso(end),
            "expired": self._now >= end,
            "signed_in": "principal" in inside.extras,
            "sizes": {item.name: item.size for item in inside.items},
        }
        if isinstance(own := inside.extras.get("id"), str) and _HEX_ID.fullmatch(own):
            found["handle"] = record_key(bytes.fromhex(own))
        return found


def _values(inside: Contents) -> dict[str, Any]:
    """The data. What belongs to the library alone, the CSRF secret among it, is not shown."""
    values = {}
    for item in inside.items:
        try:
            values[item.name] = _plain(item.read())
        except ValueError:
            values[item.name] = "(of a type of the application)"
    shown: dict[str, Any] = {"values": values}
    return shown | {name: inside.extras[name] for name in _SHOWN if name in inside.extras}


def _is_time(name: str, value: object) -> bool:
    """Whether an extra bears on the end of a session; anybody may have written it."""
    if name not in ("max_age", "authenticated_ms") or not isinstance(value, int | float):
        return False
    return 0 < value < _FAR_MS


def _plain(value: Any) -> Any:
    """The value if JSON keeps it, else its repr."""
    try:
        _json.dumps(value)
    except SerializeError:
        return repr(value)
    return value


def _iso(seconds: float) -> str | None:
    if not 0 <= seconds * 1000 < 2 * _FAR_MS:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError):
        return None


# For people

_FORMATS = {
    "signed": "signed: visitors can read it, not change it",
    "encrypted": "encrypted",
    "id": "the id of a session on the server",
    "empty": "empty, as in a deletion",
    "unknown": "not of this library, nor plainly of another",
}
_REASONS = {
    "forged": "altered, or of another key, --name or --audience",
    "unknown_key": "of a key that was not given",
    "malformed": "damaged",
}


def in_words(report: dict[str, Any], *, values: bool) -> Iterator[str | Table]:
    """The same for people."""
    yield f"{report['name'] or 'a value without a name'}"
    rows = [(word, text) for word, text in _lines(report) if text]
    yield from (f"  {word:<10} {text}" for word, text in rows)
    sizes = report.get("sizes")
    if sizes and values and "values" in report:
        contents_of = report["values"]
        yield Table(
            ("KEY", "BYTES", "VALUE"), [(k, str(n), _shown(contents_of[k])) for k, n in sizes.items()]
        )
    elif sizes:
        yield Table(("KEY", "BYTES"), [(key, str(size)) for key, size in sizes.items()])


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _lines(report: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    kind = report["format"]
    yield "format", f"of {report['library']}" if kind == "foreign" else _FORMATS[kind]
    if kind in ("signed", "encrypted", "id"):
        yield "verified", _verdict(report)
        yield "key id", report.get("key_id")
    yield "size", f"{report['size']} of {report['limit']} bytes"
    if report.get("created"):
        yield "created", f"{report['created']}, {span(report['age'])} ago"
    if report.get("last_seen"):
        yield "seen", f"{report['last_seen']}, {span(report['unseen'])} ago"
        yield "ends", f"{report['ends'] or 'never'}{': it is over' if report['expired'] else ''}"
        yield "signed in", "yes" if report["signed_in"] else "no"
    yield "principal", report.get("principal")
    yield "label", report.get("label")
    yield "handle", report.get("handle")


def _verdict(report: dict[str, Any]) -> str:
    if report["verified"] is None:
        return "not verified: no keys were given, so anybody may have made it"
    if report["verified"]:
        return f"yes, as {report['sealed_for']!r}"
    return f"no: {_REASONS.get(report['reason'], report['reason'])}; what follows is not verified"
