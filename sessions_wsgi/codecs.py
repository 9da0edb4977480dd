"""Bytes that a browser may keep, as text: signed, or encrypted.

Every text is bound to what it is for: the purpose, the audience and the name that it is sealed under. The
mode is chosen by configuration and never by the text: neither codec looks at the other's texts.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterator
from hmac import compare_digest
from typing import Generic, NamedTuple, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from itsdangerous import Signer

from sessions_wsgi._xaes import NONCE_SIZE, TAG_SIZE, XAES256GCM
from sessions_wsgi.errors import ConfigError, DecodeError
from sessions_wsgi.keys import Key, KeyRing, Keys

T = TypeVar("T")

_NOT_BINDABLE = re.compile("[\0\ud800-\udfff]")


#: The data, and whether the key that seals now had sealed it; otherwise it should be sealed anew.
Opened = tuple[bytes, bool]


class _Codec(Generic[T]):
    """What both codecs share: the ring, and for each name what was derived from each key."""

    _MAX_NAMES = 256

    def __init__(
        self, keys: Keys, purpose: str, *, audience: str = "", clock: Callable[[], float] = time.time
    ) -> None:
        self._ring = KeyRing.of(keys)
        self._ring.require_sealing(clock())
        self._always = self._ring.always
        for option, value in (("purpose", purpose), ("audience", audience)):
            if not isinstance(value, str) or _NOT_BINDABLE.search(value):
                raise ConfigError(f"{option!r} must be a str without NUL or surrogates", option)
        self._purpose, self._audience, self._clock = purpose, audience, clock
        self._derived: dict[str, tuple[tuple[Key, T], ...]] = {}

    def now(self) -> float:
        """Seconds since the epoch, by the clock of this codec."""
        return self._clock()

    def seal(self, name: str, data: bytes) -> str:
        """The text that `open` takes under the same name: only A-Z, a-z, 0-9, ``-``, ``_`` and ``.``."""
        return self.seal_at(name, data, self._clock())

    def open(self, name: str, text: str) -> bytes:
        """The bytes that were sealed under this name.

        :raises DecodeError: the text is damaged, made by others or for another use, or its key is gone.
        """
        return self.open_at(name, text, self._clock())[0]

    def seal_at(self, name: str, data: bytes, now: float) -> str:
        """`seal` at a time, in seconds since the epoch."""
        raise NotImplementedError

    def open_at(self, name: str, text: str, now: float) -> Opened:
        """`open` at a time, and whether the text should be sealed anew."""
        raise NotImplementedError

    def _sealing(self, name: str, now: float) -> T:
        return self._of(name, self._always or self._ring.require_seal(now))

    def _of(self, name: str, key: Key) -> T:
        for each, derived in self._derived.get(name) or self._remember(name):
            if each is key:
                return derived
        raise KeyError(key)

    def _remember(self, name: str) -> tuple[tuple[Key, T], ...]:
        if _NOT_BINDABLE.search(name):
            raise ValueError("'name' must not contain NUL or surrogates")
        if len(self._derived) >= self._MAX_NAMES:  # names of a program are few; those of a visitor are not
            self._derived.clear()
        parts = [self._purpose, self._audience, name]
        made = self._derived[name] = tuple((key, self._derive(key, parts)) for key in self._ring)
        return made

    def _derive(self, key: Key, parts: list[str]) -> T:
        raise NotImplementedError


class _KeptSigner(Signer):
    """The texts of `itsdangerous.Signer`, from an HMAC context that is made once and copied."""

    def __init__(self, secret: bytes, salt: bytes) -> None:
        super().__init__(secret, salt=salt, sep=".", key_derivation="hmac", digest_method=hashlib.sha256)
        self._context = HMAC(self.derive_key(), SHA256())

    def get_signature(self, value: str | bytes) -> bytes:
        return self.signature(value.encode() if isinstance(value, str) else value)

    def signature(self, value: bytes) -> bytes:
        context = self._context.copy()
        context.update(value)
        return b2a_base64(context.finalize(), newline=False).translate(_URLSAFE, b"=")


class SignedCodec(_Codec[_KeptSigner]):
    """Texts that anybody can read and only holders of the keys can make: HMAC-SHA-256.

    ``base64url(data) "." signature``, the very text of `itsdangerous.Signer` with SHA-256,
    ``key_derivation="hmac"`` and as salt ``sessions_wsgi/signed/1``, purpose, audience and name, joined
    by NUL.

    :param keys: see `KeyRing`.
    :param purpose: what the texts are for, so that one never serves as another.
    """

    def seal_at(self, name: str, data: bytes, now: float) -> str:
        value = _to_base64url(data)
        return (value + b"." + self._sealing(name, now).signature(value)).decode()

    def open_at(self, name: str, text: str, now: float) -> Opened:
        # 1. the shape  2. the signature, compared as text: only the canonical one passes  3. the payload
        if not text.isascii():
            raise DecodeError("malformed")
        value, dot, signature = text.encode().rpartition(b".")
        if not dot or len(signature) != 43:
            raise DecodeError("malformed")
        for key, signer in self._derived.get(name) or self._remember(name):
            if now < key.opens_until and compare_digest(signer.signature(value), signature):
                return _from_base64url(value), key is (self._always or self._ring.sealing(now))
        raise DecodeError("forged")

    def _derive(self, key: Key, parts: list[str]) -> _KeptSigner:
        return _KeptSigner(key.signing, "\0".join(["sessions_wsgi/signed/1", *parts]).encode())


class _Box(NamedTuple):
    head: bytes  # 0x01 and the key id
    cipher: XAES256GCM
    associated: bytes


class EncryptedCodec(_Codec[_Box]):
    """Texts that only holders of the keys can read or make: XAES-256-GCM.

    ``base64url(0x01, key id (4), nonce (24), ciphertext, tag (16))``. The key id picks the one key to try.

    :param keys: see `KeyRing`.
    :param purpose: what the texts are for, so that one never serves as another.
    """

    _HEAD = 5
    _MIN_TEXT = (4 * (_HEAD + NONCE_SIZE + TAG_SIZE) + 2) // 3

    def __init__(
        self, keys: Keys, purpose: str, *, audience: str = "", clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(keys, purpose, audience=audience, clock=clock)
        self._ciphers = {key: XAES256GCM(key.encryption) for key in self._ring}
        self._by_start = {start: key for key in self._ring for start in _starts(b"\x01" + key.id)}

    def seal_at(self, name: str, data: bytes, now: float) -> str:
        head, cipher, associated = self._sealing(name, now)
        nonce = os.urandom(NONCE_SIZE)
        return _to_base64url(head + nonce + cipher.seal(nonce, data, associated)).decode()

    def open_at(self, name: str, text: str, now: float) -> Opened:
        # 1. the length  2. the key, from the first 7 characters, so that junk costs no more  3. all of it
        if len(text) < self._MIN_TEXT or not text.isascii():
            raise DecodeError("malformed")
        value = text.encode()
        key = self._by_start.get(value[:7])
        if key is None or key.opens_until <= now:
            raise DecodeError("unknown_key" if _from_base64url(value[:8])[0] == 1 else "malformed")
        raw, (_, cipher, associated) = _from_base64url(value), self._of(name, key)
        start = self._HEAD + NONCE_SIZE
        try:
            data = cipher.open(raw[self._HEAD : start], raw[start:], associated)
        except InvalidTag:
            raise DecodeError("forged") from None
        return data, key is (self._always or self._ring.sealing(now))

    def _derive(self, key: Key, parts: list[str]) -> _Box:
        head = b"\x01" + key.id
        return _Box(head, self._ciphers[key], head + b"".join(map(_length_prefixed, parts)))


def _length_prefixed(part: str) -> bytes:
    raw = part.encode()
    return len(raw).to_bytes(2, "big") + raw


def _starts(head: bytes) -> Iterator[bytes]:
    """The first 7 characters of texts that begin with these 5 bytes; 2 bits of the next byte are in them."""
    for bits in range(4):
        yield _to_base64url(head + bytes([bits << 6]))[:7]


_URLSAFE = bytes.maketrans(b"+/", b"-_")


def _to_base64url(data: bytes) -> bytes:
    text = b2a_base64(data, newline=False)
    return text.rstrip(b"=").replace(b"+", b"-").replace(b"/", b"_")  # passes of memchr beat a translation


# The last character of a canonical text leaves its unused bits zero; indexed by the length modulo 4.
_PADDING = (b"", None, b"==", b"=")
_EQUALS, _PLUS, _SLASH = b"=+/"  # as numbers: with bytes, "in" takes ten times as long
_LAST = (b"", b"", b"AQgw", b"AEIMQUYcgkosw048")


def _from_base64url(text: bytes) -> bytes:
    rest = len(text) & 3
    padding = _PADDING[rest]
    if padding is None or _EQUALS in text or _PLUS in text or _SLASH in text:
        raise DecodeError("malformed")
    if rest and text[-1] not in _LAST[rest]:
        raise DecodeError("malformed")
    try:
        return a2b_base64(text.replace(b"-", b"+").replace(b"_", b"/") + padding, strict_mode=True)
    except Base64Error:
        raise DecodeError("malformed") from None
