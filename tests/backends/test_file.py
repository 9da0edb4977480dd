"""The file backend: the contract, and what may happen on a disk, to a process and to a file."""

from __future__ import annotations

import errno
import logging
import os
import resource
import secrets
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from processes import count_up, fork, join, kill_at_random

from sessions_wsgi._contract.races import together
from sessions_wsgi.backends import Backend, Conflict, Entry, Gone, Lists, Purges, _folder
from sessions_wsgi.backends.file import FileBackend
from sessions_wsgi.errors import BackendError, ConfigError, UsageError
from sessions_wsgi.testing import BackendContract, ManualClock

NOW = 1_800_000_000.0
SOON = NOW + 1000
KEY = "ab" + secrets.token_hex(31)
NOBODY = 65534


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory for us alone, in memory where there is such a thing, that any user may reach."""
    in_memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=in_memory) as name:
        yield Path(name)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def backend(directory: Path, clock: ManualClock) -> FileBackend:
    return FileBackend(directory / "sessions", clock=clock)


@pytest.fixture
def file(directory: Path) -> Path:
    """Where the file of `KEY` is."""
    return directory / "sessions" / KEY[:2] / KEY[2:]


class TestContract(BackendContract):
    precision = 1e-6

    @pytest.fixture(autouse=True)
    def _set_up(self, directory: Path) -> None:
        self.directory = directory
        super().setup_method()

    def setup_method(self) -> None:
        """The fixture does it, as it knows the directory."""

    def make(self, clock: ManualClock) -> Backend:
        return FileBackend(self.directory / "sessions", clock=clock)

    def broken(self) -> Backend:
        backend = FileBackend(self.directory / "broken")
        (self.directory / "broken").write_text("a file where the directory should be")
        return backend


class TestContractDurable(TestContract):
    def make(self, clock: ManualClock) -> Backend:
        return FileBackend(self.directory / "sessions", durability="host", clock=clock)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def create(backend: Backend, data: bytes = b"data", key: str = KEY, expires: float = SOON) -> bytes:
    version = backend.create(key, data, expires)
    assert isinstance(version, bytes)
    return version


def loaded(backend: Backend, key: str = KEY) -> bytes | None:
    record = backend.load(key)
    return None if record is None else record.data


def temporary_files(directory: Path) -> list[Path]:
    return list(directory.rglob("*.tmp"))


# Making it


def test_it_purges_and_lists() -> None:
    """It offers all that a backend may offer, and drops no live session."""
    assert issubclass(FileBackend, Purges)
    assert issubclass(FileBackend, Lists)
    assert (FileBackend.name, FileBackend.evicts) == ("file", False)


def test_nothing_is_made_before_the_first_operation(directory: Path) -> None:
    """Making a backend leaves the disk alone."""
    FileBackend(directory / "parent" / "sessions")
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_we_can_read_it(directory: Path, umask: int) -> None:
    """All directories, missing parents included, are 0700, and all files 0600, whatever the umask."""
    before = os.umask(umask)
    try:
        backend = FileBackend(directory / "parent" / "sessions")
        create(backend, expires=2e9)
        backend.link(KEY, Entry(KEY, b"note", 2e9))
    finally:
        os.umask(before)
    made = sorted((directory / "parent").rglob("*"))
    assert {mode(path) for path in made if path.is_file()} == {0o600}
    assert {mode(path) for path in [directory / "parent", *made] if path.is_dir()} == {0o700}


def test_where_a_session_is(backend: FileBackend, file: Path) -> None:
    """A session is ``<2 hex>/<62 hex>``, and its mtime is the deadline."""
    create(backend, expires=SOON + 0.123456)
    assert abs(file.stat().st_mtime - (SOON + 0.123456)) < 1e-6


@pytest.mark.parametrize("others", [0o770, 0o720, 0o702, 0o777, 0o1777])
def test_a_directory_that_others_may_write_is_refused(directory: Path, others: int) -> None:
    """A directory that others may write is a `ConfigError` that says what to do."""
    directory.chmod(others)
    with pytest.raises(ConfigError, match="chmod 700") as caught:
        FileBackend(directory)
    assert caught.value.option == "directory"
    directory.chmod(0o700)


def test_a_directory_that_others_may_write_is_refused_later_too(directory: Path) -> None:
    """A directory that came after the backend is looked at before it is used."""
    backend = FileBackend(directory / "sessions")
    (directory / "sessions").mkdir()
    (directory / "sessions").chmod(0o777)
    for operation in (lambda: create(backend), lambda: backend.load(KEY), lambda: backend.purge(1)):
        with pytest.raises(BackendError) as caught:
            operation()
        assert isinstance(caught.value.__cause__, PermissionError)
    assert list((directory / "sessions").iterdir()) == []


def test_a_file_is_no_directory(directory: Path) -> None:
    """A path at which there is a file is refused."""
    (directory / "file").touch()
    with pytest.raises(ConfigError, match="is not a directory"):
        FileBackend(directory / "file")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_somebody_else_is_refused(directory: Path) -> None:
    """A directory that belongs to another user is refused, as he may write it."""
    (directory / "his").mkdir()
    os.chown(directory / "his", NOBODY, NOBODY)
    with pytest.raises(ConfigError, match="belongs to user 65534"):
        FileBackend(directory / "his")


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"durability": "disk"}, "durability"),
        ({"sweep_every": 0}, "sweep_every"),
        ({"directory": ""}, "directory"),
    ],
)
def test_wrong_options_are_refused(directory: Path, options: dict[str, object], option: str) -> None:
    """A wrong option is a `ConfigError` that names it."""
    with pytest.raises(ConfigError, match=f"'{option}'") as caught:
        FileBackend(**{"directory": directory, **options})  # type: ignore[arg-type]
    assert caught.value.option == option


def test_a_url_is_no_directory() -> None:
    """It would be a directory of that name, below one called file:."""
    with pytest.raises(ConfigError, match=r"'directory' .*this is a URL: it goes through store_from_url"):
        FileBackend("file:///var/lib/sessions")


def test_the_directory_may_be_a_symlink(directory: Path, clock: ManualClock) -> None:
    """The operator may have put the directory elsewhere and linked it."""
    (directory / "elsewhere").mkdir(0o700)
    (directory / "link").symlink_to(directory / "elsewhere")
    backend = FileBackend(directory / "link", durability="host", clock=clock)
    create(backend)
    assert loaded(backend) == b"data"
    assert loaded(FileBackend(directory / "elsewhere", clock=clock)) == b"data"


def test_the_working_directory_may_change(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is meant as it was when the backend was made."""
    monkeypatch.chdir(directory)
    backend = FileBackend("sessions")
    monkeypatch.chdir("/")
    create(backend, expires=2e9)
    assert (directory / "sessions").is_dir()


