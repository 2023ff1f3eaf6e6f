"""The client for servers, against the store's endpoint; a real server is tried where there is one."""

from collections.abc import AsyncGenerator
from uuid import uuid4

import msgspec
import pytest

from de_platform.pipeline.errors import Unavailable
from de_platform.services.database.chdb_server import StoreServer
from de_platform.services.database.clickhouse import ClickHouseDatabase, server_settings
from de_platform.services.database.contract import AnalyticalDatabaseContract
from de_platform.services.database.interface import DatabaseError
from de_platform.services.database.memory import throwaway_chdb_path
from de_platform.services.database.settings import ClickHouseSettings


@pytest.fixture
async def settings() -> AsyncGenerator[ClickHouseSettings]:
    server = StoreServer(throwaway_chdb_path(), "a secret", threads=2)
    port = await server.start()
    yield ClickHouseSettings(port=port, password="a secret", database=f"test_{uuid4().hex}")
    await server.stop()


@pytest.fixture
async def database(settings: ClickHouseSettings) -> AsyncGenerator[ClickHouseDatabase]:
    database = ClickHouseDatabase(settings, threads=2)
    await database.connect()
    yield database
    await database.execute(f"DROP DATABASE {settings.database} SYNC")
    await database.disconnect()


class TestClickHouse(AnalyticalDatabaseContract):
    pass


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="clickhouse"):
        await ClickHouseDatabase(ClickHouseSettings(port=1)).connect()


async def test_a_wrong_password_is_refused(settings: ClickHouseSettings) -> None:
    wrong = ClickHouseSettings(port=settings.port, password="guessed")
    with pytest.raises(DatabaseError) as caught:
        await ClickHouseDatabase(wrong).connect()
    assert caught.value.code == "516"


def test_a_server_alone_is_told_nothing_of_clusters() -> None:
    assert server_settings(ClickHouseSettings()) == {}
    assert ClickHouseDatabase(ClickHouseSettings()).cluster is None


def test_a_cluster_acknowledges_when_its_shards_and_replicas_have_the_rows() -> None:
    told = server_settings(ClickHouseSettings(cluster="main", insert_quorum="auto"))
    assert told == {
        "distributed_foreground_insert": 1,
        "distributed_product_mode": "local",
        "insert_quorum": "auto",
    }


async def test_settings_of_a_cluster_are_ones_that_the_engine_knows(settings: ClickHouseSettings) -> None:
    spread = msgspec.structs.replace(settings, cluster="main", insert_quorum="auto")
    database = ClickHouseDatabase(msgspec.structs.replace(spread, database="default"))
    found = await database.fetch_all(
        "SELECT name, value FROM system.settings WHERE name IN {names:Array(String)} ORDER BY name",
        {"names": list(server_settings(spread))},
    )
    assert {row["name"]: row["value"] for row in found} == {
        name: str(value) for name, value in server_settings(spread).items()
    }
    await database.disconnect()


async def test_a_server_of_another_protocol_is_unavailable(settings: ClickHouseSettings) -> None:
    with pytest.raises(Unavailable, match="clickhouse"):
        await ClickHouseDatabase(msgspec.structs.replace(settings, secure=True)).connect()


async def test_very_long_parameters_are_taken(database: ClickHouseDatabase) -> None:
    ids = [f"id-'\"\\\t\n-{number}" for number in range(20_000)]
    found = await database.fetch_one(
        "SELECT length({ids:Array(String)}) AS n, {ids:Array(String)} AS ids", {"ids": ids}
    )
    assert found == {"n": 20_000, "ids": ids}
