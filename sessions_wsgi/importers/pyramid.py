"""Pyramid's signed cookie sessions: JSON of the times and the values, behind an HMAC."""

from __future__ import annotations

import hmac
from typing import Any, Unpack

from sessions_wsgi.errors import DecodeError
from sessions_wsgi.importers._foreign import Foreign, Found, ImportOptions
from sessions_wsgi.importers._parts import from_base64, from_json, hash_name, secret_bytes

_QUEUE = "_f_"


class PyramidImporter(Foreign):
    """Reads the cookies of `SignedCookieSessionFactory` with its JSON serializer, the default since 2.0.

    A pickled cookie of Pyramid 1 is refused. Pyramid's own keys (``_csrft_``, and ``_f_…`` for flash queues)
    stay where they are.

    :param secret: the factory's `secret`.
    :param salt: the factory's; `hashalg` likewise.
    :param flashes: take the flash queues over as this package's flashes, each queue as a category: for a site
        that leaves Pyramid.
    :param options: see `ImportOptions`; `max_age`: what the factory's `timeout` was, 1200 unless it was told
        otherwise.
    """

    def __init__(
        self,
        secret: str | bytes,
        *,
        salt: str | bytes = "pyramid.session.",
        hashalg: str = "sha512",
        flashes: bool = False,
        **options: Unpack[ImportOptions],
    ) -> None:
        super().__init__(**options)
        self._hash, self._flashes = hash_name(hashalg), flashes
        self._key = _salted(salt, secret)
        self._size = len(hmac.digest(b"", b"", self._hash))

    def _open(self, text: str) -> Found:
        raw = from_base64(text)
        signature, payload = raw[: self._size], raw[self._size :]
        if not payload:
            raise DecodeError("malformed")
        if not hmac.compare_digest(signature, hmac.digest(self._key, payload, self._hash)):
            raise DecodeError("forged")
        renewed, created, values = _three(from_json(payload))
        flashes = _taken(values) if self._flashes and type(values) is dict else ()
        return Found(values, renewed, created, flashes)


def _salted(salt: str | bytes, secret: str | bytes) -> bytes:
    """Salt and secret as WebOb joins them: Latin-1, or UTF-8 both when either is not."""
    text = "".join(part for part in (salt, secret) if isinstance(part, str))
    encoding = "latin-1" if all(ord(letter) < 256 for letter in text) else "utf-8"
    return (secret_bytes("salt", salt, encoding) if salt else b"") + secret_bytes("secret", secret, encoding)


def _three(value: Any) -> list[Any]:
    if type(value) is not list or len(value) != 3:
        raise DecodeError("unreadable")
    return value


def _taken(values: dict[str, Any]) -> list[tuple[str, Any]]:
    """The flashes of all queues, which are among the values no more."""
    queues = [key for key in values if key.startswith(_QUEUE) and type(values[key]) is list]
    return [(key.removeprefix(_QUEUE), message) for key in queues for message in values.pop(key)]
