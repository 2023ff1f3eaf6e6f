"""The fake catalogue under the contract."""

import pytest

from de_platform.services.ingest_batch_store.contract import IngestBatchStoreContract
from de_platform.services.ingest_batch_store.memory_ingest_batch_store import MemoryIngestBatchStore


@pytest.fixture
def store() -> MemoryIngestBatchStore:
    return MemoryIngestBatchStore()


class TestMemoryIngestBatchStore(IngestBatchStoreContract):
    pass
