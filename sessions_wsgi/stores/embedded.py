"""Server-side stores that need no server."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal, TypedDict, Unpack

from sessions_wsgi.backends.file import FileBackend
from sessions_wsgi.backends.memory import MemoryBackend
from sessions_wsgi.backends.sqlite import SQLiteBackend
from sessions_wsgi.errors import ConfigError
from sessions_wsgi.keys import Keys
from sessions_wsgi.stores.server import ServerOptions, ServerStore

#: Writes between two small sweeps of what has expired, so that nothing needs to be scheduled.
SWEEP_EVERY = 100


class FileStore(ServerStore):
    """A `ServerStore` over a `FileBackend`: one file for each session, for processes of one machine.

    :param directory: made with mode 0700 when it does not exist; one that others may write is refused.
    :param durability: "process" survives a crash of the process, "host" one of the machine, at the cost of
        two fsyncs for each write.
    :param sweep_every: after so many writes some expired files are removed; None leaves all of it to `purge`.
    :param options: those of every store over a backend, see `ServerOptions`.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        keys: Keys,
        *,
        durability: Literal["process", "host"] = "process",
        sweep_every: int | None = SWEEP_EVERY,
        **options: Unpack[ServerOptions],
    ) -> None:
        backend = FileBackend(
            directory, durability=durability, sweep_every=sweep_every, **_for_backend(options)
        )
        super().__init__(backend, keys, **options)


class SQLiteStore(ServerStore):
    """A `ServerStore` over a `SQLiteBackend`: the recommended one for processes of one machine.

    :param path: of the database; made at first use.
    :param timeout: seconds to wait for other writers.
    :param sweep_every: after so many writes some expired records are removed; None leaves it to `purge`.
    :param options: those of every store over a backend, see `ServerOptions`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        keys: Keys,
        *,
        timeout: float = 5.0,
        sweep_every: int | None = SWEEP_EVERY,
        **options: Unpack[ServerOptions],
    ) -> None:
        backend = SQLiteBackend(path, timeout=timeout, sweep_every=sweep_every, **_for_backend(options))
        super().__init__(backend, keys, **options)


class MemoryStore(ServerStore):
    """A `ServerStore` over a `MemoryBackend`: for tests and single processes; gone when the process ends.

    :param max_bytes: what it may take; beyond it the least recently used sessions go. None: no bound.
    :param options: those of every store over a backend, see `ServerOptions`.
    """

    def __init__(
        self, keys: Keys, *, max_bytes: int | None = 64 * 2**20, **options: Unpack[ServerOptions]
    ) -> None:
        super().__init__(MemoryBackend(max_bytes=max_bytes, **_for_backend(options)), keys, **options)


class _ForBackend(TypedDict, total=False):
    clock: Callable[[], float]


def _for_backend(options: ServerOptions) -> _ForBackend:
    """What the backend is told, too: both look at one clock.

    :raises ConfigError: a backend was given; an embedded store makes its own.
    """
    if "backend" in options:
        raise ConfigError("an embedded store has no option 'backend': ServerStore(backend, keys)", "backend")
    return {"clock": options["clock"]} if "clock" in options else {}
