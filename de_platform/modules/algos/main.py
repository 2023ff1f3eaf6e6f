"""Runs the realtime algorithms.

**Consumes** `trades_algos`, `transactions_algos`. **Produces** `alerts`.
**Effects in order**: 1. the alerts of a batch are durable in the queue, 2. the windows are checkpointed with the
offsets, 3. the offsets are committed. **On crash** after 1 the batch is judged again and gives the same alerts, byte
for byte where an actor's events came in order; whoever stores them knows them by `alert_id`.
"""

from collections.abc import Mapping, Sequence

from de_platform.modules.algos.algos_step import AlgosStep
from de_platform.modules.base import HealthCheck, Module, ModuleSettings
from de_platform.pipeline.algorithms import FraudAlgorithm, build_all
from de_platform.pipeline.window_state import PartitionWindows
from de_platform.services.checkpoint_store.interface import CheckpointStore
from de_platform.services.clock.interface import Clock
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.message_queue.interface import MessageQueueInterface
from de_platform.services.metrics.interface import MetricsInterface
from de_platform.streaming.loop import ConsumerLoop


class AlgosSettings(ModuleSettings, frozen=True, kw_only=True):
    """Arguments of the module."""

    suspicious_counterparty_ids: tuple[str, ...] | str


class AlgosModule(Module):
    """Consumes until shutdown."""

    def __init__(
        self,
        settings: AlgosSettings,
        queue: MessageQueueInterface,
        checkpoints: CheckpointStore,
        log: LoggingInterface,
        metrics: MetricsInterface,
        clock: Clock,
        lifecycle: LifecycleManager,
    ) -> None:
        self.log = log
        step = AlgosStep(configured(settings), log, metrics, clock)
        self._loop: ConsumerLoop[PartitionWindows] = ConsumerLoop(
            queue, checkpoints, log, metrics, clock, lifecycle, step
        )

    def health_checks(self) -> Mapping[str, HealthCheck]:
        """The loop is a member of its group and waits for nothing."""
        return {"consumer": self._loop.check_ready}

    async def execute(self) -> int:
        """Judge events until shutdown."""
        return await self._loop.run()


def configured(settings: AlgosSettings) -> Sequence[FraudAlgorithm]:
    """Return all known algorithms, with their defaults where the settings say nothing. Raises InvalidInput."""
    ids = settings.suspicious_counterparty_ids
    suspicious = [part for part in ids.split(",") if part.strip()] if isinstance(ids, str) else ids
    return build_all({"suspicious_counterparty": {"suspicious_ids": suspicious}})


module_class = AlgosModule
