"""The page that a run writes: all of what was measured, and on what."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.backends.openssl import backend
from harness.cells import CHUNKS, HOSTILE, STREAMING
from harness.figures import Figures
from harness.places import Places, file_system
from harness.visits import SIZES, Peer

from report import tables
from report.goals import Verdict

READING = """Microseconds per request over the same application without sessions, which ran in the same
round: the 10th percentile of the rounds, and the median in brackets. All blocks of a cell took turns, so
ratios within this page count; its figures and those of another day or machine do not compare. [How it is
measured](../docs/performance.md)."""


def environment(places: Places, versions: Mapping[str, str], effort: str) -> str:
    """What it ran on, as a list."""
    libraries = ", ".join(f"{name} {number}" for name, number in versions.items())
    disks = ", ".join(f"{kind}: {file_system(path)}" for kind, path in places.directories())
    load = "/".join(f"{value:.1f}" for value in os.getloadavg())
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, {effort}, load average when it ended: {load}",
        f"Python {platform.python_version()} ({platform.python_compiler()}), SQLite {sqlite3.sqlite_version}",
        f"{_processor()}, {os.cpu_count()} processors, Linux {platform.release().partition('-')[0]}"
        if sys.platform == "linux"
        else f"{platform.processor()}, {platform.system()} {platform.release()}",
        backend.openssl_version_text(),
        f"files on {disks}",
        libraries,
    ]
    return "\n".join(f"- {line}" for line in lines)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def absent(missing: Mapping[str, str]) -> str:
    """What could not be measured."""
    if not missing:
        return "Everything that can be measured was: no peer and no server is missing."
    return "\n".join(f"- **{name}: not installed** ({reason})" for name, reason in missing.items())


def page(parts: Sequence[tuple[str, str]]) -> str:
    """Titles and texts."""
    head = "# Results\n\nWritten by `tox run -e bench`; not by hand.\n\n"
    return head + "\n\n".join(f"## {title}\n\n{text}" for title, text in parts) + "\n"


def measured_parts(figures: Figures, peers: Sequence[Peer]) -> list[tuple[str, str]]:
    """The tables of what was measured request by request."""
    parts = [(f"Time, {size}", tables.times(figures, peers, size)) for size in SIZES]
    parts[0] = (parts[0][0], f"{READING}\n\n{parts[0][1]}\n\n{tables.bases(figures, peers)}")
    parts.append(("Cookies", tables.cookies(peers)))
    if figures.names(HOSTILE):
        parts.append(("Hostile headers", tables.hostile(figures)))
    if figures.names(STREAMING):
        parts.append(("Streaming", _streaming(figures)))
    return parts


def goals_part(found: Sequence[Verdict]) -> tuple[str, str]:
    """How many were met, and all of them."""
    met = sum(verdict.met is True for verdict in found)
    known = sum(verdict.met is not None for verdict in found)
    text = f"{met} of {known} goals are met, {len(found) - known} could not be measured. Missed ones first."
    judged = "Judged by the ratio of the 10th percentiles; beside it the median of the ratios within rounds."
    return "Goals", f"{text} {judged}\n\n{tables.verdicts(found)}"


def _streaming(figures: Figures) -> str:
    name = "untouched stream"
    quiet, median = figures.quiet(STREAMING, name) / CHUNKS, figures.median(STREAMING, name) / CHUNKS
    return f"An untouched session adds {quiet:.3f} µs per chunk (median {median:.3f}) to a generator."
