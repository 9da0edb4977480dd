"""What is made of the rounds: times without the bare application, and ratios within a run."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from harness.rounds import Block, Spent


class Figures:
    """Microseconds per request over the bare application of the same round."""

    def __init__(self, cells: Mapping[str, Sequence[Block]], spent: Mapping[str, Spent]) -> None:
        self._over: dict[tuple[str, str], list[float]] = {}
        for cell, blocks in cells.items():
            for block in blocks:
                own = spent[cell][block.name]
                base = spent[cell][block.base] if block.base else [0.0] * len(own)
                self._over[cell, block.name] = [
                    (one - other) / 1000 for one, other in zip(own, base, strict=True)
                ]

    def has(self, cell: str, name: str) -> bool:
        return (cell, name) in self._over

    def names(self, cell: str) -> list[str]:
        """In the order of measuring."""
        return [name for where, name in self._over if where == cell]

    def quiet(self, cell: str, name: str) -> float:
        """The 10th percentile: the machine's quiet phase."""
        return tenth(self._over[cell, name])

    def median(self, cell: str, name: str) -> float:
        return statistics.median(self._over[cell, name])

    def ratio(self, cell: str, name: str, to: str) -> float:
        """How many times as long the first one takes as the second; by their 10th percentiles."""
        return self.quiet(cell, name) / max(self.quiet(cell, to), 1e-9)

    def ratio_in_rounds(self, cell: str, name: str, to: str) -> float:
        """The median of the ratios within each round: drift of the machine cancels."""
        pairs = zip(self._over[cell, name], self._over[cell, to], strict=True)
        ratios = [one / other for one, other in pairs if other > 0]
        return statistics.median(ratios) if ratios else float("nan")


def tenth(values: Sequence[float]) -> float:
    """The 10th percentile, the lowest of few."""
    return sorted(values)[len(values) // 10]
