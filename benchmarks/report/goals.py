"""The goals: what is to be how many times as fast as what, judged by the 10th percentiles of one run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.cells import CHUNKS, HOSTILE, STREAMING, name_of
from harness.figures import Figures

SIGNED, ENCRYPTED, FILES, FILES_ON_DISK = "signed cookie", "encrypted cookie", "files, tmpfs", "files, disk"
PYRAMID, FLASK, DJANGO, STARLETTE = "Pyramid, no reissue", "Flask", "Django, signed cookie", "Starlette"
BEAKER, GORILLA = "Beaker, cookie", "gorilla, signed cookie"
#: The cookie stores of others.
PYTHON_COOKIES = (BEAKER, PYRAMID, FLASK, DJANGO, STARLETTE)


@dataclass(frozen=True)
class Ratio:
    """`theirs` takes at least `factor` times as long as `ours`."""

    group: str
    cell: str
    ours: str
    theirs: str
    factor: float


@dataclass(frozen=True)
class Limit:
    """Something takes at most so many microseconds."""

    group: str
    cell: str
    what: str
    limit: float
    #: What the figure is divided by.
    parts: int = 1


@dataclass(frozen=True)
class Verdict:
    """What became of a goal."""

    goal: Ratio | Limit
    measured: float | None = None
    in_rounds: float | None = None

    @property
    def met(self) -> bool | None:
        """None: it could not be measured."""
        if self.measured is None:
            return None
        if isinstance(self.goal, Ratio):
            return self.measured >= self.goal.factor
        return self.measured <= self.goal.limit


def goals() -> Iterator[Ratio | Limit]:
    """All of them."""
    for ours, share in ((SIGNED, 1.0), (ENCRYPTED, 0.8)):
        yield from _cookies(ours, share)
    yield from _gorilla()
    yield from _files()
    for size in ("small", "2 kB"):
        for ours in (SIGNED, ENCRYPTED):
            cell = name_of("forged", size)
            for theirs in PYTHON_COOKIES:
                yield Ratio("forged", cell, ours, theirs, 1.0)
            yield Ratio("forged", cell, ours, GORILLA.replace(SIGNED, ours), 0.5)
    yield Ratio("untouched", name_of("untouched", "small"), SIGNED, BEAKER, 2.0)
    yield Limit("untouched", name_of("untouched", "small"), SIGNED, 1.0)
    yield from _floors()
    yield Limit("hostile header of 8 kB", HOSTILE, "", 200.0)
    yield Limit("streaming, per chunk", STREAMING, "untouched stream", 0.3, CHUNKS)


def _cookies(ours: str, share: float) -> Iterator[Ratio]:
    factors = {
        "small": {PYRAMID: 3.0, FLASK: 3.0, DJANGO: 3.0, BEAKER: 7.0, STARLETTE: 1.7},
        "2 kB": {PYRAMID: 2.0, FLASK: 2.0, DJANGO: 2.0, BEAKER: 5.0, STARLETTE: 1.0},
    }
    for size, by_peer in factors.items():
        for case in ("read", "write", "new"):
            for theirs, factor in by_peer.items():
                compressed = (size, case, theirs) == ("2 kB", "read", DJANGO)  # its cookie is the shorter one
                wanted = 1.7 if compressed else factor
                yield Ratio(ours, name_of(case, size), ours, theirs, round(wanted * share, 2))


def _gorilla() -> Iterator[Ratio]:
    wanted = {
        SIGNED: {"read": 2.0, "write": 1.7, "new": 1.0},
        ENCRYPTED: {"read": 1.7, "write": 1.4},
        FILES: {"read": 1.5, "write": 1.0},
    }
    for ours, factors in wanted.items():
        for case, factor in factors.items():
            yield Ratio("gorilla in Go", name_of(case, "small"), ours, f"gorilla, {ours}", factor)
    yield Ratio("gorilla in Go", name_of("read", "small"), FILES_ON_DISK, f"gorilla, {FILES_ON_DISK}", 1.5)
    yield Ratio("gorilla in Go", name_of("write", "small"), "SQLite, disk", f"gorilla, {FILES_ON_DISK}", 4.0)


def _files() -> Iterator[Ratio]:
    for theirs, read in (("Django", 4.0), ("Beaker", 10.0)):
        yield Ratio("files", name_of("read", "small"), FILES, f"{theirs}, {FILES}", read)
        yield Ratio("files", name_of("write", "small"), FILES, f"{theirs}, {FILES}", 2.0)


def _floors() -> Iterator[Ratio]:
    for ours in (SIGNED, ENCRYPTED, FILES):
        yield Ratio("the floor", name_of("read", "small"), ours, f"floor, {ours}", 1 / 2.5)


def judged(figures: Figures) -> list[Verdict]:
    """Every goal, with what was measured."""
    return [_limit(goal, figures) if isinstance(goal, Limit) else _ratio(goal, figures) for goal in goals()]


def _ratio(goal: Ratio, figures: Figures) -> Verdict:
    if not (figures.has(goal.cell, goal.ours) and figures.has(goal.cell, goal.theirs)):
        return Verdict(goal)
    return Verdict(
        goal,
        figures.ratio(goal.cell, goal.theirs, goal.ours),
        figures.ratio_in_rounds(goal.cell, goal.theirs, goal.ours),
    )


def _limit(goal: Limit, figures: Figures) -> Verdict:
    names = [
        name
        for name in figures.names(goal.cell)
        if name.startswith(goal.what) and not name.startswith("bare")
    ]
    if not names:
        return Verdict(goal)
    worst = max(names, key=lambda name: figures.quiet(goal.cell, name))
    return Verdict(
        goal, figures.quiet(goal.cell, worst) / goal.parts, figures.median(goal.cell, worst) / goal.parts
    )
