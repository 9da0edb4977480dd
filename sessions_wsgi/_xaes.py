"""XAES-256-GCM (C2SP): AES-256-GCM with a 24-byte nonce and a key of its own for every message.

https://c2sp.org/XAES-256-GCM. Random nonces are safe for 2^80 messages under one key, so nobody has to
count them; plain GCM stops at 2^32 (NIST SP 800-38D 8.3).
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB

KEY_SIZE, NONCE_SIZE, TAG_SIZE = 32, 24, 16

_BLOCK = 16
_IN_BOTH = 1 << 8 * _BLOCK | 1
_COUNTERS = (b"\x00\x01X\x00", b"\x00\x02X\x00")  # SP 800-108 in counter mode, label "X"


class XAES256GCM:
    """Seals and opens under one key. Any thread may use it."""

    __slots__ = ("_key", "_local", "_mask")

    def __init__(self, key: bytes) -> None:
        self._key = AES256(key)
        self._local = threading.local()
        # CMAC's first subkey (SP 800-38B 6.1): both messages are whole blocks, the second is not needed.
        doubled = int.from_bytes(self._cipher()(bytes(_BLOCK)), "big") << 1
        reduced = doubled ^ (0x1_0000_0000_0000_0000_0000_0000_0000_0087 if doubled >> 128 else 0)
        first, second = (reduced ^ int.from_bytes(counter + bytes(12), "big") for counter in _COUNTERS)
        self._mask = first << 8 * _BLOCK | second

    def seal(self, nonce: bytes, data: bytes, associated: bytes) -> bytes:
        """The ciphertext and its tag. `nonce` must be 24 fresh random bytes."""
        return self._message_key(nonce).encrypt(nonce[12:], data, associated)

    def open(self, nonce: bytes, text: bytes, associated: bytes) -> bytes:
        """What was sealed; `cryptography.exceptions.InvalidTag` when it is not that."""
        return self._message_key(nonce).decrypt(nonce[12:], text, associated)

    def _message_key(self, nonce: bytes) -> AESGCM:
        # Both blocks at once: each is its mask and the half of the nonce.
        blocks = int.from_bytes(nonce[:12], "big") * _IN_BOTH ^ self._mask
        return AESGCM(self._cipher()(blocks.to_bytes(2 * _BLOCK, "big")))

    def _cipher(self) -> Callable[[bytes], bytes]:
        """AES of whole blocks: kept, as making it costs more than all the rest, for each thread by itself."""
        try:
            return self._local.update  # type: ignore[no-any-return]
        except AttributeError:
            # ECB of single distinct blocks is the bare block cipher that CMAC is built on.
            self._local.update = Cipher(self._key, ECB()).encryptor().update  # noqa: S305
            return self._local.update  # type: ignore[no-any-return]
