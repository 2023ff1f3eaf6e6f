"""Stores what the normaliser let through, and what it did not.

**Consumes** `orders_persistence`, `executions_persistence`, `transactions_persistence`, `duplicates`,
`normalization_errors` (group `persistence`). **Produces** nothing.
**Effects in order**: 1. the rows of a flush are durable in the analytical store, 2. the loop checkpoints and commits.
**On crash** between them the rows come again from the log, and the store shows each of them once.
"""

from collections.abc import Mapping

from de_platform.modules.base import HealthCheck, Module, ModuleSettings
from de_platform.modules.persistence.step import PersistenceStep
from de_platform.pipeline.errors import FieldError, InvalidInput
from de_platform.services.checkpoint_store.interface import CheckpointStore
from de_platform.services.clock.interface import Clock
from de_platform.services.event_store.interface import EventStore
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.message_queue.interface import MessageQueueInterface
from de_platform.services.metrics.interface import MetricsInterface
from de_platform.streaming.loop import ConsumerLoop
from de_platform.streaming.options import LoopOptions


class PersistenceSettings(ModuleSettings, frozen=True, kw_only=True):
    """Arguments of the module."""

    flush_interval: float
    """Seconds."""
    flush_threshold: int
    """Rows of one partition."""


class PersistenceModule(Module):
    """Runs the persistence step until shutdown."""

    def __init__(
        self,
        settings: PersistenceSettings,
        queue: MessageQueueInterface,
        checkpoints: CheckpointStore,
        events: EventStore,
        log: LoggingInterface,
        metrics: MetricsInterface,
        clock: Clock,
        lifecycle: LifecycleManager,
    ) -> None:
        self.log = log
        self._settings = settings
        step = PersistenceStep(events, log, metrics, clock, flush_threshold=settings.flush_threshold)
        options = LoopOptions(checkpoint_interval_seconds=settings.flush_interval)
        self._loop = ConsumerLoop(queue, checkpoints, log, metrics, clock, lifecycle, step, options)

    def health_checks(self) -> Mapping[str, HealthCheck]:
        """Rows are being stored."""
        return {"persistence": self._loop.check_ready}

    async def validate(self) -> None:
        """Raise InvalidInput for an interval or threshold that is not positive."""
        faults: list[FieldError] = []
        if self._settings.flush_interval <= 0:
            faults.append(FieldError("--flush-interval", "must be > 0"))
        if self._settings.flush_threshold <= 0:
            faults.append(FieldError("--flush-threshold", "must be > 0"))
        if faults:
            raise InvalidInput(faults)

    async def execute(self) -> int:
        """Store rows until shutdown."""
        return await self._loop.run()


module_class = PersistenceModule
