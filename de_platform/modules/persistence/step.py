"""Buffers records as they are and stores them table by table; no body is decoded on the way."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from de_platform.pipeline.errors import Unavailable
from de_platform.pipeline.events import Header
from de_platform.pipeline.messages import Batch, Message, Record
from de_platform.services.clock.interface import Clock
from de_platform.services.event_store.interface import TABLE_OF_TOPIC, EventStore, RowsRefused, StoredTable
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.metrics.interface import MetricsInterface
from de_platform.streaming.step import PoisonRecord, Step

SERVICE = "persistence"


class RowBuffer:
    """What one partition has taken in since its last flush, by topic.

    One buffer a table, not one a tenant and table: the store wants few large inserts, it sorts rows by tenant
    itself, and a thousand tenants would otherwise make a thousand small parts a second.
    """

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.records: dict[str, list[Record]] = {topic: [] for topic in TABLE_OF_TOPIC}

    @property
    def rows(self) -> int:
        """How many rows wait for the next flush."""
        return sum(map(len, self.records.values()))


class PersistenceStep(Step[RowBuffer]):
    """A sink. Its state is only the buffer, which a flush empties before every checkpoint: offsets say it all."""

    group = SERVICE
    topics = tuple(TABLE_OF_TOPIC)

    def __init__(
        self,
        store: EventStore,
        log: LoggingInterface,
        metrics: MetricsInterface,
        clock: Clock,
        *,
        flush_threshold: int,
    ) -> None:
        self._store = store
        self._log = log
        self._metrics = metrics
        self._clock = clock
        self._flush_threshold = flush_threshold

    def new_state(self, partition: int) -> RowBuffer:
        """Return an empty buffer."""
        return RowBuffer(partition)

    async def process(self, batch: Batch, state: RowBuffer) -> Sequence[Message]:
        """Buffer the batch."""
        state.records[batch.topic].extend(batch.records)
        return ()

    def flush_due(self, state: RowBuffer) -> bool:
        """Say whether the buffer is full."""
        return state.rows >= self._flush_threshold

    async def flush(self, state: RowBuffer) -> None:
        """Store all tables at once. A table's buffer is emptied when its rows are durable, whatever the others do.

        Raises Unavailable before anything else, so that a refused row is only given up by a store that answers.
        """
        started = self._clock.monotonic_seconds()
        waiting = [topic for topic, records in state.records.items() if records]
        results = await asyncio.gather(*(self._flush_topic(state, topic) for topic in waiting), return_exceptions=True)
        errors = [result for result in results if isinstance(result, BaseException)]
        if errors:
            raise min(errors, key=lambda error: not isinstance(error, Unavailable))
        if waiting:
            elapsed = self._clock.monotonic_seconds() - started
            self._metrics.histogram("processing_duration_seconds", elapsed, service=SERVICE, operation="flush")

    async def _flush_topic(self, state: RowBuffer, topic: str) -> None:
        records, table = state.records[topic], TABLE_OF_TOPIC[topic]
        self._metrics.gauge("buffer_size", len(records), service=SERVICE, table=table.value)
        try:
            await self._store.append(table, [record.value for record in records])
        except RowsRefused as refusal:
            record, reason = await self._refused_record(table, records, refusal)
            tenant_id = record.headers.get(Header.TENANT_ID, "")
            self._metrics.counter("events_errors_total", service=SERVICE, error_type="refused_row", tenant_id=tenant_id)
            raise PoisonRecord(topic=topic, partition=state.partition, offset=record.offset, reason=reason) from refusal
        state.records[topic] = []
        self._count(topic, table, records)
        self._log.debug("rows stored", table=table.value, partition=state.partition, batch_size=len(records))

    async def _refused_record(
        self, table: StoredTable, records: Sequence[Record], refusal: RowsRefused
    ) -> tuple[Record, str]:
        """Find one record that the store refuses on its own, by halving. What it accepts meanwhile is stored.

        Raises the refusal itself if in the end nothing is refused: then no row is to blame.
        """
        while len(records) > 1:
            half = records[: len(records) // 2]
            try:
                await self._store.append(table, [record.value for record in half])
            except RowsRefused:
                records = half
            else:
                records = records[len(half) :]
        [suspect] = records
        try:
            await self._store.append(table, [suspect.value])
        except RowsRefused as error:
            return suspect, str(error)
        raise refusal

    def _count(self, topic: str, table: StoredTable, records: Sequence[Record]) -> None:
        self._metrics.counter("rows_flushed_total", len(records), service=SERVICE, table=table.value)
        headers = [record.headers for record in records]
        received = Counter([(each.get(Header.EVENT_TYPE, ""), each.get(Header.TENANT_ID, "")) for each in headers])
        for (event_type, tenant_id), count in received.items():
            self._metrics.counter(
                "events_received_total", count, service=SERVICE, topic=topic, event_type=event_type, tenant_id=tenant_id
            )
