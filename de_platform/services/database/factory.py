"""Named databases of a process, from its settings."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import msgspec

from de_platform.pipeline.errors import InvalidInput
from de_platform.services.database.interface import (
    AnalyticalDatabase,
    DatabaseFactory,
    DatabaseInterface,
    RelationalDatabase,
)
from de_platform.services.database.settings import ClickHouseSettings, PostgresSettings
from de_platform.services.secrets.interface import SecretsInterface

Settings = TypeVar("Settings", PostgresSettings, ClickHouseSettings)

EVENTS_DATABASE = "events"
POSTGRES_DIRECTORY = "postgres"
CHDB_DIRECTORY = "clickhouse"
"""Where the embedded engines keep their data, below the data directory."""


class DatabaseImplementation(StrEnum):
    """What can stand behind a name."""

    POSTGRES = "postgres"
    EMBEDDED = "embedded"
    CLICKHOUSE = "clickhouse"
    CHDB = "chdb"
    MEMORY = "memory"


class NamedDatabaseFactory(DatabaseFactory):
    """Makes a database when its name is first asked for; names with equal settings share one pool.

    Each part of a server's settings is `DB_<NAME>_<PART>`, else `DB_POSTGRES_<PART>` or `DB_CLICKHOUSE_<PART>`,
    else the default. The embedded engines are in `DE_PLATFORM_DATA_DIR`.
    """

    def __init__(self, implementations: Mapping[str, str], secrets: SecretsInterface) -> None:
        """`implementations` says what stands behind which name; else `events` is ClickHouse and all others PostgreSQL.

        Raises InvalidInput for an implementation that there is not.
        """
        self._implementations = {name: _implementation(name, value) for name, value in implementations.items()}
        self._secrets = secrets
        self._databases: dict[object, DatabaseInterface] = {}

    def relational(self, name: str) -> RelationalDatabase:
        database = self.get(name)
        if not isinstance(database, RelationalDatabase):
            raise InvalidInput.single(f"--db {name}", "must be PostgreSQL, and is ClickHouse")
        return database

    def analytical(self, name: str) -> AnalyticalDatabase:
        database = self.get(name)
        if not isinstance(database, AnalyticalDatabase):
            raise InvalidInput.single(f"--db {name}", "must be ClickHouse, and is PostgreSQL")
        return database

    def get(self, name: str) -> DatabaseInterface:
        default = DatabaseImplementation.CLICKHOUSE if name == EVENTS_DATABASE else DatabaseImplementation.POSTGRES
        match self._implementations.get(name, default):
            case DatabaseImplementation.POSTGRES:
                return self._postgres(name)
            case DatabaseImplementation.CLICKHOUSE:
                return self._clickhouse(name)
            case DatabaseImplementation.EMBEDDED:
                return self._embedded()
            case DatabaseImplementation.CHDB:
                return self._chdb(name)
            case DatabaseImplementation.MEMORY:
                return self._memory(name)

    async def disconnect_all(self) -> None:
        """Disconnect every database that was made, last first. Idempotent."""
        while self._databases:
            _, database = self._databases.popitem()
            await database.disconnect()

    def _postgres(self, name: str) -> DatabaseInterface:
        from de_platform.services.database.postgres import PostgresDatabase  # noqa: PLC0415 - imported where chosen

        settings = self._settings(name, "postgres", PostgresSettings)
        if settings not in self._databases:
            self._databases[settings] = PostgresDatabase(settings)
        return self._databases[settings]

    def _clickhouse(self, name: str) -> DatabaseInterface:
        from de_platform.services.database.clickhouse import ClickHouseDatabase  # noqa: PLC0415 - imported where chosen

        settings = self._settings(name, "clickhouse", ClickHouseSettings)
        if settings not in self._databases:
            self._databases[settings] = ClickHouseDatabase(settings)
        return self._databases[settings]

    def _embedded(self) -> DatabaseInterface:
        from de_platform.services.database.embedded import EmbeddedDatabase  # noqa: PLC0415 - imported where chosen

        directory = self._data_dir() / POSTGRES_DIRECTORY
        if directory not in self._databases:
            self._databases[directory] = EmbeddedDatabase(directory)
        return self._databases[directory]

    def _chdb(self, name: str) -> DatabaseInterface:
        from de_platform.services.database.chdb_engine import ChdbDatabase  # noqa: PLC0415 - imported where chosen

        key = (self._data_dir() / CHDB_DIRECTORY, self._settings(name, "clickhouse", ClickHouseSettings).database)
        if key not in self._databases:
            self._databases[key] = ChdbDatabase(key[0], database=key[1])
        return self._databases[key]

    def _memory(self, name: str) -> DatabaseInterface:
        from de_platform.services.database import memory  # noqa: PLC0415 - imported where chosen

        is_events = name == EVENTS_DATABASE
        key = (DatabaseImplementation.MEMORY, is_events)
        if key not in self._databases:
            self._databases[key] = memory.MemoryAnalyticalDatabase() if is_events else memory.MemoryRelationalDatabase()
        return self._databases[key]

    def _settings(self, name: str, server: str, kind: type[Settings]) -> Settings:
        """Read every part that is set. Raises InvalidInput naming the first one that does not fit."""
        own, shared = (f"DB_{prefix.upper().replace('-', '_')}_" for prefix in (name, server))
        found = {
            field.name: self._secrets.get(f"{own}{part}") or self._secrets.get(f"{shared}{part}")
            for field in msgspec.structs.fields(kind)
            for part in [field.name.upper()]
        }
        values = {part: value for part, value in found.items() if value is not None}
        try:
            return msgspec.convert(values, kind, strict=False)
        except msgspec.ValidationError as error:
            fault, _, place = str(error).partition(" - at `$.")
            part = place.rstrip("`")
            said = "" if part == "password" else f", was {values[part]!r}"
            raise InvalidInput.single(f"{own}{part.upper()}", f"{fault}{said}") from error

    def _data_dir(self) -> Path:
        return Path(self._secrets.require("DE_PLATFORM_DATA_DIR"))


def _implementation(name: str, value: str) -> DatabaseImplementation:
    try:
        return DatabaseImplementation(value)
    except ValueError:
        known = ", ".join(DatabaseImplementation)
        raise InvalidInput.single(f"--db {name}", f"unknown implementation {value}; there are {known}") from None
