"""The client for servers, against the store's endpoint; a real server is tried where there is one."""

from collections.abc import AsyncGenerator
from uuid import uuid4

import pytest

from de_platform.pipeline.errors import Unavailable
from de_platform.services.database.chdb_server import StoreServer
from de_platform.services.database.clickhouse import ClickHouseDatabase
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


async def test_very_long_parameters_are_taken(database: ClickHouseDatabase) -> None:
    ids = [f"id-'\"\\\t\n-{number}" for number in range(20_000)]
    found = await database.fetch_one(
        "SELECT length({ids:Array(String)}) AS n, {ids:Array(String)} AS ids", {"ids": ids}
    )
    assert found == {"n": 20_000, "ids": ids}
