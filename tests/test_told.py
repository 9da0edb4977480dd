"""What the log says of a backend that fails: enough to mend it, and no secret."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from webob import Request

from sessions_wsgi import BackendError, FileStore, ServerStore, SessionMiddleware, get_session
from sessions_wsgi._told import told
from sessions_wsgi.backends.redis import RedisBackend
from sessions_wsgi.backends.sqlite import SQLiteBackend

KEY = "tGq7dYw2Lk0vXo4sRz9BfUc1MhJe6NpAiKx3WyTb5Qg"
SECRET = "hunter2"


def failed(work: Callable[[], object]) -> BackendError:
    """The error of a backend."""
    with pytest.raises(BackendError) as caught:
        work()
    return caught.value


def test_a_server_that_is_not_there_is_told_as_the_system_says_it() -> None:
    backend = RedisBackend(f"redis://shop:{SECRET}@127.0.0.1:1/0", timeout=0.2)
    said = told(failed(lambda: backend.load("0" * 64)))
    assert "ConnectionRefusedError: Connection refused" in said
    assert SECRET not in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    store = FileStore(tmp_path / "sessions", KEY)
    session = store.open("session", [])
    session["n"] = 1
    assert "PermissionError: Permission denied: '" in told(failed(lambda: store.commit(session)))


def test_a_path_that_cannot_be_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In the log line of the middleware."""
    (tmp_path / "file").write_text("")
    store = ServerStore(SQLiteBackend(tmp_path / "file" / "sessions.db"), KEY)

    def application(environ, start_response):  # type: ignore[no-untyped-def]
        get_session(environ)["n"] = 1
        start_response("200 OK", [])
        return [b""]

    assert Request.blank("/").get_response(SessionMiddleware(application, store)).status_int == 503
    [line] = [record.getMessage() for record in caplog.records if "not available" in record.getMessage()]
    assert (
        f"Error: Not a directory: '{tmp_path}/file" in line or f"Error: File exists: '{tmp_path}/file" in line
    )


def test_what_sqlite_objects_to_is_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "sessions.db").write_bytes(b"no database, but long enough to be one" * 40)
    (tmp_path / "sessions.db").chmod(0o600)
    backend = SQLiteBackend(tmp_path / "sessions.db")
    assert "(DatabaseError: SQLITE_NOTADB)" in told(failed(lambda: backend.load("0" * 64)))


def test_the_words_of_a_driver_are_not_told() -> None:
    error = BackendError("shop", "load")
    error.__cause__ = sqlite3.OperationalError(f"near {SECRET}")
    assert told(error) == "session backend 'shop' failed to load (OperationalError)"


def test_an_error_that_leads_to_itself_is_told_once() -> None:
    first, second = BackendError("shop", "load"), ValueError()
    first.__cause__, second.__context__ = second, first
    assert told(first) == "session backend 'shop' failed to load (ValueError)"


def test_of_several_failures_each_is_told() -> None:
    errors = [BackendError("shop", "load"), BackendError("cart", "create")]
    assert told(ExceptionGroup("both", errors)) == ", ".join(map(str, errors))
