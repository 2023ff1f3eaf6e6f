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
from typing import ClassVar

import msgspec

from de_platform.services.database.chdb_engine import ChdbDatabase, keep_engine_open
from de_platform.services.database.clickhouse_statements import THREADS
from de_platform.services.database.embedded_postgres import EmbeddedPostgres
from de_platform.services.database.postgres import POOL_SIZE, PostgresDatabase
from de_platform.services.database.settings import PostgresSettings

_END_OTHERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_EMPTY = """
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
        EXECUTE format('DROP SCHEMA %I CASCADE', name);
    END LOOP;
    CREATE SCHEMA public;
END $$
"""


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
    """A PostgreSQL database that nobody else uses, on this process's server or on a given one.

    Databases are emptied and used again, because making one takes a fifth of a second.
    """

    _spare: ClassVar[set[PostgresSettings]] = set()

    def __init__(self, server: PostgresSettings | None = None, *, pool_size: int = POOL_SIZE) -> None:
        super().__init__(PostgresSettings(), pool_size=pool_size)
        self._given_server = server

    def _before_connect(self) -> None:
        server = self._given_server or throwaway_postgres()
        spare = [settings for settings in self._spare if settings.host == server.host and settings.port == server.port]
        if spare:
            self.settings = spare[0]
            self._spare.discard(spare[0])
        else:
            self.settings = msgspec.structs.replace(server, database=_fresh_name())

    async def disconnect(self) -> None:
        if self.is_connected:
            async with self.transaction() as transaction:
                await transaction.execute(_END_OTHERS)
                await transaction.execute(_EMPTY)
            self._spare.add(self.settings)
        await super().disconnect()


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
