"""Metrics for Prometheus to scrape."""

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from de_platform.services.metrics.interface import MetricsInterface
from de_platform.services.metrics.names import METRICS, MetricKind, MetricSpec, declared

_SECONDS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class PrometheusMetrics(MetricsInterface):
    """Keeps the figures in a registry of its own. Raises UndeclaredMetric for what is not declared."""

    def __init__(self) -> None:
        prometheus_client.disable_created_metrics()
        self._registry = CollectorRegistry(auto_describe=False)
        self._counters = {
            s.name: Counter(s.name, s.why, s.labels, registry=self._registry) for s in _of(MetricKind.COUNTER)
        }
        self._gauges = {s.name: Gauge(s.name, s.why, s.labels, registry=self._registry) for s in _of(MetricKind.GAUGE)}
        self._histograms = {
            s.name: Histogram(s.name, s.why, s.labels, registry=self._registry, buckets=_SECONDS_BUCKETS)
            for s in _of(MetricKind.HISTOGRAM)
        }

    def counter(self, name: str, value: float = 1, **labels: str) -> None:
        declared(name, MetricKind.COUNTER, labels)
        self._counters[name].labels(**labels).inc(value)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        declared(name, MetricKind.GAUGE, labels)
        self._gauges[name].labels(**labels).set(value)

    def histogram(self, name: str, value: float, **labels: str) -> None:
        declared(name, MetricKind.HISTOGRAM, labels)
        self._histograms[name].labels(**labels).observe(value)

    def exposition(self) -> bytes:
        return prometheus_client.generate_latest(self._registry)


def _of(kind: MetricKind) -> list[MetricSpec]:
    return [spec for spec in METRICS if spec.kind is kind]
