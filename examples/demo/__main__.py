"""``python -m demo``: serve the demo site on localhost."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from demo.app import make_app
from demo.server import listening, serve
from demo.stores import KINDS, kinds_for
from sessions_wsgi import ConfigError, Key, KeyRing

ANOTHER = "choose another one with --port 8081 (behind tox: -- --port 8081)"
ENDING = [signal.SIGINT, signal.SIGTERM]
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup wants it
    ENDING.append(signal.SIGHUP)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until interrupted; 1 if that cannot begin."""
    args = parser().parse_args(argv)
    try:
        run(args)
    except KeyboardInterrupt:
        return 0
    except ConfigError as error:
        return complain(f"$SESSION_KEYS: {error}")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return complain(f"port {args.port} of {args.host} is taken: {ANOTHER}")
        return complain(f"cannot serve on port {args.port} of {args.host}: {error.strerror}")
    return 0


def parser() -> ArgumentParser:
    """The command line."""
    made = ArgumentParser(prog="demo", description="A small shop, to try sessions_wsgi with a browser.")
    made.add_argument(
        "--store",
        choices=KINDS,
        default="cookie",
        help="where the visitor's session is kept (default: cookie)",
    )
    made.add_argument("--host", default="localhost", help="where to listen (default: localhost)")
    made.add_argument("--port", type=port_number, default=8080, help="0 takes a free one (default: 8080)")
    return made


def port_number(text: str) -> int:
    """The number of a port; ArgumentTypeError for anything else."""
    if not text.isdecimal() or int(text) > 65535:
        raise ArgumentTypeError("must be a number from 0 to 65535")
    return int(text)


def run(args: Namespace) -> None:
    """Take the port, make the site, serve it, and leave nothing behind."""
    for number in ENDING:
        signal.signal(number, interrupt)
    keys = KeyRing(os.environ.get("SESSION_KEYS") or Key.generate())
    with listening(args.host, args.port) as sockets, TemporaryDirectory(prefix="demo-") as directory:
        app = make_app(args.store, keys=keys, directory=Path(directory))
        greet(args, sockets[0].getsockname()[1])
        serve(app, sockets)


def interrupt(*_: object) -> None:
    """End as Ctrl-C does, undisturbed by a second one."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def greet(args: Namespace, port: int) -> None:
    """Tell where the site is and where its sessions are."""
    host = f"[{args.host}]" if ":" in args.host else args.host
    print(f"The demo is at http://{host}:{port} (Ctrl-C ends it)")
    for name, kind in kinds_for(args.store).items():
        print(f"  session {name!r}: {kind.title.lower()}, {kind.sealed}")
    if not os.environ.get("SESSION_KEYS"):
        command = f"{shlex.quote(sys.executable)} -m sessions_wsgi keygen"
        print(f'  keys: made for this run; so that cookies outlive it: export SESSION_KEYS="$({command})"')
    sys.stdout.flush()


def complain(message: str) -> int:
    """One line on stderr, and the exit status."""
    print(f"demo: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
