"""`kill -9` of any process at any instant, and of all at once: nothing is lost, nothing is there twice."""

import asyncio
import random
import subprocess
from pathlib import Path

import pytest

from de_platform.pipeline.events import EventType
from tests.helpers.embedded_harness import EmbeddedPlatform
from tests.helpers.harness import settle
from tests.helpers.load import Plan, RestStream

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("alone")]

TENANT = "kill-test"
FILE_EVENTS = 100_000
TARGETS = ("store", "pipeline", "edge", "file", "all")
SETTLE_SECONDS = 120.0
TIMEOUT_SECONDS = 600.0


class FileJob:
    """`events ingest`, started again whenever it was killed or gave up, until it has done the whole file."""

    def __init__(self, platform: EmbeddedPlatform, path: Path) -> None:
        self._platform = platform
        self._path = path
        self._process: subprocess.Popen[bytes] | None = None

    async def run(self) -> None:
        while True:
            self._process = self._platform.start_file_job(self._path, EventType.ORDER)
            try:
                if await self._exit_code(self._process) == 0:
                    return
            finally:
                self.kill()
            await asyncio.sleep(0.2)

    async def _exit_code(self, process: "subprocess.Popen[bytes]") -> int:
        while (code := process.poll()) is None:
            await asyncio.sleep(0.05)
        return code

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()


async def test_kill_9_at_random_instants_loses_nothing_and_repeats_nothing(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kills, seed = request.config.getoption("--kills"), request.config.getoption("--kill-seed")
    print(f"seed {seed}, {kills} kills")
    plan, path = Plan(TENANT, seed), tmp_path / "orders.jsonl"
    plan.write_file(path, FILE_EVENTS)
    async with EmbeddedPlatform(tmp_path / "data") as platform:
        rest, file = RestStream(plan, platform.intake_url), FileJob(platform, path)
        async with asyncio.timeout(TIMEOUT_SECONDS), asyncio.TaskGroup() as group:
            group.create_task(rest.run())
            group.create_task(file.run())
            await _kill_at_random(platform, file, random.Random(seed), kills)
            rest.stopping = True
        await settle(platform.queue, SETTLE_SECONDS)
        await plan.check(platform)


async def _kill_at_random(platform: EmbeddedPlatform, file: FileJob, dice: random.Random, kills: int) -> None:
    targets = [TARGETS[i % len(TARGETS)] for i in range(kills)]
    dice.shuffle(targets)
    for target in targets:
        await asyncio.sleep(dice.uniform(0.2, 2.0))
        match target:
            case "file":
                file.kill()
            case "all":
                file.kill()
                await platform.kill_all()
                await platform.start()
            case name:
                platform.kill(name)
