"""What a browser keeps of the cookies it is given, and which it sends where (RFC 6265bis 5.7 and 5.8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sessions_wsgi._client.cookie import Cookie, Refused, made, parse
from sessions_wsgi._client.sites import Place, Visit, domain_matches, path_matches

# A link, or a form with the method GET: nobody is surprised by a visitor who comes from elsewhere.
_SAFE = frozenset({"GET", "HEAD"})


class Jar:
    """The cookies of one browser.

    :param clock: gives seconds since the epoch; cookies expire by it.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # In the order in which they first came, which they keep when their values change.
        self._cookies: dict[tuple[object, ...], Cookie] = {}

    def __iter__(self) -> Iterator[Cookie]:
        """The cookies that have not expired."""
        now = self._clock()
        self._cookies = {
            place: each for place, each in self._cookies.items() if each.expires is None or each.expires > now
        }
        return iter(tuple(self._cookies.values()))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<Jar of {[cookie.name for cookie in self]}>"

    def clear(self) -> None:
        """Forget everything."""
        self._cookies = {}

    def close_browser(self) -> None:
        """Forget what is kept until the browser closes only."""
        self._cookies = {place: each for place, each in self._cookies.items() if each.expires is not None}

    def receive(self, source: Place, header: str, visit: Visit, *, script: bool = False) -> str:
        """Keep what a Set-Cookie header sets.

        :param script: a script of that page set it, not the response.
        :returns: why the browser ignores it, empty when it does not.
        """
        try:
            cookie = made(parse(header), source, visit, self._clock(), script=script)
            self._require_replaceable(cookie, source, script=script)
        except Refused as refusal:
            return str(refusal)
        self._cookies[cookie.place] = cookie
        return ""

    def _require_replaceable(self, cookie: Cookie, source: Place, *, script: bool) -> None:
        for old in self:
            if script and old.httponly and old.place == cookie.place:
                raise Refused("a script may not replace an HttpOnly cookie")
            if not cookie.secure and not source.is_secure and _overlays(cookie, old):
                raise Refused("a Secure cookie of this name is not replaced from plain http")

    def sent_to(self, target: Place, visit: Visit, *, script: bool = False) -> list[Cookie]:
        """The cookies of a request, in the order in which they are sent.

        :param script: those that a script of the page can read.
        """
        found = [each for each in self if _goes_to(each, target) and _goes_along(each, target, visit)]
        seen = [each for each in found if not (script and each.httponly)]
        return sorted(seen, key=lambda cookie: -len(cookie.path))


def _overlays(cookie: Cookie, old: Cookie) -> bool:
    if not old.secure or old.name != cookie.name:
        return False
    nested = domain_matches(cookie.domain, old.domain) or domain_matches(old.domain, cookie.domain)
    return nested and path_matches(cookie.path, old.path)


def _goes_to(cookie: Cookie, target: Place) -> bool:
    """By host, path and scheme."""
    if not path_matches(target.path, cookie.path) or (cookie.secure and not target.is_secure):
        return False
    return cookie.domain == target.host if cookie.host_only else domain_matches(target.host, cookie.domain)


def _goes_along(cookie: Cookie, target: Place, visit: Visit) -> bool:
    """By the page that caused the request."""
    if cookie.partition and cookie.partition != visit.partition(target):
        return False
    if cookie.samesite == "None" or visit.is_same_site(target):
        return True
    return cookie.samesite != "Strict" and not visit.embedded and visit.method in _SAFE
