"""What grows: reading and writing among many sessions, in large sessions, and what a session takes in memory.

Run alone: ``python benchmarks/growth.py [--quick]``. The many sessions are records like any other, put into
the backend without a request each; what is timed are real requests to a few sessions among them.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness import rounds, servers
from harness.figures import Figures
from harness.places import Places, scratch
from harness.rounds import Block, Effort
from harness.visits import FOREIGN, READ, SMALL, WRITE, Work, fill, looped
from peers.ours import Ours
from report.tables import NONE, figure, table

from sessions_wsgi import CookieStore, FileStore, Key, MemoryStore, SQLiteStore, store_from_url

COUNTS, FILES_AT_MOST = (1_000, 100_000, 1_000_000), 100_000
KEYS = (1, 10, 100, 1000)
EFFORT, QUICK = Effort(3, 20, 2.5), Effort(1, 3, 0.5)
#: Those whose requests are timed.
VISITORS = 50
_MEMORY = "--memory-of"


def section(quick: bool, places: Places, missing: Mapping[str, str], figures: Figures) -> str:
    """The part of the page."""
    effort, counts = (QUICK, (100, 1_000)) if quick else (EFFORT, COUNTS)
    crowds = table(
        ["µs per request", *(f"{case}, {count:,} stored" for case in ("read", "write") for count in counts)],
        [[name, *_crowded(name, places, counts, effort)] for name in _stores(places)],
    )
    sizes = table(
        ["µs per request", *(f"{case}, {keys} keys" for case in ("read", "write") for keys in KEYS)],
        [[name, *_sized(store(), effort)] for name, store in _sized_stores(places).items()],
    )
    taken = ", ".join(f"{count:,}: {_memory(count)} bytes each" for count in counts[-2:])
    return (
        f"Among many sessions of 3 keys:\n\n{crowds}\n\n"
        f"In sessions of several keys, each with 8 characters:\n\n{sizes}\n\n"
        f"Memory of the process per session of 3 keys in the memory store: {taken}."
    )


def _stores(places: Places) -> dict[str, Callable[[], Any]]:
    key = Key.generate()
    stores: dict[str, Callable[[], Any]] = {
        "memory": lambda: MemoryStore(key, max_bytes=None),
        "files, disk": lambda: FileStore(places.new("growth", "disk"), key),
        "SQLite, disk": lambda: SQLiteStore(places.new("growth", "disk") / "sessions.db", key),
    }
    if "Redis" in places.servers:
        stores["Redis"] = lambda: store_from_url(places.servers["Redis"], key, prefix="growth:")
    return stores


def _sized_stores(places: Places) -> dict[str, Callable[[], Any]]:
    key = Key.generate()
    cookies: dict[str, Callable[[], Any]] = {"signed cookie": lambda: CookieStore(key)}
    return {**cookies, **_stores(places)}


def _crowded(name: str, places: Places, counts: tuple[int, ...], effort: Effort) -> list[str]:
    """Times for reading, then for writing, as the crowd grows."""
    store, stored, found = _stores(places)[name](), 0, []
    for count in counts:
        if name.startswith("files") and count > FILES_AT_MOST:
            found.append({"read": NONE, "write": NONE})
            continue
        _crowd(name, store, count - stored, places)
        stored = count
        found.append(_timed(store, fill(SMALL), effort))
    return [times[case] for case in ("read", "write") for times in found]


def _sized(store: Any, effort: Effort) -> list[str]:
    found = []
    for keys in KEYS:
        values = {"n": 42, **{f"key{number:04}": "x" * 8 for number in range(keys - 1)}}
        try:
            found.append(_timed(store, fill(values), effort))
        except ValueError:  # more than a cookie holds
            found.append({"read": "too large", "write": "too large"})
    return [times[case] for case in ("read", "write") for times in found]


def _timed(store: Any, filled: Work, effort: Effort) -> dict[str, str]:
    peer = Ours("ours", store)
    cookies = []
    for _ in range(VISITORS):
        peer.visit(FOREIGN, filled)()
        cookies.append(f"{FOREIGN}; {peer.received()}")
    blocks = [Block("bare", None, peer.bare())]
    for case, work in (("read", READ), ("write", WRITE)):
        blocks.append(Block(case, "bare", looped(_in_turn(peer, cookies, work))))
    figures = Figures({"growth": blocks}, rounds.measured({"growth": blocks}, effort))
    return {case: figure(figures.quiet("growth", case)) for case in ("read", "write")}


def _in_turn(peer: Ours, cookies: list[str], work: Work) -> Callable[[], object]:
    """A request of each visitor in turn."""
    visits = [peer.visit(cookie, work) for cookie in cookies]
    place = 0

    def once() -> None:
        nonlocal place
        place = (place + 1) % len(visits)
        visits[place]()

    return once


def _crowd(name: str, store: Any, count: int, places: Places) -> None:
    """Put so many records beside those of the visitors, on the shortest way."""
    peer = Ours("ours", store)
    peer.visit(FOREIGN, fill(SMALL))()  # tables and folders are there
    data, expires = bytes(60), time.time() + 86400
    keys = (secrets.token_hex(32) for _ in range(count))
    if name.startswith("SQLite"):
        _rows(store.backend, keys, data, expires)
    elif name == "Redis":
        _hashes(places.servers["Redis"], keys, data, expires)
    else:
        for key in keys:
            store.backend.create(key, data, expires)


def _rows(backend: Any, keys: Iterator[str], data: bytes, expires: float) -> None:
    path = repr(backend).partition("(")[2].strip("')")
    with sqlite3.connect(path) as connection:
        rows = ((key, os.urandom(12), data, expires) for key in keys)
        connection.executemany("INSERT INTO records (key, version, data, expires) VALUES (?, ?, ?, ?)", rows)
    connection.close()


def _hashes(url: str, keys: Iterator[str], data: bytes, expires: float) -> None:
    from redis import Redis

    with Redis.from_url(url) as client, client.pipeline(transaction=False) as pipeline:
        for number, key in enumerate(keys, 1):
            pipeline.hset(f"growth:{key}", mapping={"v": os.urandom(12), "d": data, "e": repr(expires)})
            pipeline.pexpireat(f"growth:{key}", int(expires * 1000))
            if number % 2000 == 0:
                pipeline.execute()
        pipeline.execute()


def _memory(count: int) -> str:
    """Bytes per session, in a process that does nothing else."""
    command = [sys.executable, str(Path(__file__).resolve()), _MEMORY, str(count)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _told_memory(count: int) -> None:
    """Print by how much the resident memory grows, per session."""
    peer = Ours("ours", MemoryStore(Key.generate(), max_bytes=None))
    visit = peer.visit(FOREIGN, fill(SMALL))
    visit()
    before = _resident()
    for _ in range(count):
        visit()
    print((_resident() - before) // count)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    if _MEMORY in sys.argv:
        _told_memory(int(sys.argv[-1]))
    else:
        with scratch() as here, servers.running(["redis"]) as (urls, _):
            here.servers.update(urls)
            print(section("--quick" in sys.argv, here, {}, Figures({}, {})))
