"""The floor: primitives that no implementation of these formats can avoid, called one after the other.

Nothing of this library is in it: no request, no session, no checks. What a read has to do at least is to
find the cookie, verify it, and decode; a file adds an id, its hash, and three system calls.
"""

from __future__ import annotations

import hashlib
import os
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator
from hmac import compare_digest
from pathlib import Path

import cbor2
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from harness.places import Places
from harness.visits import FOREIGN, SIZES, Once, Peer, Run, looped

PACKAGE = "cryptography"

_CONTEXT = HMAC(bytes(32), SHA256())
_BLOCKS = Cipher(AES256(bytes(32)), ECB()).encryptor()  # as the scheme derives message keys
_NOW = 1_800_000_000_000


def _envelope(size: str) -> bytes:
    return cbor2.dumps([1, _NOW, _NOW, SIZES[size], {}])


def _text(data: bytes) -> bytes:
    return b2a_base64(data, newline=False)


def _mac(data: bytes) -> bytes:
    context = _CONTEXT.copy()
    context.update(data)
    return context.finalize()


def _header(value: bytes) -> str:
    return f"{FOREIGN}; session={value.decode()}"


def signed_read(size: str, directory: Path) -> Once:
    payload = _text(_envelope(size))
    header = _header(payload + b"." + _text(_mac(payload)))

    def once() -> None:
        payload, _, signature = header[header.index("session=") + 8 :].partition(".")
        raw = payload.encode()
        if compare_digest(_text(_mac(raw)).decode(), signature):
            cbor2.loads(a2b_base64(raw))

    return once


def encrypted_read(size: str, directory: Path) -> Once:
    nonce, blocks = bytes(12), bytes(32)
    sealed = AESGCM(_BLOCKS.update(blocks)).encrypt(nonce, _envelope(size), b"purpose")
    header = _header(_text(bytes(29) + sealed))

    def once() -> None:
        raw = a2b_base64(header[header.index("session=") + 8 :])
        message_key = AESGCM(_BLOCKS.update(blocks))  # each message has a key of its own
        cbor2.loads(message_key.decrypt(nonce, raw[29:], b"purpose"))

    return once


def file_read(size: str, directory: Path) -> Once:
    session_id = bytes(32)
    signed = _text(session_id)
    header = _header(signed + b"." + _text(_mac(signed)))
    folder = str(directory)
    path = f"{folder}/{hashlib.sha256(session_id).hexdigest()}"
    Path(path).write_bytes(_envelope(size))

    def once() -> None:
        text, _, signature = header[header.index("session=") + 8 :].partition(".")
        raw = text.encode()
        if compare_digest(_text(_mac(raw)).decode(), signature):
            name = hashlib.sha256(a2b_base64(raw)).hexdigest()
            descriptor = os.open(f"{folder}/{name}", os.O_RDONLY | os.O_CLOEXEC)
            cbor2.loads(os.read(descriptor, 65536))
            os.close(descriptor)

    return once


class Floor(Peer):
    """One sequence of primitives."""

    base = None

    def __init__(self, name: str, make_once: object, directory: Path) -> None:
        self.name, self._make, self._directory = name, make_once, directory

    def bare(self) -> Run:
        raise NotImplementedError("nothing is subtracted")

    def block(self, case: str, size: str) -> Run | None:
        return looped(self._make(size, self._directory)) if case == "read" else None  # type: ignore[operator]

    def cookie_bytes(self, size: str) -> None:
        return None


def make(places: Places) -> Iterator[Floor]:
    yield Floor("floor, signed cookie", signed_read, places.disk)
    yield Floor("floor, encrypted cookie", encrypted_read, places.disk)
    for kind, _ in places.directories():
        yield Floor(f"floor, files, {kind}", file_read, places.new("floor", kind))
