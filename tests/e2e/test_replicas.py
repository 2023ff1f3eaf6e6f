"""Several processes of a stage share its partitions; one that dies or comes costs nothing but time."""

import asyncio
import random
from pathlib import Path

import pytest

from de_platform.pipeline.events import EventType
from tests.helpers.harness import settle
from tests.helpers.load import Plan, RestStream
from tests.helpers.real_engines import real_engines
from tests.helpers.real_servers import RealServers
from tests.helpers.subprocess_harness import SubprocessHarness

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.real_infra, pytest.mark.xdist_group("replicas")]

STAGES = ("normalizer", "persistence", "algos")
TENANTS = 6
"""Enough for every partition to have one."""
FILE_EVENTS = 2_000
SETTLE_SECONDS = 120.0
TIMEOUT_SECONDS = 300.0


async def test_killed_and_added_replicas_lose_nothing_and_repeat_nothing(
    infra: RealServers, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    seed = request.config.getoption("--kill-seed")
    print(f"seed {seed}")
    plans = [Plan(f"replicas-{number}", seed + number) for number in range(TENANTS)]
    replicas = dict.fromkeys(STAGES, 2)
    async with (
        real_engines(infra, tmp_path / "engines") as engines,
        SubprocessHarness(engines, tmp_path, replicas=replicas) as platform,
    ):
        streams = [RestStream(plan, platform.intake_url) for plan in plans]
        async with asyncio.timeout(TIMEOUT_SECONDS), asyncio.TaskGroup() as group:
            for plan, stream in zip(plans, streams, strict=True):
                group.create_task(stream.run())
                group.create_task(_ingest_file(platform, plan, tmp_path))
            await _disturb(platform, random.Random(seed))
            for stream in streams:
                stream.stopping = True
        await settle(platform.queue, SETTLE_SECONDS)
        for plan in plans:
            await plan.check(platform)


async def _ingest_file(platform: SubprocessHarness, plan: Plan, scratch: Path) -> None:
    path = scratch / f"{plan.tenant_id}.jsonl"
    plan.write_file(path, FILE_EVENTS)
    await platform.process_file(path, EventType.ORDER)


async def _disturb(platform: SubprocessHarness, dice: random.Random) -> None:
    """Kill one replica of each stage, then add two: one in its place, and a third."""
    for name in dice.sample(STAGES, len(STAGES)):
        await asyncio.sleep(dice.uniform(0.5, 2.0))
        platform.kill(dice.choice(platform.replicas(name)))
        await asyncio.sleep(dice.uniform(0.5, 2.0))
        platform.add(name)
        platform.add(name)
