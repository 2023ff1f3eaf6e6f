"""Metrics that go nowhere: the default."""

from de_platform.services.metrics.interface import MetricsInterface


class NoopMetrics(MetricsInterface):
    """Takes every figure and forgets it."""

    def counter(self, name: str, value: float = 1, **labels: str) -> None: ...

    def gauge(self, name: str, value: float, **labels: str) -> None: ...

    def histogram(self, name: str, value: float, **labels: str) -> None: ...
