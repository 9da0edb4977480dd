"""A relay between a client and a server: it counts round trips, and can be as silent as a broken network."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

HOST = "127.0.0.1"


class Wire:
    """Listens on a port of its own and passes on what it hears, both ways. For ``with``."""

    def __init__(self, port: int) -> None:
        self.target = port
        #: How often a client spoke, having been spoken to or not having spoken before.
        self.round_trips = 0
        self.connections = 0
        #: While this is set, nothing is passed on.
        self.silent = False
        self._partner: dict[socket.socket, socket.socket] = {}
        self._clients: set[socket.socket] = set()
        self._speaker: dict[socket.socket, socket.socket] = {}  # by client: who spoke last
        self._done = False

    def __enter__(self) -> Self:
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self.address = f"{HOST}:{self.port}"
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._relay)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done = True
        self._thread.join()
        for end in [*self._partner, self._listener]:
            end.close()
        self._selector.close()

    def count(self, operation: Callable[[], Any]) -> int:
        """How many round trips this takes."""
        before = self.round_trips
        operation()
        return self.round_trips - before

    def _relay(self) -> None:
        while not self._done:
            for key, _ in self._selector.select(0.01):
                if self.silent:
                    time.sleep(0.01)
                elif key.fileobj is self._listener:
                    self._accept()
                else:
                    self._pass_on(key.fileobj)  # type: ignore[arg-type]

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection((HOST, self.target))
        except OSError:
            client.close()
            return
        self.connections += 1
        self._clients.add(client)
        for one, other in ((client, server), (server, client)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._partner[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, source: socket.socket) -> None:
        if source not in self._partner:
            return  # hung up in this very round
        with suppress(OSError):
            data = source.recv(65536)
            if data:
                self._count(source)
                self._partner[source].sendall(data)
                return
        self._hang_up(source)

    def _count(self, source: socket.socket) -> None:
        client = source if source in self._clients else self._partner[source]
        if source is client and self._speaker.get(client) is not client:
            self.round_trips += 1
        self._speaker[client] = source

    def _hang_up(self, source: socket.socket) -> None:
        for end in (self._partner[source], source):
            self._selector.unregister(end)
            del self._partner[end]
            self._clients.discard(end)
            self._speaker.pop(end, None)
            end.close()
