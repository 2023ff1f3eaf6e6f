"""What the normaliser says about its work: metrics and one log line, once a batch."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from de_platform.pipeline.dedup import Verdicts
from de_platform.pipeline.messages import Batch, Message
from de_platform.pipeline.normalization import Kind, Refused
from de_platform.pipeline.routing import Judged
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.metrics.interface import MetricsInterface


class Report:
    """Turns outcomes of batches into figures."""

    def __init__(self, service: str, metrics: MetricsInterface, log: LoggingInterface) -> None:
        self._service = service
        self._metrics = metrics
        self._log = log

    def batch(
        self,
        batch: Batch,
        judged: Sequence[Judged],
        refused: Sequence[Refused],
        by_topic: Mapping[str, Sequence[Message]],
        *,
        seconds: float,
    ) -> None:
        """Report one batch that took some seconds."""
        errors = Counter([one.kind for one in refused])
        new = _kinds(judged, lambda verdicts: verdicts.new())
        duplicates = _kinds(judged, lambda verdicts: list(verdicts.originals))
        redeliveries = _kinds(judged, lambda verdicts: verdicts.redelivered)
        self._count_received(batch.topic, new + duplicates + redeliveries + errors)
        for status, kinds in (
            ("ok", new),
            ("error", errors),
            ("duplicate", duplicates),
            ("redelivery", redeliveries),
        ):
            self._count_status(status, kinds)
        self._count_faults(refused)
        self._count_repeated("external", duplicates)
        self._count_repeated("internal", redeliveries)
        for topic, messages in by_topic.items():
            self._metrics.counter("kafka_messages_published_total", len(messages), service=self._service, topic=topic)
        self._metrics.histogram("processing_duration_seconds", seconds, service=self._service, operation="normalize")
        self._log.debug(
            "batch normalized",
            topic=batch.topic,
            partition=batch.partition,
            first_offset=batch.records[0].offset,
            records=len(batch.records),
            processed=new.total(),
            errors=errors.total(),
            duplicates=duplicates.total(),
            redeliveries=redeliveries.total(),
        )

    def _count_received(self, topic: str, kinds: Counter[Kind]) -> None:
        for kind, count in kinds.items():
            self._metrics.counter(
                "events_received_total",
                count,
                service=self._service,
                topic=topic,
                event_type=kind.event_type.value,
                tenant_id=kind.tenant_id,
            )

    def _count_status(self, status: str, kinds: Counter[Kind]) -> None:
        for kind, count in kinds.items():
            self._metrics.counter(
                "events_processed_total",
                count,
                service=self._service,
                event_type=kind.event_type.value,
                tenant_id=kind.tenant_id,
                status=status,
            )

    def _count_faults(self, refused: Sequence[Refused]) -> None:
        for (fault, tenant_id), count in Counter([(one.fault, one.kind.tenant_id) for one in refused]).items():
            self._metrics.counter(
                "events_errors_total",
                count,
                service=self._service,
                error_type=fault.value,
                tenant_id=tenant_id,
            )

    def _count_repeated(self, dedup_type: str, kinds: Counter[Kind]) -> None:
        for kind, count in kinds.items():
            self._metrics.counter(
                "duplicates_detected_total",
                count,
                service=self._service,
                dedup_type=dedup_type,
                tenant_id=kind.tenant_id,
            )


def _kinds(judged: Sequence[Judged], rows_of: Callable[[Verdicts], Sequence[int]]) -> Counter[Kind]:
    """Count some of the events by kind."""
    kinds: Counter[Kind] = Counter()
    for valued, verdicts in judged:
        rows = rows_of(verdicts)
        if not rows:
            continue
        tenant_ids = valued.lot.stamps.tenant_ids
        chosen = tenant_ids if len(rows) == len(tenant_ids) else [tenant_ids[row] for row in rows]
        for tenant_id, count in Counter(chosen).items():
            kinds[Kind(valued.lot.event_type, tenant_id)] += count
    return kinds
