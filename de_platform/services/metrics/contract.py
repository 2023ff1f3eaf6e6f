"""What every implementation of MetricsInterface does; recording ones also keep what they were given."""

from abc import ABC, abstractmethod

import pytest

from de_platform.services.metrics.interface import MetricsInterface
from de_platform.services.metrics.names import UndeclaredMetric


class MetricsContract:
    """Subclasses provide `metrics`."""

    def test_takes_every_kind_of_figure(self, metrics: MetricsInterface) -> None:
        metrics.counter("rows_flushed_total", 3, service="persistence", table="orders")
        metrics.gauge("buffer_size", 7, service="persistence", table="orders")
        metrics.histogram("processing_duration_seconds", 0.2, service="persistence", operation="flush")


class Reading(ABC):
    """How a test reads an implementation back."""

    @abstractmethod
    def total(self, name: str, **labels: str) -> float:
        """Return a counter or gauge."""

    @abstractmethod
    def count(self, name: str, **labels: str) -> int:
        """Return how many values a histogram observed."""


class RecordingMetricsContract(MetricsContract):
    """Subclasses also provide `reading`, over the same instance."""

    def test_counter_adds_up(self, metrics: MetricsInterface, reading: Reading) -> None:
        metrics.counter("rows_flushed_total", 3, service="persistence", table="orders")
        metrics.counter("rows_flushed_total", service="persistence", table="orders")
        assert reading.total("rows_flushed_total", service="persistence", table="orders") == 4

    def test_series_with_other_labels_are_apart(self, metrics: MetricsInterface, reading: Reading) -> None:
        metrics.counter("rows_flushed_total", 3, service="persistence", table="orders")
        metrics.counter("rows_flushed_total", 5, service="persistence", table="executions")
        assert reading.total("rows_flushed_total", service="persistence", table="executions") == 5

    def test_gauge_keeps_the_last_value(self, metrics: MetricsInterface, reading: Reading) -> None:
        metrics.gauge("buffer_size", 7, service="persistence", table="orders")
        metrics.gauge("buffer_size", 2, service="persistence", table="orders")
        assert reading.total("buffer_size", service="persistence", table="orders") == 2

    def test_histogram_counts_its_observations(self, metrics: MetricsInterface, reading: Reading) -> None:
        for seconds in (0.001, 0.2, 99):
            metrics.histogram("processing_duration_seconds", seconds, service="algos", operation="evaluate")
        assert reading.count("processing_duration_seconds", service="algos", operation="evaluate") == 3

    def test_counter_never_goes_down(self, metrics: MetricsInterface) -> None:
        with pytest.raises(ValueError, match=r"."):
            metrics.counter("rows_flushed_total", -1, service="persistence", table="orders")

    def test_undeclared_name_is_a_defect(self, metrics: MetricsInterface) -> None:
        with pytest.raises(UndeclaredMetric, match="rows_total"):
            metrics.counter("rows_total", service="persistence")

    def test_missing_label_is_a_defect(self, metrics: MetricsInterface) -> None:
        with pytest.raises(UndeclaredMetric, match="service, table"):
            metrics.counter("rows_flushed_total", service="persistence")

    def test_unknown_label_is_a_defect(self, metrics: MetricsInterface) -> None:
        with pytest.raises(UndeclaredMetric, match="shard"):
            metrics.counter("rows_flushed_total", service="persistence", table="orders", shard="1")

    def test_wrong_kind_is_a_defect(self, metrics: MetricsInterface) -> None:
        with pytest.raises(UndeclaredMetric, match="gauge"):
            metrics.counter("buffer_size", service="persistence", table="orders")
