"""Serving on every address of a host, which for localhost may be two."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import waitress

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

# The host's name stands for an address that this machine does not have, as ::1 in many containers.
_NO_SUCH_ADDRESS = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


@contextmanager
def listening(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Sockets that listen at the host's addresses, all on one port; 0 takes a free one.

    :raises OSError: the port is taken, or there is no such host.
    """
    with ExitStack() as stack:
        sockets: list[socket.socket] = []
        for family, kind, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            chosen = port or (sockets[0].getsockname()[1] if sockets else 0)
            try:
                sockets.append(stack.enter_context(bound(family, kind, (address[0], chosen))))
            except OSError as error:
                if error.errno not in _NO_SUCH_ADDRESS:
                    raise
        if not sockets:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        yield sockets


def bound(family: int, kind: int, address: tuple[object, int]) -> socket.socket:
    """A socket that listens at this address; closed again if it cannot be had."""
    made = socket.socket(family, kind)
    try:
        if os.name == "posix":  # elsewhere it would let two servers share the port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        made.listen()  # from now on visitors wait instead of being turned away
    except OSError:
        made.close()
        raise
    return made


def serve(app: WSGIApplication, sockets: list[socket.socket]) -> None:
    """Serve until interrupted."""
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a request that waits is no news
    connections: dict[int, Any] = {}
    server = waitress.create_server(app, sockets=sockets, map=connections, max_request_body_size=65536)
    try:
        server.run()
    finally:
        for connection in list(connections.values()):
            connection.close()
