"""Blocks that take turns.

The machines that benchmarks run on change their speed from second to second. So a cell of the tables is not
measured after another one: in each round, every block of the cell runs for some milliseconds, each round
begins with another one, and all cells come by several times. What is compared was measured within a moment.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from harness.visits import Run


class Block(NamedTuple):
    """Requests of one peer in one cell."""

    name: str
    #: The block whose time is subtracted; None: nothing is.
    base: str | None
    run: Run


class Effort(NamedTuple):
    """How long to measure."""

    #: How often every cell comes by.
    passes: int
    #: Rounds of a cell each time.
    rounds: int
    #: Milliseconds that a block should take.
    milliseconds: float


#: Requests before those that are timed. Python fits its code to the classes that it meets: blocks that share
#: code, as all stores of a library do, would each pay for the one before.
SETTLING = 64

FULL = Effort(passes=8, rounds=20, milliseconds=2.5)
QUICK = Effort(passes=1, rounds=3, milliseconds=0.5)
ONCE = Effort(passes=1, rounds=1, milliseconds=0.0)

#: Nanoseconds per request by block, one entry for each round.
Spent = dict[str, list[float]]


def measured(
    cells: Mapping[str, Sequence[Block]], effort: Effort, tell: Callable[[str], None] = lambda _: None
) -> dict[str, Spent]:
    """What the requests of each block took, cell by cell."""
    counts = {cell: [_calibrated(block, effort) for block in blocks] for cell, blocks in cells.items()}
    found: dict[str, Spent] = {cell: {block.name: [] for block in cells[cell]} for cell in cells}
    gc.collect()
    gc.freeze()  # what was set up would be looked through by every full collection
    for number in range(effort.passes):
        for cell, blocks in cells.items():
            tell(f"pass {number + 1} of {effort.passes}: {cell}")
            for offset in _offsets(len(blocks), effort.rounds, number):
                for place in _turn(len(blocks), offset):
                    block, count = blocks[place], counts[cell][place]
                    block.run(min(count, SETTLING))
                    found[cell][block.name].append(block.run(count) / count)
    gc.unfreeze()
    return found


def _calibrated(block: Block, effort: Effort) -> int:
    """How many requests take about as long as a block should."""
    block.run(3)  # the first ones fill caches
    count = 1
    while (spent := block.run(count)) < effort.milliseconds * 1e6 / 8 and count < 4096:
        count *= 4
    return max(1, min(4096, round(effort.milliseconds * 1e6 * count / max(spent, 1))))


def _offsets(size: int, rounds: int, number: int) -> Iterator[int]:
    """Which block begins, in each round."""
    for turn in range(rounds):
        yield (turn * max(1, size // rounds) + number) % size


def _turn(size: int, offset: int) -> Iterator[int]:
    yield from range(offset, size)
    yield from range(offset)
