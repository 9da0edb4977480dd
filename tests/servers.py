"""Real servers for the tests: their binaries on free loopback ports, in temporary directories, each run once.

Where a binary is missing, the tests that need it are skipped, or fail under ``--require-servers``.
"""

from __future__ import annotations

import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

HOST = "127.0.0.1"
# PostgreSQL and MariaDB refuse to run as root.
USER = "nobody" if os.geteuid() == 0 else None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-servers", action="store_true", help="a test whose server is not installed fails"
    )


class Server:
    """One server, which can be killed and started again; `url` is for the tests to use."""

    end_by = signal.SIGKILL

    def __init__(self, command: list[str], port: int, log: Path, is_ready: Callable[[int], bool]) -> None:
        self.command, self.port, self.log, self.is_ready = command, port, log, is_ready
        self.address = f"{HOST}:{port}"
        self.url = ""

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, **as_user())
        wait_for(lambda: self.process.poll() is not None or self.is_ready(self.port), self.log)
        assert self.process.poll() is None, self.log.read_text(errors="replace")

    def kill(self) -> None:
        """End it at once."""
        self.process.send_signal(self.end_by)
        self.process.wait()


def as_user() -> dict[str, object]:
    """Arguments of `Popen`: an unprivileged user, if we are root."""
    return {} if USER is None else {"user": USER, "group": "nogroup", "extra_groups": []}


def run(*command: str) -> None:
    """Run a command as the servers are run."""
    done = subprocess.run(command, capture_output=True, text=True, **as_user())
    assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"


def wait_for(condition: Callable[[], bool], log: Path, timeout: float = 30) -> None:
    """Wait until this is so."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, log.read_text(errors="replace")
        time.sleep(0.02)


def ask(port: int, question: bytes) -> bytes:
    """The first bytes that a server answers; nothing if it is not there."""
    with suppress(OSError), socket.create_connection((HOST, port), 5) as connection:
        connection.sendall(question)
        return connection.recv(4096)
    return b""


def free_port() -> int:
    """A port that nobody listens on, nor on the one 10000 above, which a cluster uses too."""
    while True:
        with socket.socket() as one, socket.socket() as other, suppress(OSError):
            one.bind((HOST, 0))
            port: int = one.getsockname()[1]
            if port < 55000:
                other.bind((HOST, port + 10000))
                return port


@pytest.fixture(scope="session")
def binary(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Finds a binary, or skips the test that needs it."""
    places = [*os.get_exec_path(), "/usr/sbin", *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)]

    def find(name: str) -> str:
        path = shutil.which(name, path=os.pathsep.join(places))
        if path is None:
            refuse = pytest.fail if request.config.getoption("--require-servers") else pytest.skip
            refuse(f"{name} is not installed")
        return path

    return find


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A directory that the servers may write to; pytest's own are closed to other users."""
    with tempfile.TemporaryDirectory(prefix="sessions-") as name:
        if USER is not None:
            shutil.chown(name, USER, "nogroup")
        yield Path(name)


