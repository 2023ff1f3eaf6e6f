from collections.abc import AsyncGenerator

import pytest

from de_platform.services.cache.contract import CacheContract, first_after_publishing
from de_platform.services.cache.embedded_cache import EmbeddedCache
from de_platform.services.clock.memory_clock import MemoryClock
from de_platform.services.database.postgres import PostgresDatabase
from tests.helpers.engines import fresh_database


@pytest.fixture
def clock() -> MemoryClock:
    return MemoryClock()


@pytest.fixture
async def database() -> AsyncGenerator[PostgresDatabase]:
    async with fresh_database() as database:
        yield database


@pytest.fixture
async def cache(database: PostgresDatabase, clock: MemoryClock) -> AsyncGenerator[EmbeddedCache]:
    cache = EmbeddedCache(database, clock)
    await cache.connect()
    yield cache
    await cache.disconnect()


class TestEmbeddedCache(CacheContract):
    pass


async def test_processes_share_keys_and_messages(cache: EmbeddedCache, database: PostgresDatabase) -> None:
    other = EmbeddedCache(database)
    await other.connect()
    await other.set("key", "value")
    assert await cache.get("key") == "value"
    assert await first_after_publishing(other, cache.subscribe("channel"), "channel", "news") == "news"
    await other.disconnect()


async def test_a_subscription_outlives_its_connection(cache: EmbeddedCache, database: PostgresDatabase) -> None:
    messages = cache.subscribe("channel")
    await first_after_publishing(cache, messages, "channel", "before")
    ended = await database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND query LIKE 'LISTEN%%'",
        {},
    )
    assert ended == 1
    received = "before"
    while received == "before":
        received = await first_after_publishing(cache, messages, "channel", "after")
    assert received == "after"


async def test_what_has_expired_is_removed_in_time(
    cache: EmbeddedCache, database: PostgresDatabase, clock: MemoryClock
) -> None:
    await cache.set("short", "value", ttl_seconds=5)
    clock.advance(61)
    await cache.set("other", "value")
    assert await database.fetch_all("SELECT key FROM cache_entries") == [{"key": "other"}]
