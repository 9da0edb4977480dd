"""Server-side stores that need no server."""

from __future__ import annotations

import os
from typing import Any, Literal

from sessions_wsgi.backends.file import FileBackend
from sessions_wsgi.backends.memory import MemoryBackend
from sessions_wsgi.keys import Keys
from sessions_wsgi.stores.server import ServerStore


class FileStore(ServerStore):
    """A `ServerStore` over a `FileBackend`: one file for each session, for processes of one machine.

    :param directory: made with mode 0700 when it does not exist; one that others may write is refused.
    :param durability: "process" survives a crash of the process, "host" one of the machine, at the cost of
        two fsyncs for each write.
    :param options: those of `ServerStore`.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        keys: Keys,
        *,
        durability: Literal["process", "host"] = "process",
        **options: Any,
    ) -> None:
        super().__init__(FileBackend(directory, durability=durability, **_clock(options)), keys, **options)


class MemoryStore(ServerStore):
    """A `ServerStore` over a `MemoryBackend`: for tests and single processes; gone when the process ends.

    :param options: those of `ServerStore`.
    """

    def __init__(self, keys: Keys, **options: Any) -> None:
        super().__init__(MemoryBackend(**_clock(options)), keys, **options)


def _clock(options: dict[str, Any]) -> dict[str, Any]:
    """The store and its backend look at one clock."""
    return {"clock": options["clock"]} if "clock" in options else {}
