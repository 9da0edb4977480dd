"""Cookies: find one in a request, write one into a response. RFC 6265bis.

WebOb's parser takes quadratic time on some headers and reads every cookie to find one; nothing here does.
Every Set-Cookie of the package, deletions included, is written by `set_cookie`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import formatdate
from functools import lru_cache
from typing import Literal

from sessions_wsgi._named import known_options
from sessions_wsgi.errors import ConfigError, CookieTooLargeError, UsageError

#: Octets of name and value together, RFC 6265bis 5.6.
MAX_COOKIE_BYTES = 4096
#: 400 days in seconds, RFC 6265bis 5.5.
MAX_AGE_LIMIT = 34_560_000
#: No span of time is longer, some 30,000 years: what is computed with them stays finite.
MAX_SECONDS = 10**12
#: A sibling domain may have planted cookies of our name; so many of them are looked at.
MAX_SAME_NAMED = 4

_MAX_ATTRIBUTE_BYTES = 1024  # RFC 6265bis 5.6
_MAX_NAMES = 256  # names of a program are few; those of a visitor are not
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 5.6.2
_PATH = re.compile(r"/[\x20-\x3a\x3c-\x7e]*")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

Prefix = Literal["", "__Host-", "__Secure-", "__Http-", "__Host-Http-"]
SameSite = Literal["Lax", "Strict", "None"]

_PREFIXES = ("__Host-Http-", "__Host-", "__Secure-", "__Http-")
_SAMESITE = {"lax": "Lax", "strict": "Strict", "none": "None"}


@known_options
@dataclass(frozen=True, slots=True)
class CookieOptions:
    """The attributes of a cookie, checked here once.

    :raises ConfigError: an attribute that browsers would refuse, or a combination that they would.
    """

    #: Where on the host the browser sends it.
    path: str = "/"
    #: None: this host only, which is safest (OWASP Session Management, "Domain and Path").
    domain: str | None = None
    #: Seconds or a `timedelta` that the browser keeps it; None: until it closes.
    max_age: float | timedelta | None = None
    #: Only ever sent over https; browsers make an exception for localhost.
    secure: bool = True
    #: Out of reach of scripts.
    httponly: bool = True
    #: "None" sends it from other sites too, and needs `secure`.
    samesite: SameSite = "Lax"
    #: A jar of its own under every embedding site (CHIPS); needs `secure`.
    partitioned: bool = False
    #: Put before the session's name; browsers hold such a cookie to stricter rules.
    prefix: Prefix = ""
    _tail: str = field(init=False, repr=False, compare=False)
    _names: dict[str, str] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for option in ("secure", "httponly", "partitioned"):
            if not isinstance(getattr(self, option), bool):
                raise _wrong(option, "must be True or False", getattr(self, option))
        self._normalise()
        self._check_prefix(self.prefix)
        if self.samesite == "None" and not self.secure:
            raise ConfigError(
                "'samesite' must not be 'None' without 'secure': browsers refuse it", "samesite"
            )
        if self.partitioned and not self.secure:
            raise ConfigError(
                "'partitioned' must not be set without 'secure': browsers refuse it", "partitioned"
            )
        object.__setattr__(self, "_tail", self._compose_tail())

    def _normalise(self) -> None:
        if (
            not (isinstance(self.path, str) and _PATH.fullmatch(self.path))
            or len(self.path) > _MAX_ATTRIBUTE_BYTES
        ):
            rule = f"hold neither ';' nor controls, and have at most {_MAX_ATTRIBUTE_BYTES} bytes"
            raise _wrong("path", f"must begin with '/', {rule}", self.path)
        samesite = _SAMESITE.get(self.samesite.lower()) if isinstance(self.samesite, str) else None
        if samesite is None:
            raise _wrong("samesite", "must be 'Lax', 'Strict' or 'None' (the word)", self.samesite)
        object.__setattr__(self, "samesite", samesite)
        if self.domain is not None:
            object.__setattr__(self, "domain", _checked_domain(self.domain))
        if self.max_age is not None:
            object.__setattr__(self, "max_age", checked_max_age(self.max_age))

    def _check_prefix(self, prefix: str) -> None:
        """Browsers match prefixes without regard to case (RFC 6265bis 5.7)."""
        if prefix not in ("", *_PREFIXES):
            raise _wrong("prefix", f"must be empty or one of {', '.join(_PREFIXES)}", prefix)
        if prefix and not self.secure:
            raise ConfigError(
                f"'prefix' {prefix!r} needs secure=True: browsers refuse it otherwise", "prefix"
            )
        if "Host-" in prefix and (self.domain is not None or self.path != "/"):
            raise ConfigError(f"'prefix' {prefix!r} needs path='/' and no domain", "prefix")
        if "Http-" in prefix and not self.httponly:
            raise ConfigError(
                f"'prefix' {prefix!r} needs httponly=True: browsers refuse it otherwise", "prefix"
            )

    def _compose_tail(self) -> str:
        return "".join(
            (
                f"; Domain={self.domain}" if self.domain else "",
                f"; Path={self.path}",
                "; Secure" if self.secure else "",
                "; HttpOnly" if self.httponly else "",
                f"; SameSite={self.samesite}",
                "; Partitioned" if self.partitioned else "",
            )
        )

    def cookie_name(self, name: str) -> str:
        """The full name of a session's cookie: the prefix and the name.

        :raises ConfigError: `name` is no RFC 9110 token, is too long, or begins with a prefix whose rules
            these options break.
        """
        full = self._names.get(name)
        return full if full is not None else self._checked_name(name)

    def _checked_name(self, name: str) -> str:
        if not isinstance(name, str) or not _TOKEN.fullmatch(name) or len(name) > _MAX_ATTRIBUTE_BYTES:
            rule = f"of at most {_MAX_ATTRIBUTE_BYTES} letters, digits and !#$%&'*+-.^_`|~"
            raise _wrong("name", f"must be an RFC 9110 token {rule}", name)
        full = self.prefix + name
        lowered = full.lower()
        self._check_prefix(next((prefix for prefix in _PREFIXES if lowered.startswith(prefix.lower())), ""))
        if len(self._names) < _MAX_NAMES:
            self._names[name] = full
        return full


def checked_max_age(value: object, option: str = "max_age") -> float:
    """`value` in seconds.

    :raises ConfigError: not a positive number of seconds or `timedelta`, or over 400 days.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 1 <= seconds <= MAX_AGE_LIMIT:
        raise _wrong(
            option, "must be a timedelta or seconds, from 1 second to 400 days (RFC 6265bis 5.5)", value
        )
    return seconds


