"""What sessions cost a request: microseconds over the bare application, for each store and case.

Run: ``python benchmarks/hot_paths.py [words that the rows must contain]``. All cases take turns in short
rounds, so that they share whatever the machine is doing; the 10th percentile is the quiet phase, the median
the usual one. A row at the end tells how fast the machine was: compare rows of one run only.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from sessions_wsgi import (
    CookieStore,
    FileStore,
    Key,
    MemoryStore,
    SessionMiddleware,
    SQLiteStore,
    get_session,
)

ROUNDS, REPEATS = 40, 250
HEADERS = [("Content-Type", "text/plain")]
FOREIGN = "_ga=GA1.1.1234567890; theme=dark; "
TMPFS = "/dev/shm"

Application = Callable[[dict[str, Any], Callable[..., Any]], Any]


def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
    """A server that does nothing."""


def bare(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", HEADERS)
    return [b"ok"]


def after(work: Callable[[Any], object]) -> Application:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        work(get_session(environ))
        start_response("200 OK", HEADERS)
        return [b"ok"]

    return application


def fill(session: Any) -> None:
    session.update(user="bob", n=42, theme="dark")


def count(session: Any) -> None:
    session["n"] += 1


def cookie_of(store: Any) -> str:
    """The cookie that a first visit leaves."""
    caught: list[tuple[str, str]] = []
    SessionMiddleware(after(fill), store)({}, lambda status, headers, exc_info=None: caught.extend(headers))
    return dict(caught)["Set-Cookie"].partition(";")[0]


def cases(directory: str) -> Iterator[tuple[str, Application, dict[str, Any]]]:
    key = Key.generate()
    stores = {
        "cookie, signed": CookieStore(key),
        "cookie, encrypted": CookieStore(key, encrypt=True),
        "memory": MemoryStore(key),
        "file, tmpfs": FileStore(f"{directory}/files", key),
        "sqlite, tmpfs": SQLiteStore(f"{directory}/sessions.db", key),
    }
    yield "bare", bare, {}
    yield "untouched", SessionMiddleware(bare, stores["memory"]), {}
    for name, store in stores.items():
        cookie = FOREIGN + cookie_of(store)
        forged = cookie[:-4] + ("AAAA" if not cookie.endswith("AAAA") else "BBBB")
        yield f"{name}: read", SessionMiddleware(after(lambda s: s["user"]), store), {"HTTP_COOKIE": cookie}
        yield f"{name}: write", SessionMiddleware(after(count), store), {"HTTP_COOKIE": cookie}
        yield f"{name}: new", SessionMiddleware(after(fill), store), {}
        yield f"{name}: forged", SessionMiddleware(after(bool), store), {"HTTP_COOKIE": forged}


def measured(chosen: list[tuple[str, Application, dict[str, Any]]]) -> dict[str, list[float]]:
    """Microseconds per request, round by round, the bare application of the same round subtracted."""
    over: dict[str, list[float]] = {name: [] for name, _, _ in chosen}
    for _ in range(ROUNDS):
        base = 0.0
        for name, application, environ in chosen:
            begun = time.perf_counter()
            for _ in range(REPEATS):
                application(environ.copy(), start_response)
            spent = (time.perf_counter() - begun) / REPEATS * 1e6
            base = spent if name == "bare" else base
            over[name].append(spent - base if name != "bare" else spent)
    return over


def yardstick() -> float:
    """Microseconds of one HMAC-SHA-256 from a kept context: 0.65 on a quiet machine of the reference kind."""
    context, data, best = HMAC(bytes(32), SHA256()), bytes(120), float("inf")
    for _ in range(200):
        begun = time.perf_counter()
        for _ in range(100):
            copied = context.copy()
            copied.update(data)
            copied.finalize()
        best = min(best, (time.perf_counter() - begun) / 100 * 1e6)
    return best


def main(words: list[str]) -> None:
    with tempfile.TemporaryDirectory(dir=TMPFS if Path(TMPFS).is_dir() else None) as directory:
        chosen = [
            case for case in cases(directory) if case[0] == "bare" or all(word in case[0] for word in words)
        ]
        print(f"{'µs per request':32}{'p10':>8}{'median':>8}")
        for name, spent in measured(chosen).items():
            print(f"{name:32}{sorted(spent)[len(spent) // 10]:8.2f}{statistics.median(spent):8.2f}")
    print(f"{'(one HMAC-SHA-256)':32}{yardstick():8.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
