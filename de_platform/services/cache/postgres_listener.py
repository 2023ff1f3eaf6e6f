"""Hears PostgreSQL's notifications on a connection of its own."""

import asyncio
from collections.abc import Callable

from psycopg import AsyncConnection

from de_platform.pipeline.errors import Unavailable
from de_platform.services.clock.interface import Clock
from de_platform.services.database.postgres import PostgresDatabase, connection_string
from de_platform.services.database.postgres_errors import postgres_errors

FIRST_RETRY_SECONDS = 0.1
LONGEST_RETRY_SECONDS = 5.0


class PostgresListener:
    """Listens from `start` to `stop`; a lost connection is made again, and what was sent in between is lost.

    `on_payload` is told what arrives, `on_end` once when listening ends, whether stopped or failed.
    """

    def __init__(
        self,
        db: PostgresDatabase,
        clock: Clock,
        *,
        notification_channel: str,
        on_payload: Callable[[str], None],
        on_end: Callable[[], None],
    ) -> None:
        self._db = db
        self._clock = clock
        self._listen = f"LISTEN {notification_channel}".encode()
        self._on_payload = on_payload
        self._on_end = on_end
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen, now or when the server is next reachable; raises what listening failed with. Idempotent."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="cache listener")
            self._task.add_done_callback(lambda _: self._on_end())
        elif self._task.done():
            self._task.result()

    async def stop(self) -> None:
        """Release the connection; raises what listening failed with, if it did. Idempotent."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()

    async def _run(self) -> None:
        while True:
            try:
                await self._hear_until_lost()
            except Unavailable:
                await self._clock.sleep(self._retry_seconds)
                self._retry_seconds = min(2 * self._retry_seconds, LONGEST_RETRY_SECONDS)

    async def _hear_until_lost(self) -> None:
        with postgres_errors():
            address = connection_string(self._db.settings)
            async with await AsyncConnection.connect(address, autocommit=True) as connection:
                await connection.execute(self._listen)
                self._retry_seconds = FIRST_RETRY_SECONDS
                async for notification in connection.notifies():
                    self._on_payload(notification.payload)
