"""Statements on PostgreSQL, wherever their connection comes from."""

from abc import abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec
from psycopg import AsyncConnection, sql
from psycopg.types.json import Jsonb

from de_platform.pipeline.tenancy import TenantScope
from de_platform.services.database.interface import RelationalDatabase, Row
from de_platform.services.database.postgres_errors import postgres_errors

Connection = AsyncConnection[Row]


class PostgresStatements(RelationalDatabase):
    """Everything of a relational database but where connections come from."""

    @abstractmethod
    def _connection(self) -> AbstractAsyncContextManager[Connection]:
        """Lend a connection; must be entered within `postgres_errors`."""

    async def health_check(self) -> None:
        await self.fetch_one("SELECT 1")

    async def execute(self, statement: str, params: Mapping[str, Any] | None = None) -> int:
        with postgres_errors():
            async with self._connection() as connection:
                cursor = await connection.execute(statement.encode(), _bound(params))
                return max(cursor.rowcount, 0)

    async def fetch_one(self, query: str, params: Mapping[str, Any] | None = None) -> Row | None:
        with postgres_errors():
            async with self._connection() as connection:
                cursor = await connection.execute(query.encode(), _bound(params))
                return await cursor.fetchone()

    async def fetch_all(self, query: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        with postgres_errors():
            async with self._connection() as connection:
                cursor = await connection.execute(query.encode(), _bound(params))
                return await cursor.fetchall()

    async def insert_one(self, table: str, row: Mapping[str, Any]) -> None:
        columns = sql.SQL(", ").join(sql.Identifier(name) for name in row)
        values = sql.SQL(", ").join(sql.Placeholder() for _ in row)
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(_identifier(table), columns, values)
        with postgres_errors():
            async with self._connection() as connection:
                await connection.execute(statement, [_stored(value) for value in row.values()])

    async def bulk_insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> int:
        if not rows:
            return 0
        names = list(rows[0])
        columns = sql.SQL(", ").join(sql.Identifier(name) for name in names)
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(_identifier(table), columns)
        with postgres_errors():
            async with (
                self._connection() as connection,
                connection.transaction(),
                connection.cursor() as cursor,
                cursor.copy(statement) as copy,
            ):
                for row in rows:
                    assert len(row) == len(names), f"rows for {table} have different keys"
                    await copy.write_row([_stored(row[name]) for name in names])
        return len(rows)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[RelationalDatabase]:
        with postgres_errors():
            async with self._connection() as connection, connection.transaction():
                yield PostgresTransaction(connection)

    @asynccontextmanager
    async def tenant_transaction(self, scope: TenantScope) -> AsyncGenerator[RelationalDatabase]:
        async with self.transaction() as transaction:
            await transaction.fetch_one(
                "SELECT set_config('app.tenant_id', %(tenant_id)s, true)", {"tenant_id": scope.tenant_id or ""}
            )
            yield transaction


class PostgresTransaction(PostgresStatements):
    """One open transaction; `transaction()` inside it is a savepoint. Its life is the `async with` that made it."""

    def __init__(self, connection: Connection) -> None:
        self._open_connection = connection

    @property
    def is_connected(self) -> bool:
        return not self._open_connection.closed

    async def connect(self) -> None:
        """Do nothing: a transaction is connected."""

    async def disconnect(self) -> None:
        """Do nothing: the connection belongs to the pool."""

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Connection]:
        yield self._open_connection


def _identifier(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split("."))


def _bound(params: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Prepare parameters: mappings become JSONB, lists stay arrays (`= ANY(%(names)s)`)."""
    if params is None:
        return None
    return {name: _jsonb(value) if isinstance(value, Mapping) else value for name, value in params.items()}


def _stored(value: object) -> object:
    """Prepare a column's value: mappings and lists become JSONB."""
    return _jsonb(value) if isinstance(value, Mapping | list | tuple) else value


def _jsonb(value: object) -> Jsonb:
    return Jsonb(value, dumps=msgspec.json.encode)
