"""The SQL backend: the contract on PostgreSQL, MariaDB and SQLite; tables, URLs, engines, lost answers."""

from __future__ import annotations

import random
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from processes import fork, join
from servers import HOST, Server
from sqlalchemy.exc import DBAPIError, OperationalError
from wire import Wire

from sessions_wsgi.backends import Backend, Conflict, Entry, Lists, Purges, sql
from sessions_wsgi.backends.sql import SQLBackend
from sessions_wsgi.errors import BackendError, ConfigError
from sessions_wsgi.testing import BackendContract, ManualClock

KEY = secrets.token_hex(32)
NOW = 1_800_000_000.0
SOON = NOW + 1000
DATA = b"d4t4"


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory in memory, where there is such a thing."""
    in_memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=in_memory) as name:
        yield Path(name)


class Contract(BackendContract):
    """The contract, on the database of this URL."""

    precision = 0

    def setup_method(self) -> None:
        """The fixtures of the subclasses do it, as they know the server."""

    def set_up(self, url: str) -> Iterator[None]:
        self.url, self.made = url, []
        super().setup_method()
        yield
        for backend in self.made:
            backend.close()

    def make(self, clock: ManualClock) -> Backend:
        self.made.append(SQLBackend(self.url, table="contract", clock=clock))
        return self.made[-1]


class TestPostgreSQL(Contract):
    @pytest.fixture(autouse=True)
    def _set_up(self, postgresql_server: Server) -> Iterator[None]:
        yield from self.set_up(postgresql_server.url)

    def broken(self) -> Backend:
        return SQLBackend(f"postgresql://{HOST}:1/none")


class TestMariaDB(Contract):
    @pytest.fixture(autouse=True)
    def _set_up(self, mariadb_server: Server) -> Iterator[None]:
        yield from self.set_up(mariadb_server.url)

    def broken(self) -> Backend:
        return SQLBackend(f"mariadb://{HOST}:1/none")


class TestMySQLDialect(TestMariaDB):
    @pytest.fixture(autouse=True)
    def _set_up(self, mariadb_server: Server) -> Iterator[None]:
        yield from self.set_up(mariadb_server.url.replace("mariadb", "mysql"))


class TestSQLite(Contract):
    @pytest.fixture(autouse=True)
    def _set_up(self, directory: Path) -> Iterator[None]:
        self.directory = directory
        yield from self.set_up(f"sqlite:///{directory}/sessions.db")

    def make(self, clock: ManualClock) -> Backend:
        return SQLBackend(self.url, clock=clock, timeout=30)

    def broken(self) -> Backend:
        return SQLBackend(f"sqlite:///{self.directory}/none/sessions.db")


URLS: dict[str, Callable[[pytest.FixtureRequest], str]] = {
    "postgresql": lambda request: request.getfixturevalue("postgresql_server").url,
    "mariadb": lambda request: request.getfixturevalue("mariadb_server").url,
    "sqlite": lambda request: f"sqlite:///{request.getfixturevalue('directory')}/sessions.db",
}


@pytest.fixture(params=URLS)
def url(request: pytest.FixtureRequest) -> str:
    return URLS[request.param](request)


@pytest.fixture
def engine(url: str) -> Iterator[sqlalchemy.Engine]:
    """An application's own engine, made as most are."""
    engine = sqlalchemy.create_engine(
        url.replace("://", "+pymysql://")
        if "maria" in url
        else url.replace("postgresql:", "postgresql+psycopg:")
    )
    yield engine
    engine.dispose()


@pytest.fixture
def table(engine: sqlalchemy.Engine) -> Iterator[str]:
    """The name of a table that is not there yet, nor when all is done."""
    name = f"t{secrets.token_hex(4)}"
    yield name
    with engine.begin() as connection:
        for each in (name, f"{name}_entries"):
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {each}")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def backend(url: str, table: str, clock: ManualClock) -> Iterator[SQLBackend]:
    backend = SQLBackend(url, table=table, clock=clock)
    yield backend
    backend.close()


def create(backend: Backend, data: bytes = DATA, key: str = KEY, expires: float = SOON) -> int:
    version = backend.create(key, data, expires)
    assert isinstance(version, int)
    return version


def loaded(backend: Backend, key: str = KEY) -> bytes | None:
    record = backend.load(key)
    return None if record is None else record.data


# What is stored


def test_it_purges_and_lists() -> None:
    """It offers all that a backend may offer, and drops no live session."""
    assert issubclass(SQLBackend, Purges)
    assert issubclass(SQLBackend, Lists)
    assert (SQLBackend.name, SQLBackend.evicts) == ("sql", False)


