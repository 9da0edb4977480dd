"""Clients of pymemcache, one for each server, and which of them has a key."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from typing import Any

from sessions_wsgi.backends._options import driver, kind_of, refuse
from sessions_wsgi.backends._process import PerProcess

_refuse = partial(refuse, "servers")


class Clients:
    """The clients of one backend: `call` sends a command to the server that has the key."""

    def __init__(self, servers_or_client: Any, timeout: float) -> None:
        pymemcache = driver("pymemcache", "memcached")
        self._closed = (ConnectionError, pymemcache.MemcacheUnexpectedCloseError)
        if isinstance(servers_or_client, pymemcache.PooledClient):
            self.shown = _check(servers_or_client)
            self._clients = PerProcess(_own(servers_or_client), lambda _: None)
        else:
            servers = _servers(servers_or_client)
            self.shown = repr(",".join(servers))
            self._clients = PerProcess(lambda: [_client(server, timeout) for server in servers], _close)
        self.close = self._clients.close

    def call(self, command: str, key: str, *values: Any, **options: Any) -> Any:
        """The answer to a command, of a connection that is not one which the server closed long ago."""
        client = self._client_of(key)
        send = getattr(client, command)
        for _ in client.client_pool.free:
            try:
                return send(key, *values, **options)
            except self._closed:
                continue  # it is out of the pool now
        return send(key, *values, **options)

    def _client_of(self, key: str) -> Any:
        clients = self._clients()
        if len(clients) == 1:
            return clients[0]
        # Rendezvous: a server more, or less, moves no keys but its own.
        return max(clients, key=lambda client: blake2b(f"{client.server} {key}".encode()).digest())


def _client(server: str, timeout: float) -> Any:
    pymemcache = driver("pymemcache", "memcached")
    return pymemcache.PooledClient(server, connect_timeout=timeout, timeout=timeout, no_delay=True)


def _close(clients: list[Any]) -> None:
    for client in clients:
        client.close()


def _own(client: Any) -> Callable[[], list[Any]]:
    pid = os.getpid()

    def make() -> list[Any]:
        if os.getpid() != pid:
            client.close()  # tells the server nothing: it is our parent's connection as well
        return [client]

    return make


def _check(client: Any) -> str:
    if client.ignore_exc:
        _refuse("must not have ignore_exc=True, to which a server that is down is one without sessions")
    return type(client).__name__


def _servers(servers: Any) -> list[str]:
    if isinstance(servers, str):
        servers = servers.removeprefix("memcached://").rstrip("/").split(",")
    if not isinstance(servers, list | tuple) or not servers:
        # A Client is for one thread. A HashClient says of a server that is down that it has no sessions.
        allowed = "'host:port,host:port', a list of these, or a PooledClient of pymemcache"
        _refuse(f"must be {allowed}; got a {kind_of(servers)}")
    for server in servers:
        _check_server(server)
    return list(servers)


def _check_server(server: Any) -> None:
    base = driver("pymemcache.client.base", "memcached")
    try:
        address = base.normalize_server_spec(server)
    except ValueError:
        _refuse("holds a server that is not host:port")
    if isinstance(address, tuple) and (
        not address[0] or not 0 < address[1] < 65536 or set("@/?# ") & set(server)
    ):
        _refuse("holds a server that is not host:port; memcached has neither passwords nor databases")
