"""Cookies of this library: told by their shape, opened by the keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from sessions_wsgi.cli._contents import contents
from sessions_wsgi.codecs import EncryptedCodec, SignedCodec, _from_base64url
from sessions_wsgi.errors import DecodeError
from sessions_wsgi.keys import Key, KeyRing
from sessions_wsgi.stores._records import ID_BYTES

Format = Literal["signed", "encrypted", "id"]

_SIGNATURE = 43
_MIN_ENCRYPTED = 5 + 24 + 16
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,1024}")


class Shape(NamedTuple):
    """What a text looks like: anybody can make one that does."""

    format: Format
    #: The bytes that everybody can read.
    data: bytes | None = None
    #: Of an encrypted text.
    key_id: str | None = None


class Opened(NamedTuple):
    """What the keys say of a text."""

    #: The key that opened it, and under which name; None when none did.
    key: Key | None
    name: str | None
    data: bytes | None
    #: Why it was not opened.
    reason: str | None


def shape_of(text: str) -> Shape | None:
    """What a text looks like; None for none of ours."""
    payload, dot, signature = text.rpartition(".")
    try:
        raw = _from_base64url((payload if dot else text).encode("ascii"))
    except (DecodeError, UnicodeEncodeError):
        return None
    if not dot:
        is_sealed = len(raw) >= _MIN_ENCRYPTED and raw[0] == 1
        return Shape("encrypted", key_id=raw[1:5].hex()) if is_sealed else None
    if len(signature) != _SIGNATURE:
        return None
    if len(raw) == ID_BYTES:
        return Shape("id", raw)
    return None if contents(raw) is None else Shape("signed", raw)


def opened(text: str, shape: Shape, names: list[str], keys: KeyRing, audience: str, now: float) -> Opened:
    """The text, opened by the first key that can, under the first name that fits. `now` in seconds."""
    reason = "forged"
    for key, name in _tries(keys, names):
        try:
            data, _ = _codec(shape.format, key, audience, now).open_at(name, text, now)
        except DecodeError as error:
            reason = reason if error.reason == "unknown_key" else error.reason
        else:
            return Opened(key, name, data, None)
    if shape.key_id is not None and shape.key_id not in {key.id.hex() for key in keys}:
        reason = "unknown_key"
    return Opened(None, None, None, reason)


def _tries(keys: KeyRing, names: list[str]) -> Iterator[tuple[Key, str]]:
    return ((key, name) for key in keys for name in names if _TOKEN.fullmatch(name))


def _codec(kind: Format, key: Key, audience: str, now: float) -> SignedCodec | EncryptedCodec:
    clock: Callable[[], float] = lambda: now  # noqa: E731
    if kind == "encrypted":
        return EncryptedCodec(key, "session", audience=audience, clock=clock)
    return SignedCodec(key, "id" if kind == "id" else "session", audience=audience, clock=clock)
