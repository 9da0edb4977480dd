"""Beaker's options: collected as Beaker does, checked, and refused where they would be unsafe."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sessions_wsgi._nearest import nearest
from sessions_wsgi.errors import ConfigError

#: What Beaker knows, and `accept` and `clock`, which are ours.
KNOWN = frozenset(
    {
        "accept", "auto", "bind", "clock", "cookie_domain", "cookie_expires", "cookie_path",
        "crypto_type", "data_dir", "data_serializer", "digest_filenames", "encrypt_key",
        "encrypt_nonce_bits", "httponly", "id", "invalidate_corrupt", "key", "lock_dir", "log_file",
        "memcache_module", "namespace_class", "optimistic", "sa_opts", "samesite",
        "save_accessed_time", "schema_name", "secret", "secure", "session_class", "table",
        "table_name", "timeout", "type", "url", "urls", "use_cookies", "validate_key",
        "webtest_varname",
    }
)  # fmt: skip

_TRUE = frozenset({"true", "yes", "on", "y", "t", "1"})
_FALSE = frozenset({"false", "no", "off", "n", "f", "0"})
_CRYPTO = frozenset({"default", "cryptography", "pycryptodome", "pycrypto", "nss"})
_PICKLES = ("pickle", "dill", "marshal", "shelve")


def collected(config: Mapping[str, Any] | None, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `config` that have a prefix, and all keyword arguments, as Python values.

    :raises ConfigError: one is unknown, unsafe or has a wrong value; `option` is its name.
    """
    given: dict[str, Any] = {}
    for name, value in (config or {}).items():
        if (option := _without_prefix(str(name))) is not None:
            given[option] = value
    for name, value in kwargs.items():
        given[_without_prefix(name) or name] = value
    return _checked({name: value for name, value in given.items() if value is not None})


def _without_prefix(name: str) -> str | None:
    for prefix in ("beaker.session.", "session."):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    if name.startswith("session_") and name != "session_class":
        warnings.warn(f"{name!r} should begin with 'session.'", DeprecationWarning, stacklevel=5)
        return name.removeprefix("session_")
    return None


def _checked(given: dict[str, Any]) -> dict[str, Any]:
    for name in given:
        if name not in KNOWN and not name.startswith("sa."):
            raise ConfigError(
                f"Beaker's sessions have no option {full(name)!r}{nearest(name, KNOWN, full)}", full(name)
            )
    options = {name: _READ.get(name, _as_it_is)(name, value) for name, value in given.items()}
    _refuse_unsafe(options)
    if options.get("timeout") is not None and not options.get("save_accessed_time", True):
        raise wrong("timeout", "needs save_accessed_time=true")
    return options


def _refuse_unsafe(options: Mapping[str, Any]) -> None:
    """Each refusal names what does the same, safely."""
    if not options.get("use_cookies", True):
        raise wrong(
            "use_cookies", "must be true: an id from elsewhere can be planted; use cookies, or get_by_id"
        )
    if not options.get("invalidate_corrupt", True):
        raise wrong(
            "invalidate_corrupt", "must be true: anybody could make the application fail by a bad cookie"
        )
    if "id" in options:
        raise wrong(
            "id", "must not be set: all visitors would share one session; remove it, or use get_by_id"
        )
    for name in ("session_class", "namespace_class"):
        if name in options:
            raise wrong(name, "cannot be used; write a sessions_wsgi.Backend for a store of your own")
    if options.get("crypto_type", "default") not in _CRYPTO:
        raise wrong("crypto_type", "must be left out: encrypt_key means XAES-256-GCM, by one library")
    serializer = options.get("data_serializer", "json")
    kind = (
        serializer
        if isinstance(serializer, str)
        else f"{getattr(serializer, '__name__', '')} {type(serializer).__name__}"
    )
    if any(word in kind.lower() for word in _PICKLES):
        raise wrong(
            "data_serializer",
            "must not be pickle, which runs what it reads (CVE-2013-7489); leave it out: most types are kept "
            "as they are, or give CBORSerializer(types=…) for classes of your own",
        )
    if isinstance(serializer, str) and serializer != "json":
        raise wrong("data_serializer", "must be json, an object with dumps and loads, or left out")


def full(name: str) -> str:
    """The name of an option in a configuration."""
    return f"session.{name}"


def wrong(name: str, rule: str) -> ConfigError:
    """An error about an option."""
    return ConfigError(f"{full(name)!r} {rule}", full(name))


# Values, which may come from an ini file


def _as_it_is(_: str, value: Any) -> Any:
    return value


def _flag(name: str, value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in _TRUE | _FALSE:
        raise wrong(name, f"must be true or false (got {value!r})")
    return text in _TRUE


def _seconds(name: str, value: Any) -> int | None:
    text = str(value).strip()
    if isinstance(value, bool) or not text.isdecimal() or int(text) < 1:
        raise wrong(name, f"must be a whole number of seconds (got {value!r})")
    return int(text)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise wrong(name, f"must be a text that is not empty (got {type(value).__name__})")
    return value


def _expires(name: str, value: Any) -> bool | timedelta | datetime:
    """True: when the browser closes; False: never; else seconds, a span or a date."""
    if isinstance(value, bool | timedelta | datetime):
        return value
    text = str(value).strip().lower()
    if text in _TRUE | _FALSE and not isinstance(value, int):
        return text in _TRUE
    try:
        return timedelta(seconds=int(text))
    except (ValueError, OverflowError):
        raise wrong(name, "must be true, false, seconds, a timedelta or a datetime") from None


_READ: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(
        ("auto", "httponly", "invalidate_corrupt", "save_accessed_time", "secure", "use_cookies"), _flag
    ),
    **dict.fromkeys(
        ("cookie_domain", "cookie_path", "data_dir", "encrypt_key", "key", "secret", "type"), _text
    ),
    **dict.fromkeys(("table_name", "schema_name", "validate_key", "webtest_varname"), _text),
    "timeout": _seconds,
    "cookie_expires": _expires,
}
