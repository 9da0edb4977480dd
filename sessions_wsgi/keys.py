"""Secrets: checked once, derived once, newest first.

One secret yields, by HKDF-SHA-256 (RFC 5869) with fixed labels, a signing key, an encryption key and a
4-byte key id. None of the three tells anything about another or about the secret.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Union

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sessions_wsgi._named import known_options
from sessions_wsgi.errors import ConfigError, UsageError, logger

MIN_SECRET_BYTES = 32

_MIN_COMPRESSED = 28

Keys = Union[str, bytes, "Key", "KeyRing", Sequence[Union[str, bytes, "Key"]]]

_HINT = "make one with: sessions-wsgi keygen"

# What people leave in place of a secret. Cut out of a secret that is long enough, something must remain.
_PLACEHOLDERS = re.compile(
    r"secret|change[-_ ]?(?:me|this|it)?|please|replace|password|insecure|default|example|placeholder|"
    r"development|production|session|django|flask|signing|encryption|your|super|very|only|here|this|dev|key|"
    r"test|for|not|the|in|do|use|a|my|[^a-z0-9]"
)

# Between parts that are long enough to be keys, with or without a blank.
_SEPARATED = re.compile(r"[^,;\s]{32,}\s*([,;])\s*[^,;\s]{32,}")
# A random key of base64 may begin with "/", too: each part of this is a word in one case, so long a one
# that chance makes none.
_PATH = re.compile(r"(?:\.{1,2}|~)/.*|(?:/(?:[A-Z]?[a-z0-9_.-]+|[A-Z0-9_.-]+)(?=/|\Z)){2,}+")


@known_options
class Key:
    """One secret of at least 32 bytes and the time in which it may be used.

    :param secret: text (its UTF-8 bytes are the secret, never decoded) or bytes.
    :param not_before: aware datetime; before it the key opens but does not seal, so that a whole fleet can
        learn it first.
    :param accept_until: aware datetime; from then on the key opens nothing.
    :raises ConfigError: the secret is short, repetitive or a placeholder; a date is naive, or the
        two exclude each other.
    """

    __slots__ = (
        "accept_until",
        "encryption",
        "id",
        "not_before",
        "opens_until",
        "seals_from",
        "secret",
        "signing",
    )

    def __init__(
        self,
        secret: str | bytes,
        *,
        not_before: datetime | None = None,
        accept_until: datetime | None = None,
    ) -> None:
        self.secret = _checked_secret(secret)
        self.not_before, self.accept_until = not_before, accept_until
        self.seals_from = _timestamp("not_before", not_before, 0.0)
        self.opens_until = _timestamp("accept_until", accept_until, float("inf"))
        if self.opens_until <= self.seals_from:
            raise ConfigError(
                "'accept_until' must be later than 'not_before': this key could never seal", "accept_until"
            )
        self.signing = _derive(self.secret, b"sessions_wsgi/key/signing/1", 32)
        self.encryption = _derive(self.secret, b"sessions_wsgi/key/encryption/1", 32)
        self.id = _derive(self.secret, b"sessions_wsgi/key/id/1", 4)

    @classmethod
    def generate(cls, *, not_before: datetime | None = None, accept_until: datetime | None = None) -> Key:
        """A key with a new random secret: 43 characters of base64url, `key.secret.decode()` to keep it."""
        return cls(secrets.token_urlsafe(32), not_before=not_before, accept_until=accept_until)

    @classmethod
    def from_passphrase(
        cls,
        text: str,
        salt: bytes,
        *,
        not_before: datetime | None = None,
        accept_until: datetime | None = None,
    ) -> Key:
        """A key stretched from a text that people remember (OWASP ASVS 11.4.4): about half a second, once.

        :param salt: at least 16 bytes, one's own for each application; it is no secret.
        """
        if not isinstance(salt, bytes) or len(salt) < 16:
            raise ConfigError("'salt' must be at least 16 bytes", "salt")
        if not isinstance(text, str) or not text:
            raise ConfigError("'text' must be a str and not empty", "text")
        # scrypt with 128 MiB, RFC 7914 and OWASP's first choice of parameters.
        raw = hashlib.scrypt(_utf8(text), salt=salt, n=2**17, r=8, p=1, maxmem=2**28, dklen=32)
        return cls(base64.urlsafe_b64encode(raw), not_before=not_before, accept_until=accept_until)

    def __repr__(self) -> str:
        dates = [
            f", {name}={date}" for name in ("not_before", "accept_until") if (date := getattr(self, name))
        ]
        return f"<Key {self.id.hex()}{''.join(dates)}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Key):
            return NotImplemented
        mine, theirs = (self.seals_from, self.opens_until), (other.seals_from, other.opens_until)
        return secrets.compare_digest(self.secret, other.secret) and mine == theirs

    def __hash__(self) -> int:
        return hash((self.id, self.seals_from, self.opens_until))


class KeyRing:
    """Keys, newest first: the newest that may seals; every one that is not past its end opens.

    :param keys: a text (split on white space), bytes, a `Key`, or a sequence of these. Texts inside a
        sequence are split too, so an environment variable can hold a whole ring.
    :raises ConfigError: there is no key, or one twice.
    """

    __slots__ = ("always", "keys")

    def __init__(self, keys: Keys) -> None:
        self.keys = tuple(_flattened(keys))
        if not self.keys:
            raise ConfigError(f"'keys' must hold at least one key; {_HINT}", "keys")
        ids = [key.id for key in self.keys]
        if len(set(ids)) != len(ids):
            raise ConfigError("'keys' must not hold the same key twice; remove one of them", "keys")
        dated = any(key.not_before or key.accept_until for key in self.keys)
        #: The key that seals at any time; None where dates decide.
        self.always = None if dated else self.keys[0]

    @classmethod
    def of(cls, keys: Keys) -> KeyRing:
        """The ring itself, or one made of `keys`: the one place where "one or many" becomes a ring."""
        return keys if isinstance(keys, KeyRing) else cls(keys)

    def require_sealing(self, now: float) -> None:
        """Refuse a ring that can never seal again, warn of one that cannot yet; `now` in seconds."""
        if all(key.opens_until <= now for key in self.keys):
            rule = "must hold a key that can still seal: every 'accept_until' has passed"
            raise ConfigError(f"'keys' {rule}; {_HINT}", "keys")
        if self.sealing(now) is None:
            logger.warning("no key may seal yet: every 'not_before' is in the future, nothing can be saved")

    def sealing(self, now: float) -> Key | None:
        """The key that seals at this time; None when each is too young or too old."""
        if self.always is not None:
            return self.always
        return next((key for key in self.keys if key.seals_from <= now < key.opens_until), None)

    def require_seal(self, now: float) -> Key:
        """The key that seals at this time.

        :raises UsageError: each is too young or too old.
        """
        key = self.sealing(now)
        if key is None:
            raise UsageError(
                "'keys' holds no key that may seal now: each is before its 'not_before' or past its "
                "'accept_until'; add one without dates"
            )
        return key

    def __iter__(self) -> Iterator[Key]:
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self.keys)

    def __repr__(self) -> str:
        return f"KeyRing({list(self.keys)!r})"


def _flattened(keys: object) -> Iterator[Key]:
    if isinstance(keys, Key):
        yield keys
    elif isinstance(keys, str):
        _refuse_no_keys(keys)
        parts = keys.split()
        yield from (_key(part, len(parts)) for part in parts)
    elif isinstance(keys, bytes | bytearray):
        yield _key(bytes(keys))
    elif isinstance(keys, Sequence | KeyRing):
        for part in keys:
            if not isinstance(part, str | bytes | Key):  # an int of a bytes-like, a list in a list
                raise _not_a_key(part)
            yield from _flattened(part)
    else:
        raise _not_a_key(keys)


def _refuse_no_keys(text: str) -> None:
    """Raise `ConfigError` for a text that is long enough to pass for a key, and plainly meant otherwise."""
    separated = _SEPARATED.search(text)
    if separated is not None:
        raise ConfigError(f"'keys' are separated by blanks, not by {separated[1]!r}", "keys")
    parts = text.split()
    if any(part[0] == part[-1] and part[0] in "\"'" for part in ("".join(parts), *parts) if part):
        raise ConfigError("'keys' must not stand in quotes: remove them, also from the env file", "keys")
    if any(_PATH.fullmatch(part) or (part[0] == "/" and os.path.isfile(part)) for part in parts):
        raise ConfigError("'keys' holds the keys themselves, not a file's path: read the file", "keys")


def _key(secret: str | bytes, among: int = 1) -> Key:
    """A key of what was given as `keys`, which its error names.

    :param among: how many the text held.
    """
    try:
        return Key(secret)
    except ConfigError as error:
        told = str(error).replace("'secret'", "each of 'keys'", 1)
        if among > 1:
            told += f" (blanks separate keys: this text holds {among})"
        raise ConfigError(told, "keys") from None


def _not_a_key(value: object) -> ConfigError:
    rule = "must be a str, bytes, Key, KeyRing or a sequence of these"
    return ConfigError(f"'keys' {rule} (got {type(value).__name__}); {_HINT}", "keys")


def _checked_secret(secret: str | bytes) -> bytes:
    if not isinstance(secret, str | bytes):
        raise ConfigError(f"'secret' must be str or bytes (got {type(secret).__name__})", "secret")
    raw = _utf8(secret) if isinstance(secret, str) else secret
    if raw != raw.strip() and isinstance(secret, str):
        raise ConfigError("'secret' must not begin or end with white space; strip it", "secret")
    if len(raw) < MIN_SECRET_BYTES:
        raise ConfigError(
            f"'secret' must have at least {MIN_SECRET_BYTES} bytes (got {len(raw)}); {_HINT}", "secret"
        )
    # A random text of 32 hexadecimal digits is 34 bytes at the least, compressed; one that repeats is less.
    repeats = (raw + raw).find(raw, 1) < len(raw) or len(zlib.compress(raw, 9)) < _MIN_COMPRESSED
    if repeats or len(set(raw)) < 8:
        raise ConfigError(f"'secret' must be random, this one repeats itself; {_HINT}", "secret")
    text = raw.decode("latin-1").lower()
    if text.isascii() and text.isprintable() and len(_PLACEHOLDERS.sub("", text)) < 12:
        raise ConfigError(f"'secret' must be random, this one is a placeholder; {_HINT}", "secret")
    return raw


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ConfigError(
            "'secret' must be text that UTF-8 can write: no lone surrogates", "secret"
        ) from None


def _timestamp(option: str, date: datetime | None, default: float) -> float:
    if date is None:
        return default
    if not isinstance(date, datetime) or date.utcoffset() is None:
        raise ConfigError(
            f"{option!r} must be an aware datetime; add tzinfo, as in datetime(…, tzinfo=UTC)", option
        )
    return date.timestamp()


def _derive(secret: bytes, label: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=label).derive(secret)
