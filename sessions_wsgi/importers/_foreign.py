"""What all importers share: their options, the times that they hold a cookie to, what they may hand on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from math import isfinite
from typing import Any, NamedTuple, Required, TypedDict

from sessions_wsgi._named import named, unknown
from sessions_wsgi._walk import parts_of, refusal, text_rule
from sessions_wsgi.cookies import MAX_SECONDS, CookieOptions
from sessions_wsgi.errors import ConfigError, DecodeError, UsageError
from sessions_wsgi.protocols import Imported
from sessions_wsgi.session import require_principal

#: Browsers keep 4096 bytes of cookie; some libraries sent more, and some browsers kept it.
_MOST_TEXT = 8192
#: How far the clock of the machine that made a cookie may be ahead, seconds.
_SKEW = 60.0
_MONTH = timedelta(days=30)
# What an authentic text may raise that a program with a fault of its own has written.
_WRONG = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


class ImportOptions(TypedDict, total=False):
    """What every importer can be told."""

    #: An aware datetime, required: from then on the importer refuses everything. Remove it after that.
    until: Required[datetime]
    #: Seconds or a `timedelta` since the cookie was made: older ones are refused. Give what the old site had,
    #: or visitors whom it had timed out come back. None: only `until` and the store's lifetime count.
    max_age: float | timedelta | None
    #: The name of the foreign cookie, where it differs from that of the session.
    cookie: str | None
    #: The foreign cookie's attributes, where its Domain or Path differ from the new one's: without them a
    #: browser would not delete it. They need a name that differs, too: a response sets a name once.
    options: CookieOptions | None
    #: Tells from the values who is signed in; None, or a `LookupError`: nobody. By default nobody is.
    principal: Callable[[Mapping[Any, Any]], str | None] | None


class Found(NamedTuple):
    """What a format's own part found in an authentic text; nothing of it is checked yet."""

    values: Any
    #: When the text was made, and when the session began; seconds since the epoch.
    made: Any
    began: Any
    flashes: Sequence[tuple[str, Any]] = ()


class Foreign:
    """An importer but for its format. Options: `ImportOptions`.

    :raises ConfigError: an option is wrong.
    """

    def __init__(
        self,
        *,
        until: datetime | None = None,
        max_age: float | timedelta | None = _MONTH,
        cookie: str | None = None,
        options: CookieOptions | None = None,
        principal: Callable[[Mapping[Any, Any]], str | None] | None = None,
        **more: Any,
    ) -> None:
        for name in more:
            known = named(type(self)) | ImportOptions.__annotations__.keys()
            raise unknown(type(self).__name__, name, known)
        self._until = _moment(until)
        self._max_age = _seconds(max_age)
        #: The foreign cookie's name and attributes; None: those of the store that accepts it.
        self.cookie = None if cookie is None else _checked_name(cookie)
        self.options = options
        if options is not None and not isinstance(options, CookieOptions):
            got = type(options).__name__
            raise ConfigError(f"'options' must be CookieOptions(…) or None (got {got})", "options")
        if principal is not None and not callable(principal):
            got = type(principal).__name__
            raise ConfigError(
                f"'principal' must be a callable that takes the values, or None (got {got})", "principal"
            )
        self._principal = principal

    def read(self, text: str, now: float) -> Imported:
        """The session in a foreign cookie.

        :param now: seconds since the epoch.
        :raises DecodeError: it is not of this format, not authentic, past its time or past `until`, or holds
            what is not read.
        :raises UsageError: `principal` told neither a name nor None.
        """
        if now >= self._until:
            raise DecodeError("expired")
        if len(text) > _MOST_TEXT or not text.isascii():
            raise DecodeError("malformed")
        found = self._opened(text)
        self._require_time(found, now)
        _require_sound(found)
        return Imported(
            found.values, found.began, found.flashes, self._who(found.values), last_seen=found.made
        )

    def _open(self, text: str) -> Found:
        """What an authentic text holds; `DecodeError` says why not; all else raised is "unreadable"."""
        raise NotImplementedError

    def _opened(self, text: str) -> Found:
        try:
            return self._open(text)
        except DecodeError:
            raise
        except _WRONG:  # not from these: some hold the data
            raise DecodeError("unreadable") from None

    def _require_time(self, found: Found, now: float) -> None:
        for moment in (found.made, found.began):
            if type(moment) not in (int, float) or not isfinite(moment) or moment < 0:
                raise DecodeError("unreadable")
            if moment > now + _SKEW:
                raise DecodeError("expired")
        if now - found.made > self._max_age:
            raise DecodeError("expired")

    def _who(self, values: Mapping[Any, Any]) -> str | None:
        if self._principal is None:
            return None
        try:
            who = self._principal(values)
        except LookupError:  # ``values["user"]`` of somebody who is not signed in
            return None
        if who is not None:
            _require_name(who)
        return who


def _require_name(who: object) -> None:
    try:
        require_principal(who)
    except UsageError:
        got = type(who).__name__
        raise UsageError(
            f"'principal' must return a non-empty, printable str, such as str(user_id), or None (got {got})"
        ) from None


def _require_sound(found: Found) -> None:
    """Refuse what no store could keep, rather than fail when it is saved: lone surrogates, absurd nesting."""
    if type(found.values) is not dict:
        raise DecodeError("unreadable")
    # As deep as it will stand in the envelope.
    if refusal([found.values, [list(found.flashes)]], _rule, parts_of) is not None:
        raise DecodeError("unreadable")


def _rule(value: Any) -> str | None:
    return text_rule(value) if isinstance(value, str) else None


def _moment(until: object) -> float:
    if not isinstance(until, datetime) or until.utcoffset() is None:
        raise ConfigError(
            "'until' must be an aware datetime, from which on nothing is imported, "
            f"as in datetime(…, tzinfo=UTC) (got {until!r})",
            "until",
        )
    return until.timestamp()


def _seconds(max_age: object) -> float:
    if max_age is None:
        return float("inf")
    seconds = max_age.total_seconds() if isinstance(max_age, timedelta) else max_age
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= MAX_SECONDS:
        raise ConfigError(
            f"'max_age' must be positive seconds, a timedelta or None (got {max_age!r})", "max_age"
        )
    return float(seconds)


def _checked_name(cookie: str) -> str:
    try:
        return CookieOptions().cookie_name(cookie)
    except ConfigError as error:
        raise ConfigError(str(error).replace("'name'", "'cookie'", 1), "cookie") from None
