"""A cache within one process."""

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta

from de_platform.pipeline.errors import Unavailable
from de_platform.services.cache.interface import CacheInterface
from de_platform.services.cache.limits import check_key, check_message, check_value
from de_platform.services.cache.subscriptions import Subscriptions
from de_platform.services.clock.interface import Clock


class MemoryCache(CacheInterface):
    """Keeps its keys over a disconnect, as a server would."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[str, tuple[str, datetime | None]] = {}
        self._subscriptions = Subscriptions()
        self._is_connected = False

    async def connect(self) -> None:
        self._is_connected = True

    async def disconnect(self) -> None:
        self._is_connected = False
        self._subscriptions.end()

    async def health_check(self) -> None:
        self._check_connected()

    async def get(self, key: str) -> str | None:
        self._check_connected()
        value, expires_at = self._entries.get(key, (None, None))
        if expires_at is not None and expires_at <= self._clock.now():
            del self._entries[key]
            return None
        return value

    async def set(self, key: str, value: str, *, ttl_seconds: float | None = None) -> None:
        self._check_connected()
        check_key(key)
        check_value(value)
        expires_at = None if ttl_seconds is None else self._clock.now() + timedelta(seconds=ttl_seconds)
        self._entries[key] = (value, expires_at)

    async def delete(self, key: str) -> bool:
        was_there = await self.get(key) is not None
        self._entries.pop(key, None)
        return was_there

    async def exists(self, key: str) -> bool:
        return await self.get(key) is not None

    async def flush(self) -> None:
        self._check_connected()
        self._entries.clear()

    async def publish(self, channel: str, message: str) -> None:
        self._check_connected()
        check_message(channel, message)
        self._subscriptions.deliver(channel, message)

    async def subscribe(self, channel: str) -> AsyncGenerator[str]:
        self._check_connected()
        async for message in self._subscriptions.messages(channel):
            yield message

    def _check_connected(self) -> None:
        if not self._is_connected:
            raise Unavailable("cache", "is not connected")
