"""Bring one database's schema to a version.

**Consumes** the SQL scripts of one namespace. **Produces** its schema, and the record of what was applied.
**Effects in order**, for each migration: 1. its statements, 2. its record; in PostgreSQL both at once.
**On crash** PostgreSQL has the migration whole or not at all; ClickHouse may have some of its statements, which
running it again completes.
"""

from pathlib import Path

from de_platform.modules.base import Module, ModuleSettings
from de_platform.pipeline.errors import FieldError, InvalidInput
from de_platform.services.database.interface import DatabaseFactory
from de_platform.services.database.migration_files import MIGRATIONS_DIRECTORY, create_migration, namespaces
from de_platform.services.database.migrations import MigrationRunner
from de_platform.services.logger.interface import LoggingInterface


class RunMigrationsSettings(ModuleSettings, frozen=True, kw_only=True):
    """`count` and `target` are None when not given, `create` is empty."""

    db_name: str
    direction: str
    count: int | None
    target: int | None
    allow_down: bool
    create: str


class RunMigrationsModule(Module):
    """Applies, reverts or lists, one log entry a migration."""

    def __init__(self, settings: RunMigrationsSettings, databases: DatabaseFactory, log: LoggingInterface) -> None:
        self.log = log
        self._settings = settings
        self._databases = databases
        self.directory: Path = MIGRATIONS_DIRECTORY
        """Of all namespaces; each is the name of its database."""

    async def validate(self) -> None:
        settings = self._settings
        faults: list[FieldError] = []
        known = namespaces(self.directory)
        if settings.db_name not in known:
            faults.append(
                FieldError("db-name", f"there are no migrations of {settings.db_name!r}; there are {', '.join(known)}")
            )
        if settings.direction == "down" and not settings.allow_down and not settings.create:
            faults.append(FieldError("allow-down", "reverting loses data; say --allow-down if that is meant"))
        if settings.count is not None and settings.count < 1:
            faults.append(FieldError("count", f"must be at least 1, was {settings.count}"))
        if settings.target is not None and settings.target < 0:
            faults.append(FieldError("target", f"must be at least 0, was {settings.target}"))
        if faults:
            raise InvalidInput(faults)

    async def execute(self) -> int:
        if self._settings.create:
            self._create()
        elif self._settings.direction == "status":
            await self._show()
        else:
            await self._move()
        return 0

    def _create(self) -> None:
        for path in create_migration(self.directory / self._settings.db_name, self._settings.create):
            self.log.info("script written", path=str(path))

    async def _show(self) -> None:
        for status in await self._runner().status():
            applied_at = status.applied.applied_at.isoformat() if status.applied else ""
            self.log.info("migration", name=status.migration.label, applied_at=applied_at)

    async def _move(self) -> None:
        runner, count, target = self._runner(), self._settings.count, self._settings.target
        if self._settings.direction == "up":
            done, what = await runner.apply(target=target, count=count), "migration applied"
        else:
            done, what = await runner.revert(target=target, count=count), "migration reverted"
        for migration in done:
            self.log.info(what, name=migration.label)
        if not done:
            self.log.info("nothing to do", namespace=self._settings.db_name)

    def _runner(self) -> MigrationRunner:
        name = self._settings.db_name
        return MigrationRunner(self._databases.get(name), name, self.directory / name)


module_class = RunMigrationsModule
