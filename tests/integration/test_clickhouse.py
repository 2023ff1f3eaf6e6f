"""The ClickHouse engine over HTTP, in a process of its own: the contracts with the platform's schema, and a server
that stalls or dies.

Each test module has a database of its own, so nothing has to be deleted that somebody else may be using; what it
made is dropped at its end.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio

from de_platform.pipeline.errors import Unavailable
from de_platform.pipeline.tenancy import TenantScope
from de_platform.services.database.clickhouse import ClickHouseDatabase
from de_platform.services.database.contract import AnalyticalDatabaseContract
from de_platform.services.database.factory import NamedDatabaseFactory
from de_platform.services.database.interface import DatabaseError
from de_platform.services.database.migrations import MigrationRunner
from de_platform.services.database.settings import ClickHouseSettings
from de_platform.services.event_store.clickhouse_event_store import ClickHouseEventStore
from de_platform.services.event_store.contract import EventStoreContract
from de_platform.services.event_store.contract_rows import order_row
from de_platform.services.event_store.interface import StoredTable
from de_platform.services.secrets.env_secrets import EnvSecrets
from scripts.infra_servers.server import Server
from tests.helpers.real_servers import RealServers

pytestmark = [pytest.mark.real_infra, pytest.mark.asyncio(loop_scope="module")]


@asynccontextmanager
async def fresh(server: ClickHouseSettings) -> AsyncGenerator[ClickHouseDatabase]:
    """A database that is not there yet, connected; dropped afterwards."""
    database = ClickHouseDatabase(msgspec.structs.replace(server, database=f"test_{uuid4().hex}"), threads=2)
    await database.connect()
    try:
        yield database
    finally:
        await database.execute(f"DROP DATABASE {database.settings.database} SYNC")
        await database.disconnect()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(infra: RealServers) -> AsyncGenerator[ClickHouseDatabase]:
    async with fresh(infra.clickhouse) as database:
        await MigrationRunner(database, "events").apply()
        yield database


@pytest.fixture(scope="module")
def server(infra: RealServers, tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    server = infra.private("clickhouse", tmp_path_factory.mktemp("clickhouse"))
    yield server
    server.kill()


@pytest_asyncio.fixture(loop_scope="module")
async def own_database(server: Server) -> AsyncGenerator[ClickHouseDatabase]:
    made = NamedDatabaseFactory({}, EnvSecrets(server.env())).get("events")
    assert isinstance(made, ClickHouseDatabase)
    await MigrationRunner(made, "events").apply()
    yield made
    await made.disconnect()


@pytest.mark.asyncio(loop_scope="function")
class TestClickHouse(AnalyticalDatabaseContract):
    @pytest.fixture
    async def database(self, infra: RealServers) -> AsyncGenerator[ClickHouseDatabase]:
        async with fresh(infra.clickhouse) as database:
            yield database


class TestEvents(EventStoreContract):
    @pytest.fixture
    def store(self, database: ClickHouseDatabase) -> ClickHouseEventStore:
        return ClickHouseEventStore(database)


async def test_the_platforms_schema_goes_up_down_and_up(infra: RealServers) -> None:
    async with fresh(infra.clickhouse) as database:
        runner = MigrationRunner(database, "events")
        applied = await runner.apply()
        assert len(await runner.revert(target=0)) == len(applied)
        assert await runner.apply() == applied


async def test_runners_in_several_processes_take_turns(infra: RealServers) -> None:
    async with fresh(infra.clickhouse) as first:
        second = ClickHouseDatabase(first.settings)
        done = await asyncio.gather(*(MigrationRunner(db, "events").apply() for db in (first, second)))
        await second.disconnect()
    assert sorted(migration.version for applied in done for migration in applied) == [1, 2]


async def test_a_clients_object_is_kept_as_json_in_a_string_column(database: ClickHouseDatabase) -> None:
    tenant = f"json-{uuid4().hex}"
    extra = msgspec.Raw(b'{"desk": {"id": 7}, "tags": ["a", null]}')
    await ClickHouseEventStore(database).append(StoredTable.ORDERS, [order_row(tenant, "o1", additional_fields=extra)])
    found = await database.fetch_one(
        "SELECT additional_fields, JSONExtractInt(additional_fields, 'desk', 'id') AS desk FROM orders"
        " WHERE tenant_id = {tenant_id:String}",
        {"tenant_id": tenant},
    )
    assert found is not None
    assert (msgspec.json.decode(found["additional_fields"]), found["desk"]) == (msgspec.json.decode(extra), 7)


async def test_rows_are_there_when_the_insert_returns_whoever_reads(database: ClickHouseDatabase) -> None:
    tenant, reader = f"now-{uuid4().hex}", ClickHouseDatabase(database.settings)
    for number in range(20):
        await ClickHouseEventStore(database).append(StoredTable.ORDERS, [order_row(tenant, f"o{number}")])
        assert await ClickHouseEventStore(reader).count(StoredTable.ORDERS, TenantScope.of(tenant)) == number + 1
    await reader.disconnect()


async def test_a_wrong_password_is_refused_and_not_shown(server: Server, own_database: ClickHouseDatabase) -> None:
    wrong = msgspec.structs.replace(own_database.settings, password="guessed-it")
    with pytest.raises(DatabaseError) as caught:
        await ClickHouseDatabase(wrong).connect()
    assert caught.value.code == "516"
    assert "guessed-it" not in str(caught.value)


async def test_a_batch_whose_acknowledgement_was_lost_is_stored_once(
    own_database: ClickHouseDatabase, server: Server
) -> None:
    store, tenant = ClickHouseEventStore(own_database), f"again-{uuid4().hex}"
    rows = [order_row(tenant, f"o{number}") for number in range(50)]
    await store.append(StoredTable.ORDERS, rows)
    await asyncio.to_thread(server.kill)
    with pytest.raises(Unavailable):
        await store.append(StoredTable.ORDERS, rows)
    await asyncio.to_thread(server.start)
    await store.append(StoredTable.ORDERS, rows)
    assert await store.count(StoredTable.ORDERS, TenantScope.of(tenant)) == 50


async def test_is_unhealthy_while_the_server_is_away_and_well_when_it_is_back(
    own_database: ClickHouseDatabase, server: Server
) -> None:
    await own_database.health_check()
    await asyncio.to_thread(server.kill)
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await own_database.health_check()
    assert time.monotonic() - began < 3
    await asyncio.to_thread(server.start)
    await own_database.health_check()


async def test_a_frozen_server_is_unhealthy_within_seconds_and_well_afterwards(
    own_database: ClickHouseDatabase, server: Server
) -> None:
    await own_database.health_check()
    server.pause()
    for _ in range(3):
        began = time.monotonic()
        with pytest.raises(Unavailable, match="no answer within"):
            await own_database.health_check()
        assert time.monotonic() - began < 3
    server.resume()
    await own_database.health_check()


async def test_a_statement_that_is_never_answered_is_given_up(own_database: ClickHouseDatabase, server: Server) -> None:
    hasty = ClickHouseDatabase(msgspec.structs.replace(own_database.settings, answer_timeout_seconds=1))
    await hasty.connect()
    server.pause()
    with pytest.raises(Unavailable):
        await hasty.fetch_one("SELECT 1")
    server.resume()
    assert await hasty.fetch_one("SELECT 1 AS one") == {"one": 1}
    await hasty.disconnect()
