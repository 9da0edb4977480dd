"""Where keys, URLs and options come from."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from sessions_wsgi._named import told_as
from sessions_wsgi.cli._output import Output
from sessions_wsgi.config import store_from_settings
from sessions_wsgi.errors import ConfigError
from sessions_wsgi.keys import Key, KeyRing
from sessions_wsgi.stores import CookieStore, ServerStore

KEYS_ENV = "SESSION_KEYS"
_MAX_KEYS_BYTES = 65536
_APART = {
    "keys": "keys come from --keys-file or the environment, which nobody else can read",
    "url": "it is an argument of its own",
    "revocations": "give its URL as URL, with --kind cookie",
}


def keys_of(args: Namespace, environ: Mapping[str, str] = os.environ) -> KeyRing | None:
    """The keys; None when none were given.

    :raises ConfigError: they are not where they should be, or are no keys.
    """
    if args.keys_file is not None:
        if args.keys_env is not None:
            raise ConfigError("'--keys-file' and '--keys-env' exclude each other", "keys")
        return _ring(_read(args.keys_file), "--keys-file")
    variable = KEYS_ENV if args.keys_env is None else args.keys_env
    text = environ.get(variable, "")
    if not text.strip() and args.keys_env is not None:
        raise ConfigError("'--keys-env' names a variable that is not set, or empty", "keys")
    return _ring(text, variable) if text.strip() else None


def _ring(text: str, source: str) -> KeyRing:
    with told_as(lambda _: source):
        return KeyRing(text)


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(_MAX_KEYS_BYTES).decode()
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or no path at all
        why = error.strerror if isinstance(error, OSError) else "it must be text in UTF-8"
        raise ConfigError(f"'--keys-file' cannot be read: {why}", "keys") from None


def url_of(text: str, output: Output, environ: Mapping[str, str] = os.environ) -> str:
    """A URL, or what the variable holds that ``env:NAME`` names. Its password is hidden in all messages."""
    scheme, _, name = text.partition(":")
    if scheme.lower() != "env":
        url = text
    elif not (url := environ.get(name, "").strip()):
        raise ConfigError("'URL' is env:NAME, and there is no such variable, or it is empty", "url")
    secrets = _secrets(url)
    if url == text and secrets:
        output.note("a password on the command line is seen by all users of this machine: use env:NAME")
    for secret in (url, *secrets, *map(unquote, secrets)):
        output.hide(secret)
    return url


def _secrets(url: str) -> list[str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return []
    pairs = (pair.partition("=") for pair in parts.query.split("&"))
    found = [value for name, _, value in pairs if value and "pass" in name.lower()]
    return [parts.password, *found] if parts.password else found


def settings_of(args: Namespace) -> dict[str, str]:
    """What ``--option`` and ``--audience`` say.

    :raises ConfigError: it is no NAME=VALUE, comes twice, or has a place of its own.
    """
    settings: dict[str, str] = {}
    pairs = [option.partition("=") for option in args.option]
    if args.audience is not None:
        pairs.append(("audience", "=", args.audience))
    for name, equals, value in pairs:
        if not equals:
            raise ConfigError("'--option' must be NAME=VALUE, as in --option table=shop_sessions", "option")
        if name in _APART:
            raise ConfigError(f"'--option' does not take {name!r}: {_APART[name]}", name)
        if name in settings:
            raise ConfigError(f"'--option' has {name!r} twice", name)
        settings[name] = value
    return settings


def store_of(url: str, settings: Mapping[str, str]) -> Any:
    """The store that a URL and settings describe, with a key of its own: none of the site's is needed
    for what has nothing to do with cookies."""
    throwaway = Key.generate().secret.decode()
    store: CookieStore | ServerStore = store_from_settings(
        {**settings, "url": url, "keys": throwaway}, prefix=""
    )
    return store
