"""The cache of a deployment: a Redis or Valkey server that all processes share.

Every key and channel begins with a prefix, so several platforms may use one server, and `flush` removes only what is
ours. Nothing is tried twice here: an answer that does not come within seconds is Unavailable, and callers go on
without the cache.
"""

from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager

import redis
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.services.cache.interface import CacheInterface
from de_platform.services.cache.limits import check_key, check_message, check_value
from de_platform.services.cache.redis_notifications import (
    ANSWER_TIMEOUT_SECONDS,
    RedisNotifications,
    literally,
)
from de_platform.services.cache.redis_settings import URL_SETTING, RedisSettings
from de_platform.services.clock.interface import Clock
from de_platform.services.clock.system_clock import SystemClock

MAX_CONNECTIONS = 16
CONNECT_TIMEOUT_SECONDS = 1.5

_FLUSH_KEYS_AT_ONCE = 1_000


class RedisCache(CacheInterface):
    """Connections are opened as they are needed, and again after the server was away."""

    def __init__(self, settings: RedisSettings, clock: Clock | None = None) -> None:
        """Raises InvalidInput for a URL that is none, without showing it."""
        self._url = settings.url
        self._prefix = settings.prefix
        self._clock = clock or SystemClock()
        self._redis: Redis | None = None
        self._notifications: RedisNotifications | None = None
        self._pool()

    async def connect(self) -> None:
        if self._redis is None:
            client = Redis(connection_pool=self._pool())
            self._notifications = RedisNotifications(client, f"{self._prefix}channel:", self._clock)
            self._redis = client

    async def disconnect(self) -> None:
        client, self._redis = self._redis, None
        notifications, self._notifications = self._notifications, None
        if notifications is not None:
            await notifications.close()
        if client is not None:
            await client.aclose()
            await client.connection_pool.aclose()

    async def health_check(self) -> None:
        with redis_errors():
            await self._connected().execute_command("PING")

    async def get(self, key: str) -> str | None:
        with redis_errors():
            value = await self._connected().get(self._key(key))
        assert not isinstance(value, bytes), "answers are decoded"
        return value

    async def set(self, key: str, value: str, *, ttl_seconds: float | None = None) -> None:
        client = self._connected()
        check_key(key)
        check_value(value)
        lifetime_milliseconds = None if ttl_seconds is None else round(ttl_seconds * 1000)
        with redis_errors():
            if lifetime_milliseconds is not None and lifetime_milliseconds <= 0:
                await client.delete(self._key(key))
            else:
                await client.set(self._key(key), value, px=lifetime_milliseconds)

    async def delete(self, key: str) -> bool:
        with redis_errors():
            return await self._connected().delete(self._key(key)) > 0

    async def exists(self, key: str) -> bool:
        with redis_errors():
            return await self._connected().exists(self._key(key)) > 0

    async def flush(self) -> None:
        """Remove keys some at a time, so that the server goes on answering; what is set meanwhile may stay."""
        client = self._connected()
        pattern = f"{literally(self._key(''))}*"
        found: list[str] = []
        with redis_errors():
            async for key in client.scan_iter(match=pattern, count=_FLUSH_KEYS_AT_ONCE):
                found.append(key)
                if len(found) == _FLUSH_KEYS_AT_ONCE:
                    await client.unlink(*found)
                    found.clear()
            if found:
                await client.unlink(*found)

    async def publish(self, channel: str, message: str) -> None:
        client = self._connected()
        check_message(channel, message)
        with redis_errors():
            await client.publish(f"{self._prefix}channel:{channel}", message)

    async def subscribe(self, channel: str) -> AsyncGenerator[str]:
        self._connected()
        assert self._notifications is not None, "connected with the client"
        async for message in self._notifications.messages(channel):
            yield message

    def _key(self, key: str) -> str:
        return f"{self._prefix}key:{key}"

    def _connected(self) -> Redis:
        if self._redis is None:
            raise Unavailable("cache", "is not connected")
        return self._redis

    def _pool(self) -> BlockingConnectionPool:
        try:
            return BlockingConnectionPool.from_url(
                self._url,
                decode_responses=True,
                encoding_errors="replace",
                protocol=2,
                max_connections=MAX_CONNECTIONS,
                timeout=CONNECT_TIMEOUT_SECONDS,
                socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
                socket_timeout=ANSWER_TIMEOUT_SECONDS,
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError:
            raise InvalidInput.single(
                URL_SETTING, "must be redis://, rediss:// or unix://, then host, port and number of the database"
            ) from None


@contextmanager
def redis_errors() -> Generator[None]:
    """Turn whatever the driver raises into Unavailable: a cache that refuses is as good as none."""
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise Unavailable("cache", str(error).strip() or type(error).__name__) from error
