"""Values to bytes and back, exactly: nothing is converted.

`CBORSerializer` keeps the types of Python. `JSONSerializer` is for cookies that programs in other languages
read. What cannot come back as it was is a `SerializeError` that names the place.
"""

from __future__ import annotations

import marshal
import os
import re
import struct
from collections.abc import Mapping
from json import JSONDecoder, JSONEncoder
from math import isfinite
from types import MappingProxyType, NoneType
from typing import Any, Final, NoReturn, Protocol

from cbor2 import CBORDecodeError
from cbor2 import dumps as _cbor_dumps
from cbor2 import loads as _cbor_loads

from sessions_wsgi._cbor import FRAMES, KEPT, SCALARS, Readers, Writer, require_kept
from sessions_wsgi._cbor_leaves import LEAVES
from sessions_wsgi._custom import CustomType, named_types, parts_of_named
from sessions_wsgi._named import known_options
from sessions_wsgi._walk import (
    DEPTH,
    TOO_MANY,
    UNKNOWN,
    Parts,
    Refused,
    is_plain,
    key_name,
    parts_of,
    refusal,
    text_rule,
)
from sessions_wsgi.errors import SerializeError

__all__ = ["CBORSerializer", "CustomType", "JSONSerializer", "Serializer"]


class Serializer(Protocol):
    """Turns values into bytes and back. The same object gives the same bytes, in every process and thread.

    A session has changed when its bytes have: what `loads` returns must dump to what it was read from.
    """

    def dumps(self, value: Any) -> bytes:
        """The bytes of `value`; `SerializeError` for what `loads` would not return exactly."""

    def loads(self, data: bytes) -> Any:
        """What `dumps` made; `ValueError`, and nothing else, for any other bytes."""


#: cbor2 ignores what follows the first item. So `loads` reads the data as the first of two, and this as the
#: second: it is not the second when anything stands between. Random, or the data could end in the same bytes.
_END = os.urandom(16)
_FOLLOWED = "not an encoding of this serializer: something follows it"
_PAIR, _TAIL = b"\x82", b"\x50" + _END

#: Where `require_kept` may find something: undefined, simple values and breaks begin with such a byte.
_suspect = re.compile(rb"[\xe0-\xf3\xf7\xf8\xff]").search

#: The first item of an envelope, see `sessions_wsgi.envelope`.
FORMAT = 1
#: How it begins: five items, of which the first is the format and the second an int of eight bytes.
_ENVELOPE = bytes([0x85, FORMAT, 0x1B])
#: From here to 2**64 ints have eight bytes.
_WIDE = 1 << 32
_pack_head = struct.Struct(">3sQcQ").pack

_NO_TYPES: Final[Mapping[str, type | CustomType[Any]]] = MappingProxyType({})


@known_options
class CBORSerializer:
    """Values to CBOR and back, exactly: what cannot come back as it was is refused, never converted.

    Keeps str, bytes, int of any size, float, bool, None, list, tuple, dict (any hashable keys, in order),
    set, frozenset, datetime (aware or naive), date, time, timedelta, Decimal and UUID, and the registered
    `types`. A class matches exactly: a subclass is another type. Of a time zone its UTC offset is kept.
    If a `__post_init__` changes a field, applying it again to the stored value must change nothing; an
    attribute that is no field must come from there. Containers nest at most 64 deep, 100 000 in all. The
    format: `sessions_wsgi._cbor`.

    :param types: name → dataclass, Enum or NamedTuple, or a `CustomType` for other classes. The name is what
        is stored: keep it when the class moves, change it (``person/2``) when its fields change meaning.
    :raises ConfigError: for what cannot be registered.
    """

    def __init__(self, types: Mapping[str, type | CustomType[Any]] = _NO_TYPES) -> None:
        by_name = named_types(types, KEPT)
        self._by_class = {named.cls: named for named in by_name.values()}
        self._readers = Readers(by_name)

    def dumps(self, value: Any) -> bytes:
        """The one encoding of `value`: the same in every process, and again after `loads`.

        :raises SerializeError: with the place in `value`, its type and the rule.
        """
        try:
            if is_plain(value, SCALARS, SCALARS):
                return _cbor_dumps(value)
            return _cbor_dumps(Writer(self._by_class).write(value))
        except (Refused, UnicodeEncodeError) as error:
            raise self._located(value, error) from error.__cause__

    def dumps_envelope(
        self, created: int, seen: int, values: dict[Any, Any], extras: dict[str, Any]
    ) -> bytes:
        """The same as ``dumps([FORMAT, created, seen, values, extras])``, but faster."""
        flat = not extras or SCALARS.issuperset(map(type, extras.values()))
        if flat and is_plain(values, SCALARS, SCALARS, DEPTH - 1):
            try:
                if created >= _WIDE and seen >= _WIDE:
                    head = _pack_head(_ENVELOPE, created, b"\x1b", seen)
                    return head + _cbor_dumps(values) + (_cbor_dumps(extras) if extras else b"\xa0")
            except (struct.error, UnicodeEncodeError):  # no such time, or no such text: `dumps` tells
                pass
        return self.dumps([FORMAT, created, seen, values, extras])

    def loads(self, data: bytes) -> Any:
        """What `dumps` made.

        :raises ValueError: anything else; the message holds nothing of the data.
        """
        try:
            value, end = _cbor_loads(
                _PAIR + data + _TAIL,
                semantic_decoders=self._readers,
                max_depth=FRAMES,
                allow_indefinite=False,
                allow_duplicate_keys=False,
                strict_hashable_types=True,  # only text and bytes as keys
            )
        except CBORDecodeError:
            return self._with_any_keys(data)
        if type(end) is not bytes or end != _END:
            raise ValueError(_FOLLOWED)
        # The times of an envelope have all sorts of bytes.
        start = 20 if data[:3] == _ENVELOPE and data[11] == 0x1B else 0
        if _suspect(data, start) is not None and not _is_built_in(value):
            require_kept(value)
        return value

    def _with_any_keys(self, data: bytes) -> Any:
        try:
            value, end = _cbor_loads(
                _PAIR + data + _TAIL,
                semantic_decoders=self._readers,
                max_depth=FRAMES,
                allow_indefinite=False,
                allow_duplicate_keys=False,
            )
        except CBORDecodeError as error:
            # Not from `error` itself: cbor2 quotes the data.
            raise ValueError("not an encoding of this serializer") from error.__cause__
        if type(end) is not bytes or end != _END:
            raise ValueError(_FOLLOWED)
        require_kept(value)
        return value

    def _located(self, value: Any, error: Exception) -> SerializeError:
        # Too many have no one place; and looking for it would take long.
        found = None if str(error) == TOO_MANY else refusal(value, self._rule, self._parts)
        return found or SerializeError("value", type(value).__name__, str(error))

    def _rule(self, value: Any) -> str | None:
        """What `value` itself breaks, its parts aside."""
        kind = type(value)
        if kind is str:
            return text_rule(value)
        try:
            if kind in LEAVES:
                LEAVES[kind](value)
            elif kind in self._by_class:
                self._by_class[kind].take_apart(value)
        except Refused as refused:
            return str(refused)
        return None if kind in KEPT or kind in self._by_class else UNKNOWN

    def _parts(self, value: Any) -> Parts:
        named = self._by_class.get(type(value))
        return parts_of_named(named, value) if named else parts_of(value)


