"""What is measured: five kinds of visit, two sizes of session, and what a peer must offer."""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from itertools import repeat
from typing import Any, NamedTuple

CASES = ("untouched", "read", "write", "new", "forged")
#: Two cookies of others stand before the session's, as they do in browsers.
FOREIGN = "_ga=GA1.1.1234567890; theme=dark"

#: One request.
Once = Callable[[], object]
#: So many requests; the nanoseconds that they took.
Run = Callable[[int], int]


def _cart() -> list[dict[str, Any]]:
    chance = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    return [
        {
            "sku": "".join(chance.choices(letters, k=12)),
            "title": "".join(chance.choices(letters + " ", k=110)),
            "quantity": number + 1,
            "price": number + 0.95,
        }
        for number in range(12)
    ]


SMALL = {"user": "ada@example.org", "n": 42, "theme": "dark"}
SIZES: Mapping[str, dict[str, Any]] = {"small": SMALL, "2 kB": {**SMALL, "cart": _cart()}}


class Work(NamedTuple):
    """What an application does to its session."""

    act: Callable[[Any], object]
    #: Peers that want to be told so are told.
    writes: bool = False


def fill(values: dict[str, Any]) -> Work:
    return Work(lambda session: session.update(values), writes=True)


def _count(session: Any) -> None:
    session["n"] += 1


READ = Work(lambda session: session.get("n"))
WRITE = Work(_count, writes=True)


def forged(cookie: str) -> str:
    """The same cookie with other last characters: of the shape that the peer expects, but not authentic."""
    quote = '"' if cookie.endswith('"') else ""
    start = cookie.removesuffix(quote)[:-8]
    return start + ("AAAAAAAA" if not cookie.startswith("AAAAAAAA", len(start)) else "BBBBBBBB") + quote


def looped(once: Once) -> Run:
    """Times many of them."""

    def run(count: int) -> int:
        begun = time.perf_counter_ns()
        for _ in repeat(None, count):
            once()
        return time.perf_counter_ns() - begun

    return run


class Peer(ABC):
    """A way to keep sessions."""

    #: As it stands in the tables.
    name: str
    #: The bare application that is subtracted; peers with the same one share it. None: nothing is.
    base: str | None

    @abstractmethod
    def bare(self) -> Run:
        """Requests to the same application without sessions."""

    @abstractmethod
    def block(self, case: str, size: str) -> Run | None:
        """Requests of a case; None: the peer has no such case."""

    @abstractmethod
    def cookie_bytes(self, size: str) -> int | None:
        """Bytes of its cookie in a request, name included; None: it has none."""


class PythonPeer(Peer):
    """A peer in this process. `visit` and `forget` are all that it needs to say."""

    @abstractmethod
    def visit(self, header: str, work: Work | None) -> Once:
        """A request with this ``Cookie`` header whose application does this to its session."""

    @abstractmethod
    def bare_visit(self) -> Once:
        """A request to the bare application."""

    @abstractmethod
    def received(self) -> str:
        """The ``name=value`` of the cookie that the last response set, "" if it set none."""

    def bare(self) -> Run:
        return looped(self.bare_visit())

    def block(self, case: str, size: str) -> Run:
        if case == "new":
            return looped(self.visit(FOREIGN, fill(SIZES[size])))
        cookie = self.first_cookie(size)
        if case == "forged":
            cookie = forged(cookie)
        work = {"untouched": None, "read": READ, "write": WRITE, "forged": READ}[case]
        return looped(self.visit(f"{FOREIGN}; {cookie}", work))

    def first_cookie(self, size: str) -> str:
        self.visit(FOREIGN, fill(SIZES[size]))()
        return self.received()

    def cookie_bytes(self, size: str) -> int:
        return len(self.first_cookie(size))

    def check(self, size: str) -> None:
        """Raise `AssertionError` unless it is sessions that are measured: kept, changed, not forged."""
        cookie = self.first_cookie(size)
        assert self._seen(cookie) == 42, f"{self.name}: what was stored is not read"
        self.visit(cookie, WRITE)()
        cookie = self.received() or cookie
        assert self._seen(cookie) == 43, f"{self.name}: a change is not kept"
        assert self._seen(forged(cookie)) is None, f"{self.name}: a forged cookie is believed"

    def _seen(self, cookie: str) -> object:
        seen: list[object] = []
        self.visit(cookie, Work(lambda session: seen.append(session.get("n"))))()
        return seen[0]
