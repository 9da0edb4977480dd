"""The page about the command line has all of it, and nothing that is not there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from sessions_wsgi.cli._arguments import _parser

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text("utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)}
COMMANDS = _parser()[1]
EXAMPLES = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
    if "sessions-wsgi" in line
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_section(command: str) -> None:
    assert f"sessions-wsgi {command}" in SECTIONS[command]
    assert f"](#{command})" in PAGE


@pytest.mark.parametrize(
    ("command", "option"), [(name, option) for name, parser in COMMANDS.items() for option in parser.options]
)
def test_every_option_is_described(command: str, option: str) -> None:
    assert option in (SECTIONS["For all commands"] if option in ("--json", "--help") else SECTIONS[command])


def test_no_option_is_described_that_is_not_there() -> None:
    known = {option for parser in [_parser()[0], *COMMANDS.values()] for option in parser.options}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) <= known


@pytest.mark.parametrize("line", EXAMPLES)
def test_every_example_is_one_that_is_understood(line: str) -> None:
    call = line[line.index("sessions-wsgi") :].partition("<")[0]
    _, *arguments = shlex.split(call, comments=True)
    made, _ = _parser()
    made.parse_args(arguments)


@pytest.mark.parametrize("status", ["0 done", "1 failed", "2 wrong usage", "130\ninterrupted"])
def test_every_exit_status_is_described(status: str) -> None:
    assert status in SECTIONS["For all commands"]