def _is_built_in(value: Any) -> bool:
    """Whether it surely holds nothing that cbor2 reads unasked: marshal refuses that, and looks three times
    as fast.
    """
    try:
        marshal.dumps(value)
    except ValueError:
        return False
    return True


class JSONSerializer:
    """Values to compact UTF-8 JSON (RFC 8259) and back, exactly: what JSON cannot keep is refused.

    Keeps str, int, finite float, bool, None, list, and dict with str keys in order, nested at most 64 deep;
    no subclass of these. An int has as many digits as `int` reads (`sys.get_int_max_str_digits`); readers in
    other languages may keep fewer, often 53 bits.
    """

    def dumps(self, value: Any) -> bytes:
        """The one encoding of `value`.

        :raises SerializeError: with the place in `value`, its type and the rule.
        """
        if not is_plain(value, _JSON_SCALARS, _JSON_KEYS):
            _require_json(value)
        try:
            return _encode(value).encode()
        except ValueError:  # not finite, a lone surrogate, too many digits
            _require_json(value)
            raise

    def loads(self, data: bytes) -> Any:
        """What `dumps` made, or any JSON of a value that it keeps.

        :raises ValueError: anything else.
        """
        try:
            value = _decode(data.decode())
        except (UnicodeDecodeError, RecursionError):
            # Not from the former: its repr holds the data.
            raise ValueError("not JSON of this serializer: not UTF-8, or nested too deep") from None
        if _is_suspect(data, value):
            _require_readable(value)
        return value


_JSON_SCALARS: Final[frozenset[type]] = frozenset({str, int, float, bool, NoneType})
_JSON_KEYS: Final[frozenset[type]] = frozenset({str})
_JSON_KEPT = _JSON_SCALARS | {list, dict}


def _require_json(value: Any) -> None:
    if error := refusal(value, _json_rule, parts_of):
        raise error


def _is_suspect(data: bytes, value: Any) -> bool:
    """Whether it may hold what `dumps` refuses: an escape may spell a lone surrogate, brackets may nest."""
    if b"\\u" in data:
        return True
    return data.count(b"[") + data.count(b"{") > DEPTH and not is_plain(value, _JSON_SCALARS, _JSON_KEYS)


def _require_readable(value: Any) -> None:
    if error := refusal(value, _json_rule, parts_of):
        raise ValueError(f"not JSON of this serializer: {error.rule}")


def _json_rule(value: Any) -> str | None:
    """What `value` itself breaks, its parts aside."""
    kind = type(value)
    if kind is str:
        return text_rule(value)
    if kind is int:
        return _int_rule(value)
    if kind is float:
        return None if isfinite(value) else "JSON has only finite numbers"
    if kind is dict and not _JSON_KEYS.issuperset(map(type, value)):
        wrong = next(key for key in value if type(key) is not str)
        return f"JSON keeps only keys that are str, and here is {key_name(wrong)}"
    return None if kind in _JSON_KEPT else "JSON does not keep this type; convert it, or use CBORSerializer"


def _int_rule(value: int) -> str | None:
    try:
        str(value)
    except ValueError:
        return "more digits than int() reads back"
    return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key comes twice")
    return value


def _finite(text: str) -> float:
    value = float(text)
    return value if isfinite(value) else _constant(text)


def _constant(_name: str) -> NoReturn:
    raise ValueError("JSON has only finite numbers")


# Circles are found by `is_plain`.
_encode = JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")).encode
_decode = JSONDecoder(object_pairs_hook=_object, parse_float=_finite, parse_constant=_constant).decode
