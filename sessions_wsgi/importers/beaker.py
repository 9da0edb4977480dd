"""Beaker's cookie sessions: zlib of JSON, perhaps encrypted, behind an HMAC-SHA-1 in hexadecimal."""

from __future__ import annotations

import hashlib
import hmac
from typing import Unpack

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from sessions_wsgi.errors import ConfigError, DecodeError
from sessions_wsgi.importers._foreign import Foreign, Found, ImportOptions
from sessions_wsgi.importers._parts import from_base64, from_json, inflated, secret_bytes

_SIGNATURE = 40
_IV, _TAG = 12, 16
# What Beaker keeps among the values for itself.
_OWN = ("_id", "_creation_time", "_accessed_time", "_domain", "_path")


class BeakerImporter(Foreign):
    """Reads the cookies of Beaker's ``session.type = cookie`` with ``session.data_serializer = json``.

    Pickled cookies, which are Beaker's default, are refused: whoever can sign one can run code. The other
    types of Beaker have only an id in the cookie: there is nothing to import.

    :param validate_key: ``session.validate_key``.
    :param encrypt_key: ``session.encrypt_key``, if there was one. Both of Beaker's ciphers are read: AES-GCM
        (its ``crypto_type`` ``cryptography``) and AES-CTR (``pycrypto``, ``pycryptodome``).
    :param encrypt_nonce_bits: ``session.encrypt_nonce_bits``; 48 for cookies of versions before 1.8.
    :param options: see `ImportOptions`; `max_age`: what ``session.timeout`` was; `cookie`: usually
        ``"beaker.session.id"``.
    """

    def __init__(
        self,
        validate_key: str | bytes,
        encrypt_key: str | bytes | None = None,
        *,
        encrypt_nonce_bits: int = 128,
        **options: Unpack[ImportOptions],
    ) -> None:
        super().__init__(**options)
        self._validate = secret_bytes("validate_key", validate_key)
        self._encrypt = None if encrypt_key is None else secret_bytes("encrypt_key", encrypt_key)
        if type(encrypt_nonce_bits) is not int or encrypt_nonce_bits <= 0 or encrypt_nonce_bits % 8:
            raise ConfigError(
                f"'encrypt_nonce_bits' must be a positive multiple of 8 (got {encrypt_nonce_bits!r})",
                "encrypt_nonce_bits",
            )
        # Of its nonce Beaker uses the base64 text, padding included.
        self._nonce = (4 * (encrypt_nonce_bits // 8) // 3 + 3) & ~3

    def _open(self, text: str) -> Found:
        signature, signed = text[:_SIGNATURE], text[_SIGNATURE:]
        if not signed:
            raise DecodeError("malformed")
        if not hmac.compare_digest(signature, hmac.new(self._validate, signed.encode(), "sha1").hexdigest()):
            raise DecodeError("forged")
        values = self._values(signed)
        if type(values) is not dict:
            raise DecodeError("unreadable")
        made, began = values.get("_accessed_time"), values.get("_creation_time")
        return Found({key: value for key, value in values.items() if key not in _OWN}, made, began)

    def _values(self, signed: str) -> object:
        if self._encrypt is None:
            return _unpacked(from_base64(signed, url=False))
        nonce, rest = signed[: self._nonce], signed[self._nonce :]
        salt = self._validate + nonce.encode()
        key = hashlib.pbkdf2_hmac("sha1", self._encrypt, salt, 1, 32)
        return _unpacked(_decrypted(key, from_base64(rest, url=False)))


def _decrypted(key: bytes, data: bytes) -> bytes:
    """The plain text of either cipher; what is neither becomes noise, which is not zlib of JSON."""
    iv, tag, sealed = data[:_IV], data[_IV : _IV + _TAG], data[_IV + _TAG :]
    try:
        return AESGCM(key).decrypt(iv, sealed + tag, None)
    except (InvalidTag, ValueError):  # the nonce is too short, when the data is
        machine = Cipher(AES(key), CTR(bytes(16))).decryptor()
        return machine.update(data) + machine.finalize()


def _unpacked(data: bytes) -> object:
    """JSON, which old versions did not compress."""
    return from_json(data if data.startswith(b"{") else inflated(data))
