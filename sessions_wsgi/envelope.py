"""What is sealed or stored of a session, and the one place that decides how long anything lives.

The envelope is ``[format=1, created_ms, seen_ms, values, extras]``. Times are milliseconds since the epoch,
inside the seal, so neither a cookie's attribute nor a backend's clock decides about a log-in
(NIST SP 800-63B-4 5.1.1).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, cast

from sessions_wsgi import _csrf
from sessions_wsgi._named import known_options
from sessions_wsgi._walk import key_name
from sessions_wsgi.cookies import MAX_AGE_LIMIT, MAX_SECONDS
from sessions_wsgi.errors import ConfigError, DecodeError, SerializeError
from sessions_wsgi.serializers import FORMAT, CBORSerializer, JSONSerializer, Serializer
from sessions_wsgi.session import Session

#: How far another machine's clock may be ahead of ours.
SKEW_MS = 60_000
#: How much later than the envelope's end a backend may drop the record, seconds.
GRACE = 60.0

# Where the times of an envelope end. From 2004 to 2286 every time is written with the same width, so what
# follows can be compared without encoding a session twice.
_TIMES_END: dict[type, int] = {
    CBORSerializer: len(b"\x85\x01") + 9 + 9,
    JSONSerializer: len(b"[1,") + 13 + 1 + 13,
}
_FIRST, _LAST = 2**40, 10**13

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0


@known_options
@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long sessions live, enforced by the server whatever the browser keeps. Seconds or `timedelta`.

    The defaults: 30 days in all, as NIST SP 800-63B-4 2.1.3 allows at AAL1; no idle limit.

    :raises ConfigError: both limits are None, or one is not positive.
    """

    #: Since the session began or its visitor last signed in; activity does not extend it.
    absolute: float | timedelta | None = 30 * _DAY
    #: Since it was last seen.
    idle: float | timedelta | None = None
    #: How stale the last-seen time may be before an unchanged session is touched. None: a tenth of `idle`
    #: (or of the session's `max_age`), within 1 minute and 1 day.
    touch_after: float | timedelta | None = None

    AAL1: ClassVar[Lifetime]
    AAL2: ClassVar[Lifetime]
    AAL3: ClassVar[Lifetime]

    def __post_init__(self) -> None:
        for option in ("absolute", "idle", "touch_after"):
            object.__setattr__(self, option, _seconds(option, getattr(self, option)))
        if self.absolute is None and self.idle is None:
            raise ConfigError(
                "'absolute' and 'idle' must not both be None: a session would never end", "absolute"
            )
        idle, touch = cast("float | None", self.idle), cast("float | None", self.touch_after)
        if idle is not None and touch is not None and touch >= idle:
            raise ConfigError(
                "'touch_after' must be shorter than 'idle', or active visitors time out", "touch_after"
            )


