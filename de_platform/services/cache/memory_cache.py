"""A cache in this process's memory."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import NamedTuple

from de_platform.services.cache.interface import CacheInterface
from de_platform.services.cache.limits import (
    checked_channel,
    checked_key,
    checked_message,
    checked_ttl,
    checked_value,
)
from de_platform.services.cache.subscriptions import Subscribers, Subscription
from de_platform.services.clock.interface import Clock

SWEEP_EVERY = timedelta(minutes=1)


class _Entry(NamedTuple):
    value: str
    expires_at: datetime | None


class MemoryCache(CacheInterface):
    """Shared by what shares the object. Works without `connect`; `disconnect` keeps the keys."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._subscribers = Subscribers()
        self._swept_at = clock.now()

    async def connect(self) -> None:
        """Do nothing."""

    async def disconnect(self) -> None:
        self._subscribers.end_all()

    async def health_check(self) -> None:
        """Return: memory answers."""

    async def get(self, key: str) -> str | None:
        entry = self._entries.get(checked_key(key))
        return entry.value if entry is not None and self._is_live(entry) else None

    async def set(self, key: str, value: str, *, ttl_seconds: float | None = None) -> None:
        ttl = checked_ttl(ttl_seconds)
        expires_at = None if ttl is None else self._clock.now() + timedelta(seconds=ttl)
        self._entries[checked_key(key)] = _Entry(checked_value(value), expires_at)
        self._sweep()

    async def delete(self, key: str) -> bool:
        entry = self._entries.pop(checked_key(key), None)
        return entry is not None and self._is_live(entry)

    async def exists(self, key: str) -> bool:
        return await self.get(key) is not None

    async def flush(self) -> None:
        self._entries.clear()

    async def publish(self, channel: str, message: str) -> None:
        self._subscribers.send(checked_channel(channel), checked_message(message))

    def subscribe(self, channel: str) -> AsyncIterator[str]:
        return Subscription(checked_channel(channel), self._subscribers.add)

    def _is_live(self, entry: _Entry) -> bool:
        return entry.expires_at is None or entry.expires_at > self._clock.now()

    def _sweep(self) -> None:
        """Forget expired entries now and then, so that keys written once do not pile up."""
        if self._clock.now() - self._swept_at < SWEEP_EVERY:
            return
        self._swept_at = self._clock.now()
        self._entries = {key: entry for key, entry in self._entries.items() if self._is_live(entry)}
