"""A network that drops, cuts and heals between the platform and each engine: nothing has to be started again."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple
from uuid import uuid4

import msgspec
import pytest

from de_platform.pipeline.errors import Unavailable
from de_platform.services.cache.redis_cache import RedisCache
from de_platform.services.cache.redis_settings import RedisSettings
from de_platform.services.database.clickhouse import ClickHouseDatabase
from de_platform.services.database.postgres import PostgresDatabase
from de_platform.services.filesystem.s3_filesystem import S3FileSystem
from tests.helpers.fault_proxy import FaultProxy
from tests.helpers.real_servers import RealServers

pytestmark = pytest.mark.real_infra

BOUND_SECONDS = 3.0
RECOVERY_SECONDS = 10.0


class Reached(NamedTuple):
    """An engine by way of a proxy."""

    proxy: FaultProxy
    health_check: Callable[[], Awaitable[None]]
    use: Callable[[], Awaitable[object]]


@asynccontextmanager
async def postgres(infra: RealServers) -> AsyncGenerator[Reached]:
    with FaultProxy(infra.postgres.port) as proxy:
        database = PostgresDatabase(msgspec.structs.replace(infra.postgres, port=proxy.port))
        await asyncio.gather(*(database.fetch_one("SELECT pg_sleep(0.05)") for _ in range(4)))
        yield Reached(proxy, database.health_check, lambda: database.fetch_one("SELECT 1"))
        await database.disconnect()


@asynccontextmanager
async def clickhouse(infra: RealServers) -> AsyncGenerator[Reached]:
    with FaultProxy(infra.clickhouse.port) as proxy:
        settings = msgspec.structs.replace(infra.clickhouse, port=proxy.port, answer_timeout_seconds=2)
        database = ClickHouseDatabase(settings)
        await asyncio.gather(*(database.fetch_one("SELECT sleep(0.05)") for _ in range(4)))
        yield Reached(proxy, database.health_check, lambda: database.fetch_one("SELECT 1"))
        await database.disconnect()


@asynccontextmanager
async def cache(infra: RealServers) -> AsyncGenerator[Reached]:
    with FaultProxy(int(infra.redis.rpartition(":")[2].partition("/")[0])) as proxy:
        settings = RedisSettings(url=f"redis://127.0.0.1:{proxy.port}/0", prefix=f"test-{uuid4().hex}:")
        cache = RedisCache(settings)
        await cache.connect()
        await asyncio.gather(*(cache.set("key", "value") for _ in range(4)))
        yield Reached(proxy, cache.health_check, lambda: cache.get("key"))
        await cache.disconnect()


@asynccontextmanager
async def files(infra: RealServers) -> AsyncGenerator[Reached]:
    with FaultProxy(int(infra.s3.endpoint.rpartition(":")[2])) as proxy:
        endpoint = f"http://127.0.0.1:{proxy.port}"
        files = S3FileSystem(msgspec.structs.replace(infra.s3, endpoint=endpoint, bucket=f"test-{uuid4().hex}"))
        await files.write("a", b"x")
        yield Reached(proxy, files.health_check, lambda: files.read("a"))


@pytest.fixture(params=[postgres, clickhouse, cache, files], ids=lambda opened: opened.__name__)
async def engine(request: pytest.FixtureRequest, infra: RealServers) -> AsyncGenerator[Reached]:
    async with request.param(infra) as reached:
        yield reached


@pytest.fixture(params=["freeze", "cut"])
def fault(request: pytest.FixtureRequest) -> str:
    return request.param


async def test_health_tells_of_a_fault_within_seconds_and_of_its_end(engine: Reached, fault: str) -> None:
    await engine.health_check()
    getattr(engine.proxy, fault)()
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await engine.health_check()
        assert time.monotonic() - began < BOUND_SECONDS
    engine.proxy.heal()
    await _comes_back(engine.health_check)


async def test_work_goes_on_when_a_fault_is_over(engine: Reached, fault: str) -> None:
    before = await engine.use()
    getattr(engine.proxy, fault)()
    with pytest.raises(Unavailable):
        await engine.health_check()
    engine.proxy.heal()
    assert await _comes_back(engine.use) == before


async def _comes_back(ask: Callable[[], Awaitable[object]]) -> object:
    deadline = time.monotonic() + RECOVERY_SECONDS
    while True:
        try:
            return await ask()
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
