"""Records of one topic partition into files named by their first offset.

A file is created, never replaced. After a crash, or where a stale consumer was quicker, the file for an
offset may be there already: then its lines are that many records of the log, and they are skipped.
"""

import base64
from collections.abc import Mapping, Sequence

import msgspec

from de_platform.pipeline.ids import digest
from de_platform.pipeline.messages import Batch, Message
from de_platform.services.clock.interface import Clock
from de_platform.services.filesystem.interface import FileSystemInterface
from de_platform.services.ingest_batch_store.interface import IngestBatch, IngestBatchStore
from de_platform.services.metrics.interface import MetricsInterface
from de_platform.streaming.step import Snapshot, Step

MAX_BUFFERED_BYTES = 64 * 1024 * 1024


class Lake(msgspec.Struct, frozen=True, kw_only=True):
    """What is written where."""

    topic: str
    output_prefix: str
    batch_records: int

    def path(self, partition: int, first_offset: int) -> str:
        """Return the only place of a file that begins with this record."""
        return f"{self.output_prefix}/{self.topic}/{partition:05}/{first_offset:020}.jsonl"


class Existing(msgspec.Struct):
    """A file that was there already and holds more than the buffer did; `left` of its records are still to come."""

    first_offset: int
    record_count: int
    byte_count: int
    left: int


class Buffer:
    """Lines that wait for their file, with their offsets."""

    def __init__(self, partition: int, existing: Existing | None = None) -> None:
        self.partition = partition
        self.existing = existing
        self.found: list[IngestBatch] = []
        """Rows of existing files whose last record went by."""
        self.offsets: list[int] = []
        self.lines: list[bytes] = []
        self.size_bytes = 0


class LakeStep(Step[Buffer]):
    """Buffers, and writes at its flush. Effects in order: 1. the file, 2. its row, 3. (the loop) the checkpoint."""

    skips_replays = False  # every record of the topic belongs into the lake, whatever it was made from

    def __init__(
        self, lake: Lake, files: FileSystemInterface, batches: IngestBatchStore, clock: Clock, metrics: MetricsInterface
    ) -> None:
        self.group = f"stream_ingest-{digest(lake.topic, lake.output_prefix)[:16]}"
        self.topics = (lake.topic,)
        self._lake = lake
        self._files = files
        self._batches = batches
        self._clock = clock
        self._metrics = metrics

    def new_state(self, partition: int) -> Buffer:
        return Buffer(partition)

    async def process(self, batch: Batch, state: Buffer) -> Sequence[Message]:
        for record in batch.records[self._skip(batch, state) :]:
            line = as_line(record.value)
            state.offsets.append(record.offset)
            state.lines.append(line)
            state.size_bytes += len(line)
        return ()

    def _skip(self, batch: Batch, state: Buffer) -> int:
        """Return how many records of the batch an existing file holds."""
        existing = state.existing
        if existing is None:
            return 0
        skipped = min(existing.left, len(batch.records))
        existing.left -= skipped
        if existing.left == 0:
            last_offset = batch.records[skipped - 1].offset
            state.found.append(
                self._row(state, existing.first_offset, last_offset, existing.record_count, existing.byte_count)
            )
            state.existing = None
        return skipped

    def flush_due(self, state: Buffer) -> bool:
        return len(state.lines) >= self._lake.batch_records or state.size_bytes >= MAX_BUFFERED_BYTES

    async def flush(self, state: Buffer) -> None:
        while state.found:
            await self._batches.add(state.found[0])
            del state.found[0]
        while state.lines:
            record_count, byte_count = await self._write(state)
            first_offset = state.offsets[0]
            if record_count > len(state.lines):
                left = record_count - len(state.lines)
                state.existing = Existing(first_offset, record_count, byte_count, left)
            else:
                last_offset = state.offsets[record_count - 1]
                await self._batches.add(self._row(state, first_offset, last_offset, record_count, byte_count))
            state.size_bytes -= sum(map(len, state.lines[:record_count]))
            del state.offsets[:record_count], state.lines[:record_count]

    async def _write(self, state: Buffer) -> tuple[int, int]:
        """Create the next file; return the records and bytes of the file that is there now."""
        path = self._lake.path(state.partition, state.offsets[0])
        lines = state.lines[: self._lake.batch_records]
        data = b"".join(lines)
        if await self._files.create(path, data):
            self._metrics.counter("rows_flushed_total", len(lines), service="stream_ingest", table=self._lake.topic)
            return len(lines), len(data)
        existing = await self._files.read(path)
        return existing.count(b"\n"), len(existing)

    def _row(
        self, state: Buffer, first_offset: int, last_offset: int, record_count: int, byte_count: int
    ) -> IngestBatch:
        path = self._lake.path(state.partition, first_offset)
        return IngestBatch(
            batch_id=digest("ingest_batch", path),
            topic=self._lake.topic,
            partition=state.partition,
            first_offset=first_offset,
            last_offset=last_offset,
            record_count=record_count,
            byte_count=byte_count,
            path=path,
            created_at=self._clock.now(),
        )

    def snapshot(self, state: Buffer) -> Snapshot:
        if state.existing is None:
            return Snapshot()
        name = f"existing-{state.existing.first_offset}-{state.existing.left}"
        return Snapshot(new_segments={name: msgspec.json.encode(state.existing)})

    def restore(self, partition: int, segments: Mapping[str, bytes]) -> Buffer:
        for saved in segments.values():
            return Buffer(partition, msgspec.json.decode(saved, type=Existing))
        return Buffer(partition)


def as_line(value: bytes) -> bytes:
    """Return a record as one line of JSON; what is no JSON becomes `{"raw_base64": ...}`."""
    try:
        return (msgspec.json.format(value, indent=-1) if b"\n" in value or b"\r" in value else _checked(value)) + b"\n"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.json.encode({"raw_base64": base64.b64encode(value).decode()}) + b"\n"


def _checked(value: bytes) -> bytes:
    msgspec.json.decode(value)
    return value
