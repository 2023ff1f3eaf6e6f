"""PostgreSQL over psycopg 3 with a pool of connections."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from time import monotonic

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from de_platform.pipeline.errors import Unavailable
from de_platform.services.database.postgres_connection import (
    CONNECT_TIMEOUT_SECONDS,
    BoundedConnection,
    check_idle,
    connection_string,
)
from de_platform.services.database.postgres_errors import DEPENDENCY, postgres_errors
from de_platform.services.database.postgres_statements import Connection, PostgresStatements
from de_platform.services.database.settings import PostgresSettings

POOL_SIZE = 8
HEALTH_TIMEOUT_SECONDS = 1.5
"""Shorter than whoever asks waits, so that the answer says what is wrong."""
RETRY_SECONDS = 1.0
"""How often a server that is away is asked whether it is back."""
MAINTENANCE_DATABASE = "postgres"
"""Every server has it; the platform's own database is created from there."""


class PostgresDatabase(PostgresStatements):
    """Connects on first use, or by `connect`; after `disconnect` only `connect` opens it again."""

    def __init__(self, settings: PostgresSettings, *, pool_size: int = POOL_SIZE) -> None:
        self.settings = settings
        self._pool_size = pool_size
        self._pool: AsyncConnectionPool[BoundedConnection] | None = None
        self._opening = asyncio.Lock()
        self._is_closed = False

    @property
    def is_connected(self) -> bool:
        return self._pool is not None

    async def connect(self) -> None:
        self._is_closed = False
        await self._open_pool()

    async def disconnect(self) -> None:
        self._is_closed = True
        async with self._opening:
            pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def health_check(self) -> None:
        with postgres_errors():
            async with self._lent(HEALTH_TIMEOUT_SECONDS) as connection:
                connection.answer_timeout_seconds = HEALTH_TIMEOUT_SECONDS
                await connection.execute(b"SELECT 1")
                connection.answer_timeout_seconds = self.settings.answer_timeout_seconds

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Connection]:
        async with self._lent(CONNECT_TIMEOUT_SECONDS) as connection:
            yield connection

    @asynccontextmanager
    async def _lent(self, timeout_seconds: float) -> AsyncGenerator[BoundedConnection]:
        """Lend a connection that the server has not left, as far as can be known without asking it."""
        pool = self._pool or await self._open_pool()
        connection = await _living(pool, timeout_seconds)
        try:
            async with connection:
                yield connection
        finally:
            await pool.putconn(connection)

    async def _open_pool(self) -> AsyncConnectionPool[BoundedConnection]:
        async with self._opening:
            if self._pool is not None:
                return self._pool
            if self._is_closed:
                raise Unavailable(DEPENDENCY, "this process has disconnected from it")
            self._before_connect()
            with postgres_errors():
                await self._ensure_database()
                self._pool = self._new_pool()
                await self._pool.open()
            return self._pool

    def _before_connect(self) -> None:
        """Do what the server needs before it can be reached; may set `settings`."""

    def _new_pool(self) -> AsyncConnectionPool[BoundedConnection]:
        return AsyncConnectionPool(
            connection_string(self.settings),
            connection_class=BoundedConnection,
            kwargs={"row_factory": dict_row, "autocommit": True},
            configure=self._configure,
            reconnect_timeout=RETRY_SECONDS,
            min_size=0,
            max_size=self._pool_size,
            timeout=CONNECT_TIMEOUT_SECONDS,
            open=False,
            name=self.settings.database,
        )

    async def _configure(self, connection: BoundedConnection) -> None:
        connection.answer_timeout_seconds = self.settings.answer_timeout_seconds

    async def _ensure_database(self) -> None:
        """Create the database if it is the one thing that is missing.

        The driver does not say why a login failed, so the server's catalog decides.
        """
        try:
            connection = await AsyncConnection.connect(connection_string(self.settings))
        except psycopg.OperationalError:
            if self.settings.database == MAINTENANCE_DATABASE or not await self._create_database():
                raise
        else:
            await connection.close()

    async def _create_database(self) -> bool:
        """Return False when the database was there already."""
        server = connection_string(self.settings, MAINTENANCE_DATABASE)
        name = self.settings.database
        async with await AsyncConnection.connect(server, autocommit=True) as connection:
            cursor = await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
            if await cursor.fetchone():
                return False
            try:
                await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                return True  # another process was faster
            return True


async def _living(pool: AsyncConnectionPool[BoundedConnection], timeout_seconds: float) -> BoundedConnection:
    """Take a connection from the pool. Raises psycopg.OperationalError.

    The pool tries ever more rarely to connect, unless it gives up soon and is asked again, as it is here. Its own
    check pauses between connections that it finds dead, and after a restart of the server all of them are.
    """
    deadline = monotonic() + timeout_seconds
    while True:
        left_seconds = deadline - monotonic()
        try:
            connection = await pool.getconn(max(0.0, min(RETRY_SECONDS, left_seconds)))
        except PoolTimeout:
            if left_seconds > RETRY_SECONDS:
                continue
            raise PoolTimeout(f"no connection within {timeout_seconds:g} s") from None
        try:
            await check_idle(connection)
        except psycopg.Error:
            await pool.putconn(connection)
        except BaseException:
            await pool.putconn(connection)
            raise
        else:
            return connection
