"""Forked processes, for the tests of what several do at once and of what killed ones leave."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable

from sessions_wsgi.backends import Backend, Conflict, Gone


def fork(work: Callable[[], object]) -> int:
    """Do this work in a forked process, which ends with 0 unless it raised; the process's id."""
    _await_threads()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: there may be threads
        process = os.fork()
    if process == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return process


def _await_threads() -> None:
    """Let threads that were joined end for the system, too: one that still lets go of OpenSSL may hold a lock
    of it, which a child would wait for in vain.
    """
    end = time.monotonic() + 1
    while len(os.listdir("/proc/self/task")) > threading.active_count() and time.monotonic() < end:
        time.sleep(0.001)


def join(*processes: int, timeout: float = 30) -> None:
    """Wait for processes that have to end well."""
    end = time.monotonic() + timeout
    for process in processes:
        while (status := os.waitpid(process, os.WNOHANG)) == (0, 0):
            if time.monotonic() > end:
                os.kill(process, signal.SIGKILL)
            time.sleep(0.001)
        assert os.waitstatus_to_exitcode(status[1]) == 0


def count_up(backend: Backend, key: str, times: int) -> None:
    """Add one to a record so many times; start over whenever somebody else was first."""
    while times:
        record = backend.load(key)
        assert record is not None
        result = backend.update(key, b"%d" % (int(record.data) + 1), record.expires, record.version)
        assert not isinstance(result, Gone)
        times -= not isinstance(result, Conflict)


def kill_at_random(work: Callable[[], object], *, longest: float) -> None:
    """Let a process do this work again and again, and kill it before so many seconds have passed."""

    def for_ever() -> None:
        while True:
            work()

    process = fork(for_ever)
    time.sleep(random.uniform(0, longest))
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
