"""Counters, gauges and histograms. Modules call these once a batch, never once an event."""

from abc import ABC, abstractmethod


class MetricsInterface(ABC):
    """Emit figures by name. Labels are keyword arguments; the set of labels of a name never changes."""

    @abstractmethod
    def counter(self, name: str, value: float = 1, **labels: str) -> None:
        """Add `value` (>= 0) to a counter."""

    @abstractmethod
    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""

    @abstractmethod
    def histogram(self, name: str, value: float, **labels: str) -> None:
        """Observe one value."""

    def exposition(self) -> bytes:
        """Return all series in the Prometheus text format; empty where figures are not kept for scraping."""
        return b""
