"""Options where they are set: settings that have a prefix, environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping

from sessions_wsgi import _texts
from sessions_wsgi._texts import Named
from sessions_wsgi.errors import ConfigError

_OTHER_KEYS = "SESSION_KEYS"  # as the command line has it, and the examples


def stripped(settings: Mapping[str, str], prefix: str, end: str = ".") -> dict[str, str]:
    """The settings with this prefix, without it."""
    if prefix and not prefix.endswith(end):
        raise ConfigError(f"'prefix' must end with {end!r} (got {prefix!r})", "prefix")
    return {name.removeprefix(prefix): text for name, text in settings.items() if name.startswith(prefix)}


def variables(environ: Mapping[str, str] | None, prefix: str) -> tuple[dict[str, str], Named]:
    """The environment variables with this prefix, by the options that they stand for, and their names."""
    environ = os.environ if environ is None else environ
    options = {_variable(option): option for option in _texts.ALL}
    given = {options.get(name, name): text for name, text in stripped(environ, prefix, "_").items()}
    has_other = prefix == "SESSIONS_" and "keys" not in given and _OTHER_KEYS in environ
    if has_other:
        given["keys"] = environ[_OTHER_KEYS]

    def named(option: str) -> str:
        return _OTHER_KEYS if has_other and option == "keys" else prefix + _variable(option)

    return given, named


def _variable(option: str) -> str:
    return option.replace(".", "_").upper() if option in _texts.ALL else option  # which is unknown