def find_cookies(header: str, name: str) -> list[str]:
    """The values of the cookies of exactly this name, at most four, in the order in which they came.

    One linear pass. Only space and tab are trimmed, a pair of quotes is taken off, nameless cookies never
    match. Only a semicolon ends a cookie: were it a comma as well, whoever gets one into the value of another
    cookie could plant this one, whatever its prefix promises.
    """
    # What browsers send needs no regex: once, at the start or after "; ", no quote or blank in it.
    # Not `find` nor `endswith`, which take as long as all of this.
    before, equals, text = header.partition(name + "=")
    if not equals and name not in header:
        return []
    if (not before or before[-2:] == "; ") and name not in before and name not in text:
        text = text.partition(";")[0]
        if not ('"' in text or " " in text or "\t" in text):
            return [text]
    found: list[str] = []
    end = 0
    for match in _pattern(name).finditer(header):
        start = match.start()
        before = header[start - 1] if start else ";"
        if before in " \t":
            before = header[end:start].rstrip(" \t")[-1:] or ("" if end else ";")
        end = match.end()
        if before == ";":
            found.append(_unquoted(match[1]))
            if len(found) == MAX_SAME_NAMED:
                break
    return found


def find_others(header: str, names: Iterable[str], texts: list[str]) -> dict[str, list[str]]:
    """What came in the cookies of these names, by name; all of it is put behind `texts`, too."""
    came = {name: found for name in names if (found := find_cookies(header, name))}
    for found in came.values():
        texts.extend(found)
    return came


@lru_cache(maxsize=256)
def _pattern(name: str) -> re.Pattern[str]:
    # It begins with the name, so that what holds none is skipped at the speed of a search for it. Possessive:
    # a run of blanks is read once, however it ends.
    return re.compile(rf"{re.escape(name)}[ \t]*+=([^;]*)")


def _unquoted(value: str) -> str:
    value = value.strip(" \t")
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] == '"' else value


def set_cookie(full_name: str, text: str, options: CookieOptions, max_age: float | None, now: float) -> str:
    """The value of a Set-Cookie header; an empty `text` deletes the cookie.

    :param max_age: seconds that the browser keeps it, None until it closes; not used in a deletion.
    :param now: seconds since the epoch, for ``Expires``.
    :raises CookieTooLargeError: name and value have over 4096 bytes.
    """
    if not text:  # name, domain, path, Secure and Partitioned as they were set, or the browser keeps it
        return f"{full_name}=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT{options._tail}"
    size = len(full_name) + 1 + len(text)
    if size > MAX_COOKIE_BYTES:
        raise CookieTooLargeError(full_name, size, MAX_COOKIE_BYTES)
    if max_age is None:
        return f"{full_name}={text}{options._tail}"
    seconds = max(1, int(max_age))
    return f"{full_name}={text}; Max-Age={seconds}; Expires={_http_date(int(now) + seconds)}{options._tail}"


def require_text(text: str) -> None:
    """Raise `UsageError` for what is no value of a cookie; a store's author may have made it."""
    if not isinstance(text, str) or not text.isascii() or not text.isprintable() or ";" in text:
        raise UsageError("the text of a cookie must be printable ASCII without ';'")
    if text != _unquoted(text):
        raise UsageError(
            "the text of a cookie must not be quoted, nor begin or end with a blank: readers strip both"
        )


@lru_cache(maxsize=64)
def _http_date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


def _checked_domain(domain: object) -> str:
    text = domain.lower().removeprefix(".") if isinstance(domain, str) else ""
    if not _DOMAIN.fullmatch(text) or len(text) > 253:
        raise _wrong(
            "domain", "must be a host name such as 'example.com', or None for this host only", domain
        )
    return text


def _wrong(option: str, rule: str, value: object) -> ConfigError:
    return ConfigError(f"{option!r} {rule} (got {value!r})", option)
