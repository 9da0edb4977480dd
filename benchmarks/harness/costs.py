"""What a session takes on a server: bytes kept, processor time for each request, as the server counts it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from peers.ours import Ours

from harness.places import Places
from harness.visits import FOREIGN, READ, SIZES, WRITE, fill
from sessions_wsgi import Key, store_from_url


class Costs(NamedTuple):
    """Of one session, or one request."""

    #: Bytes that the server keeps.
    kept: float
    #: Microseconds of its processor time.
    read: float
    write: float


def redis_costs(places: Places, size: str, count: int) -> Costs:
    """By the server's own INFO."""
    from redis import Redis

    url = places.servers["Redis"]
    with Redis.from_url(url) as client:

        def used() -> float:
            found = client.info("cpu")
            return float(found["used_cpu_user"] + found["used_cpu_sys"])

        def kept() -> float:
            return float(client.info("memory")["used_memory"])

        return _costs(url, size, count, used, kept, prefix="scaling:")


def postgresql_costs(places: Places, size: str, count: int) -> Costs:
    """By the size of the table with its indexes, and the time of the processes that serve connections."""
    import psycopg

    url = places.servers["PostgreSQL"]
    with psycopg.connect(url, autocommit=True) as client:

        def used() -> float:
            mine = client.info.backend_pid
            rows = client.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
            return sum(_processor_time(pid) for (pid,) in rows.fetchall() if pid != mine)

        def kept() -> float:
            client.execute("VACUUM FULL scaling")
            row = client.execute("SELECT pg_total_relation_size('scaling')").fetchone()
            assert row is not None
            return float(row[0])

        return _costs(url, size, count, used, kept, table="scaling")


def _costs(
    url: str, size: str, count: int, used: Callable[[], float], kept: Callable[[], float], **options: Any
) -> Costs:
    peer = Ours("ours", store_from_url(url, Key.generate(), **options))
    cookie = f"{FOREIGN}; {peer.first_cookie(size)}"
    before = kept()
    visit = peer.visit(FOREIGN, fill(SIZES[size]))
    for _ in range(count):
        visit()
    bytes_kept = (kept() - before) / count
    spent = []
    for work in (READ, WRITE):
        visit, begun = peer.visit(cookie, work), used()
        for _ in range(count):
            visit()
        spent.append((used() - begun) / count * 1e6)
    return Costs(bytes_kept, *spent)


def _processor_time(pid: int) -> float:
    """Seconds; what is in brackets may hold anything."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
