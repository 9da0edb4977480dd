"""Cookies of gorilla/sessions' `CookieStore` and of gorilla/securecookie, in Go."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, Unpack

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from sessions_wsgi.errors import ConfigError, DecodeError
from sessions_wsgi.importers import _gob
from sessions_wsgi.importers._foreign import Foreign, Found, ImportOptions
from sessions_wsgi.importers._parts import from_base64, from_json, hash_name, secret_bytes

_READERS = {"gob": _gob.loads, "json": from_json}
_FLASH: Final[Mapping[str, str]] = MappingProxyType({"_flash": ""})
_BLOCK = 16

Secret = str | bytes


class _Pair(NamedTuple):
    hash_key: bytes
    block_key: bytes | None


class GorillaImporter(Foreign):
    """Reads the cookies of gorilla/sessions' `CookieStore`, hash only or encrypted with AES.

    Of gob it reads Go's built-in types, nil, slices and maps of them; a value of a registered struct makes
    the whole cookie unreadable. A `FilesystemStore` has only an id in the cookie: there is nothing to import.

    The session's name is a part of what is signed. It is `cookie`, or ``"session"`` when that is not given.

    :param hash_key: the first of `NewCookieStore`'s keys; a str is its UTF-8 bytes.
    :param block_key: the second, of 16, 24 or 32 bytes; None: not encrypted.
    :param older_keys: the rest, in pairs of hash key and block key or None.
    :param serializer: ``"json"`` for securecookie with its `JSONEncoder`.
    :param hashalg: what its `HashFunc` was.
    :param flash_keys: which keys hold flashes, and the category that each becomes: `AddFlash` and `Flashes`
        take the key as an argument.
    :param options: see `ImportOptions`; `max_age`: what the `MaxAge` of the store was.
    """

    def __init__(
        self,
        hash_key: Secret,
        block_key: Secret | None = None,
        *,
        older_keys: Sequence[tuple[Secret, Secret | None]] = (),
        serializer: Literal["gob", "json"] = "gob",
        hashalg: str = "sha256",
        flash_keys: Mapping[str, str] = _FLASH,
        **options: Unpack[ImportOptions],
    ) -> None:
        super().__init__(**options)
        self._pairs = [_pair(hash_key, block_key), *_pairs(older_keys)]
        if serializer not in _READERS:
            raise ConfigError(f"'serializer' must be 'gob' or 'json' (got {serializer!r})", "serializer")
        self._loads = _READERS[serializer]
        self._hash = hash_name(hashalg)
        if not isinstance(flash_keys, Mapping):
            raise ConfigError("'flash_keys' must map keys of values to categories", "flash_keys")
        self._flash_keys = dict(flash_keys)
        self._name = f"{self.cookie or 'session'}|".encode()

    def _open(self, text: str) -> Found:
        # 1. the MAC stands last, and may hold a bar itself
        time, bar, rest = from_base64(text).partition(b"|")
        body, second_bar, mac = rest.partition(b"|")
        if not bar or not second_bar:
            raise DecodeError("malformed")
        pair = self._signed_by(time + b"|" + body, mac)
        # 2. the time, 3. the plain text, 4. the values
        made = _seconds(time)
        payload = from_base64(body)
        values = self._loads(payload if pair.block_key is None else _decrypted(pair.block_key, payload))
        flashes = list(self._taken(values)) if type(values) is dict else []
        return Found(values, made, made, flashes)

    def _signed_by(self, signed: bytes, mac: bytes) -> _Pair:
        for pair in self._pairs:
            if hmac.compare_digest(mac, hmac.digest(pair.hash_key, self._name + signed, self._hash)):
                return pair
        raise DecodeError("forged")

    def _taken(self, values: dict[Any, Any]) -> list[tuple[str, Any]]:
        """The flashes, which are among the values no more."""
        keys = [key for key in self._flash_keys if type(values.get(key)) is list]
        return [(self._flash_keys[key], message) for key in keys for message in values.pop(key)]


def _pair(hash_key: object, block_key: object) -> _Pair:
    if block_key is None:
        return _Pair(secret_bytes("hash_key", hash_key), None)
    block = secret_bytes("block_key", block_key)
    if len(block) not in (16, 24, 32):
        raise ConfigError(f"'block_key' must have 16, 24 or 32 bytes (got {len(block)})", "block_key")
    return _Pair(secret_bytes("hash_key", hash_key), block)


def _pairs(older_keys: object) -> list[_Pair]:
    rule = "'older_keys' must be a list of pairs: hash key, and block key or None"
    if isinstance(older_keys, str | bytes) or not isinstance(older_keys, Sequence):
        raise ConfigError(rule, "older_keys")
    for pair in older_keys:
        if isinstance(pair, str | bytes) or not isinstance(pair, Sequence) or len(pair) != 2:
            raise ConfigError(rule, "older_keys")
    return [_pair(*pair) for pair in older_keys]


def _seconds(time: bytes) -> int:
    if not time.isdigit() or len(time) > 12:
        raise DecodeError("unreadable")
    return int(time)


def _decrypted(block_key: bytes, data: bytes) -> bytes:
    if len(data) <= _BLOCK:
        raise DecodeError("unreadable")
    machine = Cipher(AES(block_key), CTR(data[:_BLOCK])).decryptor()
    return machine.update(data[_BLOCK:]) + machine.finalize()
