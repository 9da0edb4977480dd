"""Clients of redis-py: from URLs, checked as far as that goes unconnected, or the application's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

from sessions_wsgi.backends._options import driver, kind_of, refuse

_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
_refuse = partial(refuse, "url")
_MALFORMED = "is malformed: is the port a number, and '/' in a password written as %2F?"
_NOT_OF_CONNECTIONS = ("max_connections", "timeout", "sentinel_username", "sentinel_password")


def client_maker(url: str, timeout: float) -> Callable[[], Any]:
    """What makes the client that a URL describes. Nothing is connected before it is called.

    :raises ConfigError: the URL is wrong; the message does not show it, as it may hold a password.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in _SCHEMES:
        _refuse(f"must begin with one of {', '.join(f'{known}://' for known in _SCHEMES)}")
    if "@" in "".join(re.split("[/?#]", rest, maxsplit=1)[1:]):
        _refuse("has an '@' after the host: in a password, write '@' '/' '?' '#' as %40 %2F %3F %23")
    try:
        urlsplit(url)
    except ValueError:  # its words may hold the password
        _refuse(_MALFORMED)
    plain, _, kind = scheme.partition("+")
    return {"": _single, "sentinel": _sentinel, "cluster": _cluster}[kind](f"{plain}://{rest}", timeout)


def check_client(client: Any) -> Any:
    """The application's own client, if it can be used.

    :raises ConfigError: it is not a client of redis-py for threads, or turns bytes into text.
    """
    redis = driver("redis", "redis")
    if not isinstance(client, redis.Redis | redis.RedisCluster):
        _refuse(f"must be a URL, a redis.Redis or a redis.RedisCluster; got a {kind_of(client)}")
    if client.get_encoder().decode_responses:
        _refuse("is a client with decode_responses=True, but sessions are bytes: give one without it")
    return client


def _single(url: str, timeout: float) -> Callable[[], Any]:
    redis = driver("redis", "redis")
    options = _options(url, timeout)

    def make() -> Any:
        # By default a pool grows for ever. In this one, who comes too late waits.
        pool = {"max_connections": 50, "timeout": timeout} | options
        return redis.Redis(connection_pool=redis.BlockingConnectionPool(**pool))

    return make


def _sentinel(url: str, timeout: float) -> Callable[[], Any]:
    redis = driver("redis", "redis")
    service, _, database = unquote(urlsplit(url).path).strip("/").partition("/")
    if not service:
        _refuse("must name the service after the sentinels: redis+sentinel://host:26379,host:26379/service/0")
    first, *_ = options = [_options(one, timeout / 2) for one in _each_host(url, database)]
    addresses = [(one.pop("host", "localhost"), one.pop("port", 26379)) for one in options]
    login = {name: first.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    tls = {"ssl": first.pop("connection_class", None) is not None}

    def make() -> Any:
        asking = _defaults(timeout / 2) | tls | login
        sentinels = redis.Sentinel(addresses, sentinel_kwargs=asking)
        return sentinels.master_for(service, **first, **tls)

    return make


def _cluster(url: str, timeout: float) -> Callable[[], Any]:
    redis = driver("redis", "redis")
    if urlsplit(url).path.strip("/") not in ("", "0"):
        _refuse("must not name a database: a cluster has one only")
    first, *_ = options = [_options(one, timeout / 2) for one in _each_host(url, "")]
    addresses = [(one.pop("host", "localhost"), one.pop("port", 6379)) for one in options]
    tls = {"ssl": first.pop("connection_class", None) is not None}

    def make() -> Any:
        nodes = [redis.cluster.ClusterNode(*address) for address in addresses]
        # Nodes that are up serve their part of the sessions, whatever the others do.
        return redis.RedisCluster(startup_nodes=nodes, require_full_coverage=False, **first, **tls)

    return make


def _each_host(url: str, database: str) -> list[str]:
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    if not all(hosts.split(",")):
        _refuse("must name its servers: host:port,host:port")
    return [f"{parts.scheme}://{login}{at}{host}/{database}?{parts.query}" for host in hosts.split(",")]


def _options(url: str, timeout: float) -> dict[str, Any]:
    """The arguments of a connection. Those in the URL win."""
    redis = driver("redis", "redis")
    options = _defaults(timeout)
    try:
        path = unquote(urlsplit(url).path).strip("/")
        options |= redis.connection.parse_url(url)
    except ValueError:  # its words may be a part of the password
        _refuse(_MALFORMED)
    if path and not path.isdigit() and not url.startswith("unix:"):
        _refuse("must end with the number of a database, as in redis://localhost:6379/0")
    _check(redis, options)
    return options


def _defaults(timeout: float) -> dict[str, Any]:
    redis = driver("redis", "redis")
    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        # A pool looks at a connection before it gives it. To try again would take as long again.
        "retry": redis.retry.Retry(redis.backoff.NoBackoff(), 0),
        # The newer protocol has nothing for us, and asks for more when it connects.
        "protocol": 2,
    }


def _check(redis: Any, options: dict[str, Any]) -> None:
    if options.get("decode_responses"):
        _refuse("must not set decode_responses: sessions are bytes")
    arguments = {name: value for name, value in options.items() if name not in _NOT_OF_CONNECTIONS}
    try:
        arguments.pop("connection_class", redis.Connection)(**arguments)
    except (TypeError, ValueError, redis.RedisError) as error:
        _, known, name = str(error).rpartition("unexpected keyword argument ")
        _refuse(f"has an option that redis-py does not know: {name}" if known else "has a wrong option")
