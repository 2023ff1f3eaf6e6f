"""Every metric of the platform, declared once: implementations refuse what is not in this list."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class MetricKind(StrEnum):
    """How a metric's figures add up."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class MetricSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A metric: what it counts, by which labels, and the question one looks at it for."""

    name: str
    kind: MetricKind
    unit: str
    labels: tuple[str, ...]
    why: str


METRICS: tuple[MetricSpec, ...] = (
    MetricSpec(
        name="events_received_total",
        kind=MetricKind.COUNTER,
        unit="events",
        labels=("service", "topic", "event_type", "tenant_id"),
        why="Is anything arriving at this stage, and from whom?",
    ),
    MetricSpec(
        name="events_processed_total",
        kind=MetricKind.COUNTER,
        unit="events",
        labels=("service", "event_type", "tenant_id", "status"),
        why="What became of the events of a stage: ok, error or duplicate?",
    ),
    MetricSpec(
        name="events_errors_total",
        kind=MetricKind.COUNTER,
        unit="events",
        labels=("service", "error_type", "tenant_id"),
        why="Which faults do a tenant's events have, and since when?",
    ),
    MetricSpec(
        name="duplicates_detected_total",
        kind=MetricKind.COUNTER,
        unit="events",
        labels=("service", "dedup_type", "tenant_id"),
        why="Does a tenant send twice (external), or do we deliver twice (internal)?",
    ),
    MetricSpec(
        name="processing_duration_seconds",
        kind=MetricKind.HISTOGRAM,
        unit="seconds",
        labels=("service", "operation"),
        why="Where does the time of a batch go?",
    ),
    MetricSpec(
        name="rows_flushed_total",
        kind=MetricKind.COUNTER,
        unit="rows",
        labels=("service", "table"),
        why="Do rows reach the analytical store?",
    ),
    MetricSpec(
        name="buffer_size",
        kind=MetricKind.GAUGE,
        unit="rows",
        labels=("service", "table"),
        why="How much waits in memory for the next flush?",
    ),
    MetricSpec(
        name="alerts_generated_total",
        kind=MetricKind.COUNTER,
        unit="alerts",
        labels=("algorithm", "severity", "tenant_id"),
        why="Which algorithm alerts how often: a burst of abuse, or a threshold set wrongly?",
    ),
    MetricSpec(
        name="events_not_evaluable_total",
        kind=MetricKind.COUNTER,
        unit="events",
        labels=("algorithm", "tenant_id"),
        why="How many events could an algorithm not judge, because they lack a field that it needs?",
    ),
    MetricSpec(
        name="events_late_total",
        kind=MetricKind.COUNTER,
        unit="events",
        labels=("service", "tenant_id"),
        why="How many events came too late for the running windows, so that only a batch run sees them there?",
    ),
    MetricSpec(
        name="http_requests_total",
        kind=MetricKind.COUNTER,
        unit="requests",
        labels=("service", "endpoint", "method", "status_code"),
        why="What do clients ask for, and what are they answered?",
    ),
    MetricSpec(
        name="http_request_duration_seconds",
        kind=MetricKind.HISTOGRAM,
        unit="seconds",
        labels=("service", "endpoint", "method"),
        why="How long do clients wait?",
    ),
    MetricSpec(
        name="events_ingested_total",
        kind=MetricKind.COUNTER,
        unit="events",
        labels=("service", "event_type", "method"),
        why="How much comes in through which door?",
    ),
    MetricSpec(
        name="kafka_messages_published_total",
        kind=MetricKind.COUNTER,
        unit="messages",
        labels=("service", "topic"),
        why="What does a stage hand on, on whichever message queue it runs?",
    ),
    MetricSpec(
        name="dead_letters_total",
        kind=MetricKind.COUNTER,
        unit="records",
        labels=("service", "topic"),
        why="Has a record been given up? Anything above zero wants a person.",
    ),
)

METRIC_BY_NAME: Mapping[str, MetricSpec] = {spec.name: spec for spec in METRICS}


class UndeclaredMetric(Exception):
    """Code emits a metric that METRICS does not declare this way: a defect."""


def declared(name: str, kind: MetricKind, labels: Mapping[str, str]) -> MetricSpec:
    """Return the declaration that an emission refers to. Raises UndeclaredMetric."""
    spec = METRIC_BY_NAME.get(name)
    if spec is None:
        raise UndeclaredMetric(f"{name} is not declared in services/metrics/names.py")
    if spec.kind is not kind:
        raise UndeclaredMetric(f"{name} is a {spec.kind}, not a {kind}")
    if set(labels) != set(spec.labels):
        raise UndeclaredMetric(f"{name} has the labels {', '.join(spec.labels)}; it was given {', '.join(labels)}")
    return spec
