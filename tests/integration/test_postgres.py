"""PostgreSQL as a server: the contracts with the platform's own schema, row policies, and a server that goes away.

Each test module has a database of its own, emptied between uses by whoever made it, so nothing has to be deleted
that somebody else may be using.
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
from de_platform.services.alert_store.contract import AlertStoreContract, fresh_tenant, make_alert
from de_platform.services.alert_store.postgres_alert_store import PostgresAlertStore
from de_platform.services.cache.contract import CacheContract
from de_platform.services.cache.embedded_cache import EmbeddedCache
from de_platform.services.clock.memory_clock import MemoryClock
from de_platform.services.database.contract import RelationalDatabaseContract
from de_platform.services.database.factory import NamedDatabaseFactory
from de_platform.services.database.migration_files import namespaces
from de_platform.services.database.migrations import MigrationRunner
from de_platform.services.database.postgres import PostgresDatabase
from de_platform.services.database.settings import PostgresSettings, SslMode
from de_platform.services.ingest_batch_store.contract import IngestBatchStoreContract
from de_platform.services.ingest_batch_store.postgres_ingest_batch_store import PostgresIngestBatchStore
from de_platform.services.rate_store.contract import RateStoreContract
from de_platform.services.rate_store.postgres_rate_store import PostgresRateStore
from de_platform.services.secrets.env_secrets import EnvSecrets
from scripts.infra_servers.server import Server
from tests.helpers.engines import fresh_database
from tests.helpers.real_servers import RealServers

pytestmark = [pytest.mark.real_infra, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(infra: RealServers) -> AsyncGenerator[PostgresDatabase]:
    async with fresh_database(infra.postgres) as database:
        for namespace in ("alerts", "warehouse"):
            await MigrationRunner(database, namespace).apply()
        yield database


@asynccontextmanager
async def connected(settings: PostgresSettings) -> AsyncGenerator[PostgresDatabase]:
    database = PostgresDatabase(settings)
    await database.connect()
    try:
        yield database
    finally:
        await database.disconnect()


@pytest.fixture(scope="module")
def server(infra: RealServers, tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    server = infra.private("postgres", tmp_path_factory.mktemp("postgres"))
    yield server
    server.kill()


@pytest_asyncio.fixture(loop_scope="module")
async def own_database(server: Server) -> AsyncGenerator[PostgresDatabase]:
    async with connected(own_settings(server)) as database:
        yield database


async def insert_and_kill(database: PostgresDatabase, server: Server) -> None:
    async with database.transaction() as transaction:
        await transaction.insert_one("cut", {"x": 1})
        await asyncio.to_thread(server.kill)


def own_settings(server: Server) -> PostgresSettings:
    made = NamedDatabaseFactory({}, EnvSecrets({**server.env(), "DB_POSTGRES_SSLMODE": "disable"})).get("warehouse")
    assert isinstance(made, PostgresDatabase)
    return made.settings


@pytest.mark.asyncio(loop_scope="function")
class TestPostgres(RelationalDatabaseContract):
    @pytest.fixture
    async def database(self, infra: RealServers) -> AsyncGenerator[PostgresDatabase]:
        async with fresh_database(infra.postgres) as database:
            yield database


class TestAlerts(AlertStoreContract):
    @pytest.fixture
    def store(self, database: PostgresDatabase) -> PostgresAlertStore:
        return PostgresAlertStore(database)


class TestRates(RateStoreContract):
    @pytest.fixture
    def store(self, database: PostgresDatabase) -> PostgresRateStore:
        return PostgresRateStore(database)


class TestIngestBatches(IngestBatchStoreContract):
    @pytest.fixture
    def store(self, database: PostgresDatabase) -> PostgresIngestBatchStore:
        return PostgresIngestBatchStore(database)


class TestCacheInPostgres(CacheContract):
    @pytest.fixture
    def clock(self) -> MemoryClock:
        return MemoryClock()

    @pytest_asyncio.fixture(loop_scope="module")
    async def cache(self, database: PostgresDatabase, clock: MemoryClock) -> AsyncGenerator[EmbeddedCache]:
        cache = EmbeddedCache(database, clock)
        await cache.connect()
        await cache.flush()
        yield cache
        await cache.disconnect()


@pytest.mark.parametrize("namespace", [name for name in namespaces() if name != "events"])
async def test_the_platforms_schema_goes_up_down_and_up(infra: RealServers, namespace: str) -> None:
    async with fresh_database(infra.postgres) as database:
        runner = MigrationRunner(database, namespace)
        applied = await runner.apply()
        assert len(await runner.revert(target=0)) == len(applied)
        assert await runner.apply() == applied


async def test_the_database_is_made_when_it_is_not_there(infra: RealServers) -> None:
    settings = msgspec.structs.replace(infra.postgres, database=f"test_{uuid4().hex}")
    async with connected(settings) as database:
        assert await database.fetch_one("SELECT current_database() AS name") == {"name": settings.database}


async def test_writers_of_the_same_alerts_at_once_store_each_of_them_once(database: PostgresDatabase) -> None:
    tenant = fresh_tenant()
    alerts = [make_alert(tenant) for _ in range(50)]
    store = PostgresAlertStore(database)
    counts = await asyncio.gather(*(store.add([*alerts[n:], *alerts[:n]]) for n in range(0, 50, 9)))
    assert sum(counts) == 50


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def role(database: PostgresDatabase) -> AsyncGenerator[str]:
    """A role that owns nothing and may read `notes`, of which a forced policy shows a tenant its own."""
    name = f"reader_{uuid4().hex}"
    await database.execute(f"CREATE ROLE {name} NOLOGIN")
    await database.execute("CREATE TABLE notes (tenant_id text, note text)")
    await database.bulk_insert("notes", [{"tenant_id": tenant, "note": tenant} for tenant in ("acme", "globex")])
    await database.execute("ALTER TABLE notes ENABLE ROW LEVEL SECURITY")
    await database.execute("ALTER TABLE notes FORCE ROW LEVEL SECURITY")
    await database.execute("CREATE POLICY own ON notes USING (tenant_id = current_setting('app.tenant_id', true))")
    await database.execute(f"GRANT USAGE ON SCHEMA public TO {name}")
    await database.execute(f"GRANT SELECT ON notes TO {name}")
    yield name
    await database.execute("DROP TABLE notes")
    await database.execute(f"DROP OWNED BY {name}")
    await database.execute(f"DROP ROLE {name}")


@pytest.mark.parametrize(
    ("scope", "seen"), [(TenantScope.of("acme"), ["acme"]), (TenantScope.all_tenants(), [])], ids=["acme", "none"]
)
async def test_a_row_policy_shows_the_tenant_of_the_transaction(
    database: PostgresDatabase, role: str, scope: TenantScope, seen: list[str]
) -> None:
    async with database.tenant_transaction(scope) as transaction:
        await transaction.execute(f"SET LOCAL ROLE {role}")
        assert [row["note"] for row in await transaction.fetch_all("SELECT note FROM notes")] == seen


async def test_a_row_policy_shows_nothing_outside_of_a_tenants_transaction(
    database: PostgresDatabase, role: str
) -> None:
    async with database.transaction() as transaction:
        await transaction.execute(f"SET LOCAL ROLE {role}")
        assert await transaction.fetch_all("SELECT note FROM notes") == []


async def test_a_wrong_password_is_unavailable_and_not_shown(server: Server) -> None:
    wrong = msgspec.structs.replace(own_settings(server), password="guessed-it")
    with pytest.raises(Unavailable, match="password authentication failed") as caught:
        await PostgresDatabase(wrong).connect()
    assert "guessed-it" not in str(caught.value)


async def test_a_server_without_tls_is_refused_where_tls_is_demanded(server: Server) -> None:
    strict = msgspec.structs.replace(own_settings(server), sslmode=SslMode.REQUIRE)
    with pytest.raises(Unavailable, match="SSL"):
        await PostgresDatabase(strict).connect()


async def test_a_restart_is_bridged_by_every_connection_of_the_pool(
    own_database: PostgresDatabase, server: Server
) -> None:
    await asyncio.gather(*(own_database.fetch_one("SELECT pg_sleep(0.1)") for _ in range(8)))
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    answers = await asyncio.gather(*(own_database.fetch_one("SELECT 1 AS one") for _ in range(8)))
    assert answers == [{"one": 1}] * 8


async def test_is_unavailable_while_the_server_is_away_and_well_when_it_is_back(
    own_database: PostgresDatabase, server: Server
) -> None:
    await own_database.health_check()
    await asyncio.to_thread(server.kill)
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await own_database.health_check()
    assert time.monotonic() - began < 3
    await asyncio.to_thread(server.start)
    assert await own_database.fetch_one("SELECT 1 AS one") == {"one": 1}
    await own_database.health_check()


async def test_a_frozen_server_is_unhealthy_within_seconds_and_well_afterwards(
    own_database: PostgresDatabase, server: Server
) -> None:
    await own_database.health_check()
    server.pause()
    began = time.monotonic()
    with pytest.raises(Unavailable, match="no answer within"):
        await own_database.health_check()
    assert time.monotonic() - began < 3
    server.resume()
    await own_database.health_check()


async def test_a_statement_that_is_never_answered_is_given_up(server: Server) -> None:
    hasty = msgspec.structs.replace(own_settings(server), answer_timeout_seconds=0.5)
    async with connected(hasty) as database:
        with pytest.raises(Unavailable, match="no answer within"):
            await database.fetch_one("SELECT pg_sleep(30)")
        assert await database.fetch_one("SELECT 1 AS one") == {"one": 1}


async def test_a_transaction_that_is_cut_leaves_nothing(own_database: PostgresDatabase, server: Server) -> None:
    await own_database.execute("CREATE TABLE IF NOT EXISTS cut (x integer)")
    with pytest.raises(Unavailable):
        await insert_and_kill(own_database, server)
    await asyncio.to_thread(server.start)
    assert await own_database.fetch_all("SELECT * FROM cut") == []


async def test_an_alert_whose_acknowledgement_was_lost_is_stored_once(
    own_database: PostgresDatabase, server: Server
) -> None:
    await MigrationRunner(own_database, "alerts").apply()
    store, tenant = PostgresAlertStore(own_database), fresh_tenant()
    alerts = [make_alert(tenant) for _ in range(3)]
    await store.add(alerts)
    await asyncio.to_thread(server.kill)
    with pytest.raises(Unavailable):
        await store.add(alerts)
    await asyncio.to_thread(server.start)
    assert await store.add(alerts) == 0
