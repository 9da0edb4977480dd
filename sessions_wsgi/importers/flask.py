"""Flask's own sessions: tagged JSON, perhaps compressed, signed by itsdangerous with HMAC-SHA-1."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Unpack
from uuid import UUID

from itsdangerous import BadSignature, TimestampSigner

from sessions_wsgi._walk import DEPTH
from sessions_wsgi.errors import ConfigError, DecodeError
from sessions_wsgi.importers._foreign import Foreign, Found, ImportOptions
from sessions_wsgi.importers._parts import from_base64, from_json, hash_name, inflated, secrets_bytes

Tags = Mapping[str, Callable[[Any], Any]]


class FlaskImporter(Foreign):
    """Reads the cookies of Flask's `SecureCookieSessionInterface`.

    Values have the types that Flask gave them, but for `Markup`, which comes as str. Flask's ``_permanent``
    stays among them.

    :param secret_key: ``SECRET_KEY``, or a list of it and ``SECRET_KEY_FALLBACKS``.
    :param salt: for a site whose subclass changed it; `hashalg` likewise.
    :param tags: what to make of Flask's JSON tags, beside or in place of the usual: ``{" m": Markup}`` where
        the store's serializer has `Markup` registered, or a tag of one's own.
    :param flashes: take ``_flashes`` over as this package's flashes, in the same categories (Flask's default
        is ``"message"``); False: they stay among the values.
    :param options: see `ImportOptions`; `max_age`: what ``PERMANENT_SESSION_LIFETIME`` was.
    """

    def __init__(
        self,
        secret_key: str | bytes | Sequence[str | bytes],
        *,
        salt: str | bytes = "cookie-session",
        hashalg: str = "sha1",
        tags: Tags = MappingProxyType({}),
        flashes: bool = True,
        **options: Unpack[ImportOptions],
    ) -> None:
        super().__init__(**options)
        if not isinstance(tags, Mapping) or not all(map(callable, tags.values())):
            raise ConfigError("'tags' must map the names of tags to callables", "tags")
        self._tags: Tags = {**_TAGS, **tags}
        self._flashes = flashes
        keys = secrets_bytes("secret_key", secret_key)
        digest = partial(hashlib.new, hash_name(hashalg))
        # itsdangerous has its newest key last.
        self._signer = TimestampSigner(keys[::-1], salt=salt, key_derivation="hmac", digest_method=digest)

    def _open(self, text: str) -> Found:
        payload, made = self._unsigned(text)
        values = self._untagged(from_json(_unpacked(payload)), 0)
        flashes = self._taken(values) if self._flashes and type(values) is dict else ()
        return Found(values, made, made, flashes)

    def _unsigned(self, text: str) -> tuple[bytes, float]:
        if text.count(".") < 2:
            raise DecodeError("malformed")
        try:
            payload, date = self._signer.unsign(text, return_timestamp=True)
        except BadSignature:
            raise DecodeError("forged") from None
        return payload, date.timestamp()

    def _untagged(self, value: Any, depth: int) -> Any:
        """The value with what Flask tagged put back, from the inside out."""
        if depth > 2 * DEPTH:  # a tag is a level of its own
            raise DecodeError("unreadable")
        if type(value) is list:
            return [self._untagged(item, depth + 1) for item in value]
        if type(value) is not dict:
            return value
        plain = {key: self._untagged(item, depth + 1) for key, item in value.items()}
        if len(plain) != 1:
            return plain
        ((tag, item),) = plain.items()
        return self._tags[tag](item) if tag in self._tags else plain

    @staticmethod
    def _taken(values: dict[str, Any]) -> list[tuple[str, Any]]:
        """The flashes, which are among the values no more."""
        return [(str(category), message) for category, message in values.pop("_flashes", ())]


def _unpacked(payload: bytes) -> bytes:
    if payload.startswith(b"."):
        return inflated(from_base64(payload[1:]))
    return from_base64(payload)


def _escaped_dict(value: dict[str, Any]) -> dict[str, Any]:
    """A dict with one key that looks like a tag, and so was written with two underscores more."""
    ((key, item),) = value.items()
    return {key[:-2]: item}


_TAGS: Final[Tags] = {
    " di": _escaped_dict,
    " t": tuple,
    " b": b64decode,
    " m": str,
    " u": UUID,
    " d": parsedate_to_datetime,
}
