from collections.abc import AsyncGenerator

import pytest

from de_platform.services.cache.contract import CacheContract
from de_platform.services.cache.memory_cache import MemoryCache
from de_platform.services.clock.memory_clock import MemoryClock


@pytest.fixture
def clock() -> MemoryClock:
    return MemoryClock()


@pytest.fixture
async def cache(clock: MemoryClock) -> AsyncGenerator[MemoryCache]:
    cache = MemoryCache(clock)
    await cache.connect()
    yield cache
    await cache.disconnect()


class TestMemoryCache(CacheContract):
    pass
