"""PostgreSQL over psycopg 3 with a pool of connections."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from de_platform.pipeline.errors import Unavailable
from de_platform.services.database.interface import Row
from de_platform.services.database.postgres_errors import DEPENDENCY, postgres_errors
from de_platform.services.database.postgres_statements import Connection, PostgresStatements
from de_platform.services.database.settings import PostgresSettings

POOL_SIZE = 8
CONNECT_TIMEOUT_SECONDS = 5
MAINTENANCE_DATABASE = "postgres"
"""Every server has it; the platform's own database is created from there."""


class PostgresDatabase(PostgresStatements):
    """Connects on first use, or by `connect`; after `disconnect` only `connect` opens it again."""

    def __init__(self, settings: PostgresSettings, *, pool_size: int = POOL_SIZE) -> None:
        self.settings = settings
        self._pool_size = pool_size
        self._pool: AsyncConnectionPool[Connection] | None = None
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

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Connection]:
        pool = self._pool or await self._open_pool()
        async with pool.connection() as connection:
            yield connection

    async def _open_pool(self) -> AsyncConnectionPool[Connection]:
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

    def _new_pool(self) -> AsyncConnectionPool[Connection]:
        return AsyncConnectionPool(
            connection_string(self.settings),
            connection_class=AsyncConnection[Row],
            kwargs={"row_factory": dict_row, "autocommit": True},
            min_size=0,
            max_size=self._pool_size,
            timeout=CONNECT_TIMEOUT_SECONDS,
            open=False,
            name=self.settings.database,
        )

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


def connection_string(settings: PostgresSettings, database: str | None = None) -> str:
    """Return libpq's connection string, password included; a connection that is half open is given up in seconds."""
    return make_conninfo(
        host=settings.host,
        port=settings.port,
        user=settings.user,
        password=settings.password or None,
        dbname=database or settings.database,
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        keepalives_idle=10,
        keepalives_interval=3,
        keepalives_count=3,
        tcp_user_timeout=10_000,
        application_name="de_platform",
        options="-c timezone=UTC",
    )
