"""CSRF tokens: one secret, another text each time, so that compression cannot leak it (BREACH)."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from secrets import compare_digest, token_bytes, token_hex

_BYTES = 32
_SECRET = re.compile(r"[0-9a-f]{64}")
# What `masked` makes, and no other spelling of it.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{85}[AQgw]==")


def new_secret() -> str:
    """A random secret, in hexadecimal digits."""
    return token_hex(_BYTES)


def is_secret(text: str) -> bool:
    """Whether `new_secret` may have made this."""
    return _SECRET.fullmatch(text) is not None


def masked(secret: str) -> str:
    """The secret under a fresh mask, mask first: 88 characters of base64url."""
    mask = token_bytes(_BYTES)
    return urlsafe_b64encode(mask + _xor(mask, bytes.fromhex(secret))).decode()


def matches(secret: str | None, token: object) -> bool:
    """Whether `token`, anything at all, is the secret under some mask. Compares in constant time."""
    if secret is None or not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
        return False
    raw = urlsafe_b64decode(token)
    return compare_digest(_xor(raw[:_BYTES], raw[_BYTES:]), bytes.fromhex(secret))


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
