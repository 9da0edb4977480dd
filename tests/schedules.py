"""Two requests in every order that their steps can take: one step is one operation of a backend."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from sessions_wsgi.backends.memory import MemoryBackend

_OPERATIONS = frozenset({"load", "create", "update", "touch", "delete", "link", "unlink", "linked"})
_LONGEST = 20.0  # seconds; nothing here waits


class Stepping(MemoryBackend):
    """Asks before each operation of a request that is scheduled."""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        request = getattr(_here, "request", None)
        if name not in _OPERATIONS or request is None:
            return found
        request.pause()
        return found


_here = threading.local()


class _Request:
    """One request in a thread of its own, which stops before each step."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self.over = False
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()
        self._until_it_stops()

    def _run(self, work: Callable[[], Any]) -> None:
        _here.request = self
        try:
            self.pause()
            self.result = work()
        except BaseException as error:
            self.error = error
        finally:
            self.over = True
            self._stopped.release()

    def pause(self) -> None:
        self._stopped.release()
        self._go.acquire()

    def step(self) -> None:
        self._go.release()
        self._until_it_stops()

    def _until_it_stops(self) -> None:
        assert self._stopped.acquire(timeout=_LONGEST), "a request waits for another one"
        if self.over:
            self._thread.join()


def every_order(
    begin: Callable[[], list[Callable[[], Any]]], switches: int = 99
) -> Iterator[tuple[list[int], list[Any]]]:
    """What the requests return in each order of their steps, with that order: who came first, and so on.

    :param begin: makes everything anew, and tells what each request does.
    :param switches: so often at most a request has to wait in the middle; few are enough for nearly all
        mistakes, and the orders are so many less.
    """
    plan: list[int] = []
    while True:
        requests = [_Request(work) for work in begin()]
        order: list[int] = []
        choices: list[tuple[int, int]] = []  # which of how many
        left = switches
        while ready := [number for number, request in enumerate(requests) if not request.over]:
            last = order[-1] if order else None
            if last in ready:  # first of all it goes on
                ready = [last, *(number for number in ready if number != last)] if left else [last]
            choice = plan[len(choices)] if len(choices) < len(plan) else 0
            choices.append((choice, len(ready)))
            left -= last in ready and choice > 0
            order.append(ready[choice])
            requests[ready[choice]].step()
        for request in requests:
            if request.error is not None:
                raise AssertionError(f"in the order {order}") from request.error
        yield order, [request.result for request in requests]
        while choices and choices[-1][0] == choices[-1][1] - 1:
            choices.pop()
        if not choices:
            return
        plan = [choice for choice, _ in choices]
        plan[-1] += 1
