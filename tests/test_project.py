"""The project: what is tested, what is shipped, what it needs."""

from __future__ import annotations

import os
import pickle
import re
import stat
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest

import sessions_wsgi

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

in_tox = pytest.mark.skipif("TOX_ENV_DIR" not in os.environ, reason="not run by tox")


@in_tox
def test_the_built_wheel_is_what_is_tested() -> None:
    environment = Path(os.environ["TOX_ENV_DIR"]).resolve()
    assert Path(sessions_wsgi.__file__).resolve().is_relative_to(environment)


@in_tox
def test_processes_of_the_tests_run_the_wheel_too() -> None:
    command = [sys.executable, "-c", "import sessions_wsgi; print(sessions_wsgi.__file__)"]
    found = subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    assert found == sessions_wsgi.__file__


@in_tox
def test_the_wheel_holds_the_whole_package_its_types_and_its_licence() -> None:
    shipped = {str(path) for path in distribution("sessions-wsgi").files or ()}
    tree = {path.relative_to(ROOT).as_posix() for path in (ROOT / "sessions_wsgi").rglob("*.py")}
    assert tree | {"sessions_wsgi/py.typed"} <= shipped
    assert any(name.endswith("licenses/LICENSE") for name in shipped)
    assert not any(name.startswith(("tests", "examples")) for name in shipped)


@in_tox
def test_the_command_is_installed() -> None:
    command = Path(sys.executable).parent / "sessions-wsgi"
    assert subprocess.run([command, "keygen"], capture_output=True, check=True).stdout


@in_tox
def test_tests_run_in_development_mode() -> None:
    assert sys.flags.dev_mode


def test_the_core_needs_four_packages() -> None:
    needed = {re.split(r"[^\w-]", line)[0] for line in PROJECT["dependencies"]}
    assert needed == {"webob", "itsdangerous", "cryptography", "cbor2"}


def test_the_changes_put_security_first() -> None:
    for version in (ROOT / "CHANGELOG.md").read_text("utf-8").split("\n## ")[1:]:
        assert version.split("\n### ")[1].startswith("Security\n")


def test_the_compatibility_table_knows_this_version() -> None:
    minor = ".".join(PROJECT["version"].split(".")[:2])
    assert f"| {minor} |" in (ROOT / "SECURITY.md").read_text("utf-8")


def test_ci_can_be_run() -> None:
    assert (ROOT / ".ci" / "run").stat().st_mode & stat.S_IXUSR


@pytest.mark.parametrize(
    "error",
    [
        sessions_wsgi.ConfigError("wrong", "keys"),
        sessions_wsgi.SessionSealedError("session"),
        sessions_wsgi.UnknownSessionError("cart", ["session"]),
        sessions_wsgi.SerializeError("session['a']", "object", "cannot be kept"),
        sessions_wsgi.CookieTooLargeError("session", 5000, 4096, {"a": 4900}),
        sessions_wsgi.DecodeError("forged"),
        sessions_wsgi.BackendError("redis", "load"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_leave_a_process_pool_as_they_were(error: Exception) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
