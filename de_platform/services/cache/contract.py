"""What every cache does. Subclasses provide `cache`, connected and empty, and the `clock` that it looks at."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.services.cache.interface import CacheInterface
from de_platform.services.clock.memory_clock import MemoryClock

TIMEOUT_SECONDS = 10


async def first_after_publishing(
    cache: CacheInterface, messages: AsyncIterator[str], channel: str, message: str
) -> str:
    """Publish until the iterator gives something: when a subscription takes hold is not to be seen from outside."""
    receiving = asyncio.ensure_future(anext(messages))
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not receiving.done():
            await cache.publish(channel, message)
            await asyncio.wait({receiving}, timeout=0.02)
        return receiving.result()


async def next_other_than(messages: AsyncIterator[str], unwanted: str) -> str:
    """Skip what was published more often than needed."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        async for message in messages:
            if message != unwanted:
                return message
    raise AssertionError("the subscription ended")


class CacheContract:
    """Keys, expiry, channels."""

    async def test_a_value_comes_back(self, cache: CacheInterface) -> None:
        await cache.set("key: ü'\n", "value: ü'\n")
        assert await cache.get("key: ü'\n") == "value: ü'\n"

    async def test_an_absent_key_has_no_value(self, cache: CacheInterface) -> None:
        assert await cache.get("absent") is None
        assert not await cache.exists("absent")

    async def test_an_empty_value_is_a_value(self, cache: CacheInterface) -> None:
        await cache.set("key", "")
        assert await cache.get("key") == ""
        assert await cache.exists("key")

    async def test_set_replaces_value_and_expiry(self, cache: CacheInterface, clock: MemoryClock) -> None:
        await cache.set("key", "first", ttl_seconds=5)
        await cache.set("key", "second")
        clock.advance(60)
        assert await cache.get("key") == "second"

    async def test_a_value_expires_when_its_time_is_over(self, cache: CacheInterface, clock: MemoryClock) -> None:
        await cache.set("key", "value", ttl_seconds=5)
        clock.advance(4.9)
        assert await cache.get("key") == "value"
        clock.advance(0.1)
        assert await cache.get("key") is None
        assert not await cache.exists("key")

    async def test_a_value_without_time_left_replaces_and_is_gone(self, cache: CacheInterface) -> None:
        await cache.set("key", "first")
        await cache.set("key", "second", ttl_seconds=0)
        assert not await cache.exists("key")

    async def test_delete_says_whether_there_was_something(self, cache: CacheInterface) -> None:
        await cache.set("key", "value")
        assert await cache.delete("key")
        assert not await cache.delete("key")
        assert await cache.get("key") is None

    async def test_what_has_expired_is_not_there_to_delete(self, cache: CacheInterface, clock: MemoryClock) -> None:
        await cache.set("key", "value", ttl_seconds=5)
        clock.advance(5)
        assert not await cache.delete("key")

    async def test_flush_removes_everything(self, cache: CacheInterface) -> None:
        await cache.set("one", "1")
        await cache.set("two", "2", ttl_seconds=60)
        await cache.flush()
        assert not await cache.exists("one")
        assert not await cache.exists("two")

    @pytest.mark.parametrize("key", ["k" * 1001, "nul\0"])
    async def test_a_key_that_not_every_cache_can_hold_is_refused(self, cache: CacheInterface, key: str) -> None:
        with pytest.raises(InvalidInput, match="key"):
            await cache.set(key, "value")
        assert await cache.get(key) is None
        assert not await cache.delete(key)

    async def test_a_subscriber_gets_messages_in_order(self, cache: CacheInterface) -> None:
        messages = cache.subscribe("channel")
        assert await first_after_publishing(cache, messages, "channel", "first") == "first"
        await cache.publish("channel", "second\nline ü'")
        await cache.publish("channel", "")
        assert await next_other_than(messages, "first") == "second\nline ü'"
        assert await anext(messages) == ""

    async def test_every_subscriber_gets_every_message(self, cache: CacheInterface) -> None:
        one, two = cache.subscribe("channel"), cache.subscribe("channel")
        await first_after_publishing(cache, one, "channel", "probe")
        await first_after_publishing(cache, two, "channel", "probe")
        await cache.publish("channel", "news")
        assert await next_other_than(one, "probe") == "news"
        assert await next_other_than(two, "probe") == "news"

    async def test_channels_do_not_mix(self, cache: CacheInterface) -> None:
        messages = cache.subscribe("channel")
        await first_after_publishing(cache, messages, "channel", "probe")
        await cache.publish("channel.other", "foreign")
        await cache.publish("channel", "own")
        assert await next_other_than(messages, "probe") == "own"

    async def test_publishing_to_nobody_is_no_error(self, cache: CacheInterface) -> None:
        await cache.publish("channel", "unheard")

    async def test_a_message_of_7000_bytes_is_carried(self, cache: CacheInterface) -> None:
        message = '"' * 7000
        channel = "c" * 500
        assert await first_after_publishing(cache, cache.subscribe(channel), channel, message) == message

    @pytest.mark.parametrize(
        ("channel", "message"), [("c", "ü" * 3501), ("c" * 501, ""), ("two\nlines", ""), ("c", "nul\0")]
    )
    async def test_a_message_that_not_every_cache_can_carry_is_refused(
        self, cache: CacheInterface, channel: str, message: str
    ) -> None:
        with pytest.raises(InvalidInput):
            await cache.publish(channel, message)

    async def test_subscriptions_end_with_disconnect(self, cache: CacheInterface) -> None:
        messages = cache.subscribe("channel")
        await first_after_publishing(cache, messages, "channel", "probe")
        await cache.disconnect()
        async with asyncio.timeout(TIMEOUT_SECONDS):
            assert {message async for message in messages} <= {"probe"}

    async def test_is_unavailable_until_connected(self, cache: CacheInterface) -> None:
        await cache.set("key", "value")
        await cache.disconnect()
        await cache.disconnect()
        with pytest.raises(Unavailable):
            await cache.health_check()
        with pytest.raises(Unavailable):
            await cache.get("key")
        with pytest.raises(Unavailable):
            await anext(cache.subscribe("channel"))
        await cache.connect()
        await cache.connect()
        await cache.health_check()
        assert await cache.get("key") == "value"
