"""What a request does is counted, not timed: what a change adds to the hot paths is seen on any machine.

The bounds are exact. Fewer is good: record it. More needs a reason in the commit that records it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from counting import counted
from servers import Server

from sessions_wsgi import (
    CookieStore,
    FileStore,
    Key,
    MemoryStore,
    SessionMiddleware,
    SQLiteStore,
    get_session,
    store_from_url,
)

KEY = Key.generate()

#: Calls per request, by store and case; what is not named does not happen.
BOUNDS: dict[tuple[str, str], dict[str, int]] = {
    ("signed", "untouched"): {},
    ("signed", "read"): {"HMAC": 1, "clock": 1, "loads": 1},
    ("signed", "write"): {"HMAC": 2, "clock": 2, "dumps": 1, "loads": 1},
    ("signed", "new"): {"HMAC": 1, "clock": 2, "dumps": 1},
    ("signed", "forged"): {"HMAC": 1, "clock": 1},
    ("encrypted", "untouched"): {},
    ("encrypted", "read"): {"AEAD": 1, "clock": 1, "loads": 1},
    ("encrypted", "write"): {"AEAD": 2, "clock": 2, "dumps": 1, "loads": 1, "random": 1},
    ("encrypted", "new"): {"AEAD": 1, "clock": 2, "dumps": 1, "random": 1},
    ("encrypted", "forged"): {"AEAD": 1, "clock": 1},
    ("memory", "untouched"): {},
    ("memory", "read"): {"HMAC": 1, "backend": 1, "clock": 2, "loads": 1},
    ("memory", "write"): {"HMAC": 1, "backend": 2, "clock": 4, "dumps": 1, "loads": 1},
    ("memory", "new"): {"HMAC": 1, "backend": 1, "clock": 3, "dumps": 1, "random": 1},
    ("memory", "forged"): {"HMAC": 1, "clock": 1},
    ("file", "untouched"): {},
    ("file", "read"): {"HMAC": 1, "backend": 1, "clock": 2, "loads": 1, "system": 4},
    ("file", "write"): {
        "HMAC": 1, "backend": 2, "clock": 4, "dumps": 1, "loads": 1, "random": 1, "system": 18,
    },
    ("file", "new"): {"HMAC": 1, "backend": 1, "clock": 2, "dumps": 1, "random": 2, "system": 11},
    ("file", "forged"): {"HMAC": 1, "clock": 1},
    ("sqlite", "untouched"): {},
    ("sqlite", "read"): {"HMAC": 1, "SQL": 1, "backend": 1, "clock": 2, "loads": 1},
    ("sqlite", "write"): {"HMAC": 1, "SQL": 2, "backend": 2, "clock": 4, "dumps": 1, "loads": 1, "random": 1},
    ("sqlite", "new"): {"HMAC": 1, "SQL": 1, "backend": 1, "clock": 3, "dumps": 1, "random": 2},
    ("sqlite", "forged"): {"HMAC": 1, "clock": 1},
}  # fmt: skip
#: Messages to a server.
ROUND_TRIPS = {"untouched": 0, "read": 1, "write": 2, "new": 1, "forged": 0}
#: Responses that set a cookie.
COOKIES = {
    "signed": {"untouched": 0, "read": 0, "write": 1, "new": 1, "forged": 0},
    "memory": {"untouched": 0, "read": 0, "write": 0, "new": 1, "forged": 0},
}


def count(session: Any) -> None:
    session["n"] += 1


WORK: dict[str, Callable[[Any], object] | None] = {
    "untouched": None,
    "read": lambda session: session["user"],
    "write": count,
    "new": lambda session: session.update(user="ada", n=1, theme="dark"),
    "forged": bool,
}


class Visits:
    """Requests of one visitor to a store; the first ones, which open files and so on, are over."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.cookie = self.visit("new", "")
        self.visit("write", self.cookie)
        self.visit("forged", self.forged)

    @property
    def forged(self) -> str:
        return self.cookie[:-4] + ("BBBB" if self.cookie.endswith("AAAA") else "AAAA")

    def prepared(self, case: str, cookie: str) -> tuple[Callable[[], object], list[Any]]:
        """A request, and the headers that it will be answered with."""
        act, headers = WORK[case], []

        def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
            if act is not None:
                act(get_session(environ))
            start_response("200 OK", [])
            return [b""]

        wrapped = SessionMiddleware(app, self._store)
        environ = {"HTTP_COOKIE": cookie, "wsgi.url_scheme": "https"}
        return lambda: wrapped(environ, lambda status, given, exc_info=None: headers.extend(given)), headers

    def visit(self, case: str, cookie: str) -> str:
        """The cookie that a request was answered with."""
        request, headers = self.prepared(case, cookie)
        request()
        return str(dict(headers).get("Set-Cookie", "")).partition(";")[0]

    def counted(self, case: str) -> dict[str, int]:
        cookie = {"new": "", "forged": self.forged}.get(case, self.cookie)
        return counted(self.prepared(case, cookie)[0])

    def cookies_set(self, case: str) -> int:
        cookie = {"new": "", "forged": self.forged}.get(case, self.cookie)
        request, headers = self.prepared(case, cookie)
        request()
        return [name for name, _ in headers].count("Set-Cookie")


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Visits]:
    directory = tmp_path_factory.mktemp("counts")
    return {
        "signed": Visits(CookieStore(KEY)),
        "encrypted": Visits(CookieStore(KEY, encrypt=True)),
        "memory": Visits(MemoryStore(KEY)),
        "file": Visits(with_all_folders(directory)),
        "sqlite": Visits(SQLiteStore(directory / "sessions.db", KEY, sweep_every=None)),
    }


