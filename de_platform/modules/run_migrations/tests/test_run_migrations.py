from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from de_platform.config.arguments import check_values
from de_platform.config.descriptor import parse_descriptor
from de_platform.modules.run_migrations import main
from de_platform.modules.run_migrations.main import RunMigrationsModule, RunMigrationsSettings
from de_platform.pipeline.errors import InvalidInput
from de_platform.services.database.factory import NamedDatabaseFactory
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.secrets.env_secrets import EnvSecrets


@pytest.fixture
async def databases() -> AsyncGenerator[NamedDatabaseFactory]:
    databases = NamedDatabaseFactory(dict.fromkeys(("events", "alerts", "warehouse"), "memory"), EnvSecrets({}))
    yield databases
    await databases.disconnect_all()


async def run(databases: NamedDatabaseFactory, directory: Path | None = None, **settings: Any) -> list[str]:
    """Run the module and return what it logged, a line an entry."""
    defaults = {"direction": "up", "count": None, "target": None, "allow_down": False, "create": ""}
    log = MemoryLogger()
    module = RunMigrationsModule(RunMigrationsSettings(**(defaults | settings)), databases, log)
    if directory is not None:
        module.directory = directory
    assert await module.run() == 0
    return [" ".join([entry.message, *map(str, entry.fields.values())]) for entry in log.entries]


@pytest.mark.parametrize("name", ["alerts", "events"])
async def test_applies_a_namespace_to_the_database_of_its_name(databases: NamedDatabaseFactory, name: str) -> None:
    assert len(await run(databases, db_name=name)) >= 1
    assert await run(databases, db_name=name) == [f"nothing to do {name}"]


async def test_applies_and_reverts_as_many_as_asked(databases: NamedDatabaseFactory) -> None:
    assert await run(databases, db_name="warehouse", count=1) == ["migration applied 001_currency_rates"]
    assert await run(databases, db_name="warehouse", target=2) == ["migration applied 002_ingest_batches"]
    reverted = await run(databases, db_name="warehouse", direction="down", allow_down=True)
    assert reverted == ["migration reverted 002_ingest_batches"]


async def test_tells_what_is_applied_and_changes_nothing(databases: NamedDatabaseFactory) -> None:
    await run(databases, db_name="warehouse", count=1)
    for _ in range(2):
        first, second, *_ = await run(databases, db_name="warehouse", direction="status")
        assert first.startswith("migration 001_currency_rates 20")
        assert second == "migration 002_ingest_batches "


async def test_down_must_be_allowed(databases: NamedDatabaseFactory) -> None:
    with pytest.raises(InvalidInput, match="allow-down"):
        await run(databases, db_name="alerts", direction="down")


async def test_every_fault_is_named(databases: NamedDatabaseFactory) -> None:
    with pytest.raises(InvalidInput) as caught:
        await run(databases, db_name="nowhere", direction="down", count=0, target=-1)
    assert [error.field for error in caught.value.errors] == ["db-name", "allow-down", "count", "target"]


async def test_begins_a_new_migration(databases: NamedDatabaseFactory, tmp_path: Path) -> None:
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "001_alerts.up.sql").write_text("SELECT 1")
    await run(databases, tmp_path, db_name="alerts", create="cases")
    assert {path.name for path in (tmp_path / "alerts").iterdir()} == {
        "001_alerts.up.sql",
        "002_cases.up.sql",
        "002_cases.down.sql",
    }


def test_descriptor_and_settings_have_the_same_arguments() -> None:
    descriptor = parse_descriptor((Path(main.__file__).parent / "module.json").read_bytes())
    check_values({"db-name": "alerts", "count": 1}, descriptor.args, at="args")
    assert {a.name for a in descriptor.args} == {
        name.replace("_", "-") for name in RunMigrationsSettings.__struct_fields__
    }
