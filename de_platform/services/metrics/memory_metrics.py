"""Metrics that a test can read."""

from collections import defaultdict

from de_platform.services.metrics.interface import MetricsInterface
from de_platform.services.metrics.names import MetricKind, declared

Series = tuple[str, frozenset[tuple[str, str]]]


class MemoryMetrics(MetricsInterface):
    """Keeps every figure. Raises UndeclaredMetric for names and labels that are not declared."""

    def __init__(self) -> None:
        self._values: dict[Series, float] = {}
        self._observations: defaultdict[Series, list[float]] = defaultdict(list)

    def counter(self, name: str, value: float = 1, **labels: str) -> None:
        declared(name, MetricKind.COUNTER, labels)
        if value < 0:
            raise ValueError(f"{name} is a counter, it cannot go down by {value}")
        series = _series(name, labels)
        self._values[series] = self._values.get(series, 0) + value

    def gauge(self, name: str, value: float, **labels: str) -> None:
        declared(name, MetricKind.GAUGE, labels)
        self._values[_series(name, labels)] = value

    def histogram(self, name: str, value: float, **labels: str) -> None:
        declared(name, MetricKind.HISTOGRAM, labels)
        self._observations[_series(name, labels)].append(value)

    def value(self, name: str, **labels: str) -> float:
        """Return a counter or gauge, summed over all series that have at least these labels; 0 when there is none."""
        wanted = labels.items()
        return sum(value for (found, pairs), value in self._values.items() if found == name and wanted <= pairs)

    def observations(self, name: str, **labels: str) -> list[float]:
        """Return what a histogram observed in all series that have at least these labels."""
        wanted = labels.items()
        return [
            value
            for (found, pairs), values in self._observations.items()
            if found == name and wanted <= pairs
            for value in values
        ]


def _series(name: str, labels: dict[str, str]) -> Series:
    return name, frozenset(labels.items())
