import msgspec
import pytest

from de_platform.modules.data_api.alert_sink import AlertSinkStep
from de_platform.modules.data_api.tests.rows import alert
from de_platform.pipeline.errors import Unavailable
from de_platform.pipeline.messages import Batch, Record
from de_platform.pipeline.query import Query
from de_platform.pipeline.tenancy import TenantScope
from de_platform.services.alert_store.memory_alert_store import MemoryAlertStore
from de_platform.streaming.step import PoisonRecord


def batch(*values: bytes) -> Batch:
    return Batch("alerts", 0, [Record(5 + i, "acme", value, {}) for i, value in enumerate(values)])


def encoded(number: int) -> bytes:
    return msgspec.json.encode(alert(number))


async def stored(store: MemoryAlertStore) -> list[str]:
    page = await store.find(TenantScope.all_tenants(), Query())
    return sorted(item["alert_id"] for item in page.items)


async def test_alerts_are_stored() -> None:
    store = MemoryAlertStore()
    outputs = await AlertSinkStep(store).process(batch(encoded(1), encoded(2)), None)
    assert await stored(store) == ["alert-1", "alert-2"]
    assert list(outputs) == []


async def test_the_same_batch_again_stores_nothing_new() -> None:
    store = MemoryAlertStore()
    step = AlertSinkStep(store)
    for _ in range(2):
        await step.process(batch(encoded(1)), None)
    assert await stored(store) == ["alert-1"]


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b"\xff", b"[" * 100_000, encoded(1)[:-1]])
async def test_what_is_no_alert_is_poison_named_by_its_offset(value: bytes) -> None:
    store = MemoryAlertStore()
    with pytest.raises(PoisonRecord) as raised:
        await AlertSinkStep(store).process(batch(encoded(1), value), None)
    assert raised.value.offset == 6
    assert await stored(store) == []


async def test_a_store_that_is_down_is_reported() -> None:
    store = MemoryAlertStore()
    store.unavailable = Unavailable("alerts", "down for a test")
    with pytest.raises(Unavailable):
        await AlertSinkStep(store).process(batch(encoded(1)), None)
