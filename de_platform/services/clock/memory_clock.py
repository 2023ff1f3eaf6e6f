"""A clock that stands still until it is moved."""

import asyncio
from datetime import UTC, datetime, timedelta

from de_platform.services.clock.interface import Clock


class MemoryClock(Clock):
    """Virtual time for tests: `sleep` advances it and yields to the event loop once."""

    def __init__(self, start: datetime = datetime(2026, 1, 15, 12, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic_seconds(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both clocks forward."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)
