"""Engines of SQLAlchemy: from URLs, checked as far as that goes unconnected, or the application's own."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any

from sessions_wsgi.backends._options import driver, kind_of, refuse
from sessions_wsgi.backends._process import abandon
from sessions_wsgi.errors import ConfigError

_refuse = partial(refuse, "url")

# The driver and the extra of each database that a URL may name.
_DRIVERS = {
    "postgresql": ("postgresql+psycopg", "postgresql"),
    "postgres": ("postgresql+psycopg", "postgresql"),
    "mysql": ("mysql+pymysql", "mysql"),
    "mariadb": ("mariadb+pymysql", "mysql"),
    "sqlite": ("sqlite+pysqlite", "sql"),
}


class Source:
    """Where the engine of a process comes from, and what can be told of it."""

    def __init__(
        self, dialect: Any, shown: str, make: Callable[[], Any], close: Callable[[Any], object]
    ) -> None:
        self.dialect, self.shown, self.make, self.close = dialect, shown, make, close


def source(url_or_engine: Any, timeout: float) -> Source:
    """The source of an engine.

    :raises ConfigError: URL or engine cannot be used; the message shows no password.
    """
    driver("sqlalchemy", _extra(url_or_engine))
    return (
        _from_url(url_or_engine, timeout) if isinstance(url_or_engine, str) else _from_engine(url_or_engine)
    )


def _extra(url_or_engine: Any) -> str:
    """What to install for it."""
    scheme = url_or_engine.partition(":")[0] if isinstance(url_or_engine, str) else ""
    return _DRIVERS.get(scheme.partition("+")[0].lower(), ("", "sql"))[1]


def _from_engine(engine: Any) -> Source:
    sqlalchemy, made_in = driver("sqlalchemy", "sql"), os.getpid()
    if not isinstance(engine, sqlalchemy.Engine):
        _refuse(f"must be a URL or an Engine of SQLAlchemy; got a {kind_of(engine)}")

    def make() -> Any:
        if os.getpid() != made_in:
            abandon(engine.pool)
            engine.dispose(close=False)
        return engine.execution_options(isolation_level="AUTOCOMMIT")

    return Source(engine.dialect, _shown(engine.url), make, lambda _: None)


def _from_url(text: str, timeout: float) -> Source:
    sqlalchemy = driver("sqlalchemy", "sql")
    url = _parse(text)
    extra = _DRIVERS[url.get_backend_name()][1]
    options = _options(url, timeout)
    try:
        # Made for its checks: of the driver, and of the options.
        dialect = sqlalchemy.create_engine(url, **options).dialect
        _check_arguments(dialect, url)
    except ImportError as error:
        fix = f"pip install 'sessions-wsgi[{extra}]'"
        raise ConfigError(f"this database needs the package {error.name!r}: {fix}", "url") from error
    except (sqlalchemy.exc.ArgumentError, TypeError, ValueError):
        _refuse("has an option that its driver does not know")
    return Source(dialect, _shown(url), lambda: _make(url, options, timeout), lambda engine: engine.dispose())


def _make(url: Any, options: dict[str, Any], timeout: float) -> Any:
    sqlalchemy = driver("sqlalchemy", "sql")
    engine = sqlalchemy.create_engine(url, **options)
    if engine.driver == "psycopg":
        from sessions_wsgi.backends._psycopg_timeout import connect

        sqlalchemy.event.listen(engine, "do_connect", connect(timeout))
    return engine


def _parse(text: str) -> Any:
    sqlalchemy = driver("sqlalchemy", "sql")
    try:
        url = sqlalchemy.make_url(text)
    except (sqlalchemy.exc.ArgumentError, ValueError):  # its words may be a part of the password
        _refuse("is malformed; it is dialect://user:password@host:port/database, special characters as %XX")
    backend, plus, _ = url.drivername.partition("+")
    if backend not in _DRIVERS:
        _refuse(f"must begin with one of {', '.join(f'{known}://' for known in _DRIVERS)}")
    if "@" in (url.host or ""):
        _refuse("has two '@': in a password, write it as %40")
    if backend == "sqlite" and (not url.database or ":memory:" in url.database or "mode" in url.query):
        _refuse("must name a file; for tests there is MemoryBackend")
    return url if plus else url.set(drivername=_DRIVERS[backend][0])


def _options(url: Any, timeout: float) -> dict[str, Any]:
    """The arguments of `create_engine`. What the URL says of timeouts wins."""
    arguments = _timeouts(url.get_driver_name(), timeout)
    options = {
        # No statement but ours, hence no round trip but ours.
        "isolation_level": "AUTOCOMMIT",
        "skip_autocommit_rollback": True,
        "pool_reset_on_return": None,
        "connect_args": {name: value for name, value in arguments.items() if name not in url.query},
        # Errors would show what is in the sessions.
        "hide_parameters": True,
    }
    if url.get_backend_name() == "sqlite":
        # A connection that is open across a fork loses its locks, so none stays open.
        return options | {"poolclass": driver("sqlalchemy.pool", "sql").NullPool}
    pool = {"pool_size": 10, "max_overflow": 20, "pool_timeout": timeout, "pool_use_lifo": True}
    return options | pool


def _timeouts(name: str, timeout: float) -> dict[str, Any]:
    if name == "psycopg":
        return {"connect_timeout": math.ceil(timeout)}
    if name == "pymysql":
        return {"connect_timeout": timeout, "read_timeout": timeout, "write_timeout": timeout}
    return {"timeout": timeout} if name == "pysqlite" else {}


def _check_arguments(dialect: Any, url: Any) -> None:
    _, arguments = dialect.create_connect_args(url)
    if dialect.driver == "psycopg":
        psycopg = driver("psycopg", "postgresql")
        try:
            psycopg.conninfo.make_conninfo(
                **{name: arguments[name] for name in arguments if name != "context"}
            )
        except psycopg.Error:
            raise ValueError from None
    if dialect.driver == "pymysql":
        signature(dialect.dbapi.connections.Connection).bind(**arguments)


def _shown(url: Any) -> str:
    create = driver("sqlalchemy", "sql").URL.create
    return repr(str(create(url.drivername, host=url.host, port=url.port, database=url.database)))
