"""The rate store under the contract, on a real server."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest
import pytest_asyncio

from de_platform.services.database.migrations import MigrationRunner
from de_platform.services.rate_store.contract import LOADED_AT, RateStoreContract, fresh_currency, make_rate
from de_platform.services.rate_store.postgres_rate_store import PostgresRateStore
from tests.helpers.engines import fresh_database

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store() -> AsyncGenerator[PostgresRateStore]:
    async with fresh_database() as database:
        await MigrationRunner(database, "warehouse").apply()
        yield PostgresRateStore(database)


class TestPostgresRateStore(RateStoreContract):
    pass


async def test_loads_at_once_add_each_rate_once(store: PostgresRateStore) -> None:
    currency = fresh_currency()
    loads = [[make_rate(currency, loaded_at=LOADED_AT + timedelta(seconds=n))] for n in range(5)]
    assert sum(await asyncio.gather(*map(store.add, loads))) == 1
