"""The command line: what it prints, and its exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version

import pytest

from sessions_wsgi import Key
from sessions_wsgi.cli import main


def test_keygen_prints_a_key_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keygen"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert len(out) == 44
    Key(out.rstrip("\n"))


def test_every_key_is_another_one(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(10):
        main(["keygen"])
    assert len(set(capsys.readouterr().out.split())) == 10


def test_keygen_as_json_tells_the_id_that_shows_in_reprs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keygen", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert set(made) == {"id", "key"}
    assert made["id"] in repr(Key(made["key"]))


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["keygen", "--jso"], ["keygen", "more"]])
def test_wrong_arguments_are_explained_with_status_two(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: sessions-wsgi")


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "keygen" in capsys.readouterr().out


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"{version('sessions-wsgi')}\n")


def test_the_package_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "sessions_wsgi", "keygen"]
    Key(subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip())
