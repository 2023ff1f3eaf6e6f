"""Batches of enriched events in, alerts out.

**Consumes** `trades_algos`, `transactions_algos`; they share the windows of their partition. **Produces** `alerts`.
**Effects in order**: 1. the windows change, 2. the loop publishes the alerts. **On crash** see `main`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from de_platform.pipeline import topics
from de_platform.pipeline.algorithms import FraudAlgorithm
from de_platform.pipeline.event_columns import LeanEvent, decode_lean
from de_platform.pipeline.events import Header, Origin
from de_platform.pipeline.messages import Batch, Message, Record
from de_platform.pipeline.window_state import PartitionWindows
from de_platform.pipeline.windows import Found, Taken, WindowEngine
from de_platform.services.clock.interface import Clock
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.metrics.interface import MetricsInterface
from de_platform.streaming.step import PoisonRecord, Snapshot, Step

_SERVICE = "algos"
_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class AlgosStep(Step[PartitionWindows]):
    """Lets the window engine judge each tenant's part of a batch."""

    group = _SERVICE
    topics = (topics.TRADES_ALGOS, topics.TRANSACTIONS_ALGOS)

    def __init__(
        self, algorithms: Sequence[FraudAlgorithm], log: LoggingInterface, metrics: MetricsInterface, clock: Clock
    ) -> None:
        self._engine = WindowEngine(algorithms)
        self._severity = {algorithm.name(): algorithm.severity for algorithm in algorithms}
        self._log = log
        self._metrics = metrics
        self._clock = clock

    def new_state(self, partition: int) -> PartitionWindows:  # noqa: ARG002 - all partitions begin alike
        return PartitionWindows()

    async def process(self, batch: Batch, state: PartitionWindows) -> Sequence[Message]:
        """Judge a batch. Raises PoisonRecord, before anything changes, for a record that is no enriched event."""
        started = self._clock.monotonic_seconds()
        leans = _decoded(batch)
        alerts: list[tuple[int, Message]] = []
        for tenant_id, positions in _by_tenant(batch.records).items():
            taken = self._engine.take(
                state.tenant(tenant_id),
                leans if len(positions) == len(leans) else [leans[position] for position in positions],
                [batch.records[position].value for position in positions],
            )
            self._count(batch.topic, tenant_id, taken)
            for found in taken.found:
                position = positions[found.trigger]
                alerts.append((position, _message(batch, batch.records[position], found)))
        alerts.sort(key=lambda alert: alert[0])
        self._metrics.histogram(
            "processing_duration_seconds",
            self._clock.monotonic_seconds() - started,
            service=_SERVICE,
            operation="evaluate",
        )
        return [message for _, message in alerts]

    def snapshot(self, state: PartitionWindows) -> Snapshot:
        segments = state.snapshot()
        return Snapshot(new_segments=segments.new, kept_segments=segments.kept)

    def snapshot_saved(self, state: PartitionWindows) -> None:
        state.snapshot_saved()

    def restore(self, partition: int, segments: Mapping[str, bytes]) -> PartitionWindows:  # noqa: ARG002
        return PartitionWindows.restored(segments)

    def _count(self, topic: str, tenant_id: str, taken: Taken) -> None:
        for event_type, count in taken.received.items():
            self._metrics.counter(
                "events_received_total",
                count,
                service=_SERVICE,
                topic=topic,
                event_type=event_type,
                tenant_id=tenant_id,
            )
        for algorithm, count in Counter(found.alert.algorithm for found in taken.found).items():
            self._metrics.counter(
                "alerts_generated_total",
                count,
                algorithm=algorithm,
                severity=self._severity[algorithm].value,
                tenant_id=tenant_id,
            )
        for algorithm, count in taken.not_evaluable.items():
            self._metrics.counter("events_not_evaluable_total", count, algorithm=algorithm, tenant_id=tenant_id)
        if taken.late:
            self._metrics.counter("events_late_total", taken.late, service=_SERVICE, tenant_id=tenant_id)
            self._log.info("events too late for windows", tenant_id=tenant_id, topic=topic, events=taken.late)


def _decoded(batch: Batch) -> Sequence[LeanEvent]:
    try:
        return [decode_lean(record.value) for record in batch.records]
    except _MALFORMED:
        raise next(filter(None, (_poison(batch, record) for record in batch.records))) from None


def _poison(batch: Batch, record: Record) -> PoisonRecord | None:
    """Say what is wrong with a record, if anything is."""
    try:
        decode_lean(record.value)
    except _MALFORMED as error:
        reason = f"not an enriched event: {error}"
        return PoisonRecord(topic=batch.topic, partition=batch.partition, offset=record.offset, reason=reason)
    return None


def _by_tenant(records: Sequence[Record]) -> Mapping[str, Sequence[int]]:
    """Return the positions of each tenant's records; the tenant is the key, never what the event says."""
    if len({record.key for record in records}) == 1:
        return {records[0].key: range(len(records))}
    positions: dict[str, list[int]] = {}
    for position, record in enumerate(records):
        positions.setdefault(record.key, []).append(position)
    return positions


def _message(batch: Batch, trigger: Record, found: Found) -> Message:
    alert = found.alert
    headers = {
        Header.TENANT_ID: alert.tenant_id,
        Header.EVENT_TYPE: alert.event_type,
        Header.INGESTION_METHOD: trigger.headers.get(Header.INGESTION_METHOD, ""),
        Header.INGESTED_AT: trigger.headers.get(Header.INGESTED_AT, ""),
        Header.MESSAGE_ID: alert.message_id,
        Header.ORIGIN: str(Origin(batch.topic, batch.partition, trigger.offset)),
    }
    return Message(
        topic=topics.ALERTS,
        key=alert.tenant_id,
        value=_encode(alert),
        headers=headers,
        partition=batch.partition,
    )


_encode = msgspec.json.Encoder(order="deterministic").encode
