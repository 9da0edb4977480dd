"""The walks over a value before it is encoded: a fast one says yes, a slow one names the place that says no.

A value is a tree: what stands in two places is encoded twice. So both its depth and its size are bounded,
or a few dozen lists that hold each other twice would fill the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from reprlib import repr as short_repr
from types import NoneType
from typing import Any

from sessions_wsgi.errors import SerializeError

#: How many containers may stand inside each other.
DEPTH = 64
#: How many containers a value may hold.
MOST = 100_000

UNKNOWN = "values of this type are not kept exactly; convert it, or register it: CBORSerializer(types={...})"
SURROGATE = "text with a lone surrogate has no UTF-8 encoding"
TOO_MANY = f"more than {MOST} containers; one that stands in several places counts each time"
TOO_DEEP = f"containers nest at most {DEPTH} deep"
_ENDLESS = "it holds itself"

#: The parts of a container, each with its step of the path; None for what has no parts.
Parts = Iterable[tuple[str, Any]] | None


class Refused(Exception):  # noqa: N818
    """Why a value cannot be kept. Private: it leaves the package as a `SerializeError` with the place."""


def is_plain(value: Any, scalars: frozenset[type], keys: frozenset[type], depth: int = DEPTH) -> bool:
    """Whether `value` is only dict, list and `scalars`, exactly, within bounds; False is no verdict yet."""
    if type(value) in scalars:
        return True
    boxes = [value]
    for box in boxes:
        if len(boxes) > depth:  # so few are never too many, nor too deep
            return _is_plain_by_level(value, scalars, keys, depth)
        if type(box) is dict:
            for key, item in box.items():
                if type(key) is not str and type(key) not in keys:  # as nearly all are
                    return False
                if type(item) not in scalars:
                    boxes.append(item)
        elif type(box) is list:
            for item in box:
                if type(item) not in scalars:
                    boxes.append(item)  # noqa: PERF401
        else:
            return False
    return True


def _is_plain_by_level(value: Any, scalars: frozenset[type], keys: frozenset[type], depth: int) -> bool:
    level: list[Any] = [value]
    count = 0
    for _ in range(depth):
        below: list[Any] = []
        for box in level:
            if type(box) is dict:
                for key in box:
                    if type(key) not in keys:
                        return False
                box = box.values()  # noqa: PLW2901
            for item in box:
                if type(item) not in scalars:
                    if type(item) is not dict and type(item) is not list:
                        return False
                    below.append(item)
        if not below:
            return True
        count += len(below)
        if count > MOST:
            return False
        level = below
    return False


def refusal(
    value: Any, rule: Callable[[Any], str | None], parts: Callable[[Any], Parts]
) -> SerializeError | None:
    """The first place in `value` that breaks a rule, as ``value['cart'][3].owner``; None when all is well."""
    boxes = 0
    for path, item, inside, above in _places(value, parts, "value", set()):
        misplaced = None if inside is None else _nesting(item, above)
        if broken := misplaced or rule(item):
            return SerializeError(path, type(item).__name__, broken)
        boxes += inside is not None
        if boxes > MOST:
            return SerializeError("value", type(value).__name__, TOO_MANY)
    return None


def parts_of(value: Any) -> Parts:
    """The parts of a built-in container."""
    kind = type(value)
    if kind is dict:
        return _dict_parts(value)
    if kind is list or kind is tuple:
        return ((f"[{index}]", item) for index, item in enumerate(value))
    if kind is set or kind is frozenset:
        return (("<item>", item) for item in value)
    return None


def text_rule(text: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return SURROGATE
    return None


def _places(
    value: Any, parts: Callable[[Any], Parts], path: str, above: set[int]
) -> Iterator[tuple[str, Any, Parts, set[int]]]:
    """Every place, depth first, with its parts and the identities of the containers that it stands in."""
    inside = parts(value)
    yield path, value, inside, above
    if inside is None:
        return
    above.add(id(value))
    for step, part in inside:
        yield from _places(part, parts, path + step, above)
    above.remove(id(value))


def _nesting(value: Any, above: set[int]) -> str | None:
    if id(value) in above:
        return _ENDLESS
    return TOO_DEEP if len(above) >= DEPTH else None


def _dict_parts(value: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        name = key_name(key)
        yield f"<key {name}>", key
        yield f"[{name}]", item


def key_name(key: Any) -> str:
    """What a path shows of a key: never the repr of a foreign object, which may hold anything."""
    short = type(key) in (str, bool, NoneType) or (type(key) is int and key.bit_length() <= 64)
    return short_repr(key) if short else type(key).__name__
