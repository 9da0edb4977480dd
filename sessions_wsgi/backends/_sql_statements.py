"""Tables and statements of the SQL backend, in the dialect of a database.

Each statement is a transaction of its own. The database is given the time, so there is one clock only.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    TextClause,
    text,
)
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.exc import DBAPIError

# Compared byte by byte, not as a language sorts.
_KEY = (
    String(64)
    .with_variant(postgresql.VARCHAR(64, collation="C"), "postgresql")
    .with_variant(mysql.CHAR(64, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
)
_BYTES = LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")

_LOAD = "SELECT data, version, expires FROM {} WHERE id = :id AND expires > :now"
_CREATE = "INSERT INTO {} (id, version, data, expires) VALUES (:id, :version, :data, :expires)"
_REPLACE_EXPIRED = (
    "UPDATE {} SET version = :version, data = :data, expires = :expires WHERE id = :id AND expires <= :now"
)
_UPDATE = (
    "UPDATE {} SET version = :version, data = :data, expires = :expires"
    " WHERE id = :id AND version = :old_version AND expires > :now"
)
_TOUCH = "UPDATE {} SET expires = :expires WHERE id = :id AND version = :version AND expires > :now"
_DELETE = "DELETE FROM {} WHERE id = :id AND expires > :now"
_LINK = "INSERT INTO {} (owner, id, note, expires) VALUES (:owner, :id, :note, :expires)"
_UNLINK = "DELETE FROM {} WHERE owner = :owner AND id = :id"
_LINKED = "SELECT id, note, expires FROM {} WHERE owner = :owner AND expires > :now"

_ON_CONFLICT = {
    "create": (
        " ON CONFLICT (id) DO UPDATE SET version = excluded.version, data = excluded.data,"
        " expires = excluded.expires WHERE {}.expires <= :now"
    ),
    "link": " ON CONFLICT (owner, id) DO UPDATE SET note = excluded.note, expires = excluded.expires",
}
# An insert of MySQL cannot be conditional and tell what it did: `replace_expired` follows where it failed.
_ON_DUPLICATE = {"create": "", "link": " ON DUPLICATE KEY UPDATE note = :note, expires = :expires"}

# Ordered, so that the index is used whatever the statistics say. Nobody waits for a purge, nor it for them.
_PURGE = {
    "postgresql": (
        "DELETE FROM {0} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {0}"
        " WHERE expires <= :now ORDER BY expires LIMIT :limit FOR UPDATE SKIP LOCKED))"
    ),
    "mysql": "DELETE FROM {} WHERE expires <= :now ORDER BY expires LIMIT :limit",
    "sqlite": (
        "DELETE FROM {0} WHERE rowid IN"
        " (SELECT rowid FROM {0} WHERE expires <= :now ORDER BY expires LIMIT :limit)"
    ),
}
_PURGE["mariadb"] = _PURGE["mysql"]

#: The dialects that are known here.
DIALECTS = frozenset(_PURGE)


class Statements:
    """What is said to a database about the tables `name` and `name` with ``_entries`` added."""

    def __init__(self, name: str, dialect: Dialect) -> None:
        schema, _, name = name.rpartition(".")
        self._metadata = MetaData(schema=schema or None)
        records, entries = _tables(self._metadata, name)
        self._quoted = dialect.identifier_preparer.format_table
        clauses = _ON_DUPLICATE if dialect.name in ("mysql", "mariadb") else _ON_CONFLICT
        self.load = self._say(_LOAD, records)
        self.create = self._say(_CREATE + clauses["create"], records)
        self.replace_expired = self._say(_REPLACE_EXPIRED, records)
        self.update = self._say(_UPDATE, records)
        self.touch = self._say(_TOUCH, records)
        self.delete = self._say(_DELETE, records)
        self.purges = [self._say(_PURGE[dialect.name], table) for table in (records, entries)]
        self.link = self._say(_LINK + clauses["link"], entries)
        self.unlink = self._say(_UNLINK, entries)
        self.linked = self._say(_LINKED, entries)

    def make_tables(self, engine: Engine) -> None:
        """Make tables and indexes, those that are missing."""
        with engine.connect() as connection:
            for table in self._metadata.sorted_tables:
                _make(connection, table)
                for index in table.indexes:
                    _make(connection, index)

    def _say(self, statement: str, table: Table) -> TextClause:
        name = self._quoted(table)
        return text(statement.format(name, name))


def _make(connection: Connection, thing: Table | Index) -> None:
    try:
        thing.create(connection, checkfirst=True)
    except DBAPIError:  # perhaps another process made it at the same moment
        thing.create(connection, checkfirst=True)


def _tables(metadata: MetaData, name: str) -> tuple[Table, Table]:
    records = Table(
        name,
        metadata,
        Column("id", _KEY, primary_key=True),
        Column("version", BigInteger, nullable=False),
        Column("data", _BYTES, nullable=False),
        *_expires(name),
    )
    entries = Table(
        f"{name}_entries",
        metadata,
        Column("owner", _KEY, primary_key=True),
        Column("id", _KEY, primary_key=True),
        Column("note", _BYTES, nullable=False),
        *_expires(f"{name}_entries"),
    )
    return records, entries


def _expires(table: str) -> tuple[Column[float], Index]:
    # Seconds since the epoch, as exact as Python has them.
    return Column("expires", Double, nullable=False), Index(f"{table}_expires", "expires")
