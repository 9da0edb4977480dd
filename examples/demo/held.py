"""What this browser holds once it has got the response: facts only, `panel` shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from webob import Request, Response

from demo.stores import Kind
from sessions_wsgi import Session, Store


class Arrival(NamedTuple):
    """How a session was when the request came in: saving it changes both."""

    is_new: bool
    rejected: str | None

    @classmethod
    def of(cls, session: Session) -> Arrival:
        return cls(session.is_new, session.rejected)


class Facts(NamedTuple):
    """One session: its cookie, and what the server reads in it."""

    name: str
    kind: Kind
    arrival: Arrival
    #: The text that the browser holds, or None; whether it came with this very response.
    text: str | None
    sent: bool
    attributes: list[str]
    #: The session that the server will find in that text.
    read: Session

    @property
    def size(self) -> int:
        """Bytes of name and value together, of which browsers keep up to 4096."""
        return len(f"{self.name}={self.text}")  # one byte each: WSGI texts are latin-1


def facts(
    session: Session, arrival: Arrival, *, request: Request, response: Response, kind: Kind, store: Store
) -> Facts:
    """What is known about a session after it was saved onto the response."""
    name = store.options.cookie_name(session.name)
    held, sent = cookies_of(request).get(name), set_cookies_of(response).get(name)
    if sent is not None:
        held, attributes = sent
    else:
        attributes = attributes_of(session)
    read = store.open(session.name, [held] if held else [])
    return Facts(name, kind, arrival, held or None, sent is not None, attributes, read)


def cookies_of(request: Request) -> dict[str, str]:
    """The cookies that came, by name."""
    return dict(pairs(request.headers.get("Cookie", "")))


def set_cookies_of(response: Response) -> Mapping[str, tuple[str, list[str]]]:
    """The cookies that go out, by name: the text and the attributes."""
    found = {}
    for header in response.headers.getall("Set-Cookie"):
        pair, *attributes = header.split("; ")
        found.update({name: (text, attributes) for name, text in pairs(pair)})
    return found


def pairs(header: str) -> Iterator[tuple[str, str]]:
    """Names and values in a Cookie header."""
    for pair in header.split(";"):
        name, equals, text = pair.strip(" \t").partition("=")
        if equals:
            yield name, text


def attributes_of(session: Session) -> list[str]:
    """The attributes that the session's cookie gets when it is sent."""
    options = session.options
    flags = {"Secure": options.secure, "HttpOnly": options.httponly, "Partitioned": options.partitioned}
    return [
        *([f"Max-Age={session.max_age:.0f}"] if session.max_age is not None else []),
        *([f"Domain={options.domain}"] if options.domain else []),
        f"Path={options.path}",
        *(flag for flag, on in flags.items() if on),
        f"SameSite={options.samesite}",
    ]
