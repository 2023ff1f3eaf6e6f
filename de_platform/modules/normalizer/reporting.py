"""What the normaliser says about its work: metrics and one log line, once a batch."""

from collections import Counter
from collections.abc import Sequence

from de_platform.pipeline.dedup import Verdict
from de_platform.pipeline.messages import Batch, Message
from de_platform.pipeline.normalization import Kind, Refused
from de_platform.pipeline.routing import Judged
from de_platform.pipeline.shapes import column
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
        messages: Sequence[Message],
        *,
        seconds: float,
    ) -> None:
        """Report one batch that took some seconds."""
        errors = Counter([one.kind for one in refused])
        verdicts = {verdict: _kinds(judged, verdict) for verdict in Verdict}
        self._count_received(batch.topic, sum(verdicts.values(), errors))
        for status, kinds in (
            ("ok", verdicts[Verdict.NEW]),
            ("error", errors),
            ("duplicate", verdicts[Verdict.DUPLICATE]),
            ("redelivery", verdicts[Verdict.REDELIVERY]),
        ):
            self._count_status(status, kinds)
        self._count_faults(refused)
        self._count_repeated("external", verdicts[Verdict.DUPLICATE])
        self._count_repeated("internal", verdicts[Verdict.REDELIVERY])
        for topic, count in Counter([message.topic for message in messages]).items():
            self._metrics.counter("kafka_messages_published_total", count, service=self._service, topic=topic)
        self._metrics.histogram("processing_duration_seconds", seconds, service=self._service, operation="normalize")
        self._log.debug(
            "batch normalized",
            topic=batch.topic,
            partition=batch.partition,
            first_offset=batch.records[0].offset,
            records=len(batch.records),
            processed=verdicts[Verdict.NEW].total(),
            errors=errors.total(),
            duplicates=verdicts[Verdict.DUPLICATE].total(),
            redeliveries=verdicts[Verdict.REDELIVERY].total(),
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


def _kinds(judged: Sequence[Judged], verdict: Verdict) -> Counter[Kind]:
    """Count the events with a verdict."""
    kinds: Counter[Kind] = Counter()
    for valued, verdicts in judged:
        lot = valued.lot
        if verdict not in verdicts.verdicts:
            continue
        tenant_ids = column(lot.events, "tenant_id")
        chosen = [tenant for tenant, its in zip(tenant_ids, verdicts.verdicts, strict=True) if its is verdict]
        for tenant_id, count in Counter(chosen).items():
            kinds[Kind(lot.event_type, tenant_id)] += count
    return kinds
