"""Publish the events of one file.

Consumes: a JSON array, JSON Lines or CSV file, gzip or not.
Produces: events for the normaliser, an error record for each line that cannot be one, receipts.
Effects in order: 1. the file is digested, which names the submission; 2. about 2,000 lines at a time, their
events, error records and receipts are appended together.
On crash: run it again. The submission and the message ids are the same, so what was published already is
dropped as a redelivery; a file that was changed or renamed is another submission.
"""

import sys
from pathlib import Path
from typing import TextIO

import msgspec

from de_platform.modules.base import Module, ModuleSettings
from de_platform.modules.file_processor import progress
from de_platform.modules.file_processor.appends import Appends
from de_platform.modules.file_processor.delivery import Delivery, batched
from de_platform.modules.file_processor.event_file import EventFile
from de_platform.modules.file_processor.reading import Reading
from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.pipeline.events import EventType, IngestionMethod
from de_platform.pipeline.file_pieces import Piece
from de_platform.pipeline.ids import digest
from de_platform.pipeline.intake import Submission
from de_platform.pipeline.tenancy import TenantScope
from de_platform.pipeline.validation import MAX_SUBMISSION_ID_CHARS
from de_platform.services.clock.interface import Clock
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.message_queue.interface import MessageQueueInterface
from de_platform.services.metrics.interface import MetricsInterface


class FileProcessorSettings(ModuleSettings, frozen=True, kw_only=True):
    """Which file, and how to read it. Empty texts mean: not given."""

    file_path: str
    event_type: EventType
    tenant_id: str
    submission_id: str
    format: str


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the file, one JSON line on stdout; `fault` says why its end could not be read."""

    submission_id: str
    total: int
    accepted: int
    rejected: int
    fault: str


class FileProcessorModule(Module):
    """Reads, checks, publishes. Exit code 0 with rejected lines; InvalidInput for a file that is none or torn."""

    def __init__(
        self,
        settings: FileProcessorSettings,
        queue: MessageQueueInterface,
        metrics: MetricsInterface,
        clock: Clock,
        lifecycle: LifecycleManager,
        log: LoggingInterface,
    ) -> None:
        self._settings = settings
        self._queue = queue
        self._metrics = metrics
        self._clock = clock
        self._lifecycle = lifecycle
        self.log = log
        self.out: TextIO = sys.stdout

    async def validate(self) -> None:
        if self._settings.tenant_id:
            TenantScope.of(self._settings.tenant_id)
        if len(self._settings.submission_id) > MAX_SUBMISSION_ID_CHARS:
            raise InvalidInput.single("--submission-id", f"has more than {MAX_SUBMISSION_ID_CHARS} characters")

    async def execute(self) -> int:
        file = EventFile(Path(self._settings.file_path))
        try:
            summary = await self._deliver(file)
        finally:
            file.close()
        self.log.info("file processed", file=file.name, **msgspec.structs.asdict(summary))
        self.out.write(msgspec.json.encode(summary).decode() + "\n")
        if summary.fault:
            raise InvalidInput.single("--file-path", summary.fault)
        return 0

    async def _deliver(self, file: EventFile) -> Summary:
        """Publish batch by batch, in order; the next one is made while one is being written."""
        submission = self._submission(file)
        delivery = Delivery(submission)
        reading = Reading(file, self._settings.format)
        batches = batched(reading.pieces())
        batch: list[Piece] | None = next(batches, [])
        appends = Appends(self._queue, self._clock, self.log)
        try:
            with progress.shown(file.name, file.size_bytes) as show:
                while batch is not None:
                    following = next(batches, None)
                    if self._lifecycle.is_shutting_down:
                        raise Unavailable("this process", "it is stopping; run the same again to go on")
                    await appends.begin(delivery.append(batch, final=following is None))
                    self._count(len(batch))
                    show(read_bytes=file.read_bytes, accepted=delivery.accepted, rejected=delivery.rejected)
                    batch = following
        finally:
            await appends.finish()
        return Summary(
            submission_id=submission.submission_id,
            total=delivery.accepted + delivery.rejected,
            accepted=delivery.accepted,
            rejected=delivery.rejected,
            fault=reading.fault,
        )

    def _submission(self, file: EventFile) -> Submission:
        settings = self._settings
        tenant_id = settings.tenant_id or None
        return Submission(
            tenant_id=tenant_id,
            event_type=settings.event_type,
            method=IngestionMethod.FILE,
            submission_id=settings.submission_id or digest("file", file.name, file.content_digest()),
            source_name=file.name,
            received_at=self._clock.now(),
        )

    def _count(self, events: int) -> None:
        self._metrics.counter(
            "events_ingested_total",
            events,
            service="file_processor",
            event_type=self._settings.event_type.value,
            method=IngestionMethod.FILE.value,
        )


module_class = FileProcessorModule
