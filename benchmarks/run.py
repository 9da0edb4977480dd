"""Measures this library and its peers side by side, and writes `results.md` and `chart.svg`.

Run: ``tox run -e bench``, or ``python benchmarks/run.py --quick`` for a first look. It takes at most 15
minutes; a quick run, which prints its page and writes nothing unless told where to, takes one.
"""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

import growth
import load
import simulation
from harness import cells, rounds, servers
from harness.figures import Figures
from harness.places import Places, scratch
from peers import Found
from report import chart, page, quoted, tables
from report.goals import judged

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
_begun = time.monotonic()


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    names = [] if args.no_servers else list(servers.NAMES)
    with scratch(args.disk) as places, servers.running(names) as (urls, missing):
        places.servers.update(urls)
        text, drawing = measured(args, places, missing)
    written(args, text, drawing)
    return 0


def parser() -> ArgumentParser:
    made = ArgumentParser(description=__doc__.partition("\n")[0])
    made.add_argument("--quick", action="store_true", help="few short rounds, small loads")
    made.add_argument("--once", action="store_true", help="a single short round: whether it works at all")
    made.add_argument(
        "--only", default="", metavar="WORDS", help='cells with all of these words: "read small"'
    )
    made.add_argument("--no-servers", action="store_true", help="start no Redis, PostgreSQL and so on")
    made.add_argument("--no-load", action="store_true", help="leave out load, growth and scaling")
    made.add_argument("--disk", metavar="DIR", help="a directory on a disk, for files there")
    made.add_argument("--out", type=Path, metavar="DIR", help="where to write results.md and chart.svg")
    return made


def measured(args: Namespace, places: Places, missing: dict[str, str]) -> tuple[str, str]:
    """The page and the chart."""
    effort = rounds.ONCE if args.once else rounds.QUICK if args.quick else rounds.FULL
    tell("preparing")
    found = Found(places)
    cells.check(found.peers)
    chosen = {**cells.request_cells(found.peers, args.only.split()), **cells.extra_cells(found.peers)}
    figures = Figures(chosen, rounds.measured(chosen, effort, tell))
    parts = page.measured_parts(figures, found.peers)
    if not args.no_load:
        parts += further(args.quick or args.once, places, missing, figures)
    words = f"{effort.passes} {tables.TIMES} {effort.rounds} rounds of {effort.milliseconds:g} ms"
    first = [
        ("Run", page.environment(places, found.versions, words)),
        ("Not measured", page.absent({**found.missing, **missing})),
        page.goals_part(judged(figures)),
    ]
    return page.page([*first, *parts]), chart.drawn(figures)


def further(quick: bool, places: Places, missing: dict[str, str], figures: Figures) -> list[tuple[str, str]]:
    """What takes servers, many sessions, or arithmetic."""
    parts = []
    for title, module in (("Load", load), ("Growth", growth), ("Scaling", simulation)):
        tell(title.lower())
        parts.append((title, module.section(quick, places, missing, figures)))
    return parts


def written(args: Namespace, text: str, drawing: str) -> None:
    full = not (args.quick or args.once or args.only or args.no_load or args.no_servers)
    out = args.out or (HERE if full else None)
    if out is None:
        print(text)
        return
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.md").write_text(text, "utf-8")
    (out / "chart.svg").write_text(drawing, "utf-8")
    if out == HERE and not args.no_load:
        quoted.update(DOCS / "scaling.md", text)
    tell(f"written: {out / 'results.md'}, {out / 'chart.svg'}")


def tell(text: str) -> None:
    """Progress, which is no part of the page."""
    print(f"[{time.monotonic() - _begun:5.0f} s] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
