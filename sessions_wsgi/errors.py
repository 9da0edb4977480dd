"""Everything that can go wrong, and everything worth telling an operator.

::

    SessionsError
    ├── ConfigError(ValueError)              the programmer, while the app starts
    ├── UsageError(RuntimeError)             the programmer, at run time
    │   ├── SessionSealedError
    │   └── UnknownSessionError(KeyError)
    ├── SerializeError(TypeError)            the programmer's value
    ├── CookieTooLargeError(ValueError)      the programmer's values together
    ├── DecodeError(ValueError)              the visitor: never reaches the application
    └── BackendError                         the infrastructure

No message holds a secret, a cookie value or session data.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

logger = logging.getLogger("sessions_wsgi")

Reason = Literal["malformed", "forged", "expired", "unknown_key", "unreadable", "revoked"]

EventKind = Literal[
    "created",
    "opened",
    "rejected",
    "saved",
    "conflict",
    "regenerated",
    "destroyed",
    "revoked",
    "gone",
    "late_change",
    "uncacheable",
]


class Event(NamedTuple):
    """Something that happened to a session, for a security log (OWASP ASVS 16.3.3)."""

    kind: EventKind
    name: str
    #: The hashed id, as listings show it; None for plain cookie sessions.
    handle: str | None = None
    #: Why, in one or a few fixed words; never data.
    reason: str | None = None


OnEvent = Callable[[Event], object]

_LEVELS = {
    "created": logging.DEBUG,
    "opened": logging.DEBUG,
    "saved": logging.DEBUG,
    "late_change": logging.WARNING,
    "uncacheable": logging.WARNING,
}


def report(event: Event, on_event: OnEvent | None = None) -> None:
    """Log an event and hand it on. Never raises: a callback's failure is logged."""
    level = _LEVELS.get(event.kind, logging.INFO)
    if logger.isEnabledFor(level):
        logger.log(level, "%s: session %r, handle %s, reason %s", *event)
    if on_event is None:
        return
    try:
        on_event(event)
    except Exception:  # an observer must not break what it observes
        logger.exception("on_event failed for %r", event.kind)


def _made_anew(kind: type[Exception], args: tuple[Any, ...]) -> Exception:
    return kind.__new__(kind, *args)


class SessionsError(Exception):
    """The root: every error of this package is one."""

    def __reduce__(self) -> tuple[Any, ...]:  # process pools pickle what is raised in them
        return _made_anew, (type(self), self.args), self.__dict__


class ConfigError(SessionsError, ValueError):
    """An option is wrong. Raised while the application starts, never during a request."""

    def __init__(self, message: str, option: str | None = None) -> None:
        super().__init__(message)
        #: The name of the option at fault.
        self.option = option


class UsageError(SessionsError, RuntimeError):
    """The API was used in a way that cannot work."""


class SessionSealedError(UsageError):
    """A session was written after its cookie could no longer be sent."""

    def __init__(self, name: str, what: str = "changed") -> None:
        super().__init__(
            f"session {name!r} was {what} after the response headers had left; "
            "change it before the first byte of the body"
        )
        #: The session's name.
        self.name = name


class UnknownSessionError(UsageError, KeyError):
    """No session of this name can be opened here."""

    def __init__(self, name: str, known: Iterable[str] = (), *, middleware: bool = True) -> None:
        #: The name that was asked for, and those that exist.
        self.name, self.known = name, tuple(known)
        if not middleware:
            fix = "no SessionMiddleware wraps this application: wrap it, or use store.get(request, name)"
        else:
            names = ", ".join(map(repr, self.known)) or "none"
            fix = f"the configured ones are {names}; add it to the stores of SessionMiddleware"
        self._message = f"unknown session {name!r}: {fix}"
        super().__init__(self._message)

    def __str__(self) -> str:  # KeyError would show the repr
        return self._message


class SerializeError(SessionsError, TypeError):
    """A value cannot be stored exactly as it is."""

    def __init__(self, path: str, kind: str, rule: str) -> None:
        super().__init__(f"{path}: {rule} (got {kind})")
        #: Where the value stands, as ``session['cart'][3].owner``.
        self.path = path
        #: The name of its type, and what it breaks.
        self.type, self.rule = kind, rule


class CookieTooLargeError(SessionsError, ValueError):
    """A cookie would exceed what browsers keep (RFC 6265bis 5.6: name and value, 4096 octets)."""

    def __init__(self, name: str, size: int, limit: int, sizes: Mapping[str, int] | None = None) -> None:
        #: Encoded bytes of each top-level key, and of what stands beside them: ``(flashes)``, ``(label)``…
        self.sizes = dict(sizes or {})
        shown = ", ".join(f"{key} {n}" for key, n in sorted(self.sizes.items(), key=lambda item: -item[1]))
        super().__init__(
            f"cookie {name!r} has {size} bytes, more than the {limit} that browsers keep; "
            + (f"bytes by key: {shown}; " if shown else "")
            + "store less, or use a server-side store"
        )
        #: The cookie's full name, its size and the limit, in bytes.
        self.name, self.size, self.limit = name, size, limit


class DecodeError(SessionsError, ValueError):
    """A text from outside is not ours, not whole, or not valid any more."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        #: For logs, never for the visitor.
        self.reason: Reason = reason


class BackendError(SessionsError):
    """The backend failed: not "no such session", which is no error. ``__cause__`` is the driver's error."""

    def __init__(self, backend: str, operation: str) -> None:
        super().__init__(f"session backend {backend!r} failed to {operation}")
        #: The backend's name and what it was doing.
        self.backend, self.operation = backend, operation
