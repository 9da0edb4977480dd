"""Connections of psycopg that do not wait for ever: the client of PostgreSQL has no limit for an answer."""

from __future__ import annotations

import selectors
from collections.abc import Callable
from time import monotonic
from typing import Any

import psycopg


class Connection(psycopg.Connection[Any]):
    """A connection that is closed when an answer takes longer than `answer_timeout` seconds."""

    answer_timeout = 0.0

    def wait(self, gen: Any, *_: Any, **__: Any) -> Any:
        """Drive an exchange with the server, which tells when to read and when to write, to its end."""
        try:
            with selectors.DefaultSelector() as selector:  # the one that gevent replaces
                return self._drive(gen, selector)
        except Exception:
            raise
        except BaseException:  # a worker that is told to stop
            self._give_up()
            raise

    def _drive(self, exchange: Any, selector: selectors.BaseSelector) -> Any:
        deadline = monotonic() + self.answer_timeout
        try:
            wanted = next(exchange)
            selector.register(self.pgconn.socket, wanted)
            while ready := selector.select(max(0.0, deadline - monotonic())):
                wanted = exchange.send(ready[0][1])
                selector.modify(self.pgconn.socket, wanted)
        except StopIteration as end:
            return end.value
        self._give_up()
        raise psycopg.OperationalError(f"no answer within {self.answer_timeout} seconds")

    def _give_up(self) -> None:
        # An answer that comes late must not be taken for that to another question.
        self.pgconn.finish()


def connect(timeout: float) -> Callable[..., Connection]:
    """A listener of SQLAlchemy's event ``do_connect`` that makes such connections."""

    def do_connect(_dialect: Any, _record: Any, args: Any, kwargs: Any) -> Connection:
        connection = Connection.connect(*args, **kwargs)
        connection.answer_timeout = timeout
        return connection

    return do_connect
