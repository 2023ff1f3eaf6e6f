"""A seeded load of which every event's fate is known: what may happen to the platform meanwhile must not change it."""

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from de_platform.services.event_store.interface import StoredTable
from tests.helpers.events import Event
from tests.helpers.harness import TenantHarness
from tests.helpers.ledger import AuditablePipeline, read_ledger, stored_ids

REST_BATCH = 50


class Plan:
    """A seeded load of orders, with what must become of each."""

    def __init__(self, tenant_id: str, seed: int) -> None:
        self.tenant_id = tenant_id
        self._random = random.Random(seed)
        self._start = datetime.now(UTC) - timedelta(hours=6)
        self.stored: set[str] = set()
        self.duplicated: list[str] = []
        self.invalid = 0
        self.alerting: set[str] = set()

    def write_file(self, path: Path, count: int) -> None:
        """Write `count` lines: 1 % more are invalid, 1 % sent twice, a few above the threshold of large_notional."""
        with path.open("w") as file:
            for index in range(count):
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
            "tenant_id": self.tenant_id,
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

    async def check(self, pipeline: AuditablePipeline) -> None:
        """Assert that a pipeline at rest has exactly this: the books balance, and every id is where it belongs."""
        ledger = await read_ledger(pipeline, self.tenant_id)
        assert ledger.faults() == []
        stored = await stored_ids(pipeline, StoredTable.ORDERS, self.tenant_id)
        assert len(stored) == len(self.stored)
        assert set(stored) == self.stored
        assert sum(ledger.errors.values()) == self.invalid
        assert sum(ledger.duplicates.values()) == len(self.duplicated)
        alerts = await TenantHarness(pipeline, Path(), tenant_id=self.tenant_id).alerts("large_notional")
        assert sorted(alert["event_id"] for alert in alerts) == sorted(self.alerting)


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
        key = f"{self._plan.tenant_id}-{self.acknowledged}"
        while True:
            try:
                answer = await client.post(self._url, json={"events": events}, headers={"Idempotency-Key": key})
                if answer.status_code == 200:
                    return
                assert answer.status_code == 503, answer.text
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)
