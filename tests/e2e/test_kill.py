"""`kill -9` of any process at any instant, and of all at once: nothing is lost, nothing is there twice."""

import asyncio
import json
import random
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from de_platform.pipeline.events import EventType
from de_platform.services.event_store.interface import StoredTable
from tests.helpers.embedded_harness import EmbeddedPlatform
from tests.helpers.events import Event
from tests.helpers.harness import TenantHarness, settle
from tests.helpers.ledger import read_ledger, stored_ids

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("alone")]

TENANT = "kill-test"
FILE_EVENTS = 100_000
REST_BATCH = 50
TARGETS = ("store", "pipeline", "edge", "file", "all")
SETTLE_SECONDS = 120.0
TIMEOUT_SECONDS = 600.0


class Plan:
    """A seeded file of events with what must become of each line."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._start = datetime.now(UTC) - timedelta(hours=6)
        self.stored: set[str] = set()
        self.duplicated: list[str] = []
        self.invalid = 0
        self.alerting: set[str] = set()

    def write_file(self, path: Path) -> None:
        """Write the lines: 1 % invalid, 1 % sent twice, a few above the threshold of large_notional."""
        with path.open("w") as file:
            for index in range(FILE_EVENTS):
                event = self._order(f"file-{index}", index)
                file.write(json.dumps(event) + "\n")
                if self._random.random() < 0.01:
                    file.write(json.dumps(event | {"symbol": ""}) + "\n")
                    self.invalid += 1
                if self._random.random() < 0.01:
                    file.write(json.dumps(event) + "\n")
                    self.duplicated.append(event["id"])

    def rest_batch(self, number: int) -> list[Event]:
        """Return the events of one request."""
        return [self._order(f"rest-{number}-{i}", number * REST_BATCH + i) for i in range(REST_BATCH)]

    def _order(self, event_id: str, index: int) -> Event:
        is_large = index % 2_000 == 1_999
        self.stored.add(event_id)
        if is_large:
            self.alerting.add(event_id)
        return {
            "id": event_id,
            "tenant_id": TENANT,
            "status": "new",
            "transact_time": (self._start + timedelta(milliseconds=200 * index)).isoformat(),
            "symbol": "AAPL",
            "side": "buy",
            "quantity": 1_000_000 if is_large else 10,
            "price": 150.25,
            "order_type": "limit",
            "currency": "USD",
            "client_id": f"c-{index % 997}",
        }


class RestStream:
    """A client that sends batch after batch and repeats a request, under its key, until it is acknowledged."""

    def __init__(self, plan: Plan, intake_url: str) -> None:
        self._plan = plan
        self._url = f"{intake_url}/api/v1/orders"
        self.acknowledged = 0
        self.stopping = False

    async def run(self) -> None:
        async with httpx.AsyncClient(timeout=10) as client:
            while not self.stopping:
                events = self._plan.rest_batch(self.acknowledged)
                await self._send_until_acknowledged(client, events)
                self.acknowledged += 1
                await asyncio.sleep(0.01)

    async def _send_until_acknowledged(self, client: httpx.AsyncClient, events: list[Event]) -> None:
        key = f"batch-{self.acknowledged}"
        while True:
            try:
                answer = await client.post(self._url, json={"events": events}, headers={"Idempotency-Key": key})
                if answer.status_code == 200:
                    return
                assert answer.status_code == 503, answer.text
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


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
    plan, path = Plan(seed), tmp_path / "orders.jsonl"
    plan.write_file(path)
    async with EmbeddedPlatform(tmp_path / "data") as platform:
        rest, file = RestStream(plan, platform.intake_url), FileJob(platform, path)
        async with asyncio.timeout(TIMEOUT_SECONDS), asyncio.TaskGroup() as group:
            group.create_task(rest.run())
            group.create_task(file.run())
            await _kill_at_random(platform, file, random.Random(seed), kills)
            rest.stopping = True
        await settle(platform.queue, SETTLE_SECONDS)
        await _check(platform, plan)


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


async def _check(platform: EmbeddedPlatform, plan: Plan) -> None:
    ledger = await read_ledger(platform, TENANT)
    assert ledger.faults() == []
    stored = await stored_ids(platform, StoredTable.ORDERS, TENANT)
    assert len(stored) == len(plan.stored)
    assert set(stored) == plan.stored
    assert sum(ledger.errors.values()) == plan.invalid
    assert sum(ledger.duplicates.values()) == len(plan.duplicated)
    alerts = await TenantHarness(platform, Path(), tenant_id=TENANT).alerts("large_notional")
    assert sorted(alert["event_id"] for alert in alerts) == sorted(plan.alerting)
