"""Connections of psycopg that do not wait for ever: the client of PostgreSQL has no limit for an answer."""

from __future__ import annotations

from collections.abc import Callable, Generator
from time import monotonic
from typing import Any

import psycopg


class Connection(psycopg.Connection[Any]):
    """A connection that is closed when an answer takes longer than `answer_timeout` seconds."""

    answer_timeout = 0.0

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """Drive one exchange with the server, but not for longer."""
        return super().wait(self._limited(gen), *args, **kwargs)

    def _limited(self, exchange: Any) -> Generator[Any, Any, Any]:
        give_up = monotonic() + self.answer_timeout
        try:
            wanted = next(exchange)
            while True:
                ready = yield wanted  # nothing, several times a second, while the server is silent
                if not ready and monotonic() > give_up:
                    self.pgconn.finish()  # an answer that comes late must not be taken for another's
                    raise psycopg.OperationalError(f"no answer within {self.answer_timeout} seconds")
                wanted = exchange.send(ready)
        except StopIteration as end:
            return end.value


def connect(timeout: float) -> Callable[..., Connection]:
    """A listener of SQLAlchemy's event ``do_connect`` that makes such connections."""

    def do_connect(_dialect: Any, _record: Any, args: Any, kwargs: Any) -> Connection:
        connection = Connection.connect(*args, **kwargs)
        connection.answer_timeout = timeout
        return connection

    return do_connect
