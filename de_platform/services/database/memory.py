"""Throw-away databases: the embedded engines on a temporary directory, empty on connect, gone on disconnect.

A process has one server and one engine of them, started on first use and stopped when it ends; each database
object has a database of its own in there.
"""

import atexit
import shutil
import tempfile
import uuid
from functools import cache
from pathlib import Path

import msgspec
from psycopg import AsyncConnection

from de_platform.services.database.chdb_engine import ChdbDatabase, keep_engine_open
from de_platform.services.database.clickhouse_statements import THREADS
from de_platform.services.database.embedded_postgres import EmbeddedPostgres
from de_platform.services.database.postgres import (
    MAINTENANCE_DATABASE,
    POOL_SIZE,
    PostgresDatabase,
    connection_string,
)
from de_platform.services.database.postgres_errors import postgres_errors
from de_platform.services.database.settings import PostgresSettings


@cache
def throwaway_postgres() -> PostgresSettings:
    """Start this process's server, which blocks for a second; call it on the main thread, with which it ends."""
    directory = _temporary_directory()
    server = EmbeddedPostgres(directory / "postgres", durable=False)
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    atexit.register(server.stop)
    return server.start()


@cache
def throwaway_chdb_path() -> Path:
    """Return the path of this process's engine, which then can open no other."""
    directory = _temporary_directory()
    path = directory / "chdb"
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    atexit.register(keep_engine_open(path))
    return path


class MemoryRelationalDatabase(PostgresDatabase):
    """A PostgreSQL database that nobody else uses, on this process's server or on a given one."""

    def __init__(self, server: PostgresSettings | None = None, *, pool_size: int = POOL_SIZE) -> None:
        super().__init__(PostgresSettings(database=_fresh_name()), pool_size=pool_size)
        self._server = server

    def _before_connect(self) -> None:
        self.settings = msgspec.structs.replace(self._server or throwaway_postgres(), database=self.settings.database)

    async def disconnect(self) -> None:
        was_connected = self.is_connected
        await super().disconnect()
        if was_connected:
            server = connection_string(self.settings, MAINTENANCE_DATABASE)
            with postgres_errors():
                async with await AsyncConnection.connect(server, autocommit=True) as connection:
                    await connection.execute(f"DROP DATABASE {self.settings.database} WITH (FORCE)".encode())


class MemoryAnalyticalDatabase(ChdbDatabase):
    """A ClickHouse database that nobody else uses."""

    def __init__(self, *, threads: int = THREADS) -> None:
        self.name = _fresh_name()
        super().__init__(throwaway_chdb_path(), database=self.name, threads=threads)

    async def disconnect(self) -> None:
        if self.is_connected:
            await self.execute(f"DROP DATABASE {self.name} SYNC")
        await super().disconnect()


def _fresh_name() -> str:
    return f"memory_{uuid.uuid4().hex[:16]}"


def _temporary_directory() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="de-platform-memory-"))
    directory.chmod(0o711)  # the server may run as another user, who must be able to pass through
    return directory
