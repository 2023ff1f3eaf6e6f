"""Enriched events on the log become alerts on the log."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from de_platform.config.arguments import settings_from
from de_platform.modules.algos.algos_step import AlgosStep
from de_platform.modules.algos.main import AlgosModule, AlgosSettings, configured
from de_platform.pipeline import topics
from de_platform.pipeline.alerts import Alert
from de_platform.pipeline.errors import InvalidInput
from de_platform.pipeline.messages import Batch, Message, Record
from de_platform.pipeline.tests.window_streams import TENANT, raw_event
from de_platform.services.checkpoint_store.memory_checkpoint_store import MemoryCheckpointStore
from de_platform.services.clock.memory_clock import MemoryClock
from de_platform.services.clock.system_clock import SystemClock
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.message_queue.memory_queue import MemoryQueue
from de_platform.services.metrics.memory_metrics import MemoryMetrics
from de_platform.streaming.step import PoisonRecord

SETTINGS = AlgosSettings(suspicious_counterparty_ids=("cp-bad",))


def record(offset: int, value: bytes, tenant_id: str = TENANT) -> Record:
    headers = {"ingestion_method": "file", "ingested_at": "2026-03-02T09:30:01.000000Z"}
    return Record(offset, tenant_id, value, headers)


def burst(count: int, *, start: int = 0, event_type: str = "order") -> list[bytes]:
    return [raw_event(f"{event_type}{start + i}", (start + i) * 0.1, event_type, client_id="c1") for i in range(count)]


class Bench:
    """A step with fakes around it."""

    def __init__(self) -> None:
        self.metrics = MemoryMetrics()
        self.step = AlgosStep(configured(SETTINGS), MemoryLogger(), self.metrics, MemoryClock())
        self.state = self.step.new_state(0)
        self.offsets: dict[str, int] = {}

    async def process(self, values: Sequence[bytes], topic: str = topics.TRADES_ALGOS) -> Sequence[Message]:
        first = self.offsets.get(topic, 0)
        self.offsets[topic] = first + len(values)
        records = [record(first + index, value) for index, value in enumerate(values)]
        return await self.step.process(Batch(topic, 0, records), self.state)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_an_alert_goes_out_keyed_by_tenant_with_the_origin_of_its_event(bench: Bench):
    [message] = await bench.process([raw_event("small", 0), raw_event("big", 1, notional_usd=2_000_000)])
    assert (message.topic, message.key, message.partition) == (topics.ALERTS, TENANT, 0)
    assert message.headers == {
        "tenant_id": TENANT,
        "event_type": "order",
        "ingestion_method": "file",
        "ingested_at": "2026-03-02T09:30:01.000000Z",
        "message_id": "m-big.0",
        "origin": "trades_algos:0:1",
    }
    assert msgspec.json.decode(message.value, type=Alert).event_id == "big"


async def test_orders_and_transactions_of_a_client_count_together(bench: Bench):
    assert await bench.process(burst(60)) == []
    [message] = await bench.process(burst(60, start=60, event_type="transaction"), topics.TRANSACTIONS_ALGOS)
    assert message.headers["origin"] == "transactions_algos:0:40"


async def test_the_tenant_is_the_key_and_not_what_the_event_says(bench: Bench):
    value = raw_event("t1", 0, "transaction", counterparty_id="cp-bad", tenant_id="other")
    batch = Batch(topics.TRANSACTIONS_ALGOS, 0, [record(0, value, "acme")])
    [message] = await bench.step.process(batch, bench.state)
    assert (message.key, message.headers["tenant_id"]) == ("acme", "acme")


async def test_alerts_of_a_batch_are_in_the_order_of_their_events(bench: Bench):
    values = [raw_event(f"e{i}", i, notional_usd=3_000_000) for i in range(3)]
    values.insert(1, raw_event("t", 0.5, "transaction", counterparty_id="cp-bad"))
    origins = [message.headers["origin"] for message in await bench.process(values)]
    assert origins == [f"trades_algos:0:{offset}" for offset in range(4)]


async def test_processing_again_after_a_restart_gives_the_same_bytes(bench: Bench):
    first = burst(90)
    await bench.process(first)
    segments = bench.step.snapshot(bench.state).new_segments
    bench.step.snapshot_saved(bench.state)
    before = await bench.process(burst(60, start=90))
    bench.state = bench.step.restore(0, segments)
    bench.offsets[topics.TRADES_ALGOS] = 90
    assert await bench.process(burst(60, start=90)) == before
    assert len(before) == 1


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b'{"id":"x"}', b"\xff", b"[" * 100_000])
async def test_what_is_no_event_is_poison_and_changes_nothing(bench: Bench, value: bytes):
    with pytest.raises(PoisonRecord) as raised:
        await bench.process([raw_event("e1", 0), value])
    assert raised.value.offset == 1
    assert list(bench.state.tenant_ids) == []


async def test_counts_are_kept_once_a_batch(bench: Bench):
    values = [raw_event("e1", 0), raw_event("e2", 1, notional_usd=None), raw_event("x1", 2, "execution")]
    await bench.process(values)
    await bench.process([raw_event("t1", 0, "transaction", counterparty_id="cp-bad")], topics.TRANSACTIONS_ALGOS)
    metrics = bench.metrics
    received = {"service": "algos", "topic": topics.TRADES_ALGOS, "tenant_id": TENANT}
    assert metrics.value("events_received_total", event_type="order", **received) == 2
    raised = {"algorithm": "suspicious_counterparty", "severity": "critical", "tenant_id": TENANT}
    assert metrics.value("alerts_generated_total", **raised) == 1
    assert metrics.value("events_not_evaluable_total", algorithm="large_notional", tenant_id=TENANT) == 1
    assert len(metrics.observations("processing_duration_seconds", service="algos", operation="evaluate")) == 2


async def test_late_events_are_counted(bench: Bench):
    await bench.process([raw_event("e1", 4000), raw_event("late", 0)])
    assert bench.metrics.value("events_late_total", service="algos", tenant_id=TENANT) == 1


@pytest.mark.parametrize("given", [["cp-1", "cp-2"], "cp-1,cp-2", " cp-2 , cp-1,"])
def test_suspicious_counterparties_may_be_a_list_or_separated_by_commas(given: object):
    settings = settings_from({"suspicious-counterparty-ids": given}, AlgosSettings)
    [algorithm] = [each for each in configured(settings) if each.name() == "suspicious_counterparty"]
    assert algorithm.values["suspicious_ids"] == ("cp-1", "cp-2")


def test_a_list_with_an_empty_id_is_refused():
    with pytest.raises(InvalidInput, match="empty text"):
        configured(AlgosSettings(suspicious_counterparty_ids=("cp-1", " ")))


async def test_the_module_runs_until_shutdown_and_keeps_its_place():
    clock = SystemClock()
    log = MemoryLogger()
    queue = MemoryQueue(clock)
    await queue.connect()
    checkpoints = MemoryCheckpointStore()
    await _publish(queue, burst(90))
    assert await _run_until(queue, checkpoints, log, alerts=0, consumed=90) == 0
    await _publish(queue, burst(60, start=90))
    assert await _run_until(queue, checkpoints, log, alerts=1, consumed=150) == 0
    await queue.disconnect()


async def _publish(queue: MemoryQueue, values: Sequence[bytes]) -> None:
    await queue.publish([Message(topic=topics.TRADES_ALGOS, key=TENANT, value=value) for value in values])


async def _run_until(
    queue: MemoryQueue, checkpoints: MemoryCheckpointStore, log: MemoryLogger, *, alerts: int, consumed: int
) -> int:
    lifecycle = LifecycleManager(log)
    module = AlgosModule(SETTINGS, queue, checkpoints, log, MemoryMetrics(), SystemClock(), lifecycle)
    running = asyncio.create_task(module.run())
    async with asyncio.timeout(10):
        while sum((await queue.committed("algos", [topics.TRADES_ALGOS])).values()) < consumed:
            await asyncio.sleep(0.01)
    lifecycle.request_shutdown()
    code = await running
    marks = await queue.watermarks([topics.ALERTS])
    assert sum(mark.high for mark in marks.values()) == alerts
    return code
