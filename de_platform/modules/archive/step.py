"""Cuts the log into files.

Where a stretch of a partition ends is decided by the checkpoint: what was taken in since the one before becomes
files, and the checkpoint that moves the offsets past them holds them, byte for byte. Only then does the courier
write them. So files never overlap, whoever dies when, and no file is ever in the archive that a replay would
cut otherwise: checkpoints follow each other in one line, and a stale owner cannot save one.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

from de_platform.modules.archive.courier import SERVICE, Courier
from de_platform.modules.archive.formats import ArchivedRecord, FileFormat
from de_platform.modules.archive.layout import FilePlace
from de_platform.modules.archive.parcels import Parcel, pack, seal, segment_name, unpack
from de_platform.pipeline.events import Header
from de_platform.pipeline.messages import Batch, Message, Record
from de_platform.services.clock.interface import Clock
from de_platform.services.event_store.interface import TABLE_OF_TOPIC
from de_platform.services.metrics.interface import MetricsInterface
from de_platform.streaming.step import PoisonRecord, Snapshot, Step

MAX_OPEN_BYTES = 32 * 1024 * 1024
"""Bodies of one partition at which what is buffered becomes files, however few records they are."""


class OpenFiles:
    """What one partition has taken in since its last checkpoint, and parcels that checkpoints hold."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.records: dict[FilePlace, list[ArchivedRecord]] = {}
        self.count = 0
        self.bytes = 0
        self.sealed: dict[str, bytes] = {}
        """Segments for the next checkpoint."""
        self.saved: set[str] = set()
        """Segments of the last checkpoint."""


class ArchiveStep(Step[OpenFiles]):
    """A sink whose files travel in its checkpoints."""

    group = SERVICE
    topics = tuple(TABLE_OF_TOPIC)

    def __init__(
        self,
        courier: Courier,
        metrics: MetricsInterface,
        clock: Clock,
        *,
        file_format: FileFormat,
        file_records: int,
    ) -> None:
        self._courier = courier
        self._metrics = metrics
        self._clock = clock
        self._format = file_format
        self._file_records = file_records

    def new_state(self, partition: int) -> OpenFiles:
        """Return empty buffers."""
        return OpenFiles(partition)

    async def process(self, batch: Batch, state: OpenFiles) -> Sequence[Message]:
        """Buffer the batch. Raises PoisonRecord for a record that says neither when it came nor reads as text."""
        open_files: dict[tuple[str | None, str | None], list[ArchivedRecord]] = {}
        for record in batch.records:
            headers, value = record.headers, record.value
            stamp = headers.get(Header.TENANT_ID), headers.get(Header.INGESTED_AT)
            held = open_files.get(stamp)
            if held is None:
                held = open_files[stamp] = state.records.setdefault(_place(batch, record), [])
            if not value.isascii():
                _check_text(batch, record)
            held.append(
                ArchivedRecord(record.offset, headers[Header.INGESTED_AT], headers.get(Header.MESSAGE_ID, ""), value)
            )
            state.bytes += len(value)
        state.count += len(batch.records)
        return ()

    def flush_due(self, state: OpenFiles) -> bool:
        """Say whether the buffers are full."""
        return state.count >= self._file_records or state.bytes >= MAX_OPEN_BYTES

    async def flush(self, state: OpenFiles) -> None:
        """Seal what is buffered into a parcel for the checkpoint that follows.

        Raises Unavailable while too much waits for the archive; then nothing has changed.
        """
        if not state.records:
            return
        self._courier.check_room()
        started = self._clock.monotonic_seconds()
        segment = await asyncio.to_thread(self._parcel, state.records)
        state.sealed[segment_name(segment)] = segment
        state.records, state.count, state.bytes = {}, 0, 0
        elapsed = self._clock.monotonic_seconds() - started
        self._metrics.histogram("processing_duration_seconds", elapsed, service=SERVICE, operation="flush")

    def snapshot(self, state: OpenFiles) -> Snapshot:
        """Return the parcels that the archive does not have yet."""
        kept = frozenset(name for name in state.saved if self._courier.still_has(name))
        return Snapshot(new_segments=dict(state.sealed), kept_segments=kept)

    def snapshot_saved(self, state: OpenFiles) -> None:
        """Hand over to the courier what the checkpoint holds now."""
        state.saved = {name for name in state.saved if self._courier.still_has(name)}
        for name, segment in state.sealed.items():
            self._courier.take(name, unpack(segment))
            state.saved.add(name)
        state.sealed = {}

    def restore(self, partition: int, segments: Mapping[str, bytes]) -> OpenFiles:
        """Go on after a checkpoint; its parcels may not have been delivered."""
        state = OpenFiles(partition)
        for name, segment in segments.items():
            self._courier.take(name, unpack(segment))
        state.saved = set(segments)
        return state

    def _parcel(self, records: Mapping[FilePlace, Sequence[ArchivedRecord]]) -> bytes:
        return pack(Parcel(files=tuple(seal(place, held, self._format) for place, held in records.items())))


def _place(batch: Batch, record: Record) -> FilePlace:
    try:
        day = datetime.fromisoformat(record.headers[Header.INGESTED_AT]).date().isoformat()
    except (KeyError, ValueError) as error:
        raise _poison(batch, record, error) from error
    return FilePlace(
        tenant_id=record.headers.get(Header.TENANT_ID, ""),
        table=TABLE_OF_TOPIC[batch.topic],
        day=day,
        topic=batch.topic,
        partition=batch.partition,
    )


def _check_text(batch: Batch, record: Record) -> None:
    try:
        record.value.decode()
    except UnicodeDecodeError as error:
        raise _poison(batch, record, error) from error


def _poison(batch: Batch, record: Record, error: Exception) -> PoisonRecord:
    return PoisonRecord(
        topic=batch.topic, partition=batch.partition, offset=record.offset, reason=f"cannot be archived: {error!r}"
    )