class Span:
    """A `Lifetime` in milliseconds, at work on sessions."""

    __slots__ = ("_absolute", "_idle", "_touch", "endless", "steady", "sure_ms")

    def __init__(self, lifetime: Lifetime) -> None:
        self._absolute, self._idle, self._touch = map(
            _milliseconds, (lifetime.absolute, lifetime.idle, lifetime.touch_after)
        )

        #: For so long after it began a session without extras lives whenever it was seen; 0: it depends.
        self.sure_ms = int(self._absolute or 0) if self._idle is None else 0
        #: Activity keeps a session alive for ever.
        self.endless = self._absolute is None
        #: Nothing but a session's own `max_age` can make a touch due.
        self.steady = self._idle is None and self._touch is None

    def idle_ms(self, extras: dict[str, Any]) -> float | None:
        """How long a session may go unseen: the shorter of the lifetime's `idle` and its own `max_age`."""
        max_age: float | None = extras.get("max_age")
        if max_age is None:
            return self._idle
        return max_age * 1000 if self._idle is None else min(self._idle, max_age * 1000)

    def end_ms(self, created_ms: int, seen_ms: float, extras: dict[str, Any]) -> float:
        """When it ends if it is not seen again."""
        idle = self.idle_ms(extras)
        end = float("inf") if idle is None else seen_ms + idle
        if self._absolute is not None:
            end = min(end, extras.get("authenticated_ms", created_ms) + self._absolute)
        return end

    def require_alive(self, created_ms: int, seen_ms: int, extras: dict[str, Any], now_ms: int) -> None:
        """Raise `Ended` ("expired") for what is over, or claims to come from the future."""
        latest = now_ms + SKEW_MS
        if created_ms > latest or seen_ms > latest or (extras and extras.get("authenticated_ms", 0) > latest):
            raise Ended("expired")
        if now_ms >= self.end_ms(created_ms, seen_ms, extras):
            raise Ended("expired")

    def touch_due(self, seen_ms: float, extras: dict[str, Any], now_ms: float) -> bool:
        """Whether an unchanged session should be marked as seen."""
        if self.steady and not extras:
            return False
        idle, after = self.idle_ms(extras), self._touch
        if idle is not None:  # never so late that an active visitor times out
            tenth = min(max(idle / 10, _MINUTE * 1000), _DAY * 1000)
            after = tenth if after is None else after
            after = after if after < idle else idle / 2
        return after is not None and now_ms - seen_ms >= after

    def period(self, seen_ms: int, extras: dict[str, Any]) -> int:
        """A number that changes at least once in the time for which a session may go unseen."""
        idle = self.idle_ms(extras)
        return 0 if idle is None else int(seen_ms // idle)

    def deadline(self, session: Session, now_ms: int) -> float:
        """When a backend may drop the record of a session seen now; seconds since the epoch."""
        return self.end_ms(session.created_ms, now_ms, session.extras) / 1000 + GRACE

    def farthest(self, session: Session, now_ms: int) -> float:
        """When a signed-in session ends at the latest, or must be prolonged; seconds since the epoch."""
        return self.last_end(session.created_ms, session.extras, now_ms)

    def last_end(self, created_ms: int, extras: dict[str, Any], now_ms: int) -> float:
        """When the last copy of a cookie that ends now is over; seconds since the epoch."""
        if self._absolute is None:
            return self.longest(now_ms)
        begun: int = extras.get("authenticated_ms", created_ms)
        return (begun + self._absolute) / 1000 + GRACE

    def longest(self, now_ms: int) -> float:
        """When a session that begins now is over, unless it is prolonged; seconds since the epoch."""
        span = self._absolute if self._absolute is not None else 2 * cast("float", self._idle)
        return (now_ms + span) / 1000 + GRACE

    def seen_ms(self, seen_ms: int, extras: dict[str, Any], expires: float, now_ms: int) -> int:
        """When a stored session was last seen: touches move the record's deadline only."""
        idle = self.idle_ms(extras)
        if idle is None:
            return seen_ms
        touched = round((expires - GRACE) * 1000 - idle)
        if touched > now_ms + SKEW_MS:  # the deadline is of a longer `idle`, or of none: it tells nothing
            return seen_ms
        return max(seen_ms, min(touched, now_ms))

    def cookie_age(self, session: Session, now_ms: int) -> float | None:
        """Seconds that the browser keeps the cookie of a session seen now: `max_age`, if it lives so long."""
        if session.max_age is None:
            return None
        left = (self.end_ms(session.created_ms, now_ms, session.extras) - now_ms) / 1000
        return min(session.max_age, left, MAX_AGE_LIMIT)


class Ended(DecodeError):  # noqa: N818 - a reason, as the others are
    """An authentic text whose session is over: no other store or importer may bring it back."""


#: What was sealed: created_ms, seen_ms, values, extras.
Envelope = tuple[int, int, dict[Any, Any], dict[str, Any]]


def dumps(session: Session, serializer: Serializer, seen_ms: int) -> bytes:
    """The session as bytes.

    :raises SerializeError: a value cannot be kept as it is; `path` begins with ``session`` or ``flashes``.
    """
    created_ms, values, extras = session.created_ms, session.stored_values, session.extras
    try:
        if type(serializer) is CBORSerializer:
            return serializer.dumps_envelope(created_ms, seen_ms, values, extras)
        return serializer.dumps([FORMAT, created_ms, seen_ms, values, extras])
    except SerializeError as error:
        raise _in_words(error) from error.__cause__


def unchanged(session: Session, serializer: Serializer, old: bytes, old_seen_ms: int, new: bytes) -> bool:
    """Whether two envelopes of a session hold the same, the time of the last visit aside."""
    start = _TIMES_END.get(type(serializer))
    if start is None or not (_FIRST <= session.created_ms < _LAST and _FIRST <= old_seen_ms < _LAST):
        return dumps(session, serializer, old_seen_ms) == old
    return new[start:] == old[start:]


def loads(data: bytes, serializer: Serializer) -> Envelope:
    """What `dumps` made; `DecodeError` ("unreadable") when it is anything else."""
    try:
        version, created, seen, values, extras = serializer.loads(data)
    except (ValueError, TypeError):
        raise DecodeError("unreadable") from None
    if version != FORMAT or type(created) is not int or type(seen) is not int or type(values) is not dict:
        raise DecodeError("unreadable")
    if created < 0 or seen < 0:
        raise DecodeError("unreadable")
    if extras != {} and not _sound(extras):
        raise DecodeError("unreadable")
    return created, seen, values, extras


def sizes(session: Session, serializer: Serializer) -> dict[str, int]:
    """Encoded bytes of each top-level key, and in brackets of what the library keeps beside them."""
    values = session.stored_values.items()
    parts = [(key if isinstance(key, str) else f"[{key_name(key)}]", key, value) for key, value in values]
    parts += [(f"({key})", key, value) for key, value in session.extras.items()]
    seen: Counter[str] = Counter()
    found: dict[str, int] = {}
    for name, key, value in parts:
        seen[name] += 1  # of many keys only the type is shown
        unique = name if seen[name] == 1 and name not in found else f"{name} {max(2, seen[name])}"
        found[unique] = found.get(unique, 0) + len(serializer.dumps({key: value}))
    return found


_EXTRAS: dict[str, tuple[type, ...]] = {
    "max_age": (int, float),
    "principal": (str,),
    "epoch": (str,),
    "authenticated_ms": (int,),
    "label": (str,),
    "id": (str,),
    "csrf": (str,),
    "flashes": (list,),
}


def _sound(extras: object) -> bool:
    """What is known must have its type; what is not is a newer version's, and kept."""
    if type(extras) is not dict:
        return False
    if any(type(extras[name]) not in kinds for name, kinds in _EXTRAS.items() if name in extras):
        return False
    if not 0 < extras.get("max_age", 1) <= MAX_SECONDS or extras.get("authenticated_ms", 0) < 0:
        return False
    if "csrf" in extras and not _csrf.is_secret(extras["csrf"]):
        return False
    return all(type(item) is list and len(item) == 2 for item in extras.get("flashes", ()))


_EXTRA = re.compile(r"^value\[4\]\['(\w+)'\]")


def _in_words(error: SerializeError) -> SerializeError:
    """The same, with the place as the application knows it."""
    path = _EXTRA.sub(r"\1", error.path.replace("value[3]", "session", 1))
    return SerializeError(path, error.type, error.rule)


def _seconds(option: str, value: object) -> float | None:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= MAX_SECONDS:
        raise ConfigError(f"{option!r} must be positive seconds, a timedelta or None (got {value!r})", option)
    return float(seconds)


def _milliseconds(seconds: float | timedelta | None) -> float | None:
    return None if seconds is None else cast("float", seconds) * 1000


# NIST SP 800-63B-4 2.1.3, 2.2.3, 2.3.3: the longest that each assurance level allows.
Lifetime.AAL1 = Lifetime(absolute=30 * _DAY)
Lifetime.AAL2 = Lifetime(absolute=1 * _DAY, idle=1 * _HOUR)
Lifetime.AAL3 = Lifetime(absolute=12 * _HOUR, idle=15 * _MINUTE)
