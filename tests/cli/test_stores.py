"""``sessions-wsgi list``, ``revoke``, ``purge`` and ``init`` on real stores."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import Server
from shell import Done, cookie

from sessions_wsgi import BackendError, CookieStore, FileStore, Key, ServerStore, SQLiteStore
from sessions_wsgi.backends.file import FileBackend
from sessions_wsgi.backends.sqlite import SQLiteBackend
from sessions_wsgi.cli._interrupt import Interrupt

Cli = Callable[..., Done]
KEY = Key("fM3vQx8ZtLk2Wb7HsYd0RnCg5JpUa9EeVi4ToX1rKzB")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def store(path: Path) -> ServerStore:
    return SQLiteStore(str(path), KEY)


def expired(path: Path, count: int) -> None:
    """Put records into a database whose time is over."""
    backend = SQLiteBackend(str(path))
    for number in range(count):
        backend.create(f"{number:064x}", b"x", 1.0)
    backend.close()


# list


def test_the_sessions_of_a_principal_are_listed(cli: Cli, store: ServerStore, url: str) -> None:
    session = store.open("session", [])
    session.login("ada")
    session.label = "Firefox on a lap"
    store.commit(session)
    [listed] = cli("list", url, "ada", "--json").data["sessions"]
    assert listed["handle"] == session.handle
    assert listed["label"] == "Firefox on a lap"
    assert set(listed) == {"handle", "created", "last_seen", "label"}


def test_the_list_for_people_has_a_heading(cli: Cli, store: ServerStore, url: str) -> None:
    cookie(store, principal="ada")
    heading, line = cli("list", url, "ada").out.splitlines()
    assert heading.split("  ")[0] == "HANDLE"
    assert line.startswith(store.sessions_of("ada")[0].handle)


def test_nobody_has_no_sessions(cli: Cli, store: ServerStore, url: str) -> None:
    cookie(store, principal="ada")
    done = cli("list", url, "bob")
    assert (done.status, done.out) == (0, "no sessions\n")
    assert cli("list", url, "bob", "--json").data == {"sessions": []}


def test_the_audience_of_the_site_must_be_given(cli: Cli, path: Path, url: str) -> None:
    cookie(SQLiteStore(str(path), KEY, audience="shop"), principal="ada")
    assert cli("list", url, "ada", "--json").data["sessions"] == []
    assert len(cli("list", url, "ada", "--json", "--audience", "shop").data["sessions"]) == 1


def test_sessions_in_cookies_are_another_kind(cli: Cli, path: Path, url: str) -> None:
    cookie(CookieStore(KEY, revocations=SQLiteBackend(str(path))), principal="ada")
    assert cli("list", url, "ada", "--json").data["sessions"] == []
    assert len(cli("list", url, "ada", "--json", "--kind", "cookie").data["sessions"]) == 1


def test_a_sealed_store_is_listed_without_its_key(cli: Cli, path: Path, url: str) -> None:
    cookie(SQLiteStore(str(path), KEY, encrypt=True), principal="ada")
    assert len(cli("list", url, "ada", "--json").data["sessions"]) == 1


def test_a_label_cannot_command_the_terminal(cli: Cli, store: ServerStore, url: str) -> None:
    session = store.open("session", [])
    session.login("ada")
    session.extras["label"] = "\x1b[2J"
    store.commit(session)
    assert "\x1b" not in cli("list", url, "ada").out


# revoke


def test_revoke_logs_out_everywhere(cli: Cli, store: ServerStore, url: str) -> None:
    texts = [cookie(store, principal="ada") for _ in range(2)]
    done = cli("revoke", url, "ada", "--json")
    assert (done.status, done.data) == (0, {"revoked": True, "sessions": 2})
    assert [store.open("session", [text]).rejected for text in texts] == ["revoked", "revoked"]


def test_revoke_ends_sessions_in_cookies_too(cli: Cli, path: Path, url: str) -> None:
    store = CookieStore(KEY, revocations=SQLiteBackend(str(path)))
    text = cookie(store, principal="ada")
    assert cli("revoke", url, "ada", "--kind", "cookie").status == 0
    assert store.open("session", [text]).rejected == "revoked"


def test_revoke_leaves_others_alone(cli: Cli, store: ServerStore, url: str) -> None:
    text = cookie(store, principal="bob")
    cli("revoke", url, "ada")
    assert store.open("session", [text]).principal == "bob"


@pytest.mark.parametrize("kind", ["server", "cookie"])
def test_one_session_can_be_ended(cli: Cli, path: Path, url: str, kind: str) -> None:
    backend = SQLiteBackend(str(path))
    store: Any = ServerStore(backend, KEY) if kind == "server" else CookieStore(KEY, revocations=backend)
    kept, ended = cookie(store, principal="ada"), cookie(store, principal="ada")
    handle = store.open("session", [ended]).handle
    done = cli("revoke", url, "ada", "--kind", kind, "--handle", handle, "--json")
    assert done.data == {"ended": True, "handle": handle}
    assert store.open("session", [ended]).rejected is not None
    assert store.open("session", [kept]).principal == "ada"


def test_a_handle_that_is_not_there_is_told_with_status_one(cli: Cli, store: ServerStore, url: str) -> None:
    cookie(store, principal="ada")
    done = cli("revoke", url, "ada", "--handle", "0" * 64, "--json")
    assert done.status == 1
    assert done.data["ended"] is False


def test_a_misspelled_principal_is_told_in_plain_words(cli: Cli, store: ServerStore, url: str) -> None:
    cookie(store, principal="ada")
    assert "nobody is signed in under this name" in cli("revoke", url, "aad").out


# purge


def test_purge_removes_what_has_expired_and_counts_it(cli: Cli, path: Path, url: str) -> None:
    expired(path, 450)
    done = cli("purge", url, "--json")
    assert (done.status, done.data) == (0, {"removed": 450})


def test_purge_leaves_the_living(cli: Cli, store: ServerStore, url: str) -> None:
    text = cookie(store)
    assert cli("purge", url).out == "removed: 0\n"
    assert not store.open("session", [text]).is_new


def test_purge_of_files(cli: Cli, tmp_path: Path) -> None:
    backend = FileBackend(tmp_path / "files")
    for number in range(3):
        backend.create(f"{number:064x}", b"x", 1.0)
    assert cli("purge", f"file://{tmp_path}/files", "--json").data == {"removed": 3}


def test_purge_that_fails_tells_how_far_it_came(
    cli: Cli, path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expired(path, 300)
    batches = [200]

    def purge(self: Any, limit: int) -> int:
        if not batches:
            raise BackendError("sqlite", "purge") from sqlite3.OperationalError("disk I/O error")
        return batches.pop()

    monkeypatch.setattr(SQLiteBackend, "purge", purge)
    done = cli("purge", url, "--json")
    assert done.status == 1
    assert (done.data["removed"], done.data["interrupted"]) == (200, False)
    assert "disk I/O error" in done.err


def test_purge_on_ctrl_c_ends_its_batch_and_tells_what_was_done(
    path: Path, url: str, environment: dict[str, str]
) -> None:
    """A writer holds the batch up while the signal comes; the terminal shows when it has begun."""
    pty = pytest.importorskip("pty")
    expired(path, 500)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "sessions_wsgi", "purge", url, "--json"]
    with sqlite3.connect(path, isolation_level=None) as writer:
        writer.execute("BEGIN IMMEDIATE")
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=theirs, env={**environment, "TERM": "xterm"}
        )
        os.close(theirs)
        seen = b""
        while b"removing what has expired" not in seen:
            seen += os.read(ours, 1024)
        child.send_signal(2)
        writer.execute("ROLLBACK")
    writer.close()
    with open(ours, "rb", buffering=0) as terminal:
        out = drained(child, terminal)
    assert child.returncode == 130
    assert b'"removed": 200' in out
    assert b'"interrupted": true' in out


def drained(child: subprocess.Popen[bytes], terminal: Any) -> bytes:
    """All that a child says, its terminal emptied so that it never waits."""
    try:
        while terminal.read(1024):
            pass
    except OSError:  # it has hung up
        pass
    out, _ = child.communicate(timeout=60)
    return out


def test_the_second_ctrl_c_does_not_wait() -> None:
    with Interrupt() as interrupt:
        interrupt._note(2, None)
        with pytest.raises(KeyboardInterrupt):
            interrupt._note(2, None)


def test_ctrl_c_is_the_shell_s_again_afterwards() -> None:
    import signal

    before = signal.getsignal(signal.SIGINT)
    with Interrupt():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


# init


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+pysqlite"])
def test_init_makes_the_tables_and_may_be_run_again(cli: Cli, path: Path, scheme: str) -> None:
    pytest.importorskip("sqlalchemy")
    for _ in range(2):
        done = cli("init", f"{scheme}:///{path}", "--json")
        assert (done.status, done.data) == (0, {"init": True})
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone() == (2,)
    connection.close()


def test_init_of_a_table_with_another_name(cli: Cli, path: Path) -> None:
    pytest.importorskip("sqlalchemy")
    cli("init", f"sqlite+pysqlite:///{path}", "--option", "table=shop")
    connection = sqlite3.connect(path)
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    assert names == {"shop", "shop_entries"}


def test_init_of_what_needs_none_says_so(cli: Cli, tmp_path: Path) -> None:
    done = cli("init", f"file://{tmp_path}/files", "--json")
    assert (done.status, done.data) == (0, {"init": False})


# Servers


def test_a_postgresql_store(cli: Cli, postgresql_server: Server) -> None:
    from sessions_wsgi.backends.sql import SQLBackend

    options = ("--option", "table=of_the_shell", "--json")
    assert cli("init", postgresql_server.url, *options).data == {"init": True}
    backend = SQLBackend(postgresql_server.url, table="of_the_shell")
    backend.create("0" * 64, b"x", 1.0)
    cookie(ServerStore(backend, KEY), principal="ada")
    backend.close()
    assert cli("purge", postgresql_server.url, *options).data == {"removed": 1}
    assert len(cli("list", postgresql_server.url, "ada", *options).data["sessions"]) == 1
    assert cli("revoke", postgresql_server.url, "ada", *options).data["sessions"] == 1


def test_a_redis_store_has_nothing_to_purge(cli: Cli, redis_server: Server) -> None:
    done = cli("purge", redis_server.url, "--json")
    assert (done.status, done.data) == (0, {"removed": 0})


def test_a_server_that_cannot_list_says_so_with_status_one(cli: Cli, memcached_server: Server) -> None:
    done = cli("list", memcached_server.url, "ada", "--json")
    assert done.status == 1
    assert "cannot list" in done.data["error"]


# Wrong usage


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("purge", "memory:"), "out of reach"),
        (("list", "cookie:", "ada"), "keeps nothing on the server"),
        (("purge", "sqlite:////nowhere/at/all.db"), "leads to nothing"),
        (("purge", "sqlite:////nowhere/at/all.db"), "there is no /nowhere/at/all.db; the site"),
        (
            ("purge", "sqlite:///nowhere/at/all.db"),
            f"there is no {os.getcwd()}/nowhere/at/all.db; three slashes",
        ),
        (("init", "sqlite:///nowhere/at/all.db"), "begins in the current directory, which has no"),
        (("purge", "file:///nowhere/at/all"), "leads to nothing"),
        (("purge", "nothing"), "must be a URL"),
        (("purge", "rediss2://host"), "did you mean 'rediss'"),
        (("purge", "env:NOT_SET_ANYWHERE"), "no such variable"),
        (("list", "memory:", ""), "'PRINCIPAL' must be"),
        (("init", "sqlite:///x.db", "--option", "tabel=x"), "did you mean 'table'"),
        (("init", "sqlite:///x.db", "--option", "table"), "must be NAME=VALUE"),
        (("init", "sqlite:///x.db", "--option", "keys=x"), "keys come from"),
        (("init", "sqlite:///x.db", "--audience", "a", "--option", "audience=b"), "twice"),
        (("init", "sqlite:///x.db", "--option", "lifetime.idle=soon"), "'lifetime.idle' must be seconds"),
    ],
)
def test_wrong_usage_is_explained_with_status_two(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    done = cli(*arguments, "--json")
    assert done.status == 2
    assert message in done.err
    assert message in done.data["error"]


def test_a_typing_error_makes_no_directory(cli: Cli, tmp_path: Path) -> None:
    cli("revoke", f"file://{tmp_path}/sesions", "ada")
    assert list(tmp_path.iterdir()) == []


def test_a_url_from_the_environment(
    cli: Cli, store: ServerStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cookie(store, principal="ada")
    monkeypatch.setenv("SHOP_URL", url)
    assert len(cli("list", "env:SHOP_URL", "ada", "--json").data["sessions"]) == 1


def test_a_missing_driver_is_named_with_its_extra(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    for module in [name for name in sys.modules if name.startswith("sessions_wsgi.backends.redis")]:
        monkeypatch.delitem(sys.modules, module)
    done = cli("purge", "redis://localhost")
    assert done.status == 2
    assert "pip install 'sessions-wsgi[redis]'" in done.err


def test_options_may_stand_between_arguments(cli: Cli, store: ServerStore, url: str) -> None:
    cookie(store, principal="ada")
    assert len(cli("list", url, "--json", "--kind", "server", "ada").data["sessions"]) == 1


def test_a_file_store_is_listed_by_its_url(cli: Cli, tmp_path: Path) -> None:
    cookie(FileStore(tmp_path / "files", KEY), principal="ada")
    assert len(cli("list", f"file://{tmp_path}/files", "ada", "--json").data["sessions"]) == 1
