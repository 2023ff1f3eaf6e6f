"""The machine's clock."""

import asyncio
import time
from datetime import UTC, datetime

from de_platform.services.clock.interface import Clock


class SystemClock(Clock):
    """Real time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_seconds(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
