"""The SQLite backend: the contract, and what several processes, forks and broken files do to it."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import count_up, fork, join, kill_at_random

from sessions_wsgi._contract.races import together
from sessions_wsgi.backends import GONE, Backend, Conflict, Entry, Lists, Purges, _sqlite_file, sqlite
from sessions_wsgi.backends.sqlite import SQLiteBackend
from sessions_wsgi.errors import BackendError, ConfigError
from sessions_wsgi.testing import BackendContract, ManualClock

NOW = 1_800_000_000.0
SOON = NOW + 1000
KEY = secrets.token_hex(32)


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory in memory, where there is such a thing."""
    in_memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=in_memory) as name:
        yield Path(name)


@pytest.fixture
def path(directory: Path) -> Path:
    return directory / "sessions.db"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def backend(path: Path, clock: ManualClock) -> SQLiteBackend:
    return SQLiteBackend(path, clock=clock)


class TestContract(BackendContract):
    precision = 0

    @pytest.fixture(autouse=True)
    def _set_up(self, directory: Path) -> None:
        self.directory = directory
        super().setup_method()

    def setup_method(self) -> None:
        """The fixture does it, as it knows the directory."""

    def make(self, clock: ManualClock) -> Backend:
        return SQLiteBackend(self.directory / "sessions.db", clock=clock)

    def broken(self) -> Backend:
        (self.directory / "file").write_text("a file where a directory should be")
        return SQLiteBackend(self.directory / "file" / "sessions.db")


class TestContractNoDatabase(TestContract):
    def broken(self) -> Backend:
        (self.directory / "text").write_text("this is no database, and long enough to be seen as none. " * 20)
        return SQLiteBackend(self.directory / "text")


def create(backend: Backend, data: bytes = b"data", key: str = KEY, expires: float = SOON) -> int:
    version = backend.create(key, data, expires)
    assert isinstance(version, int)
    return version


def loaded(backend: Backend, key: str = KEY) -> bytes | None:
    record = backend.load(key)
    return None if record is None else record.data


def open_files(name: str) -> int:
    """How many descriptors of this process are of files with this name."""
    links = Path("/proc/self/fd").iterdir()
    return sum(os.readlink(link).endswith(name) for link in links if os.path.lexists(link))


# An update that leaves the deadline as it was read takes a short way


def written(path: Path, backend: SQLiteBackend, version: int, expires: float) -> int:
    """How many pages an update, after a read, adds to the log."""
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        backend.load(KEY)
        backend.update(KEY, b"new", expires, version)
        return int(other.execute("PRAGMA wal_checkpoint").fetchone()[1])


def test_an_update_leaves_the_index_alone(backend: SQLiteBackend, path: Path) -> None:
    """One page is written if the deadline stays, and the index only if it moves."""
    assert written(path, backend, create(backend), SOON) == 1
    record = backend.load(KEY)
    assert record is not None
    assert written(path, backend, record.version, SOON + 1) == 2  # type: ignore[arg-type]


def test_an_update_moves_the_deadline_back(backend: SQLiteBackend, path: Path, clock: ManualClock) -> None:
    """The deadline was moved after it was read: what is given holds, as always."""
    version = create(backend)
    backend.load(KEY)
    assert SQLiteBackend(path, clock=clock).touch(KEY, SOON + 5, version)
    assert isinstance(backend.update(KEY, b"new", SOON, version), int)
    record = backend.load(KEY)
    assert record is not None
    assert (record.data, record.expires) == (b"new", SOON)


def test_an_update_of_what_has_expired_finds_nothing(backend: SQLiteBackend, clock: ManualClock) -> None:
    """A deadline that was read, and has passed since, is not written again."""
    version = create(backend)
    backend.load(KEY)
    clock.advance(1000)
    assert backend.update(KEY, b"new", SOON, version) == GONE


