"""Time as a dependency, so that tests and simulations own it."""

from abc import ABC, abstractmethod
from datetime import datetime


class Clock(ABC):
    """The only source of time outside `cli/`."""

    @abstractmethod
    def now(self) -> datetime:
        """Return the present instant, aware, UTC."""

    @abstractmethod
    def monotonic_seconds(self) -> float:
        """Return seconds that never go back, for measuring durations."""

    @abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Wait."""
