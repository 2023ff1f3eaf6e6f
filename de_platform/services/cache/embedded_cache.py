"""The cache of the embedded platform: a table in PostgreSQL, and its LISTEN and NOTIFY."""

from collections.abc import AsyncGenerator
from datetime import timedelta

from de_platform.pipeline.errors import Unavailable
from de_platform.services.cache.interface import CacheInterface
from de_platform.services.cache.limits import check_key, check_message, check_value
from de_platform.services.cache.notifications import PG_CHANNEL, Notifications, payload_of
from de_platform.services.clock.interface import Clock
from de_platform.services.clock.system_clock import SystemClock
from de_platform.services.database.postgres import PostgresDatabase

PURGE_EVERY_SECONDS = 60.0

_CREATE = """
CREATE UNLOGGED TABLE IF NOT EXISTS cache_entries (
    key text COLLATE "C" PRIMARY KEY,
    value text NOT NULL,
    expires_at timestamptz
)
"""
"""Unlogged: it is empty after a crash of the server, which costs time only."""

_SET = """
INSERT INTO cache_entries (key, value, expires_at) VALUES (%(key)s, %(value)s, %(expires_at)s)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at
"""
_ALIVE = "key = %(key)s AND (expires_at IS NULL OR expires_at > %(now)s)"


class EmbeddedCache(CacheInterface):
    """Shared by all processes that use the database, which it neither connects nor closes."""

    def __init__(self, db: PostgresDatabase, clock: Clock | None = None) -> None:
        self._db = db
        self._clock = clock or SystemClock()
        self._notifications: Notifications | None = None
        self._purged_at_seconds = self._clock.monotonic_seconds()

    async def connect(self) -> None:
        if self._notifications is not None:
            return
        async with self._db.transaction() as transaction:
            await transaction.execute("SELECT pg_advisory_xact_lock(hashtextextended('de_platform cache', 0))")
            await transaction.execute(_CREATE)
        self._notifications = Notifications(self._db.settings, self._clock)

    async def disconnect(self) -> None:
        notifications, self._notifications = self._notifications, None
        if notifications is not None:
            await notifications.close()

    async def health_check(self) -> None:
        self._connected()
        await self._db.health_check()

    async def get(self, key: str) -> str | None:
        self._connected()
        row = await self._db.fetch_one(
            f"SELECT value FROM cache_entries WHERE {_ALIVE}", {"key": _storable(key), "now": self._clock.now()}
        )
        return None if row is None else row["value"]

    async def set(self, key: str, value: str, *, ttl_seconds: float | None = None) -> None:
        self._connected()
        check_key(key)
        check_value(value)
        expires_at = None if ttl_seconds is None else self._clock.now() + timedelta(seconds=ttl_seconds)
        await self._db.execute(_SET, {"key": key, "value": value, "expires_at": expires_at})
        await self._purge()

    async def delete(self, key: str) -> bool:
        self._connected()
        params = {"key": _storable(key), "now": self._clock.now()}
        return await self._db.execute(f"DELETE FROM cache_entries WHERE {_ALIVE}", params) > 0

    async def exists(self, key: str) -> bool:
        return await self.get(key) is not None

    async def flush(self) -> None:
        self._connected()
        await self._db.execute("DELETE FROM cache_entries")

    async def publish(self, channel: str, message: str) -> None:
        self._connected()
        check_message(channel, message)
        params = {"channel": PG_CHANNEL, "payload": payload_of(channel, message)}
        await self._db.fetch_one("SELECT pg_notify(%(channel)s, %(payload)s)", params)

    async def subscribe(self, channel: str) -> AsyncGenerator[str]:
        async for message in self._connected().messages(channel):
            yield message

    def _connected(self) -> Notifications:
        if self._notifications is None:
            raise Unavailable("cache", "is not connected")
        return self._notifications

    async def _purge(self) -> None:
        """Remove what has expired, now and then."""
        now_seconds = self._clock.monotonic_seconds()
        if now_seconds - self._purged_at_seconds >= PURGE_EVERY_SECONDS:
            self._purged_at_seconds = now_seconds
            await self._db.execute("DELETE FROM cache_entries WHERE expires_at <= %(now)s", {"now": self._clock.now()})


def _storable(key: str) -> str:
    """Return a key as PostgreSQL can compare it: one with NUL is not there in any case."""
    return key.replace("\0", "\ufffd")
