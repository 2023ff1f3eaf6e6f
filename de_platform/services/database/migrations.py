"""Bring a database's schema to a version, forwards or back, one migration at a time."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from de_platform.pipeline.errors import FieldError, InvalidInput
from de_platform.services.clock.interface import Clock
from de_platform.services.clock.system_clock import SystemClock
from de_platform.services.database.interface import (
    AnalyticalDatabase,
    DatabaseError,
    DatabaseFactory,
    DatabaseInterface,
    RelationalDatabase,
)
from de_platform.services.database.migration_files import (
    MIGRATIONS_DIRECTORY,
    Migration,
    namespaces,
    read_migrations,
)
from de_platform.services.database.migration_ledger import (
    AppliedMigration,
    ClickHouseLedger,
    MigrationLedger,
    PostgresLedger,
)


class MigrationStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A migration, and what the database's record says of it (None when it is not applied)."""

    migration: Migration
    applied: AppliedMigration | None


class MigrationRunner:
    """The migrations of one namespace on one database.

    Several runners take turns, migration by migration. All methods raise InvalidInput that names what is wrong when
    an applied migration was changed or removed since, or one was added below an applied one; DatabaseError that
    names the migration that the database refused; Unavailable.
    """

    def __init__(
        self, db: DatabaseInterface, namespace: str, directory: Path | None = None, *, clock: Clock | None = None
    ) -> None:
        """`directory` holds the namespace's files; by default it is the platform's own."""
        self._namespace = namespace
        self._directory = directory or MIGRATIONS_DIRECTORY / namespace
        self._ledger = _ledger(db, namespace, clock or SystemClock())

    async def apply(self, *, target: int | None = None, count: int | None = None) -> list[Migration]:
        """Apply what is pending, up to version `target`, at most `count`; returns what was applied."""
        migrations = self._read(target)
        done: list[Migration] = []
        while count is None or len(done) < count:
            async with self._ledger.turn() as turn:
                pending = _pending(migrations, await turn.applied())
                if not pending or (target is not None and pending[0].version > target):
                    break
                with _naming(self._namespace, pending[0]):
                    await turn.apply(pending[0])
                done.append(pending[0])
        return done

    async def revert(self, *, count: int | None = None, target: int | None = None) -> list[Migration]:
        """Revert the last `count` (1 when nothing is said), or all above version `target`; returns what it reverted."""
        migrations = self._read(target)
        limit = 1 if count is None and target is None else count
        done: list[Migration] = []
        while limit is None or len(done) < limit:
            async with self._ledger.turn() as turn:
                applied = await turn.applied()
                _pending(migrations, applied)
                if not applied or applied[-1].version <= (target or 0):
                    break
                last = next(m for m in migrations if m.version == applied[-1].version)
                if last.down is None:
                    raise InvalidInput.single(last.label, "cannot be reverted: it has no down script")
                with _naming(self._namespace, last):
                    await turn.revert(last)
                done.append(last)
        return done

    async def status(self) -> list[MigrationStatus]:
        """Return all migrations of the namespace by version."""
        migrations = self._read(None)
        async with self._ledger.turn() as turn:
            applied = await turn.applied()
        _pending(migrations, applied)
        by_version = {row.version: row for row in applied}
        return [MigrationStatus(migration=m, applied=by_version.get(m.version)) for m in migrations]

    def _read(self, target: int | None) -> list[Migration]:
        migrations = read_migrations(self._directory)
        if target and target not in {migration.version for migration in migrations}:
            raise InvalidInput.single("target", f"{self._namespace} has no version {target}")
        return migrations


async def migrate_all(factory: DatabaseFactory) -> Mapping[str, Sequence[Migration]]:
    """Bring every database of the platform up to date; returns what was applied, by namespace."""
    return {name: await MigrationRunner(factory.get(name), name).apply() for name in namespaces()}


def _ledger(db: DatabaseInterface, namespace: str, clock: Clock) -> MigrationLedger:
    match db:
        case RelationalDatabase():
            return PostgresLedger(db, namespace)
        case AnalyticalDatabase():
            return ClickHouseLedger(db, namespace, clock)
        case _:
            raise AssertionError(f"{type(db).__name__} is no kind of database that has migrations")


def _pending(migrations: Sequence[Migration], applied: Sequence[AppliedMigration]) -> list[Migration]:
    """Return what is not applied. Raises InvalidInput when files and records contradict each other."""
    files = {migration.version: migration for migration in migrations}
    faults: list[FieldError] = []
    for row in applied:
        label = f"{row.version:03d}_{row.name}"
        if row.version not in files:
            faults.append(FieldError(label, "is applied, and its files are gone: is this an older version?"))
        elif files[row.version].checksum != row.checksum:
            faults.append(FieldError(label, "was changed after it was applied; put it back and add a new migration"))
    highest = applied[-1].version if applied else 0
    known = {row.version for row in applied}
    pending = [migration for migration in migrations if migration.version not in known]
    faults += [
        FieldError(migration.label, f"was added below version {highest}, which is applied; give it a higher number")
        for migration in pending
        if migration.version < highest
    ]
    if faults:
        raise InvalidInput(faults)
    return pending


@contextmanager
def _naming(namespace: str, migration: Migration) -> Generator[None]:
    """Say in a refusal which migration was refused."""
    try:
        yield
    except DatabaseError as error:
        raise DatabaseError(f"migration {namespace}/{migration.label}: {error}", code=error.code) from error
