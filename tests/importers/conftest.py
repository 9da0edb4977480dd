"""Cookies that gorilla/sessions makes, by a program built with Debian's packages."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from foreign import BLOCK, SECRET

PACKAGES = Path("/usr/share/gocode")
PROGRAM = Path(__file__).parent / "gorilla" / "main.go"


@pytest.fixture(scope="session")
def gorilla(
    request: pytest.FixtureRequest,
    binary: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """The name of a case → its cookie, made now."""
    go = binary("go")
    if not (PACKAGES / "src" / "github.com" / "gorilla" / "sessions").is_dir():
        refuse = pytest.fail if request.config.getoption("--require-servers") else pytest.skip
        refuse("golang-github-gorilla-sessions-dev is not installed")
    folder = tmp_path_factory.mktemp("go")
    environ = {**os.environ, "GO111MODULE": "off", "GOPATH": str(PACKAGES), "GOCACHE": str(folder / "cache")}
    program = str(folder / "cookies")
    subprocess.run([go, "build", "-o", program, str(PROGRAM)], env=environ, check=True, capture_output=True)
    made = subprocess.run([program, SECRET, BLOCK], capture_output=True, check=True).stdout
    found: dict[str, str] = json.loads(made)
    return found
