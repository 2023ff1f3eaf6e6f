"""Each implementation keeps the contract."""

import re

import pytest

from de_platform.services.metrics.contract import MetricsContract, Reading, RecordingMetricsContract
from de_platform.services.metrics.memory_metrics import MemoryMetrics
from de_platform.services.metrics.names import METRICS, MetricKind
from de_platform.services.metrics.noop_metrics import NoopMetrics
from de_platform.services.metrics.prometheus_metrics import PrometheusMetrics


class TestNoopMetrics(MetricsContract):
    @pytest.fixture
    def metrics(self) -> NoopMetrics:
        return NoopMetrics()


class MemoryReading(Reading):
    def __init__(self, metrics: MemoryMetrics) -> None:
        self._metrics = metrics

    def total(self, name: str, **labels: str) -> float:
        return self._metrics.value(name, **labels)

    def count(self, name: str, **labels: str) -> int:
        return len(self._metrics.observations(name, **labels))


class TestMemoryMetrics(RecordingMetricsContract):
    @pytest.fixture
    def metrics(self) -> MemoryMetrics:
        return MemoryMetrics()

    @pytest.fixture
    def reading(self, metrics: MemoryMetrics) -> Reading:
        return MemoryReading(metrics)


class PrometheusReading(Reading):
    def __init__(self, metrics: PrometheusMetrics) -> None:
        self._metrics = metrics

    def total(self, name: str, **labels: str) -> float:
        pairs = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
        found = re.search(rf"^{name}\{{{pairs}\}} (\S+)$", self._metrics.exposition().decode(), re.MULTILINE)
        return float(found[1]) if found else 0

    def count(self, name: str, **labels: str) -> int:
        return int(self.total(f"{name}_count", **labels))


class TestPrometheusMetrics(RecordingMetricsContract):
    @pytest.fixture
    def metrics(self) -> PrometheusMetrics:
        return PrometheusMetrics()

    @pytest.fixture
    def reading(self, metrics: PrometheusMetrics) -> Reading:
        return PrometheusReading(metrics)


def test_memory_reading_sums_over_labels_left_out() -> None:
    metrics = MemoryMetrics()
    metrics.counter("rows_flushed_total", 3, service="persistence", table="orders")
    metrics.counter("rows_flushed_total", 4, service="persistence", table="executions")
    assert metrics.value("rows_flushed_total", service="persistence") == 7


def test_names_are_declared_once() -> None:
    names = [spec.name for spec in METRICS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("spec", METRICS, ids=lambda spec: spec.name)
def test_name_ends_in_what_it_measures(spec) -> None:
    suffix = {MetricKind.COUNTER: "_total", MetricKind.HISTOGRAM: f"_{spec.unit}", MetricKind.GAUGE: ""}[spec.kind]
    assert spec.name.endswith(suffix)
