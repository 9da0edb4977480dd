"""Load on loopback: `wrk` against gunicorn and waitress, with the middleware and without.

All variants of a server run at the same time and are asked in turns, as what the machine does otherwise
changes from second to second. Run alone: ``python benchmarks/load.py``.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from harness import servers
from harness.figures import Figures
from harness.places import Places, scratch
from report.tables import figure, table

from sessions_wsgi import Key

HERE = Path(__file__).parent
HOST, CONNECTIONS, VISITORS = "127.0.0.1", 16, 400
COMMANDS = {
    "gunicorn, 2 workers": ["gunicorn", "--workers", "2", "--log-level", "warning", "--bind", "{address}"],
    "waitress": ["waitress", "--threads", "4", "--listen", "{address}"],
}
PATHS = ("read", "write")


class Answer(NamedTuple):
    """What wrk says."""

    per_second: float
    #: 99th percentile, milliseconds.
    p99: float
    failed: bool


def section(quick: bool, places: Places, missing: Mapping[str, str], figures: Figures) -> str:
    """The part of the page."""
    lacking = [name for name in ("gunicorn", "waitress") if find_spec(name) is None]
    lacking += [] if shutil.which("wrk") else ["wrk"]
    if lacking:
        return f"Not measured: **not installed**: {', '.join(lacking)}."
    stores = {
        "no middleware": "",
        "signed cookie": "cookie:",
        "SQLite, disk": f"sqlite:///{places.new('load', 'disk')}/sessions.db",
    }
    if "Redis" in places.servers:
        stores["Redis"] = places.servers["Redis"]
    rounds, seconds = (1, 1) if quick else (3, 2)
    rows = [row for server in COMMANDS for row in _measured(server, stores, places.disk, rounds, seconds)]
    head = ["server", "sessions", *(f"{path}: {what}" for path in PATHS for what in ("requests/s", "p99 ms"))]
    note = (
        f"{CONNECTIONS} connections of `wrk` on loopback, on the same processors as the server, ask for"
        f" {VISITORS} visitors in turn; medians of {rounds} turns of {seconds} s. The application answers two"
        " bytes: any real one costs more."
    )
    return f"{note}\n\n{table(head, rows)}"


def _measured(
    server: str, stores: Mapping[str, str], logs: Path, rounds: int, seconds: int
) -> Iterator[list[str]]:
    found: dict[tuple[str, str], list[Answer]] = {}
    with ExitStack() as stack:
        ports = {
            name: stack.enter_context(_serving(COMMANDS[server], url, logs)) for name, url in stores.items()
        }
        cookies = {name: _cookies(port, logs) for name, port in ports.items()}
        for _ in range(rounds):
            for path in PATHS:
                for name, port in ports.items():
                    answer = _asked(port, path, cookies[name], seconds)
                    found.setdefault((name, path), []).append(answer)
    for name in stores:
        yield [server, name, *(text for path in PATHS for text in _shown(found[name, path]))]


def _shown(answers: list[Answer]) -> Iterator[str]:
    mark = " (with failures)" if any(answer.failed for answer in answers) else ""
    yield figure(statistics.median(answer.per_second for answer in answers)) + mark
    yield figure(statistics.median(answer.p99 for answer in answers))


@contextmanager
def _serving(command: list[str], url: str, logs: Path) -> Iterator[int]:
    """A server with this store, on a free port."""
    with socket.create_server((HOST, 0)) as one:
        port = one.getsockname()[1]
    arguments = [part.format(address=f"{HOST}:{port}") for part in command]
    environ = {**os.environ, "LOAD_STORE": url, "LOAD_KEYS": Key.generate().secret.decode()}
    with (logs / f"load-{port}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments, "load_app:application"],
            env=environ,
            cwd=HERE,
            stdout=log,
            stderr=log,
        )
    try:
        _wait(port, process)
        yield port
    finally:
        process.terminate()
        process.wait()


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection((HOST, port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the server did not start: {process.args}")


def _cookies(port: int, directory: Path) -> Path:
    """A file with the cookies of so many visitors; those of no middleware have one of somebody else."""
    lines = []
    for _ in range(VISITORS):
        connection = http.client.HTTPConnection(HOST, port, timeout=10)
        connection.request("GET", "/new")
        answer = connection.getresponse()
        answer.read()
        connection.close()
        assert answer.status == 200, answer.status
        lines.append((answer.headers["Set-Cookie"] or "a=b").partition(";")[0])
    path = directory / f"cookies-{port}"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def _asked(port: int, path: str, cookies: Path, seconds: int) -> Answer:
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", str(HERE / "load_cookies.lua")]
    command = ["wrk", *options, f"http://{HOST}:{port}", "--", f"/{path}", str(cookies)]
    return parsed(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def parsed(text: str) -> Answer:
    """The output of wrk."""
    rate = re.search(r"^Requests/sec:\s+([\d.]+)", text, re.MULTILINE)
    late = re.search(r"^\s+99%\s+([\d.]+)(us|ms|s)", text, re.MULTILINE)
    if rate is None or late is None:
        raise ValueError("this is no output of wrk --latency")
    return Answer(float(rate[1]), float(late[1]) * _UNITS[late[2]], "Non-2xx" in text)


if __name__ == "__main__":
    with scratch() as here, servers.running(["redis"]) as (urls, _):
        here.servers.update(urls)
        print(section("--quick" in sys.argv, here, {}, Figures({}, {})))
