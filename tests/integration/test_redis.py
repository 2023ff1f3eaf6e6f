"""The cache on a real Redis: the contract, what processes share, and what losing the server means.

Each test has a prefix of its own, so nothing has to be deleted that somebody else may be using.
"""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import redis

from de_platform.config.container import Container
from de_platform.pipeline.errors import Unavailable
from de_platform.services.cache.contract import CacheContract, first_after_publishing, next_other_than
from de_platform.services.cache.interface import CacheInterface
from de_platform.services.cache.redis_cache import RedisCache
from de_platform.services.cache.redis_settings import RedisSettings
from de_platform.services.clock.memory_clock import MemoryClock
from scripts.infra_servers.server import Server
from tests.helpers.events import Event, make_order
from tests.helpers.harness import TenantHarness
from tests.helpers.memory_harness import MemoryPipeline
from tests.helpers.real_servers import RealServers

pytestmark = pytest.mark.real_infra


class RedisTime(MemoryClock):
    """Moves the expiry of keys instead of time, which a server does not let go faster.

    What a key had left when it was first looked at counts in whole seconds, so a slow machine changes nothing.
    """

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__()
        self._client = redis.Redis.from_url(url)
        self._prefix = prefix
        self._left_seconds: dict[bytes, float] = {}

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        for key in self._client.scan_iter(match=f"{self._prefix}*"):
            left_milliseconds = self._client.pttl(key)
            if left_milliseconds < 0:
                continue
            left = self._left_seconds.get(key, math.ceil(left_milliseconds / 1000)) - seconds
            self._left_seconds[key] = left
            self._client.pexpire(key, 3_600_000 if left > 1e-6 else -1)

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def url(infra: RealServers) -> str:
    return infra.redis


@pytest.fixture
def prefix() -> str:
    return f"test [{uuid4().hex}]:"


@pytest.fixture
def clock(url: str, prefix: str) -> Generator[RedisTime]:
    clock = RedisTime(url, prefix.replace("[", "?").replace("]", "?"))
    yield clock
    clock.close()


@pytest.fixture
async def cache(url: str, prefix: str) -> AsyncGenerator[RedisCache]:
    cache = RedisCache(RedisSettings(url=url, prefix=prefix))
    await cache.connect()
    yield cache
    await cache.disconnect()


@pytest.fixture
def server(private_server: Callable[[str], Server]) -> Server:
    return private_server("redis")


@pytest.fixture
async def own_cache(server: Server) -> AsyncGenerator[RedisCache]:
    cache = RedisCache(RedisSettings(url=f"redis://127.0.0.1:{server.port}/0"))
    await cache.connect()
    yield cache
    await cache.disconnect()


class TestRedisCache(CacheContract):
    pass


async def test_processes_share_keys_and_messages(cache: RedisCache, url: str, prefix: str) -> None:
    other = RedisCache(RedisSettings(url=url, prefix=prefix))
    await other.connect()
    await other.set("key", "value")
    assert await cache.get("key") == "value"
    assert await first_after_publishing(other, cache.subscribe("channel"), "channel", "news") == "news"
    await other.disconnect()


async def test_flush_leaves_other_prefixes_alone(cache: RedisCache, url: str, prefix: str) -> None:
    other = RedisCache(RedisSettings(url=url, prefix=f"{prefix}other:"))
    await other.connect()
    await other.set("key", "theirs")
    await cache.set("key", "ours")
    await cache.flush()
    assert not await cache.exists("key")
    assert await other.get("key") == "theirs"
    await other.flush()
    await other.disconnect()


async def test_flush_removes_more_keys_than_it_takes_at_once(cache: RedisCache) -> None:
    await asyncio.gather(*(cache.set(str(number), "") for number in range(2_345)))
    await cache.flush()
    assert not any(await asyncio.gather(*(cache.exists(str(number)) for number in range(2_345))))


async def test_the_server_itself_removes_what_has_expired(cache: RedisCache, url: str, prefix: str) -> None:
    await cache.set("key", "value", ttl_seconds=12.5)
    with redis.Redis.from_url(url) as client:
        assert 10_000 < client.pttl(f"{prefix}key:key") <= 12_500


