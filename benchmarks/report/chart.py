"""The chart: horizontal bars, as an SVG that reads well on light and on dark pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from harness.cells import name_of
from harness.figures import Figures

WIDTH, LABEL, ROW, GAP, HEAD = 780, 190, 24, 34, 58
#: Who is shown: the name in the figures, and in the chart; ours first.
SHOWN = {
    "signed cookie": "sessions_wsgi, signed",
    "encrypted cookie": "sessions_wsgi, encrypted",
    "Starlette": "Starlette",
    "gorilla, signed cookie": "gorilla (Go), signed",
    "Pyramid, no reissue": "Pyramid",
    "Django, signed cookie": "Django, signed cookie",
    "Flask": "Flask",
    "Beaker, cookie": "Beaker, cookie",
}
PANELS = ("read", "write")

_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 }
  .note { fill: #57606a; font-size: 12px }
  .ours { fill: #0969da } .theirs { fill: #8c959f }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .note { fill: #9198a1 } .ours { fill: #4493f8 } .theirs { fill: #6e7681 }
  }"""


class Bar(NamedTuple):
    """One row."""

    label: str
    value: float
    ours: bool


def bars(figures: Figures, case: str) -> list[Bar]:
    """The rows of a panel, as far as they were measured."""
    cell = name_of(case, "small")
    return [
        Bar(label, figures.quiet(cell, name), label.startswith("sessions_wsgi"))
        for name, label in SHOWN.items()
        if figures.has(cell, name)
    ]


def drawn(figures: Figures) -> str:
    """The whole picture."""
    panels = [(case, bars(figures, case)) for case in PANELS]
    return picture([(f"{case}, 3 keys in a cookie", rows) for case, rows in panels if rows])


def picture(panels: Sequence[tuple[str, Sequence[Bar]]]) -> str:
    """An SVG of these panels, below each other."""
    height = HEAD + sum(GAP + ROW * len(rows) for _, rows in panels) + 8
    body = "\n".join(_panels(panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        f' aria-label="What a session costs a request">\n<style>{_STYLE}\n</style>\n'
        f'<text class="title" x="8" y="24">What a session costs a request</text>\n'
        f'<text class="note" x="8" y="44">microseconds over the same application without sessions; '
        f"shorter is better</text>\n{body}\n</svg>\n"
    )


def _panels(panels: Sequence[tuple[str, Sequence[Bar]]]) -> Iterator[str]:
    top = HEAD
    for title, rows in panels:
        yield f'<text class="title" x="8" y="{top + 20}">{escape(title)}</text>'
        yield from _rows(rows, top + GAP)
        top += GAP + ROW * len(rows)


def _rows(rows: Sequence[Bar], top: int) -> Iterator[str]:
    longest = max((bar.value for bar in rows), default=1.0)
    for number, bar in enumerate(rows):
        y = top + number * ROW
        length = max(1.0, bar.value / longest * (WIDTH - LABEL - 70))
        kind = "ours" if bar.ours else "theirs"
        yield f'<text x="{LABEL - 8}" y="{y + 14}" text-anchor="end">{escape(bar.label)}</text>'
        yield f'<rect class="{kind}" x="{LABEL}" y="{y + 2}" width="{length:.1f}" height="16" rx="2"/>'
        yield f'<text x="{LABEL + length + 6:.1f}" y="{y + 14}">{bar.value:.1f}</text>'