def test_windows_is_told_clearly() -> None:
    """Where there are no POSIX locks, the module can be imported, and making a backend tells what to use."""
    code = (
        "import sys; sys.modules['fcntl'] = None\n"
        "from sessions_wsgi.backends.file import FileBackend\n"
        "from sessions_wsgi.errors import ConfigError\n"
        "try: FileBackend('sessions')\n"
        "except ConfigError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "SQLiteBackend" in done.stdout


def test_repr_shows_where(directory: Path) -> None:
    """The repr tells directory and durability."""
    backend = FileBackend(directory, durability="host")
    assert repr(backend) == f"FileBackend('{directory}', durability='host')"


@pytest.mark.parametrize(
    "key", ["", "a", "../" * 20 + "etc/passwd", "/" * 64, "." * 64, KEY + "0", "\0" * 64]
)
def test_what_is_no_key_becomes_no_path(backend: FileBackend, key: str) -> None:
    """Anything but a key is refused before it gets near the file system."""
    for operation in (
        lambda: backend.load(key),
        lambda: backend.create(key, b"", SOON),
        lambda: backend.delete(key),
        lambda: backend.linked(key),
        lambda: backend.link(KEY, Entry(key, b"", SOON)),
        lambda: backend.unlink(KEY, key),
    ):
        with pytest.raises(UsageError):
            operation()


# Files that are not as we left them

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "one byte": lambda content: content[:1],
    "header only": lambda content: content[:20],
    "last byte lost": lambda content: content[:-1],
    "half lost": lambda content: content[: len(content) // 2],
    "byte added": lambda content: content + b"\0",
    "zeros": lambda content: bytes(len(content)),
    "magic changed": lambda content: b"SWF2" + content[4:],
    "version changed": lambda content: content[:5] + bytes([content[5] ^ 1]) + content[6:],
    "data changed": lambda content: content[:30] + bytes([content[30] ^ 128]) + content[31:],
    "checksum changed": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "foreign": lambda _: b"<?xml version='1.0'?>" * 10,
    "pickle": lambda _: b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s." * 2,
    "checksum of nothing": lambda _: bytes(4),
    "checksum of the magic": lambda _: b"SWF1" + zlib.crc32(b"SWF1").to_bytes(4, "little"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_no_session(
    backend: FileBackend, file: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """A torn, changed or foreign file is no session, which is logged without data; it is not in the way."""
    version = create(backend, b"very secret data")
    file.write_bytes(damage(file.read_bytes()))
    os.utime(file, (SOON, SOON))
    with caplog.at_level(logging.WARNING, "sessions_wsgi"):
        assert backend.load(KEY) is None
    assert "damaged or foreign" in caplog.text
    assert "secret" not in caplog.text
    assert isinstance(backend.update(KEY, b"", SOON, version), Gone)
    assert backend.touch(KEY, SOON, version) is False
    create(backend, b"new")
    assert loaded(backend) == b"new"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_no_session(
    backend: FileBackend, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Who makes the directory anew after it was removed under a running process cannot plant records."""
    create(backend)
    os.chown(file, 65534, 65534)
    with caplog.at_level(logging.WARNING, "sessions_wsgi"):
        assert backend.load(KEY) is None
    assert "damaged or foreign" in caplog.text


def test_a_damaged_file_can_be_deleted(backend: FileBackend, file: Path) -> None:
    """To delete a damaged file is False, since there was no session; the file is gone."""
    create(backend)
    file.write_bytes(b"damaged")
    assert backend.delete(KEY) is False
    assert not file.exists()


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50, database=None
)
@given(st.binary(max_size=100))
def test_no_content_raises(backend: FileBackend, file: Path, content: bytes) -> None:
    """Whatever is in a file, it is no session, not an error."""
    backend.delete(KEY)
    create(backend)
    file.write_bytes(content)
    os.utime(file, (SOON, SOON))
    assert backend.load(KEY) is None


def plant_symlink(file: Path, target: Path) -> None:
    file.symlink_to(target)


def plant_fifo(file: Path, _: Path) -> None:
    os.mkfifo(file)


def plant_socket(file: Path, _: Path) -> None:
    folder = os.open(file.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(f"/proc/self/fd/{folder}/s")
    os.close(folder)
    (file.parent / "s").rename(file)


@pytest.mark.parametrize("plant", [plant_symlink, plant_fifo, plant_socket])
def test_what_is_no_file_is_no_session(
    backend: FileBackend, directory: Path, file: Path, plant: Callable[[Path, Path], None]
) -> None:
    """A symlink is not followed, a FIFO is not waited for; a new session takes their place."""
    create(backend, b"theirs")
    target = directory / "target"
    file.rename(target)
    plant(file, target)
    before = target.read_bytes()
    assert backend.load(KEY) is None
    create(backend, b"ours")
    assert (loaded(backend), file.is_file(), file.is_symlink()) == (b"ours", True, False)
    assert target.read_bytes() == before


def test_a_directory_in_the_place_of_a_file_is_left_alone(backend: FileBackend, file: Path) -> None:
    """A directory is no session either, but it is not removed for one."""
    (file / "something").mkdir(parents=True)
    assert backend.load(KEY) is None
    with pytest.raises(BackendError):
        backend.create(KEY, b"", SOON)
    assert temporary_files(file.parent) == []


def test_a_symlinked_folder_is_refused(
    backend: FileBackend, directory: Path, file: Path, clock: ManualClock
) -> None:
    """A symlink in the place of one of the 256 folders is not followed."""
    elsewhere = FileBackend(directory / "elsewhere", clock=clock)
    version = create(elsewhere)
    file.parent.parent.mkdir(mode=0o700)
    file.parent.symlink_to(directory / "elsewhere" / KEY[:2])
    for operation in (
        lambda: backend.load(KEY),
        lambda: backend.create(KEY, b"", SOON),
        lambda: backend.update(KEY, b"", SOON, version),
        lambda: backend.delete(KEY),
        lambda: backend.linked(KEY),
        lambda: backend.purge(1000),
    ):
        with pytest.raises(BackendError):
            operation()
    assert loaded(elsewhere) == b"data"


def test_a_folder_is_looked_at_once(
    backend: FileBackend, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody but us can put a symlink in the place of a folder, so it is enough to look at it at first."""
    looked, islink = [], os.path.islink
    monkeypatch.setattr(os.path, "islink", lambda path: looked.append(path) or islink(path))
    version = create(backend)
    for _ in range(3):
        backend.load(KEY)
        backend.touch(KEY, SOON, version)
    assert looked == [str(file.parent)]


def test_a_directory_that_was_removed_is_made_again(backend: FileBackend, directory: Path) -> None:
    """Who removes the directory ends all sessions, and that is all."""
    create(backend)
    subprocess.run(["rm", "-r", directory / "sessions"], check=True)
    assert backend.load(KEY) is None
    assert backend.linked(KEY) == []
    assert backend.delete(KEY) is False
    create(backend, b"new")
    assert loaded(backend) == b"new"


@pytest.fixture
def as_nobody(directory: Path) -> Iterator[None]:
    """Work as a user whom permissions mean something to."""
    if os.geteuid() != 0:
        yield
        return
    os.chown(directory, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.usefixtures("as_nobody")
def test_an_unreadable_file_is_no_session(
    backend: FileBackend, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that we may not read is no session, which is logged; it is not in the way."""
    create(backend, b"old")
    file.chmod(0)
    assert backend.load(KEY) is None
    assert "not readable" in caplog.text
    create(backend, b"new")
    assert loaded(backend) == b"new"


@pytest.mark.usefixtures("as_nobody")
@pytest.mark.parametrize("forbidden", [0o000, 0o600])
def test_an_unreadable_folder_is_a_failure(backend: FileBackend, file: Path, forbidden: int) -> None:
    """Where no file can be looked at, nobody is told that his session is gone."""
    create(backend)
    file.parent.chmod(forbidden)
    with pytest.raises(BackendError) as caught:
        backend.load(KEY)
    assert isinstance(caught.value.__cause__, PermissionError)
    file.parent.chmod(0o700)
    assert loaded(backend) == b"data"


@pytest.mark.usefixtures("as_nobody")
def test_a_read_only_folder_is_a_failure(backend: FileBackend, file: Path) -> None:
    """Where nothing can be written, sessions are still read, and writing is a `BackendError`."""
    version = create(backend, b"old")
    file.parent.chmod(0o500)
    with pytest.raises(BackendError):
        backend.update(KEY, b"new", SOON, version)
    with pytest.raises(BackendError):
        backend.delete(KEY)
    assert loaded(backend) == b"old"
    file.parent.chmod(0o700)


# Disks that are full or fail


def failing(number: int) -> Callable[..., int]:
    def fail(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("posix_fallocate", errno.ENOSPC),
        ("write", errno.ENOSPC),
        ("write", errno.EDQUOT),
        ("utime", errno.EIO),
        ("replace", errno.EROFS),
    ],
)
def test_a_failed_write_keeps_the_old_session(
    backend: FileBackend, directory: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """A write that fails at any point is a `BackendError` with the cause; the old session is as it was."""
    version = create(backend, b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(number))
        with pytest.raises(BackendError, match="'file' failed to update") as caught:
            backend.update(KEY, b"new", SOON + 1, version)
        with pytest.raises(BackendError, match="'file' failed to create"):
            backend.create(KEY[:2] + "0" * 62, b"new", SOON)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == number
    assert backend.load(KEY) == (b"old", version, SOON)
    assert temporary_files(directory) == []
    assert backend.load(KEY[:2] + "0" * 62) is None


def test_a_full_disk_keeps_the_old_session(backend: FileBackend, directory: Path) -> None:
    """The same with the kernel in earnest: a limit that is hit in the middle of a write."""
    version = create(backend, b"old")

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        with pytest.raises(BackendError):
            backend.update(KEY, bytes(1_000_000), SOON, version)
        del os.posix_fallocate
        with pytest.raises(BackendError):
            backend.update(KEY, bytes(1_000_000), SOON, version)

    join(fork(work))
    assert loaded(backend) == b"old"
    assert temporary_files(directory) == []


def test_short_writes_are_completed(backend: FileBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system call that writes or reads less than asked is called again."""
    write, read = os.write, os.read
    monkeypatch.setattr(os, "write", lambda fd, content: write(fd, content[:1000]))
    monkeypatch.setattr(os, "read", lambda fd, size: read(fd, min(size, 999)))
    data = secrets.token_bytes(10_000)
    create(backend, data)
    assert loaded(backend) == data


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, None])
def test_fallocate_may_be_missing(
    backend: FileBackend, monkeypatch: pytest.MonkeyPatch, number: int | None
) -> None:
    """Where blocks cannot be reserved, they are not."""
    if number is None:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    else:
        monkeypatch.setattr(os, "posix_fallocate", failing(number), raising=False)
    create(backend)
    assert loaded(backend) == b"data"


@pytest.mark.parametrize(("durability", "flushes"), [("process", []), ("host", ["file", "folder"])])
def test_durability_flushes(
    directory: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, durability: str, flushes: list[str]
) -> None:
    """With ``durability="host"`` each write flushes the file, then its folder; else the system may wait."""
    backend = FileBackend(directory, durability=durability, clock=clock)  # type: ignore[arg-type]
    version = create(backend)
    flushed: list[str] = []

    def fsync(fd: int) -> None:
        flushed.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")

    monkeypatch.setattr(os, "fsync", fsync)
    version = backend.update(KEY, b"new", SOON, version)
    assert flushed == flushes
    flushed.clear()
    backend.touch(KEY, SOON + 1, version)
    backend.delete(KEY)
    assert flushed == flushes


# Processes and threads


def test_no_update_of_any_process_is_lost(directory: Path) -> None:
    """Of 8 processes that count up one record 200 times each, none loses a count."""
    backend = FileBackend(directory)
    create(backend, b"0", expires=2e9)
    join(*[fork(lambda: count_up(backend, KEY, 200)) for _ in range(8)])
    assert loaded(backend) == b"1600"


def test_one_process_wins_a_create(directory: Path) -> None:
    """Of several processes that create the same keys, exactly one succeeds for each."""
    backend = FileBackend(directory)
    keys = [secrets.token_hex(32) for _ in range(100)]

    def work() -> None:
        won = sum(backend.create(key, b"", 2e9) is not None for key in keys)
        (directory / f"won-{os.getpid()}").write_text(str(won))

    join(*[fork(work) for _ in range(4)])
    assert sum(int(path.read_text()) for path in directory.glob("won-*")) == 100


def test_readers_never_see_half_a_write(directory: Path) -> None:
    """A reader beside a writer sees one state or the next: whole data, and its own deadline."""
    backend = FileBackend(directory)
    states = {b"a" * 100: 2e9, b"b" * 50_000: 2e9 + 5}
    key, done = secrets.token_hex(32), threading.Event()
    create(backend, b"a" * 100, key, 2e9)

    def write() -> None:
        for _ in range(300):
            for data, expires in states.items():
                record = backend.load(key)
                assert record is not None
                backend.update(key, data, expires, record.version)
        done.set()

    def read() -> None:
        while not done.is_set():
            record = backend.load(key)
            assert record is not None
            assert states[record.data] == record.expires

    together(write, read, read)


def test_a_killed_writer_leaves_every_session_whole(directory: Path) -> None:
    """kill -9 at 100 random moments: no session is lost or torn, no lock stays, nothing piles up."""
    backend = FileBackend(directory)
    keys = [f"{number:02x}" + secrets.token_hex(31) for number in range(4)]
    for key in keys:
        create(backend, b"0" * 5000, key, 2e9)

    def work() -> None:
        for key in keys:
            record = backend.load(key)
            assert record is not None
            backend.update(key, secrets.token_bytes(1) * 5000, 2e9, record.version)
            backend.touch(key, 2e9, record.version)

    for _ in range(100):
        kill_at_random(work, longest=0.01)
        for key in keys:
            record = backend.load(key)
            assert record is not None
            assert record.data == record.data[:1] * 5000

    join(fork(lambda: [count_up_any(backend, key) for key in keys]), timeout=5)
    assert backend.purge(100) == 0
    assert temporary_files(directory) == []


def count_up_any(backend: Backend, key: str) -> None:
    record = backend.load(key)
    assert record is not None
    assert not isinstance(backend.update(key, b"0", 2e9, record.version), Conflict | Gone)


def test_a_child_does_not_keep_a_lock(backend: FileBackend) -> None:
    """A process that is forked in the middle of an operation does not hold its lock after it."""
    create(backend)
    go_on, stay = os.pipe()
    with backend._locked(KEY):
        child = fork(lambda: os.read(go_on, 1))
    join(fork(lambda: backend.delete(KEY)), timeout=5)
    os.write(stay, b"x")
    join(child)
    os.close(go_on)
    os.close(stay)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_no_descriptor_stays_open(backend: FileBackend, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After every operation, failed ones included, as many descriptors are open as before."""
    before = len(os.listdir("/proc/self/fd"))
    version = create(backend)
    backend.load(KEY)
    backend.touch(KEY, SOON, version)
    backend.update(KEY, b"", SOON, b"stale")
    backend.link(KEY, Entry(KEY, b"", SOON))
    backend.linked(KEY)
    backend.unlink(KEY, KEY)
    backend.purge(10)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", failing(errno.ENOSPC))
        with pytest.raises(BackendError):
            backend.update(KEY, b"", SOON, version)
    file.write_bytes(b"damaged")
    backend.load(KEY)
    backend.delete(KEY)
    assert len(os.listdir("/proc/self/fd")) == before


# Purging


def fill(backend: Backend, count: int, expires: float) -> list[str]:
    keys = [secrets.token_hex(32) for _ in range(count)]
    for key in keys:
        create(backend, key=key, expires=expires)
    return keys


def test_purge_takes_expired_entries_too(backend: FileBackend, file: Path, clock: ManualClock) -> None:
    """A purge removes and counts expired entries of lists, and keeps those that live."""
    live = Entry("1" * 64, b"live", SOON)
    backend.link(KEY, Entry("0" * 64, b"expired", NOW + 1))
    backend.link(KEY, live)
    clock.advance(2)
    assert backend.purge(10) == 1
    assert backend.linked(KEY) == [live]
    assert {path.name for path in file.parent.iterdir()} == {".lock", f"{KEY[2:]}.{live.key}"}


def test_purge_leaves_what_is_not_ours(backend: FileBackend, directory: Path, file: Path) -> None:
    """A purge removes old files only if they are named like ours."""
    create(backend)
    others = ["README", "0" * 61, "0" * 63, "g" * 62, "0" * 62 + ".x", ".nfs0000", "x.tmp", ".lock"]
    for name in others:
        (file.parent / name).touch()
        os.utime(file.parent / name, (1, 1))
    assert backend.purge(100) == 0
    assert {path.name for path in file.parent.iterdir()} == {*others, KEY[2:]}


def test_purge_removes_what_killed_writers_left(backend: FileBackend, file: Path) -> None:
    """A temporary file is removed, not counted, once its writer cannot be at work any more."""
    create(backend)
    left = file.parent / f".{secrets.token_hex(16)}.tmp"
    left.touch()
    os.utime(left, (SOON, SOON))
    with backend._locked(KEY):
        purging = threading.Thread(target=backend.purge, args=(10,))
        purging.start()
        purging.join(0.05)
        assert left.exists()
    purging.join()
    assert not left.exists()
    assert loaded(backend) == b"data"


def test_purge_goes_on_where_it_stopped(
    backend: FileBackend, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Purging in many small steps looks into each folder about once, not from the start each time."""
    fill(backend, 60, NOW + 1)
    clock.advance(2)
    looked, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: looked.append(folder) or scandir(folder))
    counts = [backend.purge(3) for _ in range(21)]
    assert counts == [3] * 20 + [0]
    assert len(looked) < 2 * 256


def test_purge_spares_what_was_renewed_meanwhile(
    backend: FileBackend, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that was found expired is looked at again under its lock before it is removed."""
    create(backend, b"old", expires=NOW + 1)
    clock.advance(2)

    def found(path: str, _: float) -> Iterator[str]:
        if path.endswith(f"/{KEY[:2]}"):
            create(backend, b"new")
            yield KEY[2:]

    monkeypatch.setattr(_folder, "_stale", found)
    assert backend.purge(10) == 0
    assert loaded(backend) == b"new"


def test_sweeping_in_passing(directory: Path, clock: ManualClock) -> None:
    """With `sweep_every`, writing alone removes what has expired, before long."""
    backend = FileBackend(directory, sweep_every=2, clock=clock)
    expired = fill(backend, 100, NOW + 1)
    backend.link(KEY, Entry(KEY, b"", NOW + 1))
    clock.advance(2)
    live = fill(backend, 512, SOON)
    assert all(loaded(backend, key) is not None for key in live)
    assert not any((directory / key[:2] / key[2:]).exists() for key in expired)
    assert backend.purge(10) == 0


def test_a_failed_sweep_does_not_fail_the_write(
    directory: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What was written is there; that nothing could be swept is logged."""
    backend = FileBackend(directory, sweep_every=1, clock=clock)
    for number in range(256):
        create(backend, key=f"{number:02x}" + secrets.token_hex(31))
    monkeypatch.setattr(os, "scandir", failing(errno.EIO))
    create(backend)
    assert "sweep" in caplog.text
    assert loaded(backend) == b"data"
