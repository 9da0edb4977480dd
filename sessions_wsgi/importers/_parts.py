"""The parts that foreign formats are made of: secrets, base64, zlib, JSON; each with its bounds."""

from __future__ import annotations

import binascii
import hashlib
import json
import zlib
from base64 import b64decode
from collections.abc import Sequence
from typing import Any

from sessions_wsgi.errors import ConfigError, DecodeError

#: What a cookie may inflate to: far more than any site kept in one, and little for a server.
_MOST_INFLATED = 2**18


def secret_bytes(option: str, secret: object, encoding: str = "utf-8") -> bytes:
    """A foreign secret as the library that made the cookies used it, however weak.

    :raises ConfigError: it is empty, or neither str nor bytes.
    """
    if not isinstance(secret, str | bytes):
        raise ConfigError(f"{option!r} must be str or bytes (got {type(secret).__name__})", option)
    if not secret:
        raise ConfigError(f"{option!r} must not be empty: anybody could make such cookies", option)
    try:
        return secret.encode(encoding) if isinstance(secret, str) else secret
    except UnicodeEncodeError:
        raise ConfigError(f"{option!r} must be text that {encoding} can write", option) from None


def secrets_bytes(option: str, secrets: object) -> list[bytes]:
    """One secret, or several with the newest first: a str is never taken for a list of letters."""
    if isinstance(secrets, str | bytes) or not isinstance(secrets, Sequence):
        return [secret_bytes(option, secrets)]
    if not secrets:
        raise ConfigError(f"{option!r} must hold at least one secret (got an empty list)", option)
    return [secret_bytes(option, secret) for secret in secrets]


def hash_name(hashalg: object) -> str:
    """The name of a hash that HMAC can use.

    :raises ConfigError: there is none of this name.
    """
    if isinstance(hashalg, str) and not hashalg.lower().startswith("shake"):
        try:
            return hashlib.new(hashalg, usedforsecurity=False).name
        except ValueError:
            pass
    raise ConfigError(f"'hashalg' must be a hash that hashlib knows (got {hashalg!r})", "hashalg")


def from_base64(text: str | bytes, *, url: bool = True) -> bytes:
    """What this base64 stands for, padded or not.

    :raises DecodeError: it is none.
    """
    raw = text.encode() if isinstance(text, str) else text
    raw = raw.rstrip(b"=")
    try:
        return b64decode(raw + b"=" * (-len(raw) % 4), b"-_" if url else None, validate=True)
    except binascii.Error:
        raise DecodeError("malformed") from None


def inflated(data: bytes) -> bytes:
    """What zlib had compressed.

    :raises DecodeError: it did not, or it is too much: a few bytes can stand for gigabytes.
    """
    machine = zlib.decompressobj()
    try:
        plain = machine.decompress(data, _MOST_INFLATED)
    except zlib.error:
        raise DecodeError("unreadable") from None
    if not machine.eof or machine.unused_data:
        raise DecodeError("unreadable")
    return plain


def from_json(data: bytes, encoding: str = "utf-8") -> Any:
    """A JSON text's value.

    :raises ValueError: it is none; a pickle is not.
    """
    return json.loads(data.decode(encoding))
