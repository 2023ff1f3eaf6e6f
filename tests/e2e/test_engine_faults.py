"""An engine that hangs, is cut off or restarts: readiness says so, nobody restarts anything, nothing is lost.

Short faults by default; `--fault-seconds 60` is the long form.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.helpers.harness import settle
from tests.helpers.load import Plan, RestStream
from tests.helpers.real_engines import RealEngines, real_engines
from tests.helpers.real_servers import RealServers
from tests.helpers.subprocess_harness import SubprocessHarness

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.real_infra,
    pytest.mark.faults,
    pytest.mark.xdist_group("engine-faults"),
    pytest.mark.asyncio(loop_scope="module"),
]

RECOVERY_SECONDS = 30.0
NEEDED_BY = {
    "kafka": {"rest_starter", "kafka_starter", "normalizer", "persistence", "archive", "algos", "data_api"},
    "clickhouse": {"persistence", "data_api"},
    "postgres": {"data_api"},
    "s3": {"normalizer", "persistence", "algos"},
    "redis": set[str](),
}
"""Which modules cannot be ready without an engine."""
FAULTS = [
    *((name, fault) for name in ("kafka", "clickhouse", "postgres", "redis") for fault in ("freeze", "cut", "restart")),
    *(("s3", fault) for fault in ("freeze", "cut")),
    ("redis", "flush"),
]
"""The S3 server keeps its objects in memory, so a restart of it is no fault that a real one has."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engines(infra: RealServers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealEngines]:
    async with real_engines(infra, tmp_path_factory.mktemp("engines")) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform(engines: RealEngines, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SubprocessHarness]:
    async with SubprocessHarness(engines, tmp_path_factory.mktemp("processes")) as harness:
        yield harness


@pytest.mark.parametrize(("name", "fault"), FAULTS)
async def test_a_fault_of_an_engine_is_told_and_survived(
    platform: SubprocessHarness, engines: RealEngines, request: pytest.FixtureRequest, name: str, fault: str
) -> None:
    plan = Plan(f"{name}-{fault}", seed=1)
    stream = RestStream(plan, platform.intake_url)
    before = list(platform.processes)
    async with asyncio.TaskGroup() as group:
        group.create_task(stream.run())
        await asyncio.sleep(0.5)
        await _disturb(platform, engines, name, fault, request.config.getoption("--fault-seconds"))
        await asyncio.gather(*(p.until_ready(timeout_seconds=RECOVERY_SECONDS) for p in platform.processes))
        await asyncio.sleep(0.5)
        stream.stopping = True
    await settle(platform.queue)
    await plan.check(platform)
    assert platform.processes == before
    assert all(process.is_running for process in before)


async def _disturb(platform: SubprocessHarness, engines: RealEngines, name: str, fault: str, seconds: float) -> None:
    server, proxy = engines.servers[name], engines.proxies[name]
    match fault:
        case "freeze":
            await asyncio.to_thread(server.pause)
        case "cut":
            proxy.cut()
        case "restart":
            await asyncio.to_thread(server.kill)
        case _:
            await _flush_redis(engines)
            return
    needing = [process for process in platform.processes if process.name in NEEDED_BY[name]]
    try:
        await asyncio.gather(*(p.until_ready(ready=False, timeout_seconds=30 + seconds) for p in needing))
        await asyncio.sleep(seconds)
    finally:
        match fault:
            case "freeze":
                await asyncio.to_thread(server.resume)
            case "cut":
                proxy.heal()
            case _:
                await asyncio.to_thread(server.start)


async def _flush_redis(engines: RealEngines) -> None:
    import redis.asyncio

    async with redis.asyncio.from_url(engines.settings["CACHE_REDIS_URL"]) as client:
        await client.flushall()
