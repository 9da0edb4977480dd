"""The command ``sessions-wsgi``: keys, cookies and stores from the shell.

Exit status: 0 done; 1 failed, or there are findings; 2 wrong usage; 130 interrupted. Secrets come from files
and the environment, never from the command line, which every user of a machine can read.
"""

from __future__ import annotations

import os
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence

from sessions_wsgi.cli._arguments import parse
from sessions_wsgi.cli._output import Output
from sessions_wsgi.errors import BackendError, ConfigError, UsageError

__all__ = ["main"]

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None, *, clock: Callable[[], float] = time.time) -> int:
    """Carry out one sub-command; its exit status. `clock` gives seconds since the epoch.

    :raises SystemExit: the arguments are wrong (2), or ask for help (0).
    """
    args = parse(sys.argv[1:] if argv is None else argv)
    output = Output(as_json=args.json)
    try:
        status = _carried_out(args, output, clock)
        sys.stdout.flush()
    except BrokenPipeError:  # a reader such as `head` has seen enough
        _forget_stdout()
        return FAILED
    return status


def _carried_out(args: Namespace, output: Output, clock: Callable[[], float]) -> int:
    try:
        status: int = args.run(args, output, clock)
    except KeyboardInterrupt:
        output.failed("interrupted")
        return INTERRUPTED
    except ConfigError as error:
        output.failed(str(error))
        return WRONG_USAGE
    except (BackendError, UsageError) as error:
        output.failed(output.explained(error))
        return FAILED
    return status


def _forget_stdout() -> None:
    # What is left in its buffer would fail once more when Python ends.
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
