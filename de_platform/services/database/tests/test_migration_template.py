"""One script for one server and for a cluster, which the engine here can read but not be."""

import re
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest

from de_platform.services.database.chdb_engine import ChdbDatabase
from de_platform.services.database.interface import Cluster
from de_platform.services.database.memory import MemoryAnalyticalDatabase
from de_platform.services.database.migration_files import MIGRATIONS_DIRECTORY, read_migrations
from de_platform.services.database.migration_template import on_cluster, render
from de_platform.services.database.migrations import MigrationRunner
from de_platform.services.database.sql_script import statements
from de_platform.services.event_store.fields import SHAPES
from tests.helpers.engines import fresh_chdb

CLUSTER = Cluster(name="it's one", database="fraud_pipeline")
RELEASED = {
    "001_events": "d4b8ae04c9565ea8126073aede3e9c10a65bd0fb0ea852d778c2dcf8f8f8bba4",
    "002_duplicates_and_errors": "a981869578429db6f58213c82c1c9abc9893db4cdc87b29859b422af9df2c166",
}
"""What databases have recorded of these migrations."""


class PretendedCluster(MemoryAnalyticalDatabase):
    """Has every statement parsed as it is for a cluster, and runs the most of it that one engine can."""

    def __init__(self) -> None:
        super().__init__(threads=2)
        self.said: list[str] = []

    @property
    def cluster(self) -> Cluster | None:
        """No cluster while the database itself is made, which no engine could pretend."""
        return CLUSTER if self.is_connected else None

    async def execute(self, statement: str, params: Mapping[str, Any] | None = None) -> int:
        self.said.append(statement)
        await self.fetch_one("SELECT formatQuery({statement:String}) AS text", {"statement": statement})
        alone = statement.replace(on_cluster(CLUSTER), "")
        alone = re.sub(r"Replicated(\w*)\('[^']*', '[^']*'(?:, )?", r"\1(", alone)
        alone = re.sub(r"Distributed\('[^,]*', '[^,]*', '(\w+)', .*\)$", r"Merge(currentDatabase(), '^\1$')", alone)
        return 0 if alone.startswith("SYSTEM SYNC REPLICA") else await super().execute(alone, params)


@pytest.fixture
async def cluster() -> AsyncGenerator[PretendedCluster]:
    database = PretendedCluster()
    await database.connect()
    yield database
    await database.disconnect()


@pytest.fixture
async def engine() -> AsyncGenerator[ChdbDatabase]:
    async with fresh_chdb() as engine:
        yield engine


def up_statements(cluster: Cluster | None) -> list[str]:
    return [
        text for m in read_migrations(MIGRATIONS_DIRECTORY / "events") for text in statements(render(m.up, cluster))
    ]


def test_released_migrations_are_what_databases_have_recorded() -> None:
    found = {m.label: m.checksum for m in read_migrations(MIGRATIONS_DIRECTORY / "events")}
    assert {label: found[label] for label in RELEASED} == RELEASED


def test_nothing_of_a_cluster_is_told_to_one_server() -> None:
    text = " ".join(up_statements(None))
    assert not re.search(r"\{\{|_local|ON CLUSTER|Replicated|Distributed", text)


def test_on_a_cluster_every_table_is_replicated_and_spread() -> None:
    found = up_statements(CLUSTER)
    for table in SHAPES:
        local = [text for text in found if f"EXISTS {table.value}_local ON CLUSTER 'it\\'s one'" in text]
        spread = [text for text in found if f"EXISTS {table.value} ON CLUSTER 'it\\'s one'" in text]
        assert [len(local), len(spread)] == [1, 1]
        assert (
            "ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', first_" in local[0]
        )
        assert f"Distributed('it\\'s one', 'fraud_pipeline', '{table.value}_local', sipHash64(" in spread[0]


def test_rows_of_one_identity_go_to_one_shard() -> None:
    spread = [text for text in up_statements(CLUSTER) if "Distributed(" in text]
    for shape in SHAPES.values():
        key = next(re.search(r"sipHash64\((.*)\)\)$", text) for text in spread if f" AS {shape.name}_local" in text)
        assert key is not None
        assert set(key[1].split(", ")) <= set(shape.identity)


async def test_the_engine_can_read_every_statement_for_a_cluster(engine: ChdbDatabase) -> None:
    for statement in up_statements(CLUSTER):
        formatted = await engine.fetch_one("SELECT formatQuery({text:String}) AS text", {"text": statement})
        assert formatted is not None
        assert "ON CLUSTER" in formatted["text"]


async def test_the_schema_of_a_cluster_goes_up_down_and_up(cluster: PretendedCluster) -> None:
    runner = MigrationRunner(cluster, "events")
    applied = await runner.apply()
    rows = await cluster.fetch_all("SELECT name FROM system.tables WHERE database = currentDatabase()")
    names = {table.value for table in SHAPES}
    assert {row["name"] for row in rows} == {*names, *(f"{name}_local" for name in names), "_migrations"}
    assert len(await runner.revert(target=0)) == len(applied)
    assert await runner.apply() == applied


async def test_every_change_of_a_cluster_is_told_to_all_its_servers(cluster: PretendedCluster) -> None:
    runner = MigrationRunner(cluster, "events")
    await runner.apply()
    await runner.revert(target=0)
    changes = [text for text in cluster.said if text.startswith(("CREATE", "DROP"))]
    assert [text for text in changes if on_cluster(CLUSTER) not in text] == []


async def test_records_are_read_after_the_replica_has_them(cluster: PretendedCluster) -> None:
    await MigrationRunner(cluster, "events").apply(count=1)
    kinds = [text.split("(")[0].split(" ON ")[0] for text in cluster.said]
    assert kinds[:3] == [
        "CREATE TABLE _migrations_lock_events",
        "CREATE TABLE IF NOT EXISTS _migrations",
        "SYSTEM SYNC REPLICA _migrations",
    ]


def test_an_unknown_mark_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown mark tabel"):
        render("CREATE TABLE {{tabel x}}", None)
