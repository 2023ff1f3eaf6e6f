"""Write a topic to the data lake.

**Consumes** any topic. **Produces** JSON Lines files, and a row in `ingest_batches` for each.
**Effects in order**: 1. a file is created, 2. its row is stored, 3. the checkpoint with the offsets, 4. the commit.
**On crash** after 1 or 2 the file is found again under the name of its first offset, and its records are not
written another time.
"""

from collections.abc import Mapping

from de_platform.modules.base import HealthCheck, Module, ModuleSettings
from de_platform.modules.stream_ingest.lake_step import Buffer, Lake, LakeStep
from de_platform.pipeline.errors import FieldError, InvalidInput
from de_platform.services.checkpoint_store.interface import CheckpointStore
from de_platform.services.clock.interface import Clock
from de_platform.services.filesystem.interface import FileSystemInterface
from de_platform.services.ingest_batch_store.interface import IngestBatchStore
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.message_queue.interface import MessageQueueInterface
from de_platform.services.metrics.interface import MetricsInterface
from de_platform.streaming.loop import ConsumerLoop, LoopOptions

MAX_POLLED_RECORDS = 5000


class StreamIngestSettings(ModuleSettings, frozen=True, kw_only=True):
    """Which topic, where to, and in which portions; `flush_interval` is in seconds."""

    topic: str
    output_prefix: str
    batch_size: int
    flush_interval: float


class StreamIngestModule(Module):
    """Consumes until shutdown; what is buffered then is written."""

    def __init__(
        self,
        settings: StreamIngestSettings,
        queue: MessageQueueInterface,
        checkpoints: CheckpointStore,
        files: FileSystemInterface,
        batches: IngestBatchStore,
        log: LoggingInterface,
        metrics: MetricsInterface,
        clock: Clock,
        lifecycle: LifecycleManager,
    ) -> None:
        self.log = log
        self._settings = settings
        lake = Lake(
            topic=settings.topic,
            output_prefix=settings.output_prefix.rstrip("/"),
            batch_records=settings.batch_size,
        )
        options = LoopOptions(
            max_batch_records=max(1, min(settings.batch_size, MAX_POLLED_RECORDS)),
            checkpoint_interval_seconds=settings.flush_interval,
        )
        step = LakeStep(lake, files, batches, clock, metrics)
        self._loop: ConsumerLoop[Buffer] = ConsumerLoop(
            queue, checkpoints, log, metrics, clock, lifecycle, step, options
        )

    def health_checks(self) -> Mapping[str, HealthCheck]:
        """The loop is a member of its group and waits for nothing."""
        return {"consumer": self._loop.check_ready}

    async def validate(self) -> None:
        """Check the settings. Raises InvalidInput with every fault."""
        settings = self._settings
        faults: list[FieldError] = []
        if not settings.topic or "/" in settings.topic:
            faults.append(FieldError("--topic", "must be the name of a topic"))
        prefix = settings.output_prefix.rstrip("/")
        if any(part in ("", ".", "..") for part in prefix.split("/")) or "\0" in prefix:
            faults.append(FieldError("--output-prefix", "must be a relative path without empty, '.' or '..' parts"))
        if settings.batch_size < 1:
            faults.append(FieldError("--batch-size", f"must be at least 1, was {settings.batch_size}"))
        if not settings.flush_interval >= 0:
            faults.append(FieldError("--flush-interval", f"must not be negative, was {settings.flush_interval}"))
        if faults:
            raise InvalidInput(faults)

    async def execute(self) -> int:
        """Write until shutdown."""
        return await self._loop.run()


module_class = StreamIngestModule
