"""What the command takes. No message repeats what was given: a secret may stand in the wrong place."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib.metadata import version
from typing import Any, NoReturn

from sessions_wsgi._nearest import nearest
from sessions_wsgi.cli import _doctor, _inspect, _keygen, _stores

_OPTION = re.compile(r"--?[a-z][a-z-]{0,20}")
_SECRETS = frozenset({"--key", "--keys", "--secret", "--secrets", "--password"})

_EPILOG = (
    "Exit status: 0 done; 1 failed, or there are findings; 2 wrong usage; 130 interrupted. "
    "Tables and a progress bar on a terminal: pip install 'sessions-wsgi[cli]'"
)
_URL = "as for store_from_url; env:NAME takes it from an environment variable, for one with a password"


def parse(argv: Sequence[str]) -> Namespace:
    """The arguments, read; `run` is the function of the sub-command."""
    made, commands = _parser()
    given = next((name for word in argv if (name := word.partition("=")[0]) in _SECRETS), None)
    if given is not None:
        made.error(f"there is no {given}: all users would see it; use --keys-file, or the environment")
    word = next((word for word in argv if not word.startswith("-")), None)
    if word is not None and word not in commands:
        close = get_close_matches(word, commands, n=1)
        made.error(
            f"unknown command; did you mean {close[0]!r}?"
            if close
            else f"unknown command; known: {', '.join(commands)}"
        )
    args, unknown = made.parse_known_args(argv)
    if unknown:
        commands[args.command].refuse(unknown)
    return args


class Parser(ArgumentParser):
    """Complains without quoting values, and names the nearest option."""

    def __init__(self, **options: Any) -> None:
        self.options: list[str] = []
        super().__init__(allow_abbrev=False, **options)

    def add_argument(self, *names: str, **options: Any) -> Any:
        self.options += [name for name in names if name.startswith("--")]
        return super().add_argument(*names, **options)

    def error(self, message: str) -> NoReturn:
        super().error(re.sub(r"ignored explicit argument .*", "takes no value", message, flags=re.DOTALL))

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """Complain about arguments that nobody asked for."""
        names = [word.partition("=")[0] for word in unknown]
        name = next((name for name in names if _OPTION.fullmatch(name)), None)
        if name is None:
            self.error("too many arguments; quote what holds blanks")
        self.error(f"unknown option {name!r}{nearest(name, self.options)}")


def _parser() -> tuple[Parser, dict[str, Parser]]:
    made = Parser(prog="sessions-wsgi", description="Sessions from the shell.", epilog=_EPILOG)
    made.add_argument("--version", action="version", version=version("sessions-wsgi"))
    group = made.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")
    commands: dict[str, Parser] = {}

    def command(name: str, run: Callable[..., int], help_: str) -> Parser:
        added = commands[name] = group.add_parser(
            name, help=help_, description=help_[0].upper() + help_[1:] + ".", epilog=_EPILOG
        )
        added.add_argument("--json", action="store_true", help="one JSON object on standard output")
        added.set_defaults(run=run)
        return added

    command("keygen", _keygen.run, "print a fresh key")
    _add_inspect(command("inspect", _inspect.run, "tell what a cookie is, how old and how large"))
    listing = command("list", _stores.list_sessions, "list the sessions of a principal")
    _add_store(listing, principal=True)
    revoke = command("revoke", _stores.revoke, "log a principal out everywhere")
    _add_store(revoke, principal=True)
    revoke.add_argument("--handle", help="end only the session with this handle, as list shows it")
    _add_store(command("purge", _stores.purge, "remove what has expired"))
    _add_store(command("init", _stores.init, "make the tables of an SQL store, if they are not there"))
    _add_doctor(command("doctor", _doctor.run, "fetch a page and judge the cookies that it sets"))
    return made, commands


def _add_inspect(command: Parser) -> None:
    command.add_argument(
        "cookie", metavar="COOKIE", help="its text, or a Cookie or Set-Cookie header; - reads standard input"
    )
    command.add_argument("--name", help="the cookie's full name, prefix included; of several, only this one")
    command.add_argument("--show-values", action="store_true", help="the data, too; needs the keys")
    command.add_argument("--keys-file", metavar="FILE", help="a file that holds the keys, newest first")
    command.add_argument(
        "--keys-env", metavar="NAME", help="the environment variable with the keys (SESSION_KEYS)"
    )
    _add_options(command)


def _add_store(command: Parser, *, principal: bool = False) -> None:
    command.add_argument("url", metavar="URL", help=_URL)
    if principal:
        command.add_argument("principal", metavar="PRINCIPAL", help="who is signed in, as given to login()")
        command.add_argument(
            "--kind",
            choices=("server", "cookie"),
            default="server",
            help="cookie: sessions in cookies, and URL is that of their revocations",
        )
    _add_options(command)


def _add_options(command: Parser) -> None:
    command.add_argument("--audience", help="the same as --option audience=…")
    command.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the site's store that differs from the default: table=…, lifetime.idle=15m",
    )


def _add_doctor(command: Parser) -> None:
    command.add_argument(
        "url", metavar="URL", help="a page that sets cookies; env:NAME takes it from the environment"
    )
    command.add_argument("--name", help="judge only the cookie with this name")
    command.add_argument(
        "--timeout", type=_seconds, default=10.0, metavar="SECONDS", help="to wait for the server (10)"
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise ArgumentTypeError("must be a number of seconds, above 0 and at most 3600")
    return seconds
