"""The CBOR of single values that CBOR itself has no type for: dates, times, decimals, UUIDs, huge ints.

Each is a tag around a text, an int or bytes, or, for a few times, an array of text and int. The numbers are
explained in `sessions_wsgi._cbor`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Final, NoReturn
from uuid import UUID

from cbor2 import CBORTag

from sessions_wsgi._walk import Refused

DATETIME, BIG, NEGATIVE, UUID_BYTES, DATE = 0, 2, 3, 37, 1004
LOCAL, TIME, TIMEDELTA, DECIMAL, FOLD = 38602, 38603, 38604, 38605, 38607

#: Decimals beyond this are somebody's mistake, and int() of them fills the memory.
_EXPONENT = 9999
_MINUTE = timedelta(minutes=1)


def _write_datetime(value: datetime) -> CBORTag:
    offset = _offset(value)
    if offset is None or offset % _MINUTE:
        return _write_clock(LOCAL, value, offset)
    return _with_fold(value, CBORTag(DATETIME, value.isoformat()))


def _write_time(value: time) -> CBORTag:
    return _write_clock(TIME, value, _offset(value))


def _write_clock(tag: int, value: datetime | time, offset: timedelta | None) -> CBORTag:
    # The offset is a number: not every Python reads an isoformat() of less than a second.
    text = value.replace(tzinfo=None).isoformat()
    return _with_fold(value, CBORTag(tag, text if offset is None else [text, offset // timedelta.resolution]))


def _read_local(payload: str | list[Any]) -> datetime:
    text, zone = _text_and_zone(payload)
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def _read_time(payload: str | list[Any]) -> time:
    text, zone = _text_and_zone(payload)
    return time.fromisoformat(text).replace(tzinfo=zone)


def _text_and_zone(payload: str | list[Any]) -> tuple[str, timezone | None]:
    if isinstance(payload, str):
        return payload, None
    text, offset = payload
    if type(text) is not str or type(offset) is not int:
        not_ours()
    return text, timezone(timedelta(microseconds=offset))


def _offset(value: datetime | time) -> timedelta | None:
    offset = value.utcoffset()
    if offset is None and value.tzinfo is not None:
        raise Refused("its tzinfo tells no UTC offset")
    return offset


def _with_fold(value: datetime | time, node: CBORTag) -> CBORTag:
    return CBORTag(FOLD, node) if value.fold else node


def _read_fold(value: Any, in_key: bool) -> datetime | time:
    if in_key or type(value) not in (datetime, time) or value.fold:
        not_ours()
    folded: datetime | time = value.replace(fold=1)
    return folded


def _write_date(value: date) -> CBORTag:
    return CBORTag(DATE, value.isoformat())


def _write_timedelta(value: timedelta) -> CBORTag:
    return CBORTag(TIMEDELTA, value // timedelta.resolution)


def _read_timedelta(microseconds: int) -> timedelta:
    return timedelta(microseconds=microseconds)


def _write_decimal(value: Decimal) -> CBORTag:
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and abs(exponent) > _EXPONENT:
        raise Refused(f"the exponent of a Decimal must be within {_EXPONENT} of zero")
    # The decimal context of the thread may ask for a small e.
    return CBORTag(DECIMAL, str(value).replace("e", "E"))


def _write_uuid(value: UUID) -> CBORTag:
    return CBORTag(UUID_BYTES, value.bytes)


def _read_uuid(octets: bytes) -> UUID:
    return UUID(bytes=octets)


def _read_big(octets: Any, _in_key: bool) -> int:
    """The magnitude of an int beyond 64 bits; a smaller one is plain CBOR."""
    if type(octets) is not bytes or len(octets) < 9 or octets[0] == 0:
        not_ours()
    return int.from_bytes(octets, "big")


def _read_negative(octets: Any, in_key: bool) -> int:
    return -1 - _read_big(octets, in_key)


def not_ours() -> NoReturn:
    raise ValueError("not as it is written")


#: Reads a payload; the flag says that it stands in the key of a map, where cbor2 makes everything immutable.
Reader = Callable[[Any, bool], Any]


def reader(read: Callable[[Any], Any], *kinds: type) -> Reader:
    """Reads payloads of these types exactly, and none in the key of a map."""

    def read_checked(payload: Any, in_key: bool) -> Any:
        if in_key or type(payload) not in kinds:
            not_ours()
        return read(payload)

    return read_checked


def _leaf_reader(tag: int, read: Callable[[Any], Any], *kinds: type) -> Reader:
    """Reads a leaf and writes it again: what is written otherwise, or refused then, is not ours."""

    def read_and_compare(payload: Any) -> Any:
        try:
            value = read(payload)
            same = LEAVES[type(value)](value) == CBORTag(tag, payload)
        except (ValueError, TypeError, ArithmeticError, Refused):
            same = False
        if not same:  # raised here, because the errors above quote the data
            not_ours()
        return value

    return reader(read_and_compare, *kinds)


#: By type, exactly.
LEAVES: Final[Mapping[type, Callable[[Any], CBORTag]]] = {
    datetime: _write_datetime,
    date: _write_date,
    time: _write_time,
    timedelta: _write_timedelta,
    Decimal: _write_decimal,
    UUID: _write_uuid,
}
#: By tag.
LEAF_READERS: Final[Mapping[int, Reader]] = {
    DATETIME: _leaf_reader(DATETIME, datetime.fromisoformat, str),
    LOCAL: _leaf_reader(LOCAL, _read_local, str, list),
    DATE: _leaf_reader(DATE, date.fromisoformat, str),
    TIME: _leaf_reader(TIME, _read_time, str, list),
    FOLD: _read_fold,
    TIMEDELTA: _leaf_reader(TIMEDELTA, _read_timedelta, int),
    DECIMAL: _leaf_reader(DECIMAL, Decimal, str),
    UUID_BYTES: _leaf_reader(UUID_BYTES, _read_uuid, bytes),
    BIG: _read_big,
    NEGATIVE: _read_negative,
}
