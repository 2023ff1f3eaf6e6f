"""Claims about the persistence step under its loop, on fakes."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from de_platform.modules.persistence.main import PersistenceModule, PersistenceSettings
from de_platform.modules.persistence.step import PersistenceStep
from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.pipeline.events import Header
from de_platform.pipeline.messages import Batch, Message, Record
from de_platform.pipeline.query import Query
from de_platform.pipeline.tenancy import TenantScope
from de_platform.pipeline.topics import (
    DEAD_LETTERS,
    DUPLICATES,
    EXECUTIONS_PERSISTENCE,
    NORMALIZATION_ERRORS,
    ORDERS_PERSISTENCE,
)
from de_platform.services.checkpoint_store.memory_checkpoint_store import MemoryCheckpointStore
from de_platform.services.clock.system_clock import SystemClock
from de_platform.services.event_store.contract_rows import duplicate_row, error_row, order_row
from de_platform.services.event_store.interface import RowsRefused, StoredTable
from de_platform.services.event_store.memory_event_store import MemoryEventStore
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.message_queue.memory_queue import MemoryQueue
from de_platform.services.metrics.memory_metrics import MemoryMetrics
from de_platform.streaming.step import PoisonRecord

ACME = TenantScope.of("acme")


class CountingStore(MemoryEventStore):
    """Remembers how many rows each append brought."""

    def __init__(self) -> None:
        super().__init__()
        self.appends: list[tuple[StoredTable, int]] = []

    async def append(self, table: StoredTable, rows: Sequence[bytes]) -> None:
        await super().append(table, rows)
        self.appends.append((table, len(rows)))


def order_record(offset: int, value: bytes | None = None, *, tenant_id: str = "acme") -> Record:
    headers = {
        Header.TENANT_ID: tenant_id,
        Header.EVENT_TYPE: "order",
        Header.ORIGIN: f"trade_normalization:0:{offset}",
    }
    return Record(offset, tenant_id, value or order_row(tenant_id, f"o{offset}", offset=offset), headers)


def orders(*records: Record) -> Batch:
    return Batch(ORDERS_PERSISTENCE, 0, records)


class Rig:
    """The step with fakes around it."""

    def __init__(self) -> None:
        self.store = CountingStore()
        self.metrics = MemoryMetrics()
        self.step = PersistenceStep(self.store, MemoryLogger(), self.metrics, SystemClock(), flush_threshold=3)
        self.state = self.step.new_state(0)


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_nothing_is_stored_before_the_flush(rig: Rig) -> None:
    assert await rig.step.process(orders(order_record(0)), rig.state) == ()
    assert await rig.store.count(StoredTable.ORDERS, ACME) == 0


async def test_flush_stores_each_topic_in_its_table(rig: Rig) -> None:
    for topic, value in (
        (ORDERS_PERSISTENCE, order_row("acme", "o1")),
        (DUPLICATES, duplicate_row("acme", "m1")),
        (NORMALIZATION_ERRORS, error_row("acme", "m2")),
    ):
        await rig.step.process(Batch(topic, 0, [Record(0, "acme", value, {})]), rig.state)
    await rig.step.flush(rig.state)
    counts = {table.value: await rig.store.count(table, ACME) for table in StoredTable}
    assert counts == {"orders": 1, "executions": 0, "transactions": 0, "duplicates": 1, "normalization_errors": 1}


async def test_rows_of_all_tenants_go_in_one_insert_a_table(rig: Rig) -> None:
    await rig.step.process(orders(order_record(0), order_record(1, tenant_id="globex")), rig.state)
    await rig.step.flush(rig.state)
    assert rig.store.appends == [(StoredTable.ORDERS, 2)]


async def test_flush_empties_the_buffer(rig: Rig) -> None:
    await rig.step.process(orders(order_record(0)), rig.state)
    await rig.step.flush(rig.state)
    await rig.step.flush(rig.state)
    assert rig.store.appends == [(StoredTable.ORDERS, 1)]


async def test_full_buffer_asks_for_a_flush(rig: Rig) -> None:
    await rig.step.process(orders(order_record(0), order_record(1)), rig.state)
    assert not rig.step.flush_due(rig.state)
    await rig.step.process(orders(order_record(2)), rig.state)
    assert rig.step.flush_due(rig.state)


async def test_state_needs_no_segments(rig: Rig) -> None:
    await rig.step.process(orders(order_record(0)), rig.state)
    await rig.step.flush(rig.state)
    assert rig.step.snapshot(rig.state).new_segments == {}


async def test_unavailable_store_keeps_the_buffer(rig: Rig) -> None:
    await rig.step.process(orders(order_record(0)), rig.state)
    rig.store.unavailable = Unavailable("events", "down")
    with pytest.raises(Unavailable):
        await rig.step.flush(rig.state)
    rig.store.unavailable = None
    await rig.step.flush(rig.state)
    assert await rig.store.count(StoredTable.ORDERS, ACME) == 1


@pytest.mark.parametrize("poisoned", [0, 3, 6])
async def test_refused_row_is_named_and_no_other(rig: Rig, poisoned: int) -> None:
    records = [order_record(n, b'{"quantity": "many"}' if n == poisoned else None) for n in range(7)]
    await rig.step.process(orders(*records), rig.state)
    with pytest.raises(PoisonRecord, match="quantity") as caught:
        await rig.step.flush(rig.state)
    assert (caught.value.topic, caught.value.partition, caught.value.offset) == (ORDERS_PERSISTENCE, 0, poisoned)


async def test_refusal_that_no_row_causes_blames_no_row(rig: Rig) -> None:
    class Moody(MemoryEventStore):
        async def append(self, table: StoredTable, rows: Sequence[bytes]) -> None:
            if len(rows) > 1:
                raise RowsRefused(table.value, "too many for me")

    step = PersistenceStep(Moody(), MemoryLogger(), rig.metrics, SystemClock(), flush_threshold=3)
    await step.process(orders(order_record(0), order_record(1)), rig.state)
    with pytest.raises(RowsRefused):
        await step.flush(rig.state)


async def test_unavailability_is_told_before_a_refused_row(rig: Rig) -> None:
    class HalfDown(MemoryEventStore):
        async def append(self, table: StoredTable, rows: Sequence[bytes]) -> None:
            if table is StoredTable.EXECUTIONS:
                raise Unavailable("events", "down")
            raise RowsRefused(table.value, "no")

    step = PersistenceStep(HalfDown(), MemoryLogger(), rig.metrics, SystemClock(), flush_threshold=3)
    await step.process(orders(order_record(0)), rig.state)
    await step.process(Batch(EXECUTIONS_PERSISTENCE, 0, [order_record(0)]), rig.state)
    with pytest.raises(Unavailable):
        await step.flush(rig.state)


async def test_flush_is_counted_by_table_tenant_and_type(rig: Rig) -> None:
    await rig.step.process(orders(order_record(0), order_record(1), order_record(2, tenant_id="globex")), rig.state)
    await rig.step.flush(rig.state)
    assert rig.metrics.value("rows_flushed_total", table="orders") == 3
    assert rig.metrics.value("events_received_total", topic=ORDERS_PERSISTENCE, tenant_id="acme") == 2
    assert rig.metrics.value("buffer_size", table="orders") == 3
    assert len(rig.metrics.observations("processing_duration_seconds", operation="flush")) == 1


class Pipeline:
    """The module over a queue."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.queue = MemoryQueue(self.clock)
        self.checkpoints = MemoryCheckpointStore()
        self.store = MemoryEventStore()
        self.log = MemoryLogger()

    async def send(self, *records: Record) -> None:
        await self.queue.connect()
        await self.queue.publish(
            [
                Message(topic=ORDERS_PERSISTENCE, key=r.key, value=r.value, headers=r.headers, partition=0)
                for r in records
            ]
        )

    async def run_until_idle(self) -> None:
        lifecycle = LifecycleManager(self.log)
        settings = PersistenceSettings(flush_interval=0.01, flush_threshold=1000)
        module = PersistenceModule(
            settings,
            self.queue,
            self.checkpoints,
            self.store,
            self.log,
            MemoryMetrics(),
            self.clock,
            lifecycle,
        )
        task = asyncio.create_task(module.run())
        try:
            async with asyncio.timeout(10):
                while not task.done() and not await self._idle():
                    await asyncio.sleep(0.002)
        finally:
            lifecycle.request_shutdown()
        assert await task == 0

    async def _idle(self) -> bool:
        marks = await self.queue.watermarks([ORDERS_PERSISTENCE])
        committed = await self.queue.committed("persistence", [ORDERS_PERSISTENCE])
        return bool(marks) and all(committed.get(p, mark.low) == mark.high for p, mark in marks.items())


