"""CBOR (RFC 8949) in which every value has one encoding and comes back as what it was.

Text, bytes, int, float, bool, None, list and dict are plain CBOR, maps in the order of their dict. The rest
are tags. Of the standard ones, those that lose nothing:

=====  ===========================  ===================================================================
tag    of                           payload
=====  ===========================  ===================================================================
0      datetime, aware              RFC 3339 text
2, 3   int beyond 64 bits           its bytes
27     a registered type            ``[name, payload]``: fields by name, an Enum's name, a Flag's value
37     UUID                         16 bytes
258    set                          array, sorted by the encoding of the items
1004   date                         RFC 3339 text
=====  ===========================  ===================================================================

and our own, from the range of IANA's registry that is first come, first served; nothing was assigned there
from 38000 to 39999 in July 2026:

=====  ===========================  ===================================================================
38600  tuple                        array
38601  frozenset                    array, sorted as a set
38602  datetime that 0 cannot hold  ISO 8601 text when naive; ``[text, offset]`` when not whole minutes off
38603  time                         ISO 8601 text, or ``[text, offset]``; offsets from UTC in microseconds
38604  timedelta                    whole microseconds
38605  Decimal                      its text: the sign of zero, NaN and the exponent survive
38606  dict with other keys         array: key, value, key, value; other: not all text, bytes, numbers, None
38607  fold=1                       the datetime or time that it belongs to
=====  ===========================  ===================================================================

These numbers are for ever: cookies outlive releases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import NoneType
from typing import Any, Final, NoReturn

import cbor2
from cbor2 import CBORTag

from sessions_wsgi._cbor_leaves import LEAF_READERS, LEAVES, Reader, not_ours, reader
from sessions_wsgi._custom import Named
from sessions_wsgi._walk import DEPTH, MOST, TOO_DEEP, TOO_MANY, UNKNOWN, Refused

NAMED, SET = 27, 258
TUPLE, FROZENSET, PAIRS = 38600, 38601, 38606

SCALARS: Final[frozenset[type]] = frozenset({str, bytes, int, float, bool, NoneType})

#: How deep cbor2 may read: a container is at most a tag, an array and a map; at the bottom a fold, its
#: datetime and that one's array; at the top what `CBORSerializer.loads` puts around the data.
FRAMES = 3 * DEPTH + 4


class Writer:
    """Rewrites one value as what cbor2 writes in one way only: plain CBOR and tags."""

    __slots__ = ("_by_class", "_depth", "_left")

    def __init__(self, by_class: Mapping[type, Named]) -> None:
        self._by_class, self._depth, self._left = by_class, 0, MOST

    def write(self, value: Any) -> Any:
        """The node of a value, by its exact type; `Refused` without the place."""
        kind = type(value)
        if kind in SCALARS:
            return value
        if kind in LEAVES:
            return LEAVES[kind](value)
        self._depth += 1
        self._left -= 1
        if self._depth > DEPTH or self._left < 0:
            raise Refused(TOO_MANY if self._left < 0 else TOO_DEEP)
        if kind in _BOXES:
            node = _BOXES[kind](value, self.write)
        elif kind in self._by_class:
            node = self._write_named(self._by_class[kind], value)
        else:
            raise Refused(UNKNOWN)
        self._depth -= 1
        return node

    def _write_named(self, named: Named, value: Any) -> CBORTag:
        payload = named.take_apart(value)
        if named.record:
            return CBORTag(NAMED, [named.name, {field: self.write(part) for field, part in payload.items()}])
        return CBORTag(NAMED, [named.name, self.write(payload)])


class Readers(dict[int, Reader]):
    """By tag. One that is not ours is refused here, before cbor2 finds a decoder of its own for it."""

    def __init__(self, by_name: Mapping[str, Named]) -> None:
        super().__init__(_READERS)
        self[NAMED] = reader(lambda payload: _read_named(payload, by_name), list)

    def __missing__(self, tag: int) -> NoReturn:
        raise ValueError(f"tag {tag} is not ours")


def require_kept(value: Any) -> None:
    """Refuse what cbor2 reads unasked and nothing of ours is, anywhere in `value`."""
    boxes = [value] if type(value) in _OPEN else []
    for box in boxes:
        if type(box) is dict:
            for key in box:
                if type(key) in _OPEN:
                    boxes.append(key)  # noqa: PERF401
            box = box.values()  # noqa: PLW2901
        elif type(box) in _FOREIGN:
            not_ours()
        for item in box:
            if type(item) in _OPEN:
                boxes.append(item)  # noqa: PERF401


# A container and the writer of its parts, to a node; beside it the opposite, from the parts.

_Write = Callable[[Any], Any]


def _write_list(value: list[Any], write: _Write) -> list[Any]:
    # Not `map`: most items are scalars, and a call for each would double the time.
    return [item if type(item) in SCALARS else write(item) for item in value]


def _write_tuple(value: tuple[Any, ...], write: _Write) -> CBORTag:
    return CBORTag(TUPLE, [item if type(item) in SCALARS else write(item) for item in value])


def _write_set(value: set[Any], write: _Write) -> CBORTag:
    return CBORTag(SET, sorted(map(write, value), key=cbor2.dumps))


def _read_set(parts: list[Any]) -> set[Any]:
    value = set(parts)
    _require_all(len(value), len(parts))
    return value


def _write_frozenset(value: frozenset[Any], write: _Write) -> CBORTag:
    return CBORTag(FROZENSET, sorted(map(write, value), key=cbor2.dumps))


def _read_frozenset(parts: list[Any]) -> frozenset[Any]:
    return frozenset(_read_set(parts))


def _write_dict(value: dict[Any, Any], write: _Write) -> dict[Any, Any] | CBORTag:
    for key in value:
        if type(key) not in SCALARS:
            # In the key of a map cbor2 reads lists as tuples, and so on down.
            return CBORTag(PAIRS, [write(part) for pair in value.items() for part in pair])
    return {key: item if type(item) in SCALARS else write(item) for key, item in value.items()}


def _read_pairs(parts: list[Any]) -> dict[Any, Any]:
    value = dict(zip(parts[::2], parts[1::2], strict=True))
    _require_all(len(value), len(parts) // 2)
    return value


def _require_all(kept: int, came: int) -> None:
    if kept != came:
        raise ValueError("an item or key comes twice")


def _read_named(payload: list[Any], by_name: Mapping[str, Named]) -> Any:
    name, content = payload
    require_kept(content)
    return by_name[name].rebuild(content)


_BOXES: Final[Mapping[type, Callable[[Any, _Write], Any]]] = {
    list: _write_list,
    dict: _write_dict,
    tuple: _write_tuple,
    set: _write_set,
    frozenset: _write_frozenset,
}
_READERS: Final[Mapping[int, Reader]] = {
    **LEAF_READERS,
    TUPLE: reader(tuple, list),
    SET: reader(_read_set, list),
    FROZENSET: reader(_read_frozenset, list),
    PAIRS: reader(_read_pairs, list),
}

#: All built-in types, exactly.
KEPT: Final[frozenset[type]] = SCALARS.union(_BOXES, LEAVES)


def _foreign_types() -> Iterator[type]:
    """Of undefined, simple values, a map in the key of a map, and a break, which cbor2 6.1 lets by."""
    for item in (b"\xf7", b"\xe0", b"\xa0", b"\xff"):
        with suppress(cbor2.CBORDecodeError):
            yield type(cbor2.loads(item, immutable=True))


_FOREIGN = frozenset(_foreign_types())
_OPEN = _FOREIGN.union(_BOXES)
