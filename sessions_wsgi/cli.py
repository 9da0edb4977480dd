"""The command ``sessions-wsgi``. Exit status: 0 done, 1 failed, 2 wrong arguments."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from sessions_wsgi.keys import Key


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one sub-command; its exit status."""
    args = parser().parse_args(argv)
    status: int = args.run(args)
    return status


def parser() -> ArgumentParser:
    """The command line: each sub-command is a function of the parsed arguments."""
    made = ArgumentParser(prog="sessions-wsgi", description="Keys for sessions.", allow_abbrev=False)
    commands = made.add_subparsers(title="commands", required=True, metavar="COMMAND")

    command = commands.add_parser(
        "keygen", help="print a fresh key", description="Print a fresh key.", allow_abbrev=False
    )
    command.add_argument("--json", action="store_true", help="as a JSON object, with the key's public id")
    command.set_defaults(run=keygen)

    return made


def keygen(args: Namespace) -> int:
    """Print a fresh key: 43 characters of base64url, ready for ``SESSION_KEYS``."""
    key = Key.generate()
    secret = key.secret.decode()
    print(json.dumps({"id": key.id.hex(), "key": secret}) if args.json else secret)
    return 0
