"""The original in Go: a process of its own that runs so many requests whenever it is asked to."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from harness.places import Places
from harness.visits import SIZES, Peer, Run

from peers import NotInstalled

PACKAGE = "gorilla/sessions"

_SOURCE = Path(__file__).parent.parent / "gorilla" / "main.go"
#: Where Debian's golang-*-dev packages are.
_GOPATH = "/usr/share/gocode"
_DEBIAN = "golang-github-gorilla-sessions-dev"


class Process:
    """The measuring process."""

    def __init__(self, binary: Path, payloads: Path, directories: list[Path]) -> None:
        command = [str(binary), str(payloads), *map(str, directories)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        atexit.register(self.close)
        self.cookies: dict[tuple[str, str], int] = {}
        while (line := self._line()) != "ready":
            _, name, size, count = line.split()
            self.cookies[name, size] = int(count)

    def run(self, name: str, case: str, size: str, count: int) -> int:
        """Nanoseconds of so many requests."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{name} {case} {size} {count}\n")
        self._process.stdin.flush()
        return int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process of gorilla has ended")
        return line.strip()

    def close(self) -> None:
        """It ends when there is nothing more to read."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


class Gorilla(Peer):
    """One store of the process."""

    base = "bare Go handler"

    def __init__(self, name: str, process: Process, store: str) -> None:
        self.name, self._process, self._store = name, process, store

    def bare(self) -> Run:
        return partial(self._process.run, "bare", "untouched", "small")

    def block(self, case: str, size: str) -> Run:
        return partial(self._process.run, self._store, case, _word(size))

    def cookie_bytes(self, size: str) -> int:
        return self._process.cookies[self._store, _word(size)]


def make(places: Places) -> Iterator[Gorilla]:
    directories = list(places.directories())
    process = _started(places, [places.new("gorilla", kind) for kind, _ in directories])
    yield Gorilla("gorilla, signed cookie", process, "hash")
    yield Gorilla("gorilla, encrypted cookie", process, "hash+block")
    for number, (kind, _) in enumerate(directories):
        yield Gorilla(f"gorilla, files, {kind}", process, f"files{number}")


def version() -> str:
    """Of Debian's package, and of Go."""
    shown = ["dpkg-query", "--show", "--showformat=${Version}", _DEBIAN]
    package = subprocess.run(shown, capture_output=True, text=True, check=False).stdout or "unknown"
    go = subprocess.run(["go", "version"], capture_output=True, text=True, check=True).stdout.split()[2]
    return f"{package}, {go}"


def _started(places: Places, directories: list[Path]) -> Process:
    binary, payloads = places.disk / "gorilla", places.disk / "payloads.json"
    _build(binary)
    payloads.write_text(json.dumps({_word(size): values for size, values in SIZES.items()}), "utf-8")
    return Process(binary, payloads, directories)


def _build(binary: Path) -> None:
    if shutil.which("go") is None or not Path(_GOPATH, "src/github.com/gorilla/sessions").is_dir():
        raise NotInstalled(f"needs Debian's packages golang-go and {_DEBIAN}")
    environ = {**os.environ, "GO111MODULE": "off", "GOPATH": _GOPATH, "GOCACHE": str(binary.parent / "go")}
    command = ["go", "build", "-o", str(binary), str(_SOURCE)]
    subprocess.run(command, env=environ, check=True)


def _word(size: str) -> str:
    return size.replace(" ", "")
