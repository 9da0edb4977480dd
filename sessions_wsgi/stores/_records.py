"""What a backend is given: its keys, and the bytes it keeps, which may be sealed."""

from __future__ import annotations

import os
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sessions_wsgi.codecs import Opened
from sessions_wsgi.errors import DecodeError
from sessions_wsgi.keys import Key, KeyRing

ID_BYTES = 32

_NONCE_BYTES = 12
_LABEL = b"sessions_wsgi/record/1"


def record_key(raw_id: bytes) -> str:
    """The backend's key of an id: who reads the backend learns no id (OWASP ASVS 7.2)."""
    return sha256(b"sessions_wsgi/id/1\0" + raw_id).hexdigest()


class PlainRecords:
    """Records as they are."""

    def seal(self, cookie: str, raw_id: bytes, data: bytes, now: float) -> bytes:  # noqa: ARG002
        return data

    def open(self, cookie: str, raw_id: bytes, data: bytes, now: float) -> Opened:  # noqa: ARG002
        return data, True


class SealedRecords:
    """Records under a key of their own, made of the ring's key and the raw id: a stolen dump and the keys
    together open nothing without the visitors' cookies.

    ``0x01, key id (4), nonce (12), ciphertext, tag (16)``: AES-256-GCM under HKDF-SHA-256 of the encryption
    key, salt = the raw id, info = ``sessions_wsgi/record/1``, audience and cookie name, joined by NUL. The
    key serves one session only, so random 96-bit nonces last (SP 800-38D 8.3).
    """

    def __init__(self, ring: KeyRing, audience: str) -> None:
        self._ring = ring
        self._info = b"%s\0%s\0" % (_LABEL, audience.encode())
        self._by_head = {b"\x01" + key.id: key for key in ring}

    def seal(self, cookie: str, raw_id: bytes, data: bytes, now: float) -> bytes:
        key = self._ring.require_seal(now)
        head, nonce = b"\x01" + key.id, os.urandom(_NONCE_BYTES)
        return head + nonce + self._cipher(key, cookie, raw_id).encrypt(nonce, data, head)

    def open(self, cookie: str, raw_id: bytes, data: bytes, now: float) -> Opened:
        head, nonce = data[:5], data[5 : 5 + _NONCE_BYTES]
        key = self._by_head.get(head)
        if key is None or key.opens_until <= now or len(nonce) < _NONCE_BYTES:
            raise DecodeError("unknown_key" if head[:1] == b"\x01" else "unreadable")
        try:
            plain = self._cipher(key, cookie, raw_id).decrypt(nonce, data[5 + _NONCE_BYTES :], head)
        except InvalidTag:
            raise DecodeError("unreadable") from None
        return plain, key is self._ring.sealing(now)

    def _cipher(self, key: Key, cookie: str, raw_id: bytes) -> AESGCM:
        info = self._info + cookie.encode()
        return AESGCM(HKDF(SHA256(), 32, salt=raw_id, info=info).derive(key.encryption))


Records = PlainRecords | SealedRecords
