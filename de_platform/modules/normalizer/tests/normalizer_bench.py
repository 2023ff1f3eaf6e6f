"""A normaliser step with fakes around it, for its tests."""

import json
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from de_platform.modules.normalizer.normalizer_step import NormalizerStep
from de_platform.pipeline import topics
from de_platform.pipeline.messages import Batch, Message, Record
from de_platform.pipeline.tests.sample_events import NOW
from de_platform.services.clock.memory_clock import MemoryClock
from de_platform.services.event_store.interface import TABLE_OF_TOPIC
from de_platform.services.event_store.memory_event_store import MemoryEventStore
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.metrics.memory_metrics import MemoryMetrics
from de_platform.services.rate_store.interface import CurrencyRate
from de_platform.services.rate_store.memory_rate_store import MemoryRateStore


class Bench:
    """A step with fakes around it."""

    def __init__(self) -> None:
        self.clock = MemoryClock(NOW)
        self.events = MemoryEventStore()
        self.rates = MemoryRateStore()
        self.metrics = MemoryMetrics()
        self.batch_tenants: set[str] = set()
        self.step = self.new_step()
        self.state = self.step.new_state(0)

    def new_step(self) -> NormalizerStep:
        return NormalizerStep(
            self.events,
            self.rates,
            MemoryLogger(),
            self.metrics,
            self.clock,
            staleness_limit=timedelta(days=7),
            new_salt=lambda: 7,
            is_realtime=self._is_realtime,
        )

    def _is_realtime(self, tenant_id: str) -> bool:
        return tenant_id not in self.batch_tenants

    async def take(self, *records: Record, topic: str = topics.TRADE_NORMALIZATION) -> Sequence[Message]:
        return await self.step.process(Batch(topic, 0, records), self.state)

    async def load_rate(self, currency: str = "EUR", rate: str = "1.15") -> None:
        await self.rates.add(
            [
                CurrencyRate(
                    from_currency=currency,
                    to_currency="USD",
                    rate=Decimal(rate),
                    effective_on=date(2026, 11, 20),
                    loaded_at=self.clock.now(),
                )
            ]
        )

    async def store(self, messages: Sequence[Message]) -> None:
        """Do as persistence does."""
        for message in messages:
            if message.topic in TABLE_OF_TOPIC:
                await self.events.append(TABLE_OF_TOPIC[message.topic], [message.value])

    def snapshot(self, segments: dict[str, bytes]) -> dict[str, bytes]:
        """Checkpoint; return the segments then listed."""
        snapshot = self.step.snapshot(self.state)
        self.step.snapshot_saved(self.state)
        return {name: segments[name] for name in snapshot.kept_segments} | dict(snapshot.new_segments)


def bodies(messages: Sequence[Message], topic: str) -> list[dict[str, Any]]:
    return [json.loads(message.value) for message in messages if message.topic == topic]
