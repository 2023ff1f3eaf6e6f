"""Redis channels on a connection of their own, which comes back when it is lost."""

import asyncio
from collections.abc import AsyncGenerator

import redis
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from de_platform.services.cache.subscriptions import Subscriptions
from de_platform.services.clock.interface import Clock

ANSWER_TIMEOUT_SECONDS = 1.5
"""Shorter than whoever asks for health waits, so that the answer says what is wrong."""
FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 5.0


class RedisNotifications:
    """Listens to all channels of a prefix, from the first subscription on.

    A server that says nothing is asked whether it is there, and left when it does not answer: a connection whose
    other end is gone looks like a quiet one otherwise.
    """

    def __init__(self, client: Redis, prefix: str, clock: Clock) -> None:
        self._client = client
        self._prefix = prefix
        self._clock = clock
        self._subscriptions = Subscriptions()
        self._listening: asyncio.Task[None] | None = None
        self._retry_seconds = FIRST_RETRY_SECONDS

    async def messages(self, channel: str) -> AsyncGenerator[str]:
        """Iterate over what is sent to a channel from now on, until `close`."""
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen())
        async for message in self._subscriptions.messages(channel):
            yield message

    async def close(self) -> None:
        """End all iterators and the connection."""
        self._subscriptions.end()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    async def _listen(self) -> None:
        """Listen, and again after the connection is lost; a server that stays away is asked ever less often."""
        while True:
            try:
                async with self._client.pubsub() as subscription:
                    await subscription.psubscribe(f"{literally(self._prefix)}*")
                    await self._deliver(subscription)
            except (redis.RedisError, OSError):
                await self._clock.sleep(self._retry_seconds)
                self._retry_seconds = min(2 * self._retry_seconds, LAST_RETRY_SECONDS)

    async def _deliver(self, subscription: PubSub) -> None:
        """Hand on what comes until nothing comes any more. Raises RedisError, OSError."""
        is_asked = False
        while True:
            message = await subscription.get_message(timeout=ANSWER_TIMEOUT_SECONDS)
            if message is None:
                if is_asked:
                    raise redis.TimeoutError("the server is silent")
                await subscription.ping()
                is_asked = True
                continue
            is_asked = False
            self._retry_seconds = FIRST_RETRY_SECONDS
            if message["type"] == "pmessage":
                channel, text = message["channel"], message["data"]
                assert isinstance(channel, str), "answers are decoded"
                assert isinstance(text, str), "answers are decoded"
                self._subscriptions.deliver(channel.removeprefix(self._prefix), text)


def literally(text: str) -> str:
    """Return a pattern that matches just this text."""
    return "".join(f"\\{character}" if character in "*?[]^-\\" else character for character in text)
