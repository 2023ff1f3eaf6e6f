"""Who listens to which channel in this process."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator

QUEUE_LIMIT = 10_000
"""Messages that may wait for one subscriber; the oldest give way."""


class Subscriptions:
    """Fans messages out to the iterators that were begun."""

    def __init__(self) -> None:
        self._queues: defaultdict[str, set[asyncio.Queue[str | None]]] = defaultdict(set)

    async def messages(self, channel: str) -> AsyncGenerator[str]:
        """Iterate over what is delivered from the first step on, until `end`."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(QUEUE_LIMIT)
        self._queues[channel].add(queue)
        try:
            while (message := await queue.get()) is not None:
                yield message
        finally:
            self._queues[channel].discard(queue)
            if not self._queues[channel]:
                del self._queues[channel]

    def deliver(self, channel: str, message: str) -> None:
        """Hand a message to everybody who listens now."""
        for queue in self._queues.get(channel, ()):
            _put(queue, message)

    def end(self) -> None:
        """Let every iterator stop after what was delivered."""
        for queues in self._queues.values():
            for queue in queues:
                _put(queue, None)


def _put(queue: asyncio.Queue[str | None], message: str | None) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(message)
