"""Real engines for tests: one PostgreSQL server and one ClickHouse engine per process, a database per test.

They start on first use (a second or so each) and end with the process.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from de_platform.services.database.chdb_engine import ChdbDatabase
from de_platform.services.database.memory import (
    MemoryAnalyticalDatabase,
    MemoryRelationalDatabase,
    throwaway_postgres,
)
from de_platform.services.database.postgres import PostgresDatabase
from de_platform.services.database.settings import PostgresSettings


def embedded_postgres_settings() -> PostgresSettings:
    """Start this process's server if need be; call it on the main thread, with which the server ends."""
    return throwaway_postgres()


@asynccontextmanager
async def fresh_database(server: PostgresSettings | None = None) -> AsyncGenerator[PostgresDatabase]:
    """Yield an empty, connected PostgreSQL database that is dropped afterwards."""
    database = MemoryRelationalDatabase(server)
    await database.connect()
    try:
        yield database
    finally:
        await database.disconnect()


@asynccontextmanager
async def fresh_chdb() -> AsyncGenerator[ChdbDatabase]:
    """Yield an empty, connected ClickHouse database that is dropped afterwards."""
    database = MemoryAnalyticalDatabase(threads=2)
    await database.connect()
    try:
        yield database
    finally:
        await database.disconnect()
