import uuid
from collections.abc import AsyncGenerator

import msgspec
import pytest

from de_platform.pipeline.errors import Unavailable
from de_platform.services.database.contract import RelationalDatabaseContract
from de_platform.services.database.postgres import PostgresDatabase
from de_platform.services.database.settings import ClickHouseSettings, PostgresSettings
from tests.helpers.engines import embedded_postgres_settings, fresh_database


@pytest.fixture
async def database() -> AsyncGenerator[PostgresDatabase]:
    async with fresh_database() as database:
        yield database


class TestPostgres(RelationalDatabaseContract):
    pass


async def test_connects_on_first_use() -> None:
    database = PostgresDatabase(embedded_postgres_settings())
    assert not database.is_connected
    assert await database.fetch_one("SELECT 1 AS one") == {"one": 1}
    await database.disconnect()


async def test_a_wrong_database_on_a_server_that_is_not_there_is_unavailable() -> None:
    settings = msgspec.structs.replace(embedded_postgres_settings(), host="/nowhere")
    with pytest.raises(Unavailable, match="postgres"):
        await PostgresDatabase(settings).connect()


async def test_goes_on_after_the_server_has_cut_its_connections(database: PostgresDatabase) -> None:
    await database.fetch_one("SELECT 1")
    other = PostgresDatabase(embedded_postgres_settings())
    await other.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %(name)s",
        {"name": database.settings.database},
    )
    await other.disconnect()
    assert await database.fetch_one("SELECT 1 AS one") == {"one": 1}


async def test_two_processes_may_create_the_database_at_once() -> None:
    settings = msgspec.structs.replace(embedded_postgres_settings(), database=f"test_{uuid.uuid4().hex}")
    first, second = PostgresDatabase(settings), PostgresDatabase(settings)
    await first.connect()
    await second.connect()
    await first.disconnect()
    await second.disconnect()


def test_passwords_do_not_show() -> None:
    for settings in (PostgresSettings(password="hunter2"), ClickHouseSettings(password="hunter2")):
        assert "hunter2" not in repr(settings)
        assert "hunter2" not in repr(list(settings.__rich_repr__()))