def test_a_record_is_a_row(backend: SQLBackend, engine: sqlalchemy.Engine, table: str) -> None:
    """Key, version, data and deadline in columns of a table with the name that was given."""
    version = create(backend)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(f"SELECT id, version, data, expires FROM {table}").all()
    assert [tuple(row) for row in rows] == [(KEY, version, DATA, SOON)]


def test_deadlines_are_exact(backend: SQLBackend) -> None:
    """A deadline comes back as the very same number."""
    for _ in range(50):
        key, expires = secrets.token_hex(32), random.uniform(1.8e9, 5e9)
        create(backend, key=key, expires=expires)
        assert backend.load(key).expires == expires


def test_two_tables_are_apart(backend: SQLBackend, url: str, table: str, clock: ManualClock) -> None:
    """Applications with different tables do not see each other's sessions."""
    create(backend)
    other = SQLBackend(url, table=f"{table}_entries", clock=clock)
    with pytest.raises(BackendError):
        other.load(KEY)  # there is such a table, and it is another one
    other.close()


# Tables


def test_the_first_operation_makes_the_tables(backend: SQLBackend, clock: ManualClock) -> None:
    """Nobody has to set up a database, whatever comes first."""
    assert backend.load(KEY) is None
    backend.link(KEY, Entry("1" * 64, b"", SOON))
    assert loaded(backend) is None


@pytest.mark.parametrize("first", ["linked", "purge", "delete"])
def test_any_operation_may_be_the_first(backend: SQLBackend, first: str) -> None:
    """Tables are made by whatever misses them."""
    value = 10 if first == "purge" else KEY
    assert not getattr(backend, first)(value)


def test_init_can_be_repeated(backend: SQLBackend) -> None:
    """`init` makes the tables, and does nothing when they are there."""
    backend.init()
    create(backend)
    backend.init()
    assert loaded(backend) == DATA


def test_init_makes_an_index_that_is_missing(
    backend: SQLBackend, engine: sqlalchemy.Engine, table: str
) -> None:
    """Who was killed between table and index is made up for."""
    backend.init()
    drop = f"DROP INDEX {table}_expires" + (f" ON {table}" if "maria" in engine.dialect.name else "")
    with engine.begin() as connection:
        connection.exec_driver_sql(drop)
    backend.init()
    assert [index["name"] for index in sqlalchemy.inspect(engine).get_indexes(table)] == [f"{table}_expires"]


def test_many_processes_are_the_first(url: str, table: str) -> None:
    """Several processes may miss the tables at the same moment."""

    def work() -> None:
        backend = SQLBackend(url, table=table, timeout=20)
        create(backend, key=secrets.token_hex(32), expires=2e9)
        backend.link(KEY, Entry(secrets.token_hex(32), b"", 2e9))
        backend.close()

    join(*[fork(work) for _ in range(6)], timeout=60)
    backend = SQLBackend(url, table=table)
    assert len(backend.linked(KEY)) == 6
    backend.close()


