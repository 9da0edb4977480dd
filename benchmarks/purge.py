"""What a purge costs those who read meanwhile: half of many sessions in SQLite have expired and are removed.

Run: ``python benchmarks/purge.py [sessions, 1000000 unless told] [directory]``. Prints how long the purge
took and in how many steps it told of its progress, the longest time that a reader in another thread waited,
and by how much the memory of this process grew.
"""

from __future__ import annotations

import os
import resource
import secrets
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from sessions_wsgi import Key, SQLiteStore
from sessions_wsgi.backends.sqlite import SQLiteBackend

HOUR = 3600.0


def rows(count: int, now: float) -> Iterator[tuple[str, int, bytes, float]]:
    """Every other one has expired."""
    for n in range(count):
        yield secrets.token_hex(32), n, bytes(200), now + (HOUR if n % 2 else -HOUR)


def fill(path: Path, count: int) -> None:
    SQLiteBackend(path).init()
    with sqlite3.connect(path) as connection:
        given = rows(count, time.time())
        connection.executemany("INSERT INTO records (key, version, data, expires) VALUES (?, ?, ?, ?)", given)
    connection.close()


def peak() -> float:
    """MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Reader(threading.Thread):
    """Loads a record again and again, and remembers the longest wait in seconds."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.backend, self.longest, self.loads, self.done = SQLiteBackend(path), 0.0, 0, threading.Event()

    def run(self) -> None:
        while not self.done.is_set():
            begun = time.perf_counter()
            self.backend.load("0" * 64)
            self.longest = max(self.longest, time.perf_counter() - begun)
            self.loads += 1
            time.sleep(0.001)


def main(count: int, directory: str) -> None:
    path = Path(directory) / f"purge-{os.getpid()}.db"
    fill(path, count)
    store, reader, before, seen = SQLiteStore(path, Key.generate()), Reader(path), peak(), [0]
    reader.start()
    begun = time.perf_counter()
    removed = store.purge(seen.append)
    spent = time.perf_counter() - begun
    reader.done.set()
    reader.join()
    print(f"purged {removed} of {count} sessions in {spent:.1f} s, told in {len(seen) - 1} steps")
    print(f"readers: {reader.loads} loads, the longest {reader.longest * 1000:.1f} ms")
    print(f"memory: +{peak() - before:.1f} MiB")
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as temporary:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, temporary)
