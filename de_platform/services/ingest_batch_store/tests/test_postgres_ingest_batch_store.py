"""The catalogue in PostgreSQL under the contract."""

from collections.abc import AsyncGenerator

import pytest

from de_platform.services.ingest_batch_store.contract import IngestBatchStoreContract
from de_platform.services.ingest_batch_store.postgres_ingest_batch_store import PostgresIngestBatchStore
from tests.helpers.engines import fresh_database

TABLE = """
CREATE TABLE ingest_batches (
    path TEXT PRIMARY KEY,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    first_offset BIGINT NOT NULL,
    record_count BIGINT NOT NULL,
    size_bytes BIGINT NOT NULL,
    written_at TIMESTAMPTZ NOT NULL
)
"""


@pytest.fixture
async def store() -> AsyncGenerator[PostgresIngestBatchStore]:
    async with fresh_database() as database:
        await database.execute(TABLE)
        yield PostgresIngestBatchStore(database)


class TestPostgresIngestBatchStore(IngestBatchStoreContract):
    pass