def test_an_update_after_another_ones_is_a_conflict(
    backend: SQLiteBackend, path: Path, clock: ManualClock
) -> None:
    """The version counts, whatever was read."""
    version = create(backend)
    backend.load(KEY)
    SQLiteBackend(path, clock=clock).update(KEY, b"theirs", SOON, version)
    outcome = backend.update(KEY, b"mine", SOON, version)
    assert isinstance(outcome, Conflict)
    assert outcome.record.data == b"theirs"


def test_a_read_ends_at_once(backend: SQLiteBackend, path: Path) -> None:
    """No read transaction stays open: it would keep the log from being moved into the database."""
    version = create(backend)
    backend.linked(KEY)
    backend.load(KEY)
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE records SET data = x'00' WHERE version = ?", (version,))
        other.commit()
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)


# Making it


def test_it_purges_and_lists() -> None:
    """It offers all that a backend may offer, and drops no live session."""
    assert issubclass(SQLiteBackend, Purges)
    assert issubclass(SQLiteBackend, Lists)
    assert (SQLiteBackend.name, SQLiteBackend.evicts) == ("sqlite", False)


def test_nothing_is_made_before_the_first_operation(directory: Path) -> None:
    """Making a backend leaves the disk alone."""
    SQLiteBackend(directory / "parent" / "sessions.db")
    assert list(directory.iterdir()) == []


def test_only_we_can_read_it(directory: Path) -> None:
    """Database, log and shared memory are 0600, and a directory made for them 0700, whatever the umask."""
    before = os.umask(0)
    try:
        backend = SQLiteBackend(directory / "parent" / "sessions.db")
        create(backend, expires=2e9)
        modes = {stat.S_IMODE(path.stat().st_mode) for path in (directory / "parent").iterdir()}
    finally:
        os.umask(before)
    assert modes == {0o600}
    assert stat.S_IMODE((directory / "parent").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"path": ""}, "path"),
        ({"path": ":memory:"}, "path"),
        ({"path": "sqlite:///sessions.db"}, "path"),
        ({"path": "redis://localhost"}, "path"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": 61}, "timeout"),
        ({"sweep_every": 0}, "sweep_every"),
    ],
)
def test_wrong_options_are_refused(path: Path, options: dict[str, object], option: str) -> None:
    """A wrong option is a `ConfigError` that names it."""
    with pytest.raises(ConfigError, match=f"'{option}'") as caught:
        SQLiteBackend(**{"path": path, **options})  # type: ignore[arg-type]
    assert caught.value.option == option


def test_a_url_is_no_path() -> None:
    """It would be a file of that name, in a directory called sqlite:."""
    with pytest.raises(ConfigError, match="this is a URL: it goes through store_from_url") as caught:
        SQLiteBackend("postgresql://shop:hunter2@db/shop")
    assert "hunter2" not in str(caught.value)


def test_a_directory_is_no_database(directory: Path) -> None:
    """The path of a directory is refused."""
    with pytest.raises(ConfigError, match="that of a file"):
        SQLiteBackend(directory)


def test_init_can_be_repeated(backend: SQLiteBackend, path: Path) -> None:
    """`init` makes the tables, and does nothing when they are there."""
    backend.init()
    create(backend)
    backend.init()
    SQLiteBackend(path).init()
    assert loaded(backend) == b"data"


def test_repr_shows_where(backend: SQLiteBackend, path: Path) -> None:
    """The repr tells the path."""
    assert repr(backend) == f"SQLiteBackend('{path}')"


def test_a_purge_uses_the_index(backend: SQLiteBackend, path: Path) -> None:
    """What has expired is found without looking at what has not."""
    backend.init()
    connection = sqlite3.connect(path)
    for statement in sqlite._PURGE, sqlite._PURGE_ENTRIES:
        plan = str(connection.execute(f"EXPLAIN QUERY PLAN {statement}", (NOW, 10)).fetchall())
        assert "_expires (expires<?)" in plan
    connection.close()


# Processes


def test_many_processes_make_it_at_once(path: Path) -> None:
    """Several processes may be the first at the same time."""

    def work() -> None:
        SQLiteBackend(path).create(secrets.token_hex(32), b"", 2e9)

    for _ in range(5):
        join(*[fork(work) for _ in range(8)])
        connection = sqlite3.connect(path)
        assert connection.execute("SELECT count(*) FROM records").fetchone() == (8,)
        connection.close()
        for file in path.parent.iterdir():
            file.unlink()