def with_all_folders(directory: Path) -> FileStore:
    """A store that has no folder to make any more, as soon after its start."""
    store = FileStore(directory / "files", KEY, sweep_every=None)
    for number in range(256):
        store.backend.create(f"{number:02x}" + "0" * 62, b"", 1.0)
    return store


@pytest.mark.parametrize(("store", "case"), BOUNDS, ids=lambda text: text)
def test_a_request_does_no_more_than_recorded(store: str, case: str, visits: dict[str, Visits]) -> None:
    assert visits[store].counted(case) == BOUNDS[store, case]


@pytest.mark.parametrize("store", COOKIES)
@pytest.mark.parametrize("case", ROUND_TRIPS)
def test_a_cookie_is_sent_only_when_it_is_another_one(
    store: str, case: str, visits: dict[str, Visits]
) -> None:
    assert visits[store].cookies_set(case) == COOKIES[store][case]


@pytest.mark.parametrize("case", ROUND_TRIPS)
def test_redis_is_asked_once_for_reading_and_once_for_writing(redis_server: Server, case: str) -> None:
    sent = Visits(store_from_url(redis_server.url, KEY)).counted(case).get("sent", 0)
    assert sent == ROUND_TRIPS[case]


@pytest.mark.parametrize("case", ROUND_TRIPS)
def test_memcached_is_asked_once_for_reading_and_once_for_writing(
    memcached_server: Server, case: str
) -> None:
    sent = Visits(store_from_url(memcached_server.url, KEY)).counted(case).get("sent", 0)
    assert sent == ROUND_TRIPS[case]


@pytest.mark.parametrize("case", ROUND_TRIPS)
def test_a_database_is_asked_once_for_reading_and_once_for_writing(
    postgresql_server: Server, case: str
) -> None:
    asked = Visits(store_from_url(postgresql_server.url, KEY)).counted(case).get("backend", 0)
    assert asked == ROUND_TRIPS[case]


def test_what_is_counted_is_seen_at_all() -> None:
    """The counter knows the calls by name: were one renamed, nothing would be counted and all would pass."""
    import fcntl
    import hmac
    import os
    import time

    def work() -> None:
        time.time()
        os.close(os.dup(0))
        os.urandom(1)
        hmac.digest(b"k", b"d", "sha256")
        fcntl.fcntl(0, fcntl.F_GETFD)

    assert counted(work) == {"HMAC": 1, "clock": 1, "random": 1, "system": 2}


def test_the_profiler_is_left_as_it_was() -> None:
    counted(lambda: None)
    assert sys.getprofile() is None
