from collections.abc import AsyncGenerator

import pytest

from de_platform.services.database.chdb_engine import ChdbDatabase
from de_platform.services.database.contract import AnalyticalDatabaseContract
from tests.helpers.engines import fresh_chdb


@pytest.fixture
async def database() -> AsyncGenerator[ChdbDatabase]:
    async with fresh_chdb() as database:
        yield database


class TestChdb(AnalyticalDatabaseContract):
    pass
