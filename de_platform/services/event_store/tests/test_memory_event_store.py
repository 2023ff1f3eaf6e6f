"""The fake event store under the contract."""

import pytest

from de_platform.pipeline.errors import Unavailable
from de_platform.pipeline.tenancy import TenantScope
from de_platform.services.event_store.contract import EventStoreContract
from de_platform.services.event_store.interface import StoredTable
from de_platform.services.event_store.memory_event_store import MemoryEventStore


@pytest.fixture(scope="module")
def store() -> MemoryEventStore:
    return MemoryEventStore()


class TestMemoryEventStore(EventStoreContract):
    pass


async def test_outage_can_be_rehearsed() -> None:
    store = MemoryEventStore()
    store.unavailable = Unavailable("events", "down")
    with pytest.raises(Unavailable, match="down"):
        await store.count(StoredTable.ORDERS, TenantScope.all_tenants())
