"""Go's gob, as far as sessions need it: one value made of built-in types, slices and maps.

A gob is a row of messages, each with its length before it: definitions of types, then the value. Integers
have a variable length. The concrete type of an interface's value is named where it stands; if it was not
defined before, its definition comes there, too, and ends the message. Every length is held against what is
left, so nothing is ever made that is larger than the input; nesting is bounded.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from sessions_wsgi._walk import DEPTH

_BOOL, _INT, _UINT, _FLOAT, _BYTES, _STRING, _INTERFACE = 1, 2, 3, 4, 5, 6, 8
# Go describes types by structs, which themselves have fixed numbers.
_WIRE, _ARRAY, _COMMON, _SLICE, _STRUCT, _FIELD, _FIELDS, _MAP, _OPAQUE = 16, 17, 18, 19, 20, 21, 22, 23, 24


class GobError(ValueError):
    """No gob, or one of types that are not read. The message holds nothing of the data."""


class Struct(NamedTuple):
    """Of these only those that describe types are read; each field has a name and a type."""

    fields: tuple[tuple[str, int], ...]


class Slice(NamedTuple):
    elem: int


class Map(NamedTuple):
    key: int
    elem: int


Type = Struct | Slice | Map

_DESCRIPTIONS: Final[dict[int, Type]] = {
    _WIRE: Struct(
        (
            ("array", _ARRAY),
            ("slice", _SLICE),
            ("struct", _STRUCT),
            ("map", _MAP),
            ("gob", _OPAQUE),
            ("binary", _OPAQUE),
            ("text", _OPAQUE),
        )
    ),
    _ARRAY: Struct((("common", _COMMON), ("elem", _INT), ("len", _INT))),
    _COMMON: Struct((("name", _STRING), ("id", _INT))),
    _SLICE: Struct((("common", _COMMON), ("elem", _INT))),
    _STRUCT: Struct((("common", _COMMON), ("fields", _FIELDS))),
    _FIELD: Struct((("name", _STRING), ("id", _INT))),
    _FIELDS: Slice(_FIELD),
    _MAP: Struct((("common", _COMMON), ("key", _INT), ("elem", _INT))),
    _OPAQUE: Struct((("common", _COMMON),)),
}


def loads(data: bytes) -> Any:
    """The value in a gob: a slice as list, a map as dict, every integer as int, every float as float.

    :raises GobError: it is none, or holds what is not read: structs, arrays, complex numbers, types with an
        encoding of their own, text that is not UTF-8, keys that Python takes for one (1, 1.0 and true).
    """
    return _Reader(data).whole()


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = self._end = 0  # where we are, and where the message ends
        self._depth = 0
        self._types = dict(_DESCRIPTIONS)
        self._scalars: dict[int, Callable[[], Any]] = {
            _BOOL: self._bool,
            _INT: self._int,
            _UINT: self._uint,
            _FLOAT: self._float,
            _BYTES: self._bytes,
            _STRING: self._string,
            _INTERFACE: self._interface,
        }

    def whole(self) -> Any:
        value = self._single(self._type_of_value())
        if self._at != len(self._data):
            raise GobError("something follows the value")
        return value

    # Types

    def _type_of_value(self, *, inside: bool = False) -> int:
        """The type of the value that comes next; the definitions before it are read.

        :param inside: of an interface, where a length may follow a definition.
        """
        while True:
            if self._at == self._end:
                self._begin_message()
            number = self._int()
            if number >= 0:
                return number
            self._define(-number)
            if self._at < self._end:
                if not inside:
                    raise GobError("something follows a definition")
                self._uint()

    def _begin_message(self) -> None:
        self._end = len(self._data)
        self._end = self._length() + self._at

    def _define(self, number: int) -> None:
        described = self._value(_WIRE)
        if number in self._types or number in self._scalars or len(described) != 1:
            raise GobError("a type is defined twice, or not at all")
        ((kind, parts),) = described.items()
        if kind == "slice":
            self._types[number] = Slice(parts.get("elem", 0))
        elif kind == "map":
            self._types[number] = Map(parts.get("key", 0), parts.get("elem", 0))
        else:
            raise GobError("it holds a struct, an array, or a type with an encoding of its own")

    # Values

    def _single(self, number: int) -> Any:
        """A value that is no struct has a zero before it, where it does not stand inside another."""
        if self._uint() != 0:
            raise GobError("it holds a struct")
        return self._value(number)

    def _value(self, number: int) -> Any:
        if number in self._scalars and number != _INTERFACE:
            return self._scalars[number]()
        self._depth += 1
        if self._depth > 2 * DEPTH:  # an interface is a level of its own
            raise GobError("it nests too deep")
        kind = self._types.get(number)
        if isinstance(kind, Map):
            value: Any = self._map(kind)
        elif isinstance(kind, Slice):
            value = [self._value(kind.elem) for _ in range(self._length())]
        elif isinstance(kind, Struct):
            value = self._struct(kind)
        elif number == _INTERFACE:
            value = self._interface()
        else:
            raise GobError("a type is not defined, or not read")
        self._depth -= 1
        return value

    def _interface(self) -> Any:
        if not self._string():  # the name of its type; none: nil
            return None
        number = self._type_of_value(inside=True)
        self._uint()  # its length, for those who want to skip it
        return self._single(number)

    def _map(self, kind: Map) -> dict[Any, Any]:
        count = self._length()
        pairs = [(self._value(kind.key), self._value(kind.elem)) for _ in range(count)]
        try:
            value = dict(pairs)
        except TypeError:
            raise GobError("a key is no scalar") from None
        if len(value) != count:
            raise GobError("two keys are one in Python")
        return value

    def _struct(self, kind: Struct) -> dict[str, Any]:
        """Fields come by the distance from the one before; zero ends them."""
        value, field = {}, -1
        while delta := self._uint():
            field += delta
            if field >= len(kind.fields):
                raise GobError("a field does not exist")
            name, number = kind.fields[field]
            value[name] = self._value(number)
        return value

    # Scalars

    def _take(self, count: int) -> bytes:
        begin, self._at = self._at, self._at + count
        if self._at > self._end:
            raise GobError("it ends too early")
        return self._data[begin : self._at]

    def _length(self) -> int:
        """A number of things that follow in this message, of at least a byte each."""
        count = self._uint()
        if count > self._end - self._at:
            raise GobError("it ends too early")
        return count

    def _uint(self) -> int:
        first = self._take(1)[0]
        if first < 0x80:
            return first
        if first < 0x100 - 8:
            raise GobError("a number is too long")
        return int.from_bytes(self._take(0x100 - first))

    def _int(self) -> int:
        raw = self._uint()
        return ~(raw >> 1) if raw & 1 else raw >> 1

    def _bool(self) -> bool:
        raw = self._uint()
        if raw > 1:
            raise GobError("neither true nor false")
        return bool(raw)

    def _float(self) -> float:
        value: float = struct.unpack(">d", self._uint().to_bytes(8, "little"))[0]
        return value

    def _bytes(self) -> bytes:
        return self._take(self._length())

    def _string(self) -> str:
        try:
            return self._bytes().decode()
        except UnicodeDecodeError:
            raise GobError("text that is not UTF-8") from None
