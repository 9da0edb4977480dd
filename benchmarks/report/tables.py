"""Markdown tables of what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from harness.cells import HOSTILE, name_of
from harness.figures import Figures
from harness.visits import CASES, SIZES, Peer

from report.goals import Limit, Ratio, Verdict

TIMES, NONE = "\N{MULTIPLICATION SIGN}", "\N{EN DASH}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column is text, the others figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figure(value: float) -> str:
    """Three significant digits."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def times(figures: Figures, peers: Sequence[Peer], size: str) -> str:
    """Microseconds of every peer: the 10th percentile, and the median in brackets."""
    cells = [name_of(case, size) for case in CASES]
    rows = ([peer.name, *(_cell(figures, cell, peer.name) for cell in cells)] for peer in peers)
    return table(["µs per request", *CASES], rows)


def _cell(figures: Figures, cell: str, name: str) -> str:
    if not figures.has(cell, name):
        return NONE
    return f"{figure(figures.quiet(cell, name))} ({figure(figures.median(cell, name))})"


def bases(figures: Figures, peers: Sequence[Peer]) -> str:
    """What was subtracted."""
    names = dict.fromkeys(peer.base for peer in peers if peer.base is not None)
    cells = [name_of(case, size) for size in SIZES for case in CASES]
    rows = []
    for name in names:
        cell = next((each for each in cells if figures.has(each, name)), None)
        if cell is not None:
            rows.append([name, _cell(figures, cell, name)])
    return table(["already subtracted", "µs per request"], rows)


def cookies(peers: Sequence[Peer]) -> str:
    """Bytes of the cookies."""
    sizes = ((peer.name, [peer.cookie_bytes(size) for size in SIZES]) for peer in peers)
    rows = [[name, *map(str, counts)] for name, counts in sizes if None not in counts]
    return table(["cookie in a request, bytes, name included", *SIZES], rows)


def hostile(figures: Figures) -> str:
    """Every shape of header."""
    names = [name for name in figures.names(HOSTILE) if not name.startswith("bare")]
    rows = ([name, _cell(figures, HOSTILE, name)] for name in names)
    return table(["8 kB `Cookie` header", "µs per request"], rows)


def verdicts(found: Sequence[Verdict]) -> str:
    """The goals: those that were missed come first."""
    order = {False: 0, None: 1, True: 2}
    rows = [_verdict(verdict) for verdict in sorted(found, key=lambda verdict: order[verdict.met])]
    return table(["goal", "case", "wanted", "measured", "within rounds", ""], rows)


def _verdict(verdict: Verdict) -> list[str]:
    goal = verdict.goal
    met = {True: "met", False: "**missed**", None: "not measured"}[verdict.met]
    return [_title(goal), goal.cell, *_amounts(verdict), met]


def _title(goal: Ratio | Limit) -> str:
    if isinstance(goal, Limit):
        return goal.group
    return f"{goal.ours} against {goal.theirs}"


def _amounts(verdict: Verdict) -> Iterator[str]:
    goal = verdict.goal
    amounts = (verdict.measured, verdict.in_rounds)
    if isinstance(goal, Limit):
        yield f"≤ {goal.limit:g} µs"
        yield from (_or_dash(amount, "µs") for amount in amounts)
    elif goal.factor < 1:  # it is our time that is limited, as a multiple of theirs
        yield f"≤ {1 / goal.factor:g} {TIMES} its time"
        yield from (_or_dash(None if amount is None else 1 / amount, TIMES) for amount in amounts)
    else:
        yield f"≥ {goal.factor:g} {TIMES} as fast"
        yield from (_or_dash(amount, TIMES) for amount in amounts)


def _or_dash(amount: float | None, unit: str) -> str:
    return NONE if amount is None else f"{amount:.2f} {unit}"