def test_no_update_of_any_process_is_lost(path: Path) -> None:
    """Of 8 processes that count up one record 200 times each, none loses a count."""
    backend = SQLiteBackend(path)
    create(backend, b"0", expires=2e9)
    join(*[fork(lambda: count_up(backend, KEY, 200)) for _ in range(8)])
    assert loaded(backend) == b"1600"


def test_a_killed_writer_leaves_every_session_whole(path: Path) -> None:
    """kill -9 at random moments: no session is lost or torn, no lock stays, the database is in order."""
    backend = SQLiteBackend(path)
    keys = [secrets.token_hex(32) for _ in range(4)]
    for key in keys:
        create(backend, b"0" * 5000, key, 2e9)

    def work() -> None:
        for key in keys:
            record = backend.load(key)
            assert record is not None
            backend.update(key, secrets.token_bytes(1) * 5000, 2e9, record.version)

    for _ in range(40):
        kill_at_random(work, longest=0.02)
        for key in keys:
            data = loaded(backend, key)
            assert data == data[:1] * 5000
            assert backend.update(key, data, 2e9, backend.load(key).version)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


@pytest.fixture
def locked(backend: SQLiteBackend, path: Path) -> Iterator[sqlite3.Connection]:
    """Another process's (here: connection's) transaction that writes."""
    create(backend)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


def test_readers_do_not_wait_for_writers(backend: SQLiteBackend, locked: sqlite3.Connection) -> None:
    """A session can be loaded while somebody else writes."""
    assert loaded(backend) == b"data"


def test_a_writer_waits_for_others(backend: SQLiteBackend, locked: sqlite3.Connection) -> None:
    """A write waits until somebody else's is done."""
    timer = threading.Timer(0.1, locked.execute, ("COMMIT",))
    timer.start()
    assert backend.delete(KEY) is True
    timer.join()


@pytest.mark.usefixtures("locked")
def test_a_writer_does_not_wait_for_ever(path: Path) -> None:
    """A write that waited for `timeout` seconds is a `BackendError`."""
    backend = SQLiteBackend(path, timeout=0.1)
    began = time.monotonic()
    with pytest.raises(BackendError, match="'sqlite' failed to delete") as caught:
        backend.delete(KEY)
    assert 0.05 < time.monotonic() - began < 3
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)


class Busy:
    """A connection that is refused some times, as happens when several switch a new file to WAL."""

    def __init__(self, times: int, code: int = sqlite3.SQLITE_BUSY) -> None:
        self.times, self.code = times, code

    def execute(self, _: str) -> None:
        if self.times > 0:
            self.times -= 1
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = self.code
            raise error


@pytest.mark.parametrize(
    ("busy", "left"), [(Busy(3), 0), (Busy(1_000_000), None), (Busy(3, sqlite3.SQLITE_READONLY), 2)]
)
def test_the_first_use_waits_for_others(busy: Busy, left: int | None) -> None:
    """A new file that others are just setting up is tried again, for so long; any other error is final."""
    fails = contextlib.nullcontext() if left == 0 else pytest.raises(sqlite3.OperationalError)
    with fails:
        _sqlite_file._set_up(busy, time.monotonic() + 0.1)  # type: ignore[arg-type]
    assert left is None or busy.times == left


# Forks and threads


def test_a_child_has_its_own_connection(backend: SQLiteBackend) -> None:
    """A forked process opens the database itself, and so does its parent again."""
    create(backend)

    def work() -> None:
        assert open_files("sessions.db") == 0
        assert loaded(backend) == b"data"
        assert open_files("sessions.db") == 1
        assert backend.delete(KEY)

    join(fork(work))
    assert loaded(backend) is None