@pytest.fixture(scope="session")
def launch(scratch: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers, and ends them by their process ids when all is done."""
    with ExitStack() as stack:

        def start(command: list[str], port: int, is_ready: Callable[[int], bool]) -> Server:
            server = Server(command, port, scratch / f"{port}.log", is_ready)
            stack.callback(server.kill)
            server.start()
            return server

        yield start


@pytest.fixture(scope="session")
def launch_redis(
    binary: Callable[[str], str], scratch: Path, launch: Callable[..., Server]
) -> Callable[..., Server]:
    """Starts Redis servers with these options."""

    def start(*options: str) -> Server:
        port = free_port()
        command = [binary("redis-server"), *options, "--port", str(port), "--bind", HOST]
        command += ["--dir", str(scratch), "--save", "", "--dbfilename", f"{port}.rdb"]
        return launch(command, port, lambda port: ask(port, b"PING\r\n") == b"+PONG\r\n")

    return start


@pytest.fixture(scope="session")
def redis_server(launch_redis: Callable[..., Server]) -> Server:
    server = launch_redis()
    server.url = f"redis://{server.address}/0"
    return server


def is_whole(port: int) -> bool:
    """Whether this node knows a node for every slot."""
    state = ask(port, b"CLUSTER INFO\r\n")
    return b"cluster_state:ok" in state and b"cluster_slots_ok:16384" in state


@pytest.fixture(scope="session")
def redis_cluster(launch_redis: Callable[..., Server]) -> list[Server]:
    """Three nodes, each with a third of the slots; the `url` of each is that of the cluster."""
    options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]
    options += ["--cluster-require-full-coverage", "no"]
    nodes = [launch_redis(*options, "--cluster-config-file", f"nodes-{number}.conf") for number in range(3)]
    for number, node in enumerate(nodes):
        slots = f"{number * 16384 // 3} {(number + 1) * 16384 // 3 - 1}"
        for command in (
            f"SET-CONFIG-EPOCH {number + 1}",
            f"ADDSLOTSRANGE {slots}",
            f"MEET {HOST} {nodes[0].port}",
        ):
            assert ask(node.port, f"CLUSTER {command}\r\n".encode()) == b"+OK\r\n"
    for node in nodes:
        wait_for(lambda port=node.port: is_whole(port), node.log)
        node.url = f"redis+cluster://{','.join(each.address for each in nodes)}"
    return nodes


@pytest.fixture(scope="session")
def redis_sentinel(redis_server: Server, launch_redis: Callable[..., Server], scratch: Path) -> Server:
    """A sentinel that watches `redis_server` under the name "main"."""
    settings = scratch / "sentinel.conf"
    settings.write_text(f"sentinel monitor main {HOST} {redis_server.port} 1\n")
    if USER is not None:
        shutil.chown(settings, USER)
    server = launch_redis(str(settings), "--sentinel")
    server.url = f"redis+sentinel://{server.address}/main/0"
    return server


@pytest.fixture(scope="session")
def memcached_server(binary: Callable[[str], str], launch: Callable[..., Server]) -> Server:
    port = free_port()
    command = [binary("memcached"), "-p", str(port), "-l", HOST, "-U", "0", "-m", "64"]
    server = launch(command, port, lambda port: ask(port, b"version\r\n").startswith(b"VERSION"))
    server.url = f"memcached://{server.address}"
    return server


@pytest.fixture(scope="session")
def postgresql_server(binary: Callable[[str], str], scratch: Path, launch: Callable[..., Server]) -> Server:
    port, data, ready = free_port(), scratch / "postgresql", binary("pg_isready")
    run(binary("initdb"), "-D", str(data), "-U", "sessions", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
    command = [binary("postgres"), "-D", str(data), "-h", HOST, "-p", str(port), "-k", ""]
    command += ["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off"]
    asked = [ready, "-q", "-h", HOST, "-p", str(port)]
    server = launch(command, port, lambda _: subprocess.run(asked).returncode == 0)
    server.end_by = signal.SIGQUIT  # it has to end its children
    server.url = f"postgresql://sessions@{server.address}/postgres"
    return server


@pytest.fixture(scope="session")
def mariadb_server(binary: Callable[[str], str], scratch: Path, launch: Callable[..., Server]) -> Server:
    port, data, first = free_port(), scratch / "mariadb", scratch / "first.sql"
    run(binary("mariadb-install-db"), "--no-defaults", f"--datadir={data}", "--skip-test-db")
    first.write_text(
        "CREATE DATABASE IF NOT EXISTS sessions;\n"
        f"CREATE USER IF NOT EXISTS 'sessions'@'{HOST}' IDENTIFIED BY 'secret';\n"
        f"GRANT ALL ON sessions.* TO 'sessions'@'{HOST}';\n"
    )
    command = [binary("mariadbd"), "--no-defaults", f"--datadir={data}", f"--init-file={first}"]
    command += [f"--bind-address={HOST}", f"--port={port}", f"--socket={scratch / 'mariadb.sock'}"]
    command += ["--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin"]
    server = launch(command, port, lambda port: b"mysql_native_password" in ask(port, b""))
    server.url = f"mariadb://sessions:secret@{server.address}/sessions"
    return server
