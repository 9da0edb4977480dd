"""Clients of a server: each process has its own, as two on one connection would get each other's answers."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")

# What forked processes inherited. Kept for ever, as a destructor may talk to the server in the parent's name.
_abandoned: list[object] = []


def abandon(inherited: object) -> None:
    """Never close, nor collect, what the parent goes on using."""
    _abandoned.append(inherited)


class PerProcess(Generic[_T]):
    """Gives what `make` makes, once in each process and not before it is asked for.

    `close` is called with it when this is dropped, at the latest when the process ends, and by `close()`.
    """

    def __init__(self, make: Callable[[], _T], close: Callable[[_T], object]) -> None:
        self._make, self._close = make, close
        self._made: dict[int, _T] = {}
        weakref.finalize(self, _close_made, self._made, close)

    def __call__(self) -> _T:
        made = self._made.get(os.getpid())
        return self._renew() if made is None else made

    def close(self) -> None:
        """Close this process's; the next call makes another."""
        _close_made(self._made, self._close)

    def _renew(self) -> _T:
        # No lock, as one could be inherited locked. What a second thread makes meanwhile is not connected.
        made = self._made.setdefault(os.getpid(), self._make())
        for pid in self._made.keys() - {os.getpid()}:
            abandon(self._made.pop(pid, None))
        return made


def _close_made(made: dict[int, Any], close: Callable[[Any], object]) -> None:
    mine = made.pop(os.getpid(), None)
    if mine is not None:
        close(mine)
