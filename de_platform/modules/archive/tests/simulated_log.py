"""A log of one partition, the archive's stores that can die at any effect, and owners of the partition."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from de_platform.modules.archive.courier import Courier
from de_platform.modules.archive.formats import FileFormat
from de_platform.modules.archive.reader import archived_values
from de_platform.modules.archive.step import ArchiveStep, OpenFiles
from de_platform.pipeline.events import Header
from de_platform.pipeline.messages import Batch, Record, TopicPartition
from de_platform.pipeline.topics import DUPLICATES, ORDERS_PERSISTENCE
from de_platform.services.checkpoint_store.interface import CheckpointConflict
from de_platform.services.checkpoint_store.memory_checkpoint_store import MemoryCheckpointStore
from de_platform.services.clock.memory_clock import MemoryClock
from de_platform.services.event_store.interface import StoredTable
from de_platform.services.filesystem.memory_filesystem import MemoryFileSystem
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.metrics.memory_metrics import MemoryMetrics

TENANTS = ("acme", "globex", "")
TOPICS = (ORDERS_PERSISTENCE, DUPLICATES)


class Crash(BaseException):
    """The process is gone: nothing may catch this."""


class Effects:
    """Counts durable effects and dies before or after a chosen one."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.points = 0
        self._dies_at = dies_at

    def point(self) -> None:
        """Pass one instant at which a process can die."""
        if self.points == self._dies_at:
            raise Crash
        self.points += 1


class MortalFiles(MemoryFileSystem):
    """Files that outlive whoever dies while writing them."""

    def __init__(self) -> None:
        super().__init__()
        self.effects = Effects()

    async def write(self, path: str, data: bytes) -> None:
        self.effects.point()
        await super().write(path, data)
        self.effects.point()


def record(offset: int) -> Record:
    """Return a record of the log; tenants take turns, and midnight passes in between."""
    tenant_id = TENANTS[offset % 3]
    at = datetime(2026, 11, 3, 23, 59, 50, tzinfo=UTC) + timedelta(seconds=offset)
    headers = {Header.TENANT_ID: tenant_id, Header.INGESTED_AT: at.isoformat(), Header.MESSAGE_ID: f"m.{offset}"}
    return Record(offset, tenant_id, f'{{"offset": {offset}}}'.encode(), headers)


class Owner:
    """One process that owns the partition, or believes so: the consumer loop's effects, one call each."""

    def __init__(self, fs: MortalFiles, disk: MemoryCheckpointStore, length: int) -> None:
        self._fs = fs
        self._length = length
        self._checkpoints = MemoryCheckpointStore(disk)
        clock = MemoryClock()
        self._courier = Courier(fs, MemoryLogger(), MemoryMetrics(), clock)
        self._step = ArchiveStep(self._courier, MemoryMetrics(), clock, file_format=FileFormat.JSONL, file_records=1000)
        self._state = OpenFiles(0)
        self._offsets: dict[str, int] = {}

    async def take_over(self) -> None:
        """Load the checkpoint."""
        checkpoint = await self._checkpoints.load("archive", 0)
        self._offsets = {at.topic: offset for at, offset in checkpoint.offsets.items()} if checkpoint else {}
        self._state = self._step.restore(0, checkpoint.segments) if checkpoint else self._step.new_state(0)

    async def poll(self, count: int) -> None:
        """Take in the next records of every topic."""
        for topic in TOPICS:
            start = self._offsets.get(topic, 0)
            records = [record(offset) for offset in range(start, min(start + count, self._length))]
            if records:
                await self._step.process(Batch(topic, 0, records), self._state)
                self._offsets[topic] = start + len(records)

    async def checkpoint(self) -> None:
        """Flush and save; whoever is stale by now takes over anew instead."""
        await self._step.flush(self._state)
        snapshot = self._step.snapshot(self._state)
        offsets = {TopicPartition(topic, 0): offset for topic, offset in self._offsets.items()}
        try:
            self._fs.effects.point()
            await self._checkpoints.save(
                "archive",
                0,
                offsets=offsets,
                origins={},
                new_segments=snapshot.new_segments,
                kept_segments=snapshot.kept_segments,
            )
            self._fs.effects.point()
        except CheckpointConflict:
            await self.take_over()
        else:
            self._step.snapshot_saved(self._state)

    async def deliver(self) -> None:
        """Let the courier write what it has."""
        await self._courier.deliver()

    @property
    def is_done(self) -> bool:
        """True when the whole log is taken in."""
        return all(self._offsets.get(topic, 0) == self._length for topic in TOPICS)

    async def run(self, batches: Sequence[int] = (4, 7, 1)) -> None:
        """Archive the rest of the log."""
        await self.take_over()
        turn = 0
        while not self.is_done:
            await self.poll(batches[turn % len(batches)])
            await self.checkpoint()
            await self.deliver()
            turn += 1
        await self.deliver()


async def listed(fs: MemoryFileSystem, read: Callable[[bytes], int]) -> Mapping[str, list[int]]:
    """Return what the listed files of each topic hold, over all tenants."""
    tables = {ORDERS_PERSISTENCE: StoredTable.ORDERS, DUPLICATES: StoredTable.DUPLICATES}
    return {
        topic: sorted([read(value) for tenant in TENANTS async for value in archived_values(fs, tenant, table)])
        for topic, table in tables.items()
    }
