"""Keeps what the event store keeps as files, too: for audits, for other tools, for the day when the store is lost.

**Consumes** `orders_persistence`, `executions_persistence`, `transactions_persistence`, `duplicates`,
`normalization_errors` (group `archive`). **Produces** files with a manifest, see `layout`.
**Effects in order**: 1. a checkpoint that holds the finished files and the offsets past them, 2. the commit,
3. each file, 4. its manifest entry.
**On crash** before 1 the records come again from the log; after it the checkpoint's files are written by whoever
owns the partition next. The listed files hold every record exactly once.
"""

import asyncio
from collections.abc import Mapping

from de_platform.modules.archive.courier import Courier
from de_platform.modules.archive.formats import FileFormat
from de_platform.modules.archive.step import ArchiveStep
from de_platform.modules.base import HealthCheck, Module, ModuleSettings
from de_platform.pipeline.errors import FieldError, InvalidInput
from de_platform.services.checkpoint_store.interface import CheckpointStore
from de_platform.services.clock.interface import Clock
from de_platform.services.filesystem.interface import FileSystemInterface
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.message_queue.interface import MessageQueueInterface
from de_platform.services.metrics.interface import MetricsInterface
from de_platform.streaming.loop import ConsumerLoop
from de_platform.streaming.options import LoopOptions


class ArchiveSettings(ModuleSettings, frozen=True, kw_only=True):
    """Arguments of the module."""

    format: FileFormat
    file_interval: float
    """Seconds."""
    file_records: int
    """Records of one partition."""


class ArchiveModule(Module):
    """Runs the consumer and the courier side by side; if one breaks the other ends, too."""

    def __init__(
        self,
        settings: ArchiveSettings,
        queue: MessageQueueInterface,
        checkpoints: CheckpointStore,
        fs: FileSystemInterface,
        log: LoggingInterface,
        metrics: MetricsInterface,
        clock: Clock,
        lifecycle: LifecycleManager,
    ) -> None:
        self.log = log
        self._settings = settings
        self._lifecycle = lifecycle
        self._courier = Courier(fs, log, metrics, clock)
        step = ArchiveStep(
            self._courier, metrics, clock, file_format=settings.format, file_records=settings.file_records
        )
        options = LoopOptions(checkpoint_interval_seconds=settings.file_interval, checkpoints_when_quiet=False)
        self._loop = ConsumerLoop(queue, checkpoints, log, metrics, clock, lifecycle, step, options)

    def health_checks(self) -> Mapping[str, HealthCheck]:
        """Records are being taken in, and files written."""
        return {"archive": self._loop.check_ready, "archive_files": self._courier.check_ready}

    async def validate(self) -> None:
        """Raise InvalidInput for an interval or a size that is not positive."""
        faults: list[FieldError] = []
        if self._settings.file_interval <= 0:
            faults.append(FieldError("--file-interval", "must be > 0"))
        if self._settings.file_records <= 0:
            faults.append(FieldError("--file-records", "must be > 0"))
        if faults:
            raise InvalidInput(faults)

    async def execute(self) -> int:
        """Archive until shutdown; then seal what is open and deliver it."""
        delivering = asyncio.create_task(self._courier.run())
        consuming = asyncio.create_task(self._loop.run())
        try:
            await asyncio.wait({delivering, consuming}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._lifecycle.request_shutdown()
            await asyncio.wait({consuming})
            self._courier.stop()
            await asyncio.wait({delivering})
        delivering.result()
        return consuming.result()


module_class = ArchiveModule
