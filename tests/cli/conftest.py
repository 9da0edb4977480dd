"""What the tests of the command line share: a way to run it, and cookies to look at."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO, TextIOWrapper

import pytest
from shell import NOW, Done

import sessions_wsgi
from sessions_wsgi import Key
from sessions_wsgi.cli import main


@pytest.fixture(autouse=True)
def _no_keys_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SESSION_KEYS", raising=False)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Runs a command in this process, at a time; `stdin` is what it may read."""

    def run(*arguments: str, now: float = NOW, stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(stdin)))
        status = main(arguments, clock=lambda: now)
        return Done(status, *capsys.readouterr())

    return run


@pytest.fixture
def environment() -> dict[str, str]:
    """Of a child process that finds the package."""
    package = os.path.dirname(os.path.dirname(sessions_wsgi.__file__ or ""))
    return {**os.environ, "PYTHONPATH": package}


@pytest.fixture
def shell(environment: dict[str, str]) -> Callable[..., Done]:
    """Runs ``python -m sessions_wsgi`` as people do."""

    def run(*arguments: str, stdin: str = "", **variables: str) -> Done:
        command = [sys.executable, "-m", "sessions_wsgi", *arguments]
        env = {**environment, **variables}
        done = subprocess.run(
            command, capture_output=True, text=True, env=env, input=stdin, check=False, timeout=60
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Key:
    """A key, in the environment."""
    key = Key.generate()
    monkeypatch.setenv("SESSION_KEYS", key.secret.decode())
    return key
