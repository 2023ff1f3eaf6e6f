"""The fake rate store under the contract."""

import pytest

from de_platform.services.rate_store.contract import RateStoreContract
from de_platform.services.rate_store.memory_rate_store import MemoryRateStore


@pytest.fixture(scope="module")
def store() -> MemoryRateStore:
    return MemoryRateStore()


class TestMemoryRateStore(RateStoreContract):
    pass
