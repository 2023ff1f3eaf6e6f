"""Real engines for tests: one PostgreSQL server and one ClickHouse engine per process, a database per test.

They start on first use (a second or so each) and end with the process.
"""

import atexit
import shutil
import tempfile
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import msgspec
from psycopg import AsyncConnection

from de_platform.services.database.chdb_engine import ChdbDatabase
from de_platform.services.database.embedded_postgres import EmbeddedPostgres
from de_platform.services.database.postgres import PostgresDatabase, connection_string
from de_platform.services.database.settings import PostgresSettings


@cache
def embedded_postgres_settings() -> PostgresSettings:
    """Start this process's server; call it on the main thread, because the server ends with the thread."""
    directory = _temporary_directory()
    server = EmbeddedPostgres(directory / "postgres", durable=False)
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    atexit.register(server.stop)
    return server.start()


@cache
def chdb_path() -> Path:
    """Return the one path that this process may open."""
    import chdb  # a second, which tests of PostgreSQL need not wait

    directory = _temporary_directory()
    path = directory / "chdb"
    keeper = chdb.connect(str(path))  # the engine shuts down with its last handle, and starting it takes half a second
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    atexit.register(keeper.close)
    return path


def fresh_name() -> str:
    """Return a name for a database that nobody else uses."""
    return f"test_{uuid.uuid4().hex[:16]}"


@asynccontextmanager
async def fresh_database(settings: PostgresSettings | None = None) -> AsyncGenerator[PostgresDatabase]:
    """Yield an empty, connected PostgreSQL database that is dropped afterwards."""
    server = settings or embedded_postgres_settings()
    database = PostgresDatabase(msgspec.structs.replace(server, database=fresh_name()))
    await database.connect()
    try:
        yield database
    finally:
        await database.disconnect()
        async with await AsyncConnection.connect(connection_string(server, "postgres"), autocommit=True) as connection:
            await connection.execute(f"DROP DATABASE {database.settings.database} WITH (FORCE)".encode())


@asynccontextmanager
async def fresh_chdb() -> AsyncGenerator[ChdbDatabase]:
    """Yield an empty, connected ClickHouse database that is dropped afterwards."""
    name = fresh_name()
    database = ChdbDatabase(chdb_path(), database=name, threads=2)
    await database.connect()
    try:
        yield database
    finally:
        await database.execute(f"DROP DATABASE {name} SYNC")
        await database.disconnect()


def _temporary_directory() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="de-platform-test-"))
    directory.chmod(0o711)  # the server may run as another user, who must be able to pass through
    return directory
