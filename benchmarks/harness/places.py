"""Where sessions are kept while the benchmarks run: a directory in memory, one on a disk, servers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

TMPFS = Path("/dev/shm")


@dataclass
class Places:
    """All of it is removed at the end."""

    disk: Path
    tmpfs: Path | None = None
    #: URLs of stores, by the names of their servers.
    servers: dict[str, str] = field(default_factory=dict)

    def directories(self) -> Iterator[tuple[str, Path]]:
        """Names for the tables, and the directories."""
        if self.tmpfs is not None:
            yield "tmpfs", self.tmpfs
        yield "disk", self.disk

    def new(self, name: str, kind: str = "") -> Path:
        """An empty directory; `kind`: "tmpfs" or "disk", whichever there is unless told."""
        parent = self.disk if kind == "disk" or self.tmpfs is None else self.tmpfs
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))


@contextmanager
def scratch(disk: str | None = None) -> Iterator[Places]:
    """Directories of our own."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=disk) as on_disk:
        if not TMPFS.is_dir():
            yield Places(Path(on_disk))
            return
        with tempfile.TemporaryDirectory(prefix="bench-", dir=TMPFS) as in_memory:
            yield Places(Path(on_disk), Path(in_memory))


def file_system(path: Path) -> str:
    """The kind of file system that a path is on, as the kernel calls it."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text("utf-8").splitlines()]
    except OSError:
        return "unknown"
    resolved = path.resolve()
    holding = [(len(where), kind) for where, kind in mounts if resolved.is_relative_to(where)]
    return max(holding)[1] if holding else "unknown"
