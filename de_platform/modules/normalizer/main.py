"""Checks, deduplicates and enriches events, and routes them to the store and the algorithms.

**Consumes** `trade_normalization`, `tx_normalization`. **Produces** `orders_persistence`, `executions_persistence`,
`transactions_persistence`, `trades_algos`, `transactions_algos`, `duplicates`, `normalization_errors`.
**Effects in order**: 1. the outputs of a batch are durable in the queue, 2. the dedup keys are checkpointed with the
offsets, 3. the offsets are committed. **On crash** after 1 the batch is judged again from the checkpoint and gives
the same verdicts; its outputs carry the same origins, by which their readers skip them.
"""

import secrets
from collections.abc import Mapping
from datetime import timedelta

from de_platform.modules.base import HealthCheck, Module, ModuleSettings
from de_platform.modules.normalizer.normalizer_step import NormalizerState, NormalizerStep
from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.services.checkpoint_store.interface import CheckpointStore
from de_platform.services.clock.interface import Clock
from de_platform.services.event_store.interface import EventStore
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.message_queue.interface import MessageQueueInterface
from de_platform.services.metrics.interface import MetricsInterface
from de_platform.services.rate_store.interface import RateStore
from de_platform.streaming.loop import ConsumerLoop

_SALT_BITS = 64


class NormalizerSettings(ModuleSettings, frozen=True, kw_only=True):
    """Arguments of the module."""

    rate_staleness_days: int


class NormalizerModule(Module):
    """Consumes until shutdown."""

    def __init__(
        self,
        settings: NormalizerSettings,
        queue: MessageQueueInterface,
        checkpoints: CheckpointStore,
        events: EventStore,
        rates: RateStore,
        log: LoggingInterface,
        metrics: MetricsInterface,
        clock: Clock,
        lifecycle: LifecycleManager,
    ) -> None:
        self.log = log
        self._settings = settings
        self._step = NormalizerStep(
            events,
            rates,
            log,
            metrics,
            clock,
            staleness_limit=timedelta(days=settings.rate_staleness_days),
            new_salt=lambda: secrets.randbits(_SALT_BITS),
        )
        self._loop: ConsumerLoop[NormalizerState] = ConsumerLoop(
            queue, checkpoints, log, metrics, clock, lifecycle, self._step
        )

    def health_checks(self) -> Mapping[str, HealthCheck]:
        """The loop is a member of its group and waits for nothing."""
        return {"consumer": self._loop.check_ready}

    async def initialize(self) -> None:
        """Learn the exchange rates before the first event needs them. Waits for nobody: the loop retries."""
        try:
            await self._step.learn_rates()
        except Unavailable as error:
            self.log.warn("exchange rates come with the first event", error=str(error))

    async def validate(self) -> None:
        """Check the arguments."""
        if self._settings.rate_staleness_days < 0:
            raise InvalidInput.single("--rate-staleness-days", "must not be negative")

    async def execute(self) -> int:
        """Normalise until shutdown."""
        return await self._loop.run()


module_class = NormalizerModule
