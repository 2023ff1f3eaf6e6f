"""What was applied to a database, and how one migration at a time is applied to it."""

import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime

import msgspec

from de_platform.pipeline.errors import Unavailable
from de_platform.services.clock.interface import Clock
from de_platform.services.database.interface import AnalyticalDatabase, DatabaseError, RelationalDatabase
from de_platform.services.database.migration_files import Migration
from de_platform.services.database.migration_template import on_cluster, render
from de_platform.services.database.sql_script import statements

LOCK_TIMEOUT_SECONDS = 30
STALE_LOCK_SECONDS = 600
"""No migration of ours takes longer; a lock older than this was left by a process that was killed."""

_RETRY_SECONDS = 0.5
_TABLE_EXISTS = "57"
_LEDGER_ON_CLUSTER = "ReplicatedMergeTree('/clickhouse/tables/{uuid}/everywhere', '{shard}-{replica}')"
"""One set of replicas across all shards."""


class AppliedMigration(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `_migrations`."""

    version: int
    name: str
    checksum: str
    applied_at: datetime


class Turn(ABC):
    """The right to change a database's schema, held until the end of its `async with`."""

    @abstractmethod
    async def applied(self) -> list[AppliedMigration]:
        """Return what was applied, by version."""

    @abstractmethod
    async def apply(self, migration: Migration) -> None:
        """Run the up script, then record it."""

    @abstractmethod
    async def revert(self, migration: Migration) -> None:
        """Run the down script, then remove the record."""


class MigrationLedger(ABC):
    """The records of one namespace in one database."""

    @abstractmethod
    def turn(self) -> AbstractAsyncContextManager[Turn]:
        """Wait until no other runner works on this namespace. Raises Unavailable when that takes too long."""


class PostgresLedger(MigrationLedger):
    """A turn is a transaction that holds an advisory lock: a migration is there with its record, or not at all."""

    def __init__(self, db: RelationalDatabase, namespace: str) -> None:
        self._db = db
        self._namespace = namespace

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[Turn]:
        async with self._db.transaction() as transaction:
            await transaction.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'")
            await transaction.execute("SELECT pg_advisory_xact_lock(hashtextextended('de_platform migrations', 0))")
            await transaction.execute(
                "CREATE TABLE IF NOT EXISTS _migrations (namespace text NOT NULL, version integer NOT NULL,"
                " name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(),"
                " PRIMARY KEY (namespace, version))"
            )
            yield _PostgresTurn(transaction, self._namespace)


class _PostgresTurn(Turn):
    def __init__(self, transaction: RelationalDatabase, namespace: str) -> None:
        self._transaction = transaction
        self._namespace = namespace

    async def applied(self) -> list[AppliedMigration]:
        rows = await self._transaction.fetch_all(
            "SELECT version, name, checksum, applied_at FROM _migrations WHERE namespace = %(namespace)s"
            " ORDER BY version",
            {"namespace": self._namespace},
        )
        return [AppliedMigration(**row) for row in rows]

    async def apply(self, migration: Migration) -> None:
        await self._transaction.execute(migration.up)
        await self._transaction.insert_one("_migrations", _record(self._namespace, migration))

    async def revert(self, migration: Migration) -> None:
        assert migration.down is not None, f"{migration.label} has no way back"
        await self._transaction.execute(migration.down)
        await self._transaction.execute(
            "DELETE FROM _migrations WHERE namespace = %(namespace)s AND version = %(version)s",
            {"namespace": self._namespace, "version": migration.version},
        )


class ClickHouseLedger(MigrationLedger):
    """Statement by statement, because ClickHouse has no transactions: every statement can be run again.

    The lock is a table, which only one can create. A runner that is killed leaves it; after ten minutes the next
    runner removes it. Two that find it at that same moment may both go on, and the statements bear it.

    On a cluster every server has the lock and the records: a runner on another server finds the one and, having
    waited for its replica, the other.
    """

    def __init__(self, db: AnalyticalDatabase, namespace: str, clock: Clock) -> None:
        self._db = db
        self._namespace = namespace
        self._clock = clock

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[Turn]:
        holder = uuid.uuid4().hex
        await self._lock(holder)
        try:
            await self._db.execute(
                f"CREATE TABLE IF NOT EXISTS _migrations{self._everywhere} (namespace String, version UInt32,"
                " name String, checksum String, applied_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'))"
                f" ENGINE = {_LEDGER_ON_CLUSTER if self._db.cluster else 'MergeTree'} ORDER BY (namespace, version)"
                " SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1"
            )
            if self._db.cluster:
                await self._db.execute("SYSTEM SYNC REPLICA _migrations")
            yield _ClickHouseTurn(self._db, self._namespace)
        finally:
            await self._unlock(holder)

    @property
    def _lock_table(self) -> str:
        return f"_migrations_lock_{self._namespace}"

    @property
    def _everywhere(self) -> str:
        return on_cluster(self._db.cluster)

    async def _lock(self, holder: str) -> None:
        deadline = self._clock.monotonic_seconds() + LOCK_TIMEOUT_SECONDS
        while not await self._try_lock(holder):
            await self._remove_stale_lock()
            if self._clock.monotonic_seconds() >= deadline:
                raise Unavailable("clickhouse", f"another process migrates {self._namespace} ({self._lock_table})")
            await self._clock.sleep(_RETRY_SECONDS)

    async def _try_lock(self, holder: str) -> bool:
        try:
            await self._db.execute(
                f"CREATE TABLE {self._lock_table}{self._everywhere} (x UInt8) ENGINE = Memory COMMENT '{holder}'"
            )
        except DatabaseError as error:
            if error.code != _TABLE_EXISTS:
                raise
            return False
        return True

    async def _remove_stale_lock(self) -> None:
        row = await self._db.fetch_one(
            "SELECT comment, toUnixTimestamp(metadata_modification_time) AS locked_at FROM system.tables"
            " WHERE database = currentDatabase() AND name = {name:String}",
            {"name": self._lock_table},
        )
        if row is not None and self._clock.now().timestamp() - row["locked_at"] > STALE_LOCK_SECONDS:
            await self._unlock(row["comment"])

    async def _unlock(self, holder: str) -> None:
        row = await self._db.fetch_one(
            "SELECT 1 FROM system.tables WHERE database = currentDatabase() AND name = {name:String}"
            " AND comment = {holder:String}",
            {"name": self._lock_table, "holder": holder},
        )
        if row is not None:
            await self._db.execute(f"DROP TABLE IF EXISTS {self._lock_table}{self._everywhere} SYNC")


class _ClickHouseTurn(Turn):
    def __init__(self, db: AnalyticalDatabase, namespace: str) -> None:
        self._db = db
        self._namespace = namespace

    async def applied(self) -> list[AppliedMigration]:
        rows = await self._db.fetch_all(
            "SELECT version, name, checksum, applied_at FROM _migrations WHERE namespace = {namespace:String}"
            " ORDER BY version",
            {"namespace": self._namespace},
        )
        return [AppliedMigration(**row) for row in rows]

    async def apply(self, migration: Migration) -> None:
        for statement in statements(render(migration.up, self._db.cluster)):
            await self._db.execute(statement)
        await self._db.insert_one("_migrations", _record(self._namespace, migration))

    async def revert(self, migration: Migration) -> None:
        assert migration.down is not None, f"{migration.label} has no way back"
        for statement in statements(render(migration.down, self._db.cluster)):
            await self._db.execute(statement)
        await self._db.execute(
            "ALTER TABLE _migrations DELETE WHERE namespace = {namespace:String} AND version = {version:UInt32}"
            " SETTINGS mutations_sync = 2",
            {"namespace": self._namespace, "version": migration.version},
        )


def _record(namespace: str, migration: Migration) -> dict[str, str | int]:
    return {
        "namespace": namespace,
        "version": migration.version,
        "name": migration.name,
        "checksum": migration.checksum,
    }
