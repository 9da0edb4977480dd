"""Cookies of other libraries, told by their shape alone: where it is plain, and when they were made.

Nothing here verifies or decodes what a cookie says: for taking sessions over there are the importers.
"""

from __future__ import annotations

import json
import re
import string
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from typing import NamedTuple

_FAR = 2.0**37  # seconds: the year 6325


class Foreign(NamedTuple):
    """Whose a cookie is."""

    library: str
    #: Seconds since the epoch, where the cookie says so.
    made: float | None = None


def foreign(text: str) -> Foreign | None:
    """Whose this cookie plainly is; None when it is not plain."""
    for recognise in _KNOWN:
        try:
            found = recognise(text)
        except (ValueError, TypeError, IndexError, OverflowError, RecursionError):
            continue  # not even base64, UTF-8, JSON of the expected kind
        if found is not None:
            in_range = found.made is not None and 0 <= found.made < _FAR
            return found if in_range else found._replace(made=None)
    return None


def _raw(text: str) -> bytes:
    """base64url or base64, padded or not."""
    try:
        text = text.rstrip("=").replace("-", "+").replace("_", "/")
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except Base64Error:
        raise ValueError from None


def _is_json(raw: bytes) -> bool:
    json.loads(raw)
    return True


def _jwt(text: str) -> Foreign | None:
    head, _, _ = text.split(".")
    return Foreign("a JSON web token") if "alg" in json.loads(_raw(head)) else None


def _itsdangerous(text: str) -> Foreign | None:
    """Flask's ``payload.time.signature``, or Starlette's, whose payload is padded."""
    payload, moment, signature = text.rsplit(".", 2)
    if len(signature) not in (27, 43) or not 4 <= len(_raw(moment)) <= 6:
        return None
    packed = payload.startswith(".")  # compressed
    if not packed and not _is_json(_raw(payload)):
        return None
    made = float(int.from_bytes(_raw(moment), "big"))
    return Foreign("Starlette" if payload.endswith("=") else "Flask (itsdangerous)", made)


def _django(text: str) -> Foreign | None:
    """``payload:time:signature``, the time in base 62."""
    payload, moment, signature = text.split(":")
    if len(signature) not in (27, 43) or not re.fullmatch("[0-9A-Za-z]{5,7}", moment):
        return None
    if not payload.startswith(".") and not _is_json(_raw(payload)):
        return None
    digits, made = string.digits + string.ascii_uppercase + string.ascii_lowercase, 0
    for char in moment:
        made = made * 62 + digits.index(char)
    return Foreign("Django (signed cookies)", float(made))


def _gorilla(text: str) -> Foreign | None:
    """``time|value|mac`` in padded base64."""
    moment, value, mac = _raw(text).split(b"|", 2)
    if len(text) % 4 or not re.fullmatch(rb"[0-9]{9,11}", moment) or len(mac) < 20:
        return None
    return Foreign("gorilla/securecookie", float(moment)) if _raw(value.decode()) else None


def _pyramid(text: str) -> Foreign | None:
    """A signature of 64 bytes and ``[renewed, created, {...}]``."""
    raw = _raw(text)
    if raw[64:65] != b"[" or raw[-1:] != b"]":
        return None
    renewed, created, _ = json.loads(raw[64:])
    return Foreign("Pyramid (signed cookies)", float(renewed)) if created <= renewed + 60 else None


def _beaker(text: str) -> Foreign | None:
    """40 hexadecimal digits of a signature, then an id or the data."""
    if not re.fullmatch("[0-9a-f]{40}", text[:40]):
        return None
    if re.fullmatch("[0-9a-f]{32}", text[40:]):
        return Foreign("Beaker (a signed id)")
    return Foreign("Beaker (cookie sessions)") if len(_raw(text[40:])) > 8 else None


def _fernet(text: str) -> Foreign | None:
    raw = _raw(text)
    if raw[:1] != b"\x80" or len(raw) < 73 or (len(raw) - 57) % 16:
        return None
    made = int.from_bytes(raw[1:9], "big")
    return Foreign("Fernet (aiohttp-session, starsessions)", float(made)) if made < 2**34 else None


def _express(text: str) -> Foreign | None:
    found = re.fullmatch(r"(?:s:|s%3A)[\w-]{16,}\.[\w+/%-]{40,}=?", text)
    return Foreign("Express (a signed id)") if found else None


def _rails(text: str) -> Foreign | None:
    parts = text.replace("%3D", "=").replace("%2F", "/").replace("%2B", "+").split("--")
    if len(parts) == 3 and len(_raw(parts[1])) == 12 and len(_raw(parts[2])) == 16:
        return Foreign("Rails (encrypted)")
    signed = len(parts) == 2 and re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", parts[1]) and _raw(parts[0])
    return Foreign("Rails (signed)") if signed else None


_KNOWN: tuple[Callable[[str], Foreign | None], ...] = (
    _jwt,
    _itsdangerous,
    _django,
    _gorilla,
    _pyramid,
    _beaker,
    _fernet,
    _express,
    _rails,
)
