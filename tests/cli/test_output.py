"""What holds for all commands: exit status, JSON, pipes, terminals, and nothing that is secret."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from shell import Done, cookie

from sessions_wsgi import CookieStore, SQLiteStore
from sessions_wsgi.cli import _output, main
from sessions_wsgi.cli._output import Output, Table, printable, span

Cli = Callable[..., Done]
SECRET = "fM3vQx8ZtLk2Wb7HsYd0RnCg5JpUa9EeVi4ToX1rKzB"
PASSWORD = "hunter2-and-more"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def url(tmp_path: Path) -> str:
    path = str(tmp_path / "sessions.db")
    cookie(SQLiteStore(path, SECRET), principal="ada")
    return f"sqlite:///{path}"


@pytest.mark.parametrize(
    "arguments",
    [
        ("keygen",),
        ("inspect", "session=abc"),
        ("inspect", ""),
        ("inspect", "--show-values", "x"),
        ("list", "{url}", "ada"),
        ("revoke", "{url}", "ada"),
        ("revoke", "{url}", "ada", "--handle", "x"),
        ("purge", "{url}"),
        ("init", "{url}"),
        ("doctor", "http://127.0.0.1:9/"),
        ("doctor", "nowhere"),
    ],
)
def test_every_command_gives_one_json_object(shell: Cli, url: str, arguments: tuple[str, ...]) -> None:
    done = shell(*(argument.format(url=url) for argument in arguments), "--json")
    assert isinstance(json.loads(done.out), dict)
    assert done.out.count("\n") == 1
    assert "Traceback" not in done.err


# Secrets


def test_keys_and_values_are_in_no_output(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSION_KEYS", SECRET)
    text = cookie(CookieStore(SECRET), principal="ada-lovelace")
    for arguments in ((), ("--json",)):
        done = cli("inspect", *arguments, text, now=time.time())
        for secret in (SECRET, text, "apple", "ada-lovelace"):
            assert secret not in done.out + done.err


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ada:{PASSWORD}@127.0.0.1:9/db",
        f"postgresql://ada@127.0.0.1:9/db?password={PASSWORD}",
        f"mysql://ada:{PASSWORD}@127.0.0.1:9/db",
        f"redis://:{PASSWORD}@127.0.0.1:9/0",
        f"rediss://ada:{PASSWORD}@127.0.0.1:9/0?nonsense=1",
        f"memcached://ada:{PASSWORD}@127.0.0.1:9",
        f"nonsense://ada:{PASSWORD}@127.0.0.1:9",
        f"http://ada:{PASSWORD}@127.0.0.1:9",
        f"postgresql://ada:{PASSWORD}@[127.0.0.1:9/db",
        f"redis://{PASSWORD}@127.0.0.1:port/0",
    ],
)
@pytest.mark.parametrize("command", [("list", "ada"), ("revoke", "ada"), ("purge",), ("init",), ("doctor",)])
def test_a_password_is_in_no_output(cli: Cli, command: tuple[str, ...], url: str) -> None:
    name, *rest = command
    done = cli(name, url, *rest, "--json")
    assert done.status in (0, 1, 2)
    assert PASSWORD not in done.out + done.err


def test_a_password_on_the_command_line_is_objected_to(cli: Cli) -> None:
    done = cli("purge", f"redis://:{PASSWORD}@127.0.0.1:9/0")
    assert "use env:NAME" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("inspect", "--keys", SECRET, "x"),
        ("inspect", f"--keys={SECRET}", "x"),
        ("--keys", SECRET, "inspect", "x"),
        ("inspect", "--key-is", SECRET, "x"),
        ("inspect", "x", SECRET),
        ("inspect", f"--json={SECRET}", "x"),
        ("inspect", f"-{SECRET}", "x"),
        ("inspect", f"--{SECRET}", "x"),
        (SECRET,),
        (f"redis://:{SECRET}@host", "purge"),
    ],
)
def test_what_stands_in_the_wrong_place_is_not_repeated(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert SECRET not in out + err


def test_keys_on_the_command_line_are_refused_with_the_fix(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["inspect", "--keys", SECRET, "x"])
    assert "use --keys-file, or the environment" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [(f"{SECRET[:20]}", "at least 32 bytes"), (f"{SECRET} {SECRET}", "twice"), ("", "at least one key")],
)
def test_wrong_keys_in_a_file_are_explained_and_not_repeated(
    cli: Cli, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "keys").write_text(text)
    done = cli("inspect", "--keys-file", str(tmp_path / "keys"), "x", "--json")
    assert done.status == 2
    assert message in done.err
    assert SECRET[:20] not in done.err + done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--keys-file", "/nowhere/keys"), "No such file"),
        (("--keys-file", "/"), "'--keys-file' cannot be read"),
        (("--keys-env", "NOT_SET_ANYWHERE"), "not set, or empty"),
        (("--keys-env", "A", "--keys-file", "b"), "exclude each other"),
    ],
)
def test_keys_that_are_not_there_are_wrong_usage(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    done = cli("inspect", "x", *arguments)
    assert done.status == 2
    assert message in done.err


# Wrong arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["purg"], "did you mean 'purge'?"),
        (["nothing-like-it"], "known: keygen, inspect"),
        (["list", "x", "y", "--audiense", "z"], "did you mean '--audience'?"),
        (["inspect", "x", "--show-value"], "did you mean '--show-values'?"),
        (["list", "x"], "PRINCIPAL"),
        (["keygen", "more"], "too many arguments"),
    ],
)
def test_wrong_arguments_get_the_nearest_right_one(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


# Pipes and terminals


def test_a_reader_that_has_seen_enough_is_no_traceback(environment: dict[str, str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "sessions_wsgi", "keygen"],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=environment,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_ctrl_c_is_status_130(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sessions_wsgi.cli._inspect.cookies_in", interrupted)
    done = cli("inspect", "x", "--json")
    assert (done.status, done.data) == (130, {"error": "interrupted"})


def test_a_terminal_without_utf_8_gets_escapes(shell: Cli, tmp_path: Path) -> None:
    path = str(tmp_path / "sessions.db")
    store = SQLiteStore(path, SECRET)
    session = store.open("session", [])
    session.login("ada")
    session.label = "caf\u00e9"
    store.commit(session)
    done = shell("list", f"sqlite:///{path}", "ada", PYTHONIOENCODING="ascii")
    assert done.status == 0
    assert "caf\\xe9" in done.out


def test_tables_on_a_terminal_are_drawn_by_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    Output(as_json=False).show({}, Table(("KEY", "BYTES"), [("[red]cart", "17")]))
    assert "\u2503" in terminal.getvalue()
    assert "[red]cart" in terminal.getvalue(), "what visitors write is no markup"


def test_tables_on_a_terminal_without_rich_are_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(_output, "_rich", lambda: None)
    Output(as_json=False).show({}, Table(("KEY", "BYTES"), [("cart", "17")]))
    assert terminal.getvalue() == "KEY   BYTES\ncart  17\n"


def test_it_works_on_a_terminal_where_rich_is_not_installed(environment: dict[str, str], url: str) -> None:
    code = (
        "import sys; sys.modules['rich'] = None; sys.stdout.isatty = lambda: True;"
        "from sessions_wsgi.cli import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "list", url, "ada"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("HANDLE")


def test_progress_on_a_terminal_without_rich_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(_output, "_rich", lambda: None)
    with Output(as_json=True).progress("removing", "removed") as advance:
        advance(200)
    assert terminal.getvalue() == "\rremoving: 0 removed\rremoving: 200 removed\n"


def test_progress_into_a_file_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with Output(as_json=False).progress("removing", "removed") as advance:
        advance(200)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3700, "1 h 1 min"), (90061, "1 d 1 h"), (-60, "-1 min")],
)
def test_times_for_people(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_what_commands_a_terminal_is_escaped() -> None:
    assert printable("a\x1b[2J\u202eb") == "a\\x1b[2J\\u202eb"
