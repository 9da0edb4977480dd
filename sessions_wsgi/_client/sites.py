"""Where a request goes to and comes from: hosts, paths and sites as browsers compare them."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from sessions_wsgi.errors import UsageError

_SECURE_SCHEMES = frozenset({"https", "wss"})
_IP = re.compile(r"[0-9.]+|.*:.*")
# Browsers have the Public Suffix List. Tests need its idea only: "com", and "co.uk" beside it.
_SECOND_LEVEL = re.compile(r"(?:ac|co|com|edu|gov|net|or|org)\.[a-z]{2}")


class Place(NamedTuple):
    """A URL, as far as cookies look at it."""

    scheme: str
    host: str
    path: str

    @property
    def site(self) -> str:
        """Scheme and registrable domain: two places of one site are "same-site" (RFC 6265bis 5.2)."""
        return f"{self.scheme}://{_registrable(self.host)}"

    @property
    def is_secure(self) -> bool:
        """Whether Secure cookies go there.

        Chrome and Firefox count loopback as safe, whatever the scheme: localhost, what ends in
        ``.localhost``, 127.0.0.0/8 and ::1. Safari does not.
        """
        loopback = self.host in {"localhost", "::1"} or self.host.endswith(".localhost")
        return (
            self.scheme in _SECURE_SCHEMES or loopback or (is_ip(self.host) and self.host.startswith("127."))
        )


def place(url: str) -> Place:
    """The place that an absolute URL names.

    :raises UsageError: it has no scheme or no host.
    """
    parts = urlsplit(url)
    if not parts.scheme or not parts.hostname:
        raise UsageError(f"a URL must have a scheme and a host, as in https://example.com (got {url!r})")
    return Place(parts.scheme.lower(), parts.hostname, parts.path or "/")


class Visit(NamedTuple):
    """How a request came about."""

    method: str = "GET"
    #: The site whose page caused it; empty: the visitor's own doing, or a page of the same site.
    site: str = ""
    #: In a frame of that page, or fetched by it, and not a navigation of the whole window.
    embedded: bool = False

    def is_same_site(self, target: Place) -> bool:
        """Whether it goes to the site that it comes from."""
        return self.site in {"", target.site}

    def partition(self, target: Place) -> str:
        """The site in the address bar: it has a jar of its own for Partitioned cookies (CHIPS)."""
        return self.site if self.embedded and self.site else target.site


def is_ip(host: str) -> bool:
    """Whether a host is an address, which has no domains above it."""
    return _IP.fullmatch(host) is not None


def domain_matches(host: str, domain: str) -> bool:
    """RFC 6265bis 5.1.3."""
    return host == domain or (host.endswith("." + domain) and not is_ip(host))


def is_public_suffix(domain: str) -> bool:
    """Whether strangers share it, so that nobody may set cookies for all of it."""
    return not is_ip(domain) and ("." not in domain or _SECOND_LEVEL.fullmatch(domain) is not None)


def path_matches(path: str, cookie_path: str) -> bool:
    """RFC 6265bis 5.1.4."""
    if not path.startswith(cookie_path):
        return False
    return path == cookie_path or cookie_path.endswith("/") or path[len(cookie_path)] == "/"


def default_path(path: str) -> str:
    """The path of a cookie that names none: the folder of the page that set it (RFC 6265bis 5.1.4)."""
    return path[: path.rindex("/")] or "/" if path.startswith("/") else "/"


def _registrable(host: str) -> str:
    labels = host.split(".")
    if is_ip(host) or len(labels) < 3:
        return host
    return ".".join(labels[-3 if is_public_suffix(".".join(labels[-2:])) else -2 :])
