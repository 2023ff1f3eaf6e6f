"""The catalogue in PostgreSQL under the contract."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from de_platform import migrations
from de_platform.services.ingest_batch_store.contract import IngestBatchStoreContract
from de_platform.services.ingest_batch_store.postgres_ingest_batch_store import PostgresIngestBatchStore
from tests.helpers.engines import fresh_database

MIGRATION = Path(migrations.__file__).parent / "warehouse" / "002_ingest_batches.up.sql"


@pytest.fixture
async def store() -> AsyncGenerator[PostgresIngestBatchStore]:
    async with fresh_database() as database:
        await database.execute(MIGRATION.read_text())
        yield PostgresIngestBatchStore(database)


class TestPostgresIngestBatchStore(IngestBatchStoreContract):
    pass
