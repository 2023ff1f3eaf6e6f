"""Migrations on both engines, and the platform's own ones up, down and up again."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.services.clock.memory_clock import MemoryClock
from de_platform.services.database.interface import AnalyticalDatabase, DatabaseError, DatabaseInterface
from de_platform.services.database.migration_files import create_migration, namespaces
from de_platform.services.database.migrations import MigrationRunner
from tests.helpers.engines import fresh_chdb, fresh_database

ENGINE = {"postgres": "", "clickhouse": "ENGINE = MergeTree ORDER BY x"}


@pytest.fixture(params=["postgres", "clickhouse"])
async def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def database(kind: str) -> AsyncGenerator[DatabaseInterface]:
    opened: AbstractAsyncContextManager[DatabaseInterface] = fresh_database() if kind == "postgres" else fresh_chdb()
    async with opened as database:
        yield database


@pytest.fixture
def directory(tmp_path: Path, kind: str) -> Path:
    """Three migrations, each making one table; a crash in the middle of one may leave part of it."""
    directory = tmp_path / "things"
    directory.mkdir()
    for number, name in enumerate(("one", "two", "three"), start=1):
        up = f"CREATE TABLE IF NOT EXISTS {name} (x integer) {ENGINE[kind]}; -- a; comment"
        (directory / f"{number:03d}_{name}.up.sql").write_text(up)
        (directory / f"{number:03d}_{name}.down.sql").write_text(f"DROP TABLE IF EXISTS {name}")
    return directory


@pytest.fixture
def runner(database: DatabaseInterface, directory: Path) -> MigrationRunner:
    return MigrationRunner(database, "things", directory)


async def tables(database: DatabaseInterface) -> set[str]:
    names = await database.fetch_all(
        "SELECT name FROM system.tables WHERE database = currentDatabase()"
        if isinstance(database, AnalyticalDatabase)
        else "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'"
    )
    return {row["name"] for row in names} - {"_migrations"}


async def versions(runner: MigrationRunner) -> list[int]:
    return [status.migration.version for status in await runner.status() if status.applied]


async def test_applies_all_in_order(runner: MigrationRunner, database: DatabaseInterface) -> None:
    assert [migration.label for migration in await runner.apply()] == ["001_one", "002_two", "003_three"]
    assert await tables(database) == {"one", "two", "three"}


async def test_applies_nothing_twice(runner: MigrationRunner) -> None:
    await runner.apply()
    assert await runner.apply() == []


async def test_applies_as_many_as_asked(runner: MigrationRunner) -> None:
    await runner.apply(count=2)
    assert await versions(runner) == [1, 2]


async def test_applies_up_to_a_target(runner: MigrationRunner) -> None:
    await runner.apply(target=2)
    assert await versions(runner) == [1, 2]


async def test_reverts_the_last_one(runner: MigrationRunner, database: DatabaseInterface) -> None:
    await runner.apply()
    assert [migration.label for migration in await runner.revert()] == ["003_three"]
    assert await tables(database) == {"one", "two"}


async def test_reverts_down_to_a_target(runner: MigrationRunner) -> None:
    await runner.apply()
    await runner.revert(target=1)
    assert await versions(runner) == [1]


async def test_reverts_everything_to_version_0_and_applies_it_again(
    runner: MigrationRunner, database: DatabaseInterface
) -> None:
    await runner.apply()
    await runner.revert(target=0)
    assert await tables(database) == set()
    await runner.apply()
    assert await tables(database) == {"one", "two", "three"}


async def test_an_unknown_target_is_refused(runner: MigrationRunner) -> None:
    with pytest.raises(InvalidInput, match="things has no version 9"):
        await runner.apply(target=9)


async def test_a_changed_migration_is_named(runner: MigrationRunner, directory: Path) -> None:
    await runner.apply()
    (directory / "002_two.up.sql").write_text("SELECT 1")
    with pytest.raises(InvalidInput, match="002_two: was changed after it was applied"):
        await runner.apply()


async def test_a_removed_migration_is_named(runner: MigrationRunner, directory: Path) -> None:
    await runner.apply()
    (directory / "003_three.up.sql").unlink()
    (directory / "003_three.down.sql").unlink()
    with pytest.raises(InvalidInput, match="003_three: is applied, and its files are gone"):
        await runner.status()


async def test_a_migration_below_an_applied_one_is_named(runner: MigrationRunner, directory: Path) -> None:
    (directory / "002_two.up.sql").rename(directory / "kept")
    (directory / "002_two.down.sql").unlink()
    await runner.apply()
    (directory / "kept").rename(directory / "002_two.up.sql")
    with pytest.raises(InvalidInput, match="002_two: was added below version 3"):
        await runner.apply()


async def test_a_migration_that_the_database_refuses_is_named_and_not_recorded(
    runner: MigrationRunner, directory: Path
) -> None:
    (directory / "002_two.up.sql").write_text("CREATE NONSENSE")
    with pytest.raises(DatabaseError, match="things/002_two"):
        await runner.apply()
    assert await versions(runner) == [1]


async def test_what_cannot_be_reverted_says_so(runner: MigrationRunner, directory: Path) -> None:
    await runner.apply()
    (directory / "003_three.down.sql").unlink()
    with pytest.raises(InvalidInput, match="003_three: cannot be reverted"):
        await runner.revert()


async def test_runners_take_turns(database: DatabaseInterface, directory: Path) -> None:
    runners = [MigrationRunner(database, "things", directory) for _ in range(3)]
    done = await asyncio.gather(*(runner.apply() for runner in runners))
    assert sorted(migration.version for migrations in done for migration in migrations) == [1, 2, 3]


async def test_namespaces_of_one_database_do_not_mix(
    runner: MigrationRunner, database: DatabaseInterface, directory: Path
) -> None:
    await runner.apply()
    assert await versions(MigrationRunner(database, "other", directory)) == []


async def test_a_script_that_fails_in_the_middle_leaves_nothing_in_postgres(tmp_path: Path) -> None:
    (tmp_path / "001_half.up.sql").write_text("CREATE TABLE half (x integer); SELECT 1 / 0")
    async with fresh_database() as database:
        with pytest.raises(DatabaseError, match="division by zero"):
            await MigrationRunner(database, "things", tmp_path).apply()
        assert await tables(database) == set()


@pytest.fixture
async def locked(tmp_path: Path) -> AsyncGenerator[AnalyticalDatabase]:
    """A ClickHouse database whose lock a killed runner left just now, and a migration in tmp_path."""
    (tmp_path / "001_one.up.sql").write_text("SELECT 1")
    async with fresh_chdb() as database:
        await database.execute("CREATE TABLE _migrations_lock_things (x UInt8) ENGINE = Memory COMMENT 'killed'")
        yield database


async def test_a_lock_of_another_runner_is_respected(locked: AnalyticalDatabase, tmp_path: Path) -> None:
    runner = MigrationRunner(locked, "things", tmp_path, clock=MemoryClock(datetime.now(UTC)))
    with pytest.raises(Unavailable, match="another process migrates things"):
        await runner.apply()


async def test_a_lock_is_removed_when_its_holder_must_be_dead(locked: AnalyticalDatabase, tmp_path: Path) -> None:
    clock = MemoryClock(datetime.now(UTC) + timedelta(seconds=601))
    assert len(await MigrationRunner(locked, "things", tmp_path, clock=clock).apply()) == 1


def test_files_that_do_not_fit_are_all_named(tmp_path: Path) -> None:
    for name in ("1_short.up.sql", "001_a.up.sql", "001_b.up.sql", "002_c.down.sql"):
        (tmp_path / name).write_text("")
    with pytest.raises(InvalidInput) as caught:
        create_migration(tmp_path, "next")
    assert {error.field for error in caught.value.errors} == {"1_short.up.sql", "001_b", "002_c"}


def test_a_new_migration_gets_the_next_number(tmp_path: Path) -> None:
    create_migration(tmp_path, "first")
    up, down = create_migration(tmp_path, "second")
    assert (up.name, down.name) == ("002_second.up.sql", "002_second.down.sql")


@pytest.mark.parametrize("name", ["", "a b", "../x", "Ä"])
def test_a_migration_has_a_plain_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="create"):
        create_migration(tmp_path, name)


@pytest.mark.parametrize("namespace", namespaces())
async def test_the_platforms_schema_goes_up_down_and_up(namespace: str) -> None:
    opened: AbstractAsyncContextManager[DatabaseInterface] = fresh_chdb() if namespace == "events" else fresh_database()
    async with opened as database:
        runner = MigrationRunner(database, namespace)
        first = await runner.apply()
        made = await tables(database)
        assert len(await runner.revert(target=0)) == len(first)
        assert await tables(database) == set()
        await runner.apply()
        assert await tables(database) == made
