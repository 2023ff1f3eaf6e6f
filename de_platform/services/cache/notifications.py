"""PostgreSQL's notifications on a connection of their own, which comes back when it is lost."""

import asyncio
from collections.abc import AsyncGenerator

import psycopg
from psycopg import AsyncConnection

from de_platform.services.cache.subscriptions import Subscriptions
from de_platform.services.clock.interface import Clock
from de_platform.services.database.postgres_connection import connection_string
from de_platform.services.database.settings import PostgresSettings

PG_CHANNEL = "de_platform_cache"
"""One for all of our channels, whose names PostgreSQL would cut at 63 bytes."""

FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 5.0


def payload_of(channel: str, message: str) -> str:
    """Return what is sent: the channel's name on a line of its own, then the message."""
    return f"{channel}\n{message}"


class Notifications:
    """Listens from the first subscription on."""

    def __init__(self, settings: PostgresSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._subscriptions = Subscriptions()
        self._listening: asyncio.Task[None] | None = None

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
        delay_seconds = FIRST_RETRY_SECONDS
        while True:
            try:
                async with await AsyncConnection.connect(
                    connection_string(self._settings), autocommit=True
                ) as connection:
                    await connection.execute(f"LISTEN {PG_CHANNEL}")
                    delay_seconds = FIRST_RETRY_SECONDS
                    async for notification in connection.notifies():
                        channel, _, message = notification.payload.partition("\n")
                        self._subscriptions.deliver(channel, message)
            except psycopg.Error:
                await self._clock.sleep(delay_seconds)
                delay_seconds = min(2 * delay_seconds, LAST_RETRY_SECONDS)
