"""The module on its queue: restarts lose nothing and repeat nothing."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from de_platform.modules.normalizer.main import NormalizerModule, NormalizerSettings
from de_platform.pipeline import topics
from de_platform.pipeline.errors import InvalidInput
from de_platform.pipeline.intake import take_in
from de_platform.pipeline.tests.sample_events import order, raw, submission
from de_platform.services.checkpoint_store.memory_checkpoint_store import MemoryCheckpointStore
from de_platform.services.clock.system_clock import SystemClock
from de_platform.services.event_store.memory_event_store import MemoryEventStore
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.message_queue.memory_queue import MemoryQueue
from de_platform.services.metrics.memory_metrics import MemoryMetrics
from de_platform.services.rate_store.memory_rate_store import MemoryRateStore


class Installation:
    """What outlives the module."""

    def __init__(self) -> None:
        self.queue = MemoryQueue(SystemClock())
        self.checkpoints = MemoryCheckpointStore()
        self.events = MemoryEventStore()
        self.rates = MemoryRateStore()

    def module(self, lifecycle: LifecycleManager, staleness_days: int = 7) -> NormalizerModule:
        return NormalizerModule(
            NormalizerSettings(rate_staleness_days=staleness_days),
            self.queue,
            self.checkpoints,
            self.events,
            self.rates,
            MemoryLogger(),
            MemoryMetrics(),
            SystemClock(),
            lifecycle,
        )

    async def run_until(self, consumed: int) -> int:
        """Run the module until its group has committed that many records; return its exit code."""
        lifecycle = LifecycleManager(MemoryLogger())
        running = asyncio.create_task(self.module(lifecycle).run())
        async with asyncio.timeout(10):
            while sum((await self.queue.committed("normalizer", [topics.TRADE_NORMALIZATION])).values()) < consumed:
                await asyncio.sleep(0.01)
        lifecycle.request_shutdown()
        return await running

    async def count(self, topic: str) -> int:
        return sum(mark.high for mark in (await self.queue.watermarks([topic])).values())


async def test_a_restarted_module_still_knows_every_event() -> None:
    installation = Installation()
    await installation.queue.connect()
    sent = datetime.now(UTC)
    transact_time = (sent - timedelta(minutes=1)).isoformat()
    raws = [raw(order(id=f"o-{n}", transact_time=transact_time)) for n in range(10)]
    for attempt in ("request-1", "request-2"):
        intake = take_in(submission(submission_id=attempt, received_at=sent), raws, positions=range(10))
        await installation.queue.publish(intake.messages)
        assert await installation.run_until(await installation.count(topics.TRADE_NORMALIZATION)) == 0
    assert await installation.count(topics.ORDERS_PERSISTENCE) == 10
    assert await installation.count(topics.TRADES_ALGOS) == 10
    assert await installation.count(topics.DUPLICATES) == 10
    await installation.queue.disconnect()


async def test_a_negative_staleness_limit_is_refused() -> None:
    module = Installation().module(LifecycleManager(MemoryLogger()), staleness_days=-1)
    with pytest.raises(InvalidInput, match="--rate-staleness-days"):
        await module.validate()
