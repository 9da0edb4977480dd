"""What a site answers: headers only, over the standard library, without a proxy."""

from __future__ import annotations

import ssl
from base64 import b64encode
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

from sessions_wsgi.errors import ConfigError

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CONNECTIONS = {"http": HTTPConnection, "https": HTTPSConnection}


class FetchError(Exception):
    """The site did not answer as HTTP has it."""


class Answer(NamedTuple):
    """One response."""

    #: Without user, password, query and fragment.
    url: str
    scheme: str
    host: str
    status: int
    headers: list[tuple[str, str]]

    def all(self, name: str) -> list[str]:
        """The values of the headers with this name, in lower case."""
        return [value for key, value in self.headers if key.lower() == name]


def fetch(url: str, timeout: float) -> list[Answer]:
    """The answers to a GET, redirects within the host followed, five at the most.

    :raises ConfigError: it is no URL of a page.
    :raises FetchError: there was no answer.
    """
    parts, answers = _checked(url), []
    for _ in range(MAX_REDIRECTS + 1):
        answer, location = _get(parts, timeout)
        answers.append(answer)
        following = None if location is None else _within(parts, location)
        if following is None:
            break
        parts = following
    return answers


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_page = parts.scheme in _CONNECTIONS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_page = False
    if not is_page or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigError("'URL' must be that of a page, as in https://example.com/login", "url")
    return parts


def _get(parts: SplitResult, timeout: float) -> tuple[Answer, str | None]:
    host = parts.hostname or ""
    connection = _CONNECTIONS[parts.scheme](host, parts.port, timeout=timeout)
    try:
        connection.request(
            "GET", urlunsplit(("", "", parts.path or "/", parts.query, "")), headers=_headers(parts)
        )
        response = connection.getresponse()
        headers = response.getheaders()
    except ssl.SSLCertVerificationError as error:
        raise FetchError(f"its certificate is not accepted: {error.verify_message}") from None
    except (OSError, HTTPException, UnicodeError) as error:
        raise FetchError(f"no answer: {_why(error)}") from None
    finally:
        connection.close()
    shown = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path or "/", "", ""))
    answer = Answer(shown, parts.scheme, host.lower(), response.status, headers)
    location = response.headers.get("Location") if response.status in _REDIRECTS else None
    return answer, location


def _headers(parts: SplitResult) -> dict[str, str]:
    headers = {"Accept": "*/*", "User-Agent": "sessions-wsgi doctor"}
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    return headers


def _within(parts: SplitResult, location: str) -> SplitResult | None:
    """Where a redirect leads, if that is on the same host."""
    try:
        target = _checked(urljoin(urlunsplit(parts), location))
    except (ConfigError, ValueError):
        return None
    if target.hostname != parts.hostname:
        return None
    user, at, _ = parts.netloc.rpartition("@")
    return target._replace(netloc=user + at + target.netloc.rpartition("@")[2])


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
