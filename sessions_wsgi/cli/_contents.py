"""What an envelope holds, from its bytes: sizes without decoding a value, which needs no types of the site.

It stands beside `sessions_wsgi.envelope`, which a site uses: there, one value that cannot be read makes all
of it unreadable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from sessions_wsgi._walk import key_name
from sessions_wsgi.serializers import FORMAT, CBORSerializer, JSONSerializer

_MAX_DEPTH = 260
_FAR_MS = 2**47  # the year 6429
_PAIRS_TAG = b"\xd9\x96\xc6"  # 38606: a dict whose keys are not all plain
_FLASHES = "(flashes)"

_cbor, _json = CBORSerializer(), JSONSerializer()


class Item(NamedTuple):
    """One top-level key of a session."""

    #: As `CookieTooLargeError.sizes` shows it.
    name: str
    #: Encoded bytes of key and value, and one for the map around them.
    size: int
    #: The value; ValueError when it is of a type of the application.
    read: Callable[[], Any]


class Contents(NamedTuple):
    """What an envelope holds."""

    serializer: str
    created_ms: int
    seen_ms: int
    items: list[Item]
    #: What can be read of them.
    extras: dict[str, Any]


def contents(data: bytes) -> Contents | None:
    """What the bytes of an envelope hold; None when they are none."""
    try:
        return _of_json(data) if data[:1] == b"[" else _of_cbor(data)
    except (ValueError, TypeError, IndexError, KeyError):
        return None


def _of_json(data: bytes) -> Contents:
    version, created, seen, values, extras = _json.loads(data)
    _require_times(version, created, seen)
    if type(values) is not dict or type(extras) is not dict:
        raise ValueError("not a dict")
    items = [_json_item(key, {key: value}) for key, value in values.items()]
    if extras.get("flashes"):
        items.append(_json_item(_FLASHES, {"flashes": extras["flashes"]}))
    return Contents("json", created, seen, items, dict(extras))


def _json_item(name: str, pair: dict[str, Any]) -> Item:
    return Item(name, len(_json.dumps(pair)), lambda: next(iter(pair.values())))


def _of_cbor(data: bytes) -> Contents:
    if data[:1] != b"\x85":
        raise ValueError("not an array of five")
    parts = list(_slices(data, 1, 5))
    version, created, seen = (_cbor.loads(part) for part in parts[:3])
    _require_times(version, created, seen)
    if sum(map(len, parts)) + 1 != len(data):
        raise ValueError("something follows")
    items = [_cbor_item(key, value) for key, value in _pairs(parts[3])]
    extras: dict[str, Any] = {}
    for key, value in _pairs(parts[4]):
        item = _cbor_item(key, value)
        if item.name == "flashes":
            items.append(item._replace(name=_FLASHES))
        try:
            extras[item.name] = item.read()
        except ValueError:
            continue
    return Contents("cbor", created, seen, items, extras)


def _cbor_item(key: bytes, value: bytes) -> Item:
    return Item(_name(key), len(key) + len(value) + 1, lambda: _cbor.loads(value))


def _name(key: bytes) -> str:
    try:
        value = _cbor.loads(key)
    except ValueError:
        return "[a type of the application]"
    return value if isinstance(value, str) else f"[{key_name(value)}]"


def _require_times(version: object, *times: object) -> None:
    if version != FORMAT or not all(type(time) is int and 0 <= time < _FAR_MS for time in times):
        raise ValueError("not an envelope")


# The items of CBOR (RFC 8949 3), by their lengths alone.


def _pairs(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    count, start = _head(data, 3 if data.startswith(_PAIRS_TAG) else 0)
    kind = data[0] >> 5
    if kind not in (5, 6):
        raise ValueError("not a dict")
    parts = list(_slices(data, start, 2 * count if kind == 5 else count))
    yield from zip(parts[::2], parts[1::2], strict=True)


def _slices(data: bytes, start: int, count: int) -> Iterator[bytes]:
    for _ in range(count):
        end = _end(data, start, 0)
        yield data[start:end]
        start = end


def _head(data: bytes, start: int) -> tuple[int, int]:
    """The number in the head of an item, and where the head ends."""
    short = data[start] & 31
    if short < 24:
        return short, start + 1
    if short > 27:
        raise ValueError("no definite length")
    end = start + 1 + (1 << (short - 24))
    if end > len(data):
        raise ValueError("cut off")
    return int.from_bytes(data[start + 1 : end], "big"), end


def _end(data: bytes, start: int, depth: int) -> int:
    """Where the item that begins here ends."""
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deep")
    kind, (number, end) = data[start] >> 5, _head(data, start)
    if kind in (2, 3):
        end += number
    for _ in range({4: number, 5: 2 * number, 6: 1}.get(kind, 0)):
        end = _end(data, end, depth + 1)
    if end > len(data):
        raise ValueError("cut off")
    return end
