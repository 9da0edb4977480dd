"""What Beaker's options come to: a store, a cookie, and a few habits."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sessions_wsgi.codecs import SignedCodec
from sessions_wsgi.compat._beaker_options import full, wrong
from sessions_wsgi.compat._beaker_stores import KINDS, Options
from sessions_wsgi.cookies import MAX_AGE_LIMIT, CookieOptions
from sessions_wsgi.envelope import Lifetime
from sessions_wsgi.errors import ConfigError, logger
from sessions_wsgi.keys import MIN_SECRET_BYTES, Key
from sessions_wsgi.serializers import CBORSerializer
from sessions_wsgi.stores import CookieStore, ServerStore

_MONTH = 30 * 86400.0


class Setup:
    """What `SessionMiddleware` needs to know: the store, the cookie's name, and a few habits of Beaker.

    :raises ConfigError: an option is wrong or missing.
    """

    def __init__(self, options: Options) -> None:
        self.name: str = options.get("key", "beaker.session.id")
        self.auto: bool = options.get("auto", False)
        self.timeout: int | None = options.get("timeout")
        self.cookie_expires: bool | timedelta | datetime = options.get("cookie_expires", True)
        self.webtest_varname: str | None = options.get("webtest_varname")
        self.clock: Callable[[], float] = options.get("clock", time.time)
        kind = options.get("type") or ("file" if "data_dir" in options else "memory")
        make = KINDS.get(kind)
        if make is None:
            raise wrong("type", f"must be one of {', '.join(sorted(KINDS))} (got {kind!r})")
        key = _key(options, kind, self.name)
        with _named():
            self.store: CookieStore | ServerStore = make(options, key, self._common(options))
            self.store.options.cookie_name(self.name)
        #: Ids as texts of cookies, where there are ids.
        self.ids = SignedCodec(key, "id", clock=self.clock) if kind != "cookie" else None

    def age(self, expires: bool | timedelta | datetime) -> float | None:
        """Seconds that the browser keeps the cookie; None: until it closes."""
        if expires is True:
            return None
        if isinstance(expires, datetime):
            zone = expires if expires.tzinfo else expires.replace(tzinfo=UTC)  # Beaker writes it down as GMT
            seconds = zone.timestamp() - self.clock()
        else:
            seconds = expires.total_seconds() if isinstance(expires, timedelta) else MAX_AGE_LIMIT
        return min(max(seconds, 1), MAX_AGE_LIMIT)

    def _common(self, options: Options) -> dict[str, Any]:
        given = options.get("data_serializer", "json")
        common = {
            "options": self._cookie(options),
            "lifetime": self._lifetime(options),
            "serializer": CBORSerializer() if given == "json" else given,
        }
        return common | {name: options[name] for name in ("accept", "clock") if name in options}

    def _cookie(self, options: Options) -> CookieOptions:
        samesite = options.get("samesite", "Lax")
        with _named():
            return CookieOptions(
                path=options.get("cookie_path", "/"),
                domain=options.get("cookie_domain"),
                max_age=self.age(self.cookie_expires),
                secure=options.get("secure", False),
                httponly=options.get("httponly", True),
                samesite=samesite,
            )

    def _lifetime(self, options: Options) -> Lifetime:
        """Without a timeout Beaker's never end; here nobody who comes within a month is logged out."""
        span = max(_MONTH, self.age(self.cookie_expires) or 0)
        if not options.get("save_accessed_time", True):
            return Lifetime(absolute=span)
        return Lifetime(absolute=None, idle=self.timeout or span)


class _named:  # noqa: N801 - used as a function
    """Errors about our options are told by Beaker's names."""

    _NAMES = {  # noqa: RUF012
        "path": "cookie_path",
        "domain": "cookie_domain",
        "name": "key",
        "directory": "data_dir",
        "idle": "timeout",
        "absolute": "cookie_expires",
        "serializer": "data_serializer",
        "table": "table_name",
    }

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        option = error.option if isinstance(error, ConfigError) else None
        if option is not None and not option.startswith("session."):
            name = self._NAMES.get(option, option)
            message = str(error).replace(repr(option), repr(full(name)))
            raise ConfigError(message, full(name)) from None


# Keys


def _key(options: Options, kind: str, name: str) -> Key:
    """One secret: that of the encryption if there is one, else that of the signature."""
    order = (
        ("encrypt_key", "validate_key", "secret")
        if kind == "cookie"
        else ("encrypt_key", "secret", "validate_key")
    )
    option = next((each for each in order if each in options), None)
    if option is None and kind == "memory":  # such sessions end with the process, and so may their key
        return Key(secrets.token_urlsafe(32))
    if option is None:
        needed = "validate_key" if kind == "cookie" else "secret"
        raise wrong(
            needed, "must be set: what is not signed, anybody can plant; make one with: sessions-wsgi keygen"
        )
    text: str = options[option]
    try:
        if len(text.encode()) >= MIN_SECRET_BYTES:
            return Key(text)
        logger.warning("%r is short, and stretched; better: sessions-wsgi keygen", full(option))
        return Key.from_passphrase(text, b"sessions_wsgi/beaker/" + name.encode())
    except ConfigError as error:
        raise ConfigError(str(error).replace("'secret'", repr(full(option))), full(option)) from None
