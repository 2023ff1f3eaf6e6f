"""Writing to the log while the next batch is being made."""

import asyncio
from collections.abc import Sequence

from de_platform.pipeline.errors import Unavailable
from de_platform.pipeline.messages import Message
from de_platform.services.clock.interface import Clock
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.message_queue.interface import MessageQueueInterface

FIRST_BACKOFF_SECONDS = 0.5
MAX_ATTEMPTS = 8
"""The last one comes a minute after the first."""


class Appends:
    """Appends in order, at most one under way; an unavailable log is asked again, with growing pauses."""

    def __init__(self, queue: MessageQueueInterface, clock: Clock, log: LoggingInterface) -> None:
        self._queue = queue
        self._clock = clock
        self._log = log
        self._under_way: asyncio.Task[None] | None = None

    async def begin(self, messages: Sequence[Message]) -> None:
        """Wait for the append before, then start this one. Raises Unavailable."""
        await self.finish()
        self._under_way = asyncio.create_task(self._append(messages))
        await asyncio.sleep(0)

    async def finish(self) -> None:
        """Return when everything is durable. Raises Unavailable."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            await under_way

    async def _append(self, messages: Sequence[Message]) -> None:
        delay = FIRST_BACKOFF_SECONDS
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                await self._queue.publish(messages)
            except Unavailable as error:
                if attempt == MAX_ATTEMPTS:
                    raise
                self._log.warn("waiting for the log", error=str(error), retry_in_seconds=delay)
                await self._clock.sleep(delay)
                delay *= 2
            else:
                return
