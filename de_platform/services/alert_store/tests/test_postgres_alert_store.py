"""The alert store under the contract, on a real server."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from de_platform.services.alert_store.contract import AlertStoreContract, fresh_tenant, make_alert
from de_platform.services.alert_store.postgres_alert_store import PostgresAlertStore
from de_platform.services.database.migrations import MigrationRunner
from tests.helpers.engines import fresh_database

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store() -> AsyncGenerator[PostgresAlertStore]:
    async with fresh_database() as database:
        await MigrationRunner(database, "alerts").apply()
        yield PostgresAlertStore(database)


class TestPostgresAlertStore(AlertStoreContract):
    pass


async def test_writers_of_the_same_alerts_at_once_store_each_of_them_once(store: PostgresAlertStore) -> None:
    tenant = fresh_tenant()
    alerts = [make_alert(tenant) for _ in range(50)]
    counts = await asyncio.gather(*(store.add([*alerts[n:], *alerts[:n]]) for n in range(0, 50, 9)))
    assert sum(counts) == 50