def use_elsewhere(path: Path) -> None:
    """Open, read and close the database in another process: the last one to close it removes the log."""
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('DELETE FROM entries'); c.close()"
    )
    subprocess.run([sys.executable, "-c", code, path], check=True)


def test_a_second_thread_does_not_drop_the_locks_of_the_first(backend: SQLiteBackend, path: Path) -> None:
    """POSIX drops all locks of a process on a file when it closes any descriptor of it."""
    create(backend)
    log = path.with_name("sessions.db-wal")
    done = threading.Event()
    thread = threading.Thread(target=lambda: (backend.load(KEY), done.wait()))
    thread.start()
    time.sleep(0.05)
    use_elsewhere(path)
    was_there = log.exists()
    done.set()
    thread.join()
    assert was_there


def test_what_a_child_writes_outlives_its_parents_connection(backend: SQLiteBackend, path: Path) -> None:
    """A child keeps its log, even if its parent and then another process closes the database.

    With a connection that is open across the fork, the last write here is lost.
    """
    first, second = secrets.token_hex(32), secrets.token_hex(32)
    backend.init()
    ready, written = os.pipe()
    go_on, told = os.pipe()

    def work() -> None:
        create(backend, key=first)
        os.write(written, b"x")
        os.read(go_on, 1)
        create(backend, key=second)

    child = fork(work)
    os.read(ready, 1)
    backend.close()
    other = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('DELETE FROM entries'); c.close()"
    )
    subprocess.run([sys.executable, "-c", other, path], check=True)
    os.write(told, b"x")
    join(child)
    assert (loaded(backend, first), loaded(backend, second)) == (b"data", b"data")
    for fd in ready, written, go_on, told:
        os.close(fd)


def test_threads_survive_a_fork(backend: SQLiteBackend) -> None:
    """Threads that work while the process forks notice nothing, and the children work, too."""
    create(backend, b"0")

    def forks() -> None:
        for _ in range(10):
            join(fork(lambda: count_up(backend, KEY, 5)))

    together(lambda: count_up(backend, KEY, 300), lambda: count_up(backend, KEY, 300), forks)
    assert loaded(backend) == b"650"


def test_a_parents_connection_is_neither_used_nor_closed(backend: SQLiteBackend) -> None:
    """Where Python was not told of a fork, the child leaves its parent's connection alone."""
    create(backend)
    connection = backend._connection()
    parents = connection._open
    assert parents is not None
    connection._process = -1
    assert loaded(backend) == b"data"
    assert connection._open is not parents
    assert parents.execute("SELECT count(*) FROM records").fetchone() == (1,)
    parents.close()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_a_thread_takes_its_connection_along(backend: SQLiteBackend) -> None:
    """Each thread has a connection, which is closed when the thread ends."""
    backend.init()
    together(*[lambda: backend.load(KEY)] * 8)
    # Of the database itself SQLite keeps descriptors while others hold locks, and uses them again.
    assert open_files("sessions.db-wal") == 1


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_close_and_go_on(backend: SQLiteBackend) -> None:
    """`close` closes the connections of all threads; the next operation opens its own again."""
    create(backend)
    stop, ready = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: (backend.load(KEY), ready.set(), stop.wait()))
    thread.start()
    ready.wait()
    assert open_files("sessions.db") == 2
    backend.close()
    assert open_files("sessions.db") == 0
    stop.set()
    thread.join()
    assert loaded(backend) == b"data"


def test_a_backend_that_is_dropped_is_closed(path: Path) -> None:
    """Nothing has to be closed by hand."""
    backend = SQLiteBackend(path)
    backend.init()
    del backend
    assert open_files("sessions.db") == 0


def test_nothing_is_left_at_the_end(path: Path) -> None:
    """A program that just ends is not warned of a connection that it left open."""
    code = (
        "import sys\n"
        "from sessions_wsgi.backends.sqlite import SQLiteBackend\n"
        "backend = SQLiteBackend(sys.argv[1])\n"
        "backend.create('0' * 64, b'', 2e9)\n"
    )
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", code, path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""


# Purging


