"""Django's ``signed_cookies`` sessions: JSON, perhaps compressed, signed with HMAC-SHA-256."""

from __future__ import annotations

import hashlib
import hmac
import string
from collections.abc import Sequence
from typing import Unpack

from sessions_wsgi.errors import DecodeError
from sessions_wsgi.importers._foreign import Foreign, Found, ImportOptions
from sessions_wsgi.importers._parts import from_base64, from_json, inflated, secrets_bytes

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase


class DjangoImporter(Foreign):
    """Reads the cookies of ``django.contrib.sessions.backends.signed_cookies``, Django 3.1 and later.

    The other engines of Django have only an id in the cookie: there is nothing to import. Django's own keys
    (``_auth_user_id``, ``_messages``, ``_session_expiry``) stay where they are.

    :param secret_key: ``SECRET_KEY``, or a list of it and ``SECRET_KEY_FALLBACKS``.
    :param salt: for a site whose subclass of the engine changed it.
    :param options: see `ImportOptions`; `max_age`: what ``SESSION_COOKIE_AGE`` was; `cookie`: usually
        ``"sessionid"``; `principal`: usually ``lambda values: values["_auth_user_id"]``.
    """

    def __init__(
        self,
        secret_key: str | bytes | Sequence[str | bytes],
        *,
        salt: str = "django.contrib.sessions.backends.signed_cookies",
        **options: Unpack[ImportOptions],
    ) -> None:
        super().__init__(**options)
        label = f"{salt}signer".encode()
        self._keys = [hashlib.sha256(label + key).digest() for key in secrets_bytes("secret_key", secret_key)]

    def _open(self, text: str) -> Found:
        # 1. the signature is of all that stands before it
        signed, colon, signature = text.rpartition(":")
        payload, second_colon, time = signed.rpartition(":")
        if not colon or not second_colon:
            raise DecodeError("malformed")
        self._require_signature(signed.encode(), signature)
        # 2. the time, and 3. the values
        made = _from_base62(time)
        data = inflated(from_base64(payload[1:])) if payload.startswith(".") else from_base64(payload)
        return Found(from_json(data, "latin-1"), made, made)

    def _require_signature(self, signed: bytes, signature: str) -> None:
        given = from_base64(signature)
        if not any(hmac.compare_digest(given, hmac.digest(key, signed, "sha256")) for key in self._keys):
            raise DecodeError("forged")


def _from_base62(text: str) -> int:
    if not 0 < len(text) <= 12:
        raise DecodeError("unreadable")
    number = 0
    for digit in text:
        number = number * 62 + _DIGITS.index(digit)
    return number
