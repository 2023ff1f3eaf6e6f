"""The subscribers of one process, by channel."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from weakref import WeakSet

BACKLOG_LIMIT = 10_000
"""Messages that wait for a slow subscriber; beyond that it loses the oldest."""


class Subscription(AsyncIterator[str]):
    """The messages of a channel from the first `anext` on. An `anext` that is cancelled loses no message."""

    def __init__(self, channel: str, on_start: "Callable[[Subscription], None]") -> None:
        self.channel = channel
        self._on_start = on_start
        self._is_started = False
        self._is_ended = False
        self._backlog: deque[str] = deque(maxlen=BACKLOG_LIMIT)
        self._news = asyncio.Event()

    async def __anext__(self) -> str:
        if not self._is_started:
            self._on_start(self)
            self._is_started = True
        while not self._backlog:
            if self._is_ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._backlog.popleft()

    def receive(self, message: str) -> None:
        """Queue a message."""
        self._backlog.append(message)
        self._news.set()

    def end(self) -> None:
        """Let the iteration end after what is queued."""
        self._is_ended = True
        self._news.set()


class Subscribers:
    """Hands messages to subscriptions, and forgets those that nobody holds any more."""

    def __init__(self) -> None:
        self._by_channel: dict[str, WeakSet[Subscription]] = {}

    def add(self, subscription: Subscription) -> None:
        """Send it what its channel gets from now on."""
        self._by_channel = {channel: held for channel, held in self._by_channel.items() if held}
        self._by_channel.setdefault(subscription.channel, WeakSet()).add(subscription)

    def send(self, channel: str, message: str) -> None:
        """Hand a message to all present subscriptions of a channel."""
        for subscription in self._by_channel.get(channel, ()):
            subscription.receive(message)

    def end_all(self) -> None:
        """End and forget all subscriptions."""
        by_channel, self._by_channel = self._by_channel, {}
        for held in by_channel.values():
            for subscription in held:
                subscription.end()
