"""Tables and a progress bar on a terminal: imported only where rich is installed (the extra ``cli``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text


def print_table(stream: TextIO, heading: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(*heading)
    for row in rows:
        table.add_row(*map(Text, row))  # no markup: a visitor may have written it
    Console(file=stream).print(table)


def progress(stream: TextIO, doing: str, done: str) -> Iterator[Callable[[int], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn(f"{{task.completed}} {done}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(file=stream)) as bar:
        task = bar.add_task(doing, total=None)  # nobody knows how many there are
        yield lambda count: bar.update(task, completed=count)
