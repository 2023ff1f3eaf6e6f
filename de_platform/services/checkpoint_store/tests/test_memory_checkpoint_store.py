"""The fake keeps the contract."""

import pytest

from de_platform.services.checkpoint_store.contract import CheckpointStoreContract
from de_platform.services.checkpoint_store.memory_checkpoint_store import MemoryCheckpointStore


class TestMemoryCheckpointStore(CheckpointStoreContract):
    @pytest.fixture
    def store(self) -> MemoryCheckpointStore:
        return MemoryCheckpointStore()

    @pytest.fixture
    def another(self, store: MemoryCheckpointStore) -> MemoryCheckpointStore:
        return MemoryCheckpointStore(shared_with=store)
