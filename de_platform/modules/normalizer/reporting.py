"""What the normaliser says about its work: metrics and one log line, once a batch."""

from collections import Counter

from de_platform.pipeline.messages import Batch
from de_platform.pipeline.normalization import Kind, Outputs
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.metrics.interface import MetricsInterface


class Report:
    """Turns outcomes of batches into figures."""

    def __init__(self, service: str, metrics: MetricsInterface, log: LoggingInterface) -> None:
        self._service = service
        self._metrics = metrics
        self._log = log

    def batch(self, batch: Batch, outputs: Outputs, *, seconds: float) -> None:
        """Report one batch that took some seconds."""
        errors: Counter[Kind] = Counter()
        for (kind, _), count in outputs.errors.items():
            errors[kind] += count
        self._count_received(batch.topic, outputs.processed + errors + outputs.duplicates + outputs.redeliveries)
        self._count_status("ok", outputs.processed)
        self._count_status("error", errors)
        self._count_status("duplicate", outputs.duplicates)
        self._count_status("redelivery", outputs.redeliveries)
        self._count_faults(outputs)
        self._count_repeated("external", outputs.duplicates)
        self._count_repeated("internal", outputs.redeliveries)
        for topic, count in Counter([message.topic for message in outputs.messages]).items():
            self._metrics.counter("kafka_messages_published_total", count, service=self._service, topic=topic)
        self._metrics.histogram("processing_duration_seconds", seconds, service=self._service, operation="normalize")
        self._log.debug(
            "batch normalized",
            topic=batch.topic,
            partition=batch.partition,
            first_offset=batch.records[0].offset,
            records=len(batch.records),
            processed=outputs.processed.total(),
            errors=errors.total(),
            duplicates=outputs.duplicates.total(),
            redeliveries=outputs.redeliveries.total(),
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

    def _count_faults(self, outputs: Outputs) -> None:
        for (kind, fault), count in outputs.errors.items():
            self._metrics.counter(
                "events_errors_total",
                count,
                service=self._service,
                error_type=fault.value,
                tenant_id=kind.tenant_id,
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