def test_a_table_of_a_schema(postgresql_server: Server, clock: ManualClock) -> None:
    """A table can be in a schema, and have the name of a keyword."""
    engine = sqlalchemy.create_engine(postgresql_server.url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS shop")
    backend = SQLBackend(postgresql_server.url, table="shop.order", clock=clock)
    version = create(backend, key=secrets.token_hex(32))
    assert version
    assert "order" in sqlalchemy.inspect(engine).get_table_names("shop")
    backend.close()
    engine.dispose()


@pytest.mark.parametrize("table", ["", "1st", "a b", "a;b", "a.b.c", 'a"b', "x" * 41, "ä"])
def test_names_of_tables_are_checked(table: str) -> None:
    """A table's name is a plain one."""
    with pytest.raises(ConfigError, match="'table' must be a name") as caught:
        SQLBackend("sqlite:///x.db", table=table)
    assert caught.value.option == "table"


# Purging


def test_purge_takes_expired_entries_too(backend: SQLBackend, clock: ManualClock) -> None:
    """A purge removes and counts expired entries of lists, and keeps those that live."""
    live = Entry("1" * 64, b"live", SOON)
    backend.link(KEY, Entry("0" * 64, b"expired", NOW + 1))
    backend.link(KEY, live)
    create(backend, expires=NOW + 1)
    clock.advance(2)
    assert backend.purge(1) == 1
    assert backend.purge(10) == 1
    assert backend.linked(KEY) == [live]


def test_purge_works_in_batches(
    backend: SQLBackend, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A purge of many does not keep others from writing until it is done."""
    for _ in range(25):
        create(backend, key=secrets.token_hex(32), expires=NOW + 1)
    clock.advance(2)
    monkeypatch.setattr(sql, "_BATCH", 4)
    assert [backend.purge(10), backend.purge(10), backend.purge(10)] == [10, 10, 5]


def test_nobody_waits_for_a_purge(postgresql_server: Server, clock: ManualClock) -> None:
    """A purge passes over a record that somebody else is writing."""
    table = f"t{secrets.token_hex(4)}"
    backend = SQLBackend(postgresql_server.url, table=table, clock=clock)
    create(backend, key="0" * 64, expires=NOW + 1)
    create(backend, key="1" * 64, expires=NOW + 1)
    clock.advance(2)
    engine = sqlalchemy.create_engine(postgresql_server.url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {table} SET data = '' WHERE id = '{'0' * 64}'")
        assert backend.purge(10) == 1
    assert backend.purge(10) == 1
    engine.dispose()
    backend.close()


# Engines and connections


def test_your_own_engine(engine: sqlalchemy.Engine, table: str, clock: ManualClock) -> None:
    """An engine of the application's is used, each operation by itself, and not closed."""
    backend = SQLBackend(engine, table=table, clock=clock)
    version = create(backend)
    with engine.connect() as connection:  # nothing waits for a commit
        assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 1
    conflict = backend.update(KEY, b"", SOON, version + 1)
    assert isinstance(conflict, Conflict)
    assert backend.touch(KEY, SOON, version) is True  # to where it was: matched, if not changed
    backend.close()
    assert backend.delete(KEY) is True


def test_your_own_engine_is_forked(engine: sqlalchemy.Engine, table: str, clock: ManualClock) -> None:
    """A child uses none of its parent's connections, those of the application's engine neither."""
    backend = SQLBackend(engine, table=table, clock=clock)
    create(backend)
    with Wire(engine.url.port or 1) as wire:
        if engine.url.port:
            behind = sqlalchemy.create_engine(engine.url.set(port=wire.port))
            backend = SQLBackend(behind, table=table, clock=clock)
            assert loaded(backend) == DATA
        before = wire.connections
        join(fork(lambda: backend.update(KEY, b"child", SOON, backend.load(KEY).version)))
        assert loaded(backend) == b"child"
        assert wire.connections == before + bool(engine.url.port)
        if engine.url.port:
            behind.dispose()


def test_no_transaction_stays_open(postgresql_server: Server, clock: ManualClock) -> None:
    """Between operations, connections hold nothing."""
    backend = SQLBackend(f"{postgresql_server.url}?application_name=idle", clock=clock)
    create(backend, key=secrets.token_hex(32))
    backend.load(KEY)
    other = SQLBackend(postgresql_server.url)
    with other._engine().connect() as connection:
        query = "SELECT state FROM pg_stat_activity WHERE application_name = 'idle'"
        assert connection.exec_driver_sql(query).scalars().all() == ["idle"]
    backend.close()
    other.close()


def test_errors_show_no_data(engine: sqlalchemy.Engine, url: str, table: str) -> None:
    """What the database says of a statement that it refused does not hold the session."""
    for source in (engine, url):
        backend = SQLBackend(source, table=table)
        backend.init()
        with engine.begin() as connection:
            connection.exec_driver_sql(f"ALTER TABLE {table} RENAME COLUMN data TO other")
        with pytest.raises(BackendError) as caught:
            backend.create(KEY, b"s3cr3t", SOON)
        assert isinstance(caught.value.__cause__, DBAPIError)
        assert "s3cr3t" not in str(caught.value.__cause__)
        with engine.begin() as connection:
            connection.exec_driver_sql(f"ALTER TABLE {table} RENAME COLUMN other TO data")
        backend.close()


# Second tries


@pytest.fixture
def lose(monkeypatch: pytest.MonkeyPatch) -> Callable[[SQLBackend], None]:
    """Makes the next statement seem to fail, as if the connection had broken after it was carried out."""

    def lose(backend: SQLBackend) -> None:
        execute = backend._execute

        def once(statement: Any, values: Any) -> Any:
            monkeypatch.setattr(backend, "_execute", execute)
            execute(statement, values)
            raise OperationalError("lost", {}, OSError("lost"), connection_invalidated=True)

        monkeypatch.setattr(backend, "_execute", once)

    return lose


def test_a_lost_answer_changes_nothing(backend: SQLBackend, lose: Callable[[SQLBackend], None]) -> None:
    """What was done, but not answered, is found to have been done: no conflict with oneself."""
    backend.init()
    lose(backend)
    version = create(backend)
    lose(backend)
    updated = backend.update(KEY, b"new", SOON, version)
    assert backend.load(KEY) == (b"new", updated, SOON)
    lose(backend)
    assert backend.touch(KEY, SOON + 1, updated) is True
    lose(backend)
    assert loaded(backend) == b"new"


@pytest.mark.parametrize("code", ["40001", "40P01", 1213])
def test_a_deadlock_is_tried_again(
    backend: SQLBackend, monkeypatch: pytest.MonkeyPatch, code: object
) -> None:
    """What the database gave up for another's sake is tried once more."""
    backend.init()
    execute, left = backend._execute, [1]

    def fail(statement: Any, values: Any) -> Any:
        if left:
            left.pop()
            raise OperationalError("deadlock", {}, OSError(code))
        return execute(statement, values)

    monkeypatch.setattr(backend, "_execute", fail)
    create(backend)
    assert loaded(backend) == DATA


def test_other_errors_are_not_tried_again(backend: SQLBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot go well is done once."""
    calls = []

    def fail(statement: Any, values: Any) -> Any:
        calls.append(statement)
        raise OperationalError("disk full", {}, OSError("disk full"))

    monkeypatch.setattr(backend, "_execute", fail)
    with pytest.raises(BackendError):
        backend.load(KEY)
    assert len(calls) == 1


def test_sqlite_waits_for_other_writers(tmp_path: Path) -> None:
    """A write waits for somebody else's, `timeout` seconds at most."""
    backend = SQLBackend(f"sqlite:///{tmp_path}/sessions.db", timeout=0.2)
    backend.init()
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/sessions.db")
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(BackendError):
            backend.create(KEY, b"", SOON)
        assert 0.1 < time.monotonic() - began < 3
    engine.dispose()


# URLs


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "malformed"),
        ("postgresql", "malformed"),
        ("postgresql://host:port/x", "malformed"),
        ("http://host/x", "must begin with"),
        ("oracle://host/x", "must begin with"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:///file:x?mode=memory&uri=true", "must name a file"),
        ("postgresql://user:s3cr3t@s3cr3t@host/x", "%40"),
        ("postgresql://user:s3cr3t@host/x?unknown=1", "does not know"),
        ("postgresql+nothing://user:s3cr3t@host/x", "does not know"),
        ("postgresql+asyncpg://user:s3cr3t@host/x", "asyncpg"),
        ("mysql://user:s3cr3t@host/x?unknown=1", "does not know"),
        ("mysql://user:s3cr3t@host/x?connect_timeout=soon", "does not know"),
    ],
)
def test_wrong_urls_are_refused(url: str, reason: str) -> None:
    """A wrong URL is a `ConfigError` with the reason, which shows nothing of a password."""
    with pytest.raises(ConfigError, match=reason) as caught:
        SQLBackend(url)
    assert caught.value.option == "url"
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("wrong", [None, b"sqlite:///x.db", object()])
def test_other_things_are_no_engines(wrong: object) -> None:
    """What is neither a URL nor an engine is refused."""
    with pytest.raises(ConfigError, match="'url' must be a URL or an Engine"):
        SQLBackend(wrong)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user:s3cr3t@host:5433/shop?sslpassword=s3cr3t", "postgresql+psycopg://host:5433/shop"),
        ("postgres://user:s3cr3t@host/shop", "postgresql+psycopg://host/shop"),
        ("mysql+pymysql://user:s3cr3t@host/shop", "mysql+pymysql://host/shop"),
        ("mariadb://user:s3cr3t@host/shop", "mariadb+pymysql://host/shop"),
        ("sqlite:////var/lib/shop.db", "sqlite+pysqlite:////var/lib/shop.db"),
    ],
)
def test_repr_shows_no_secret(url: str, shown: str) -> None:
    """The repr tells where the sessions are, and no more."""
    assert repr(SQLBackend(url, table="x")) == f"SQLBackend('{shown}', table='x')"


def test_a_missing_sqlalchemy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without SQLAlchemy, making a backend is a `ConfigError` with the line that installs it."""
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(ConfigError, match=r"pip install 'sessions-wsgi\[sql\]'"):
        SQLBackend("sqlite:///x.db")


def test_a_wrong_password_is_not_shown(mariadb_server: Server) -> None:
    """A database that refuses the user is a `BackendError`, whose cause does not tell the password."""
    backend = SQLBackend(mariadb_server.url.replace(":secret@", ":s3cr3t@"))
    with pytest.raises(BackendError) as caught:
        backend.load(KEY)
    assert "s3cr3t" not in f"{caught.value} {caught.value.__cause__}"
    backend.close()


def test_options_of_the_url_win(postgresql_server: Server) -> None:
    """What the URL says about a connection is done."""
    backend = SQLBackend(f"{postgresql_server.url}?application_name=the-shop&connect_timeout=7")
    with backend._engine().connect() as connection:
        info = connection.connection.driver_connection.info.get_parameters()
    assert (info["application_name"], info["connect_timeout"]) == ("the-shop", "7")
    backend.close()
