"""WSGI servers, in a thread of the tests."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

SECONDS = 10.0  # that anything may take on a busy machine; nothing is meant to


@contextlib.contextmanager
def in_thread(serve: Callable[[], object], stop: Callable[[], object]) -> Iterator[None]:
    """A server that serves meanwhile, and is stopped then."""
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join(SECONDS)
    assert not thread.is_alive()


@contextlib.contextmanager
def waitress_serving(app: Any) -> Iterator[int]:
    """The application behind waitress, on a free port of the loopback interface."""
    server = pytest.importorskip("waitress.server").create_server(
        app, host="127.0.0.1", port=0, threads=2, clear_untrusted_proxy_headers=True
    )

    def serve() -> None:
        with contextlib.suppress(OSError):  # its socket is closed under it
            server.run()

    def stop() -> None:
        with contextlib.suppress(OSError):  # it was awake, and has closed what would wake it
            server.trigger.pull_trigger(server.close)
        server.task_dispatcher.shutdown()

    with in_thread(serve, stop):
        yield server.effective_port