def fill(backend: Backend, count: int, expires: float) -> None:
    for _ in range(count):
        create(backend, key=secrets.token_hex(32), expires=expires)


def test_purge_takes_expired_entries_too(backend: SQLiteBackend, clock: ManualClock) -> None:
    """A purge removes and counts expired entries of lists, and keeps those that live."""
    live = Entry("1" * 64, b"live", SOON)
    backend.link(KEY, Entry("0" * 64, b"expired", NOW + 1))
    backend.link(KEY, live)
    create(backend, expires=NOW + 1)
    clock.advance(2)
    assert backend.purge(1) == 1
    assert backend.purge(10) == 1
    assert backend.linked(KEY) == [live]


def test_purge_works_in_batches(
    backend: SQLiteBackend, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A purge of many does not keep others from writing until it is done."""
    fill(backend, 25, NOW + 1)
    clock.advance(2)
    monkeypatch.setattr(sqlite, "_BATCH", 4)
    assert [backend.purge(10), backend.purge(10), backend.purge(10)] == [10, 10, 5]


def test_sweeping_in_passing(path: Path, clock: ManualClock) -> None:
    """With `sweep_every`, writing alone removes what has expired."""
    backend = SQLiteBackend(path, sweep_every=5, clock=clock)
    fill(backend, 20, NOW + 1)
    clock.advance(2)
    fill(backend, 10, SOON)
    assert backend.purge(100) == 0


def test_a_failed_sweep_does_not_fail_the_write(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What was written is there; that nothing could be swept is logged."""
    backend = SQLiteBackend(path, sweep_every=1, clock=clock)
    monkeypatch.setattr(sqlite, "_PURGE", "DELETE FROM nothing")
    create(backend)
    assert "sweep" in caplog.text
    assert loaded(backend) == b"data"


@pytest.mark.parametrize("mode", [0o622, 0o666, 0o660])
def test_a_file_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    """They could sign in as anybody."""
    path = tmp_path / "sessions.db"
    path.touch()
    path.chmod(mode)
    with pytest.raises(BackendError) as caught:
        SQLiteBackend(path).load("0" * 64)
    assert isinstance(caught.value.__cause__, PermissionError)


@pytest.mark.parametrize("beside", ["-wal", "-shm", "-journal"])
@pytest.mark.parametrize("planted", ["writable", "link"])
def test_what_lies_beside_it_and_is_not_private_is_refused(tmp_path: Path, beside: str, planted: str) -> None:
    """SQLite writes everything into a log that it finds, and reads it from there."""
    other = tmp_path / f"sessions.db{beside}"
    if planted == "link":
        other.symlink_to(tmp_path / "elsewhere")
    else:
        other.touch()
        other.chmod(0o666)
    with pytest.raises(BackendError) as caught:
        create(SQLiteBackend(tmp_path / "sessions.db"))
    assert isinstance(caught.value.__cause__, PermissionError)
    assert not other.exists() or other.read_bytes() == b""


@pytest.mark.parametrize("beside", ["-wal", "-shm"])
def test_what_another_user_puts_there_at_the_last_moment_is_refused(
    tmp_path: Path, beside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = SQLiteBackend(tmp_path / "sessions.db")
    create(before)
    before.close()  # which leaves no log
    connect = sqlite3.connect

    def late(path: str, *, timeout: float, isolation_level: None, check_same_thread: bool) -> Any:
        (tmp_path / f"sessions.db{beside}").write_bytes(b"x" * 32)  # an empty one would get our mode
        (tmp_path / f"sessions.db{beside}").chmod(0o666)
        return connect(
            path, timeout=timeout, isolation_level=isolation_level, check_same_thread=check_same_thread
        )

    monkeypatch.setattr(_sqlite_file.sqlite3, "connect", late)
    with pytest.raises(BackendError) as caught:
        SQLiteBackend(tmp_path / "sessions.db").load("0" * 64)
    assert isinstance(caught.value.__cause__, PermissionError)


def test_a_link_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sessions.db").symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(BackendError):
        SQLiteBackend(tmp_path / "sessions.db").load("0" * 64)