async def test_messages_that_are_no_text_do_not_end_a_subscription(cache: RedisCache, url: str, prefix: str) -> None:
    messages = cache.subscribe("channel")
    await first_after_publishing(cache, messages, "channel", "before")
    with redis.Redis.from_url(url) as client:
        client.publish(f"{prefix}channel:channel", b"\xff")
    await cache.publish("channel", "after")
    assert await next_other_than(messages, "before") == "\ufffd"
    assert await anext(messages) == "after"


async def test_a_subscription_outlives_a_restart_of_the_server(own_cache: RedisCache, server: Server) -> None:
    messages = own_cache.subscribe("channel")
    await first_after_publishing(own_cache, messages, "channel", "before")
    server.kill()
    with pytest.raises(Unavailable):
        await own_cache.publish("channel", "lost")
    server.start()
    received = "before"
    while received == "before":
        received = await first_after_publishing(own_cache, messages, "channel", "after")
    assert received == "after"


async def test_a_restart_loses_keys_and_nothing_else(own_cache: RedisCache, server: Server) -> None:
    await own_cache.set("key", "value")
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    assert await own_cache.get("key") is None
    await own_cache.set("key", "again")
    assert await own_cache.get("key") == "again"


async def test_a_frozen_server_is_unavailable_within_seconds(own_cache: RedisCache, server: Server) -> None:
    await own_cache.health_check()
    server.pause()
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await own_cache.health_check()
    assert time.monotonic() - began < 3
    server.resume()
    await own_cache.health_check()


async def test_a_late_answer_is_not_taken_for_that_of_another_question(own_cache: RedisCache, server: Server) -> None:
    await own_cache.set("one", "1")
    await own_cache.set("two", "2")
    server.pause()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await own_cache.get("one")
    server.resume()
    assert await own_cache.get("two") == "2"


async def test_a_full_server_is_unavailable_and_says_why(own_cache: RedisCache, server: Server) -> None:
    with redis.Redis(port=server.port) as client:
        client.config_set("maxmemory", "1")
    with pytest.raises(Unavailable, match="maxmemory"):
        await own_cache.set("key", "value")


class PipelineWithRedis(MemoryPipeline):
    """All modules, with a real cache."""

    def __init__(self, cache: RedisCache) -> None:
        super().__init__()
        self._cache = cache

    async def open_services(self, stack: AsyncExitStack) -> Container:
        container = await super().open_services(stack)
        container.register_instance(CacheInterface, self._cache)
        return container


async def send(intake_url: str, key: str, events: Sequence[Event]) -> int:
    async with httpx.AsyncClient(base_url=intake_url) as client:
        answer = await client.post(
            "/api/v1/orders", json={"events": list(events)}, headers={"Idempotency-Key": key}, timeout=30
        )
    return answer.status_code


async def test_a_lost_server_loses_and_doubles_no_event(own_cache: RedisCache, server: Server, tmp_path: Path) -> None:
    async with PipelineWithRedis(own_cache) as pipeline:
        tenant = TenantHarness(pipeline, tmp_path)
        batches = {f"key-{n}": [make_order(tenant.tenant_id) for _ in range(5)] for n in range(3)}
        for key, events in batches.items():
            assert await send(pipeline.intake_url, key, events) == 200
        await asyncio.to_thread(server.kill)
        for key, events in batches.items():
            assert await send(pipeline.intake_url, key, events) == 200
        late = [make_order(tenant.tenant_id)]
        assert await send(pipeline.intake_url, "late", late) == 200
        await asyncio.to_thread(server.start)
        for key, events in {**batches, "late": late}.items():
            assert await send(pipeline.intake_url, key, events) == 200
        await tenant.settled()
        sent = [event["id"] for events in (*batches.values(), late) for event in events]
        assert sorted(row["id"] for row in await tenant.rows("orders")) == sorted(sent)
        assert await tenant.rows("duplicates") == []


async def test_a_flushed_server_forgets_which_body_a_key_had_and_doubles_nothing(
    own_cache: RedisCache, tmp_path: Path
) -> None:
    async with PipelineWithRedis(own_cache) as pipeline:
        tenant = TenantHarness(pipeline, tmp_path)
        first, other = ([make_order(tenant.tenant_id)] for _ in range(2))
        assert await send(pipeline.intake_url, "key", first) == 200
        assert await send(pipeline.intake_url, "key", other) == 422
        await own_cache.flush()
        assert await send(pipeline.intake_url, "key", first) == 200
        await tenant.settled()
        assert [row["id"] for row in await tenant.rows("orders")] == [first[0]["id"]]
        assert await tenant.rows("duplicates") == []
