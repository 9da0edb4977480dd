"""What servers of a given size carry: arithmetic on what was measured, and a simulation of their queues.

Run alone: ``python benchmarks/simulation.py [--quick]``. A request of the mix reads its session; one in ten
writes it, too. Redis works in one thread, PostgreSQL in as many as there are processors. Requests come at
random, and the simulation shows what they wait as the server fills up: that is where each stops.
"""

from __future__ import annotations

import heapq
import random
import sys
from collections.abc import Mapping

from harness import servers
from harness.costs import Costs, postgresql_costs, redis_costs
from harness.figures import Figures
from harness.places import Places, scratch
from harness.visits import FOREIGN, SIZES, fill
from harness.wsgi import set_header
from peers.ours import make
from report.tables import figure, table

WRITES = 0.1
#: How full a server should be at most: its processor in a usual hour, its memory.
BUSY, FULL = 0.5, 0.75
GIB = 2**30
MEMORY, PROCESSORS = (1, 8, 64), (2, 8, 32)
MIX = (
    f"The mix: every request reads its session, {WRITES:.0%} of them write it, too. A server is planned to be"
    f" {BUSY:.0%} busy and {FULL:.0%} full."
)
LOADS = (0.5, 0.7, 0.8, 0.9, 0.95)


def section(quick: bool, places: Places, missing: Mapping[str, str], figures: Figures) -> str:
    """The part of the page."""
    count = 200 if quick else 4000
    parts = [MIX]
    if "Redis" in places.servers:
        parts.append(_redis({size: redis_costs(places, size, count) for size in SIZES}))
    if "PostgreSQL" in places.servers:
        parts.append(_postgresql({size: postgresql_costs(places, size, count) for size in SIZES}))
    parts += [_bandwidth(places), _queues(20_000 if quick else 200_000)]
    parts += [f"{name} was not measured: {reason}." for name, reason in missing.items()]
    return "\n\n".join(parts)


# Redis: memory, and one thread


def _redis(costs: Mapping[str, Costs]) -> str:
    rows = []
    for size, cost in costs.items():
        mixed = per_request(cost)
        rows.append(
            [
                size,
                figure(cost.kept),
                figure(cost.read),
                figure(cost.write),
                figure(mixed),
                f"{rate(mixed):,.0f}",
                *(f"{sessions(gib, cost.kept):,.0f}" for gib in MEMORY),
            ]
        )
    head = ["Redis", "bytes a session", "µs a read", "µs a write", "µs a request of the mix", "requests/s"]
    example = next(iter(costs.values()))
    mixed = per_request(example)
    shown = table([*head, *(f"sessions in {gib} GiB" for gib in MEMORY)], rows)
    return (
        f"{shown}\n\n"
        f"So: {figure(example.read)} + {WRITES:g} · ({figure(example.write)} - {figure(example.read)})"
        f" = {figure(mixed)} µs of one thread a request;"
        f" {BUSY:g} · 1,000,000 / {figure(mixed)} = {rate(mixed):,.0f} requests a second;"
        f" {FULL:g} · {MEMORY[0]} GiB / {figure(example.kept)} bytes ="
        f" {sessions(MEMORY[0], example.kept):,.0f} sessions."
    )


# PostgreSQL: processors


def _postgresql(costs: Mapping[str, Costs]) -> str:
    rows = []
    for size, cost in costs.items():
        mixed = per_request(cost)
        rows.append(
            [
                size,
                figure(cost.kept),
                figure(cost.read),
                figure(cost.write),
                figure(mixed),
                *(f"{rate(mixed) * count:,.0f}" for count in PROCESSORS),
                f"{1_000_000 * cost.kept / GIB:.1f}",
            ]
        )
    head = ["PostgreSQL", "bytes a session", "µs a read", "µs a write", "µs a request of the mix"]
    head += [f"requests/s, {count} processors" for count in PROCESSORS]
    return (
        f"{table([*head, 'GiB for 1,000,000 sessions'], rows)}\n\n"
        "Processor time of the server; it ran without syncing to disk. With it, a disk that syncs 1,000"
        " times a second stops at about 1,000 commits a second, times those that share one sync."
    )


# Cookies: the line


def _bandwidth(places: Places) -> str:
    rows = []
    for peer in make(places):
        if peer.name in {"signed cookie", "encrypted cookie", "memory"}:
            for size in SIZES:
                sent = peer.cookie_bytes(size)
                peer.visit(FOREIGN, fill(SIZES[size]))()
                answered = len(f"Set-Cookie: {set_header()}\r\n")
                up, down = 1000 * sent, 1000 * WRITES * answered if "cookie" in peer.name else 0.0
                name = peer.name if "cookie" in peer.name else "id of a server-side session"
                rows.append(
                    [
                        f"{name}, {size}",
                        str(sent),
                        str(answered),
                        f"{up * 8 / 1e6:.2f}",
                        f"{down * 8 / 1e6:.2f}",
                    ]
                )
    head = ["in a cookie", "bytes a request", "bytes a response that sets it"]
    return (
        table([*head, "Mbit/s in, 1,000 requests/s", "Mbit/s out"], rows)
        + f"\n\nIn: bytes · 1,000 · 8. Out: bytes · 1,000 · {WRITES:g} · 8, as only changes are sent;"
        " an id is sent once."
    )


def per_request(cost: Costs) -> float:
    """Microseconds of the server for a request of the mix; a measured write has read before."""
    return cost.read + WRITES * (cost.write - cost.read)


def rate(microseconds: float) -> float:
    """Requests a second of one thread that is as busy as planned."""
    return BUSY * 1e6 / microseconds


def sessions(gib: int, kept: float) -> float:
    """How many a memory holds that is as full as planned."""
    return FULL * gib * GIB / kept


# The queues


def _queues(requests: int) -> str:
    rows = []
    for threads, name in ((1, "Redis: one thread"), (8, "PostgreSQL: 8 processors")):
        rows.append([name, *(f"{waited(threads, load, requests):.1f}" for load in LOADS)])
    head = ["99 of 100 wait at most, in service times", *(f"{load:.0%} busy" for load in LOADS)]
    return (
        f"{table(head, rows)}\n\nA simulation of {requests:,} requests at random moments, each of which takes"
        " a random time. The server that is fuller than planned still answers all; who waits is the tail."
    )


def waited(threads: int, load: float, requests: int, seed: int = 1) -> float:
    """The 99th percentile of the wait before service, in mean service times."""
    chance = random.Random(seed)
    free, now = [0.0] * threads, 0.0
    waits = []
    for _ in range(requests):
        now += chance.expovariate(threads * load)
        begins = max(now, free[0])
        heapq.heapreplace(free, begins + chance.expovariate(1.0))
        waits.append(begins - now)
    return sorted(waits)[int(requests * 0.99)]


if __name__ == "__main__":
    with scratch() as here, servers.running(["redis", "postgresql"]) as (urls, reasons):
        here.servers.update(urls)
        print(section("--quick" in sys.argv, here, reasons, Figures({}, {})))