async def test_module_stores_all_and_dead_letters_what_the_store_refuses() -> None:
    pipeline = Pipeline()
    poison = (3, 4, 9)
    await pipeline.send(*(order_record(n, b'{"quantity": "many"}' if n in poison else None) for n in range(12)))
    await pipeline.run_until_idle()
    page = await pipeline.store.find(StoredTable.ORDERS, ACME, Query())
    assert sorted(int(row["id"][1:]) for row in page.items) == [0, 1, 2, 5, 6, 7, 8, 10, 11]
    assert [mark.high for mark in (await pipeline.queue.watermarks([DEAD_LETTERS])).values() if mark.high] == [3]


async def test_module_that_died_before_its_checkpoint_stores_no_row_twice() -> None:
    pipeline = Pipeline()
    await pipeline.send(*map(order_record, range(5)))
    await pipeline.run_until_idle()
    pipeline.checkpoints = MemoryCheckpointStore()
    pipeline.queue, replayed = MemoryQueue(pipeline.clock), pipeline.queue
    await replayed.disconnect()
    await pipeline.send(*map(order_record, range(6)))
    await pipeline.run_until_idle()
    assert await pipeline.store.count(StoredTable.ORDERS, ACME) == 6


async def test_settings_that_never_flush_are_refused_together() -> None:
    pipeline = Pipeline()
    module = PersistenceModule(
        PersistenceSettings(flush_interval=0, flush_threshold=0),
        pipeline.queue,
        pipeline.checkpoints,
        pipeline.store,
        pipeline.log,
        MemoryMetrics(),
        pipeline.clock,
        LifecycleManager(pipeline.log),
    )
    with pytest.raises(InvalidInput) as caught:
        await module.validate()
    assert [error.field for error in caught.value.errors] == ["--flush-interval", "--flush-threshold"]


def test_settings_match_the_descriptor() -> None:
    names = {field.encode_name for field in msgspec.structs.fields(PersistenceSettings)}
    assert names == {"flush-interval", "flush-threshold"}
