"""Removing what has expired in passing, for those who do not want to schedule a purge."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from sessions_wsgi.errors import BackendError, ConfigError, logger


class Sweep:
    """Counts writes; after `every` of them it removes up to twice as many expired sessions. None: never."""

    def __init__(self, every: int | None) -> None:
        if every is not None and (not isinstance(every, int) or every < 1):
            raise ConfigError(f"'sweep_every' is a number of writes, or None; got {every!r}", "sweep_every")
        self._every = every
        self._writes = itertools.count(1)

    def count(self, purge: Callable[[int], object]) -> None:
        """Count a write that was done, which is why this never fails."""
        if self._every is None or next(self._writes) % self._every:
            return
        try:
            purge(2 * self._every)
        except BackendError as error:
            logger.warning("sweeping expired sessions: %s", error, exc_info=True)
