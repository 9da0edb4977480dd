"""A first look at what sessions cost: untouched, reading and writing, for each store of ours.

Run: ``python benchmarks/hot_paths.py [words that the names of the stores must contain]``. It takes seconds;
the comparison with others, which everything that is published comes from, is `run.py`.
"""

from __future__ import annotations

import sys

from harness.cells import name_of, request_cells
from harness.figures import Figures
from harness.places import scratch
from harness.rounds import Effort, measured
from peers import floors, ours

CASES = ("untouched", "read", "write")
EFFORT = Effort(passes=2, rounds=20, milliseconds=2.0)


def main(words: list[str]) -> None:
    with scratch() as places:
        stores = [peer for peer in ours.make(places) if all(word in peer.name for word in words)]
        peers = [*stores, *floors.make(places)]
        cells = request_cells(peers, ["small"])
        chosen = {name_of(case, "small"): cells[name_of(case, "small")] for case in CASES}
        figures = Figures(chosen, measured(chosen, EFFORT))
    print("µs per request over the bare application: the 10th percentile, the median")
    print(" " * 24 + "".join(f"{case:>16}" for case in CASES))
    for peer in peers:
        print(f"{peer.name:24}" + "".join(_shown(figures, case, peer.name) for case in CASES))


def _shown(figures: Figures, case: str, name: str) -> str:
    cell = name_of(case, "small")
    if not figures.has(cell, name):
        return " " * 16
    return f"{figures.quiet(cell, name):8.2f}{figures.median(cell, name):8.2f}"


if __name__ == "__main__":
    main(sys.argv[1:])
