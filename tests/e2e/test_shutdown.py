"""SIGTERM under load: exit 0, and what was acknowledged is there after the next start."""

import asyncio
from pathlib import Path

import httpx
import pytest

from de_platform.pipeline.events import EventType
from de_platform.services.event_store.interface import StoredTable
from tests.helpers.embedded_harness import EmbeddedPlatform
from tests.helpers.events import make_order
from tests.helpers.harness import settle
from tests.helpers.ledger import read_ledger, stored_ids

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("alone")]

TENANT = "shutdown-test"


async def _stream(url: str, acknowledged: set[str]) -> None:
    """Send requests until the door closes; remember what was acknowledged."""
    async with httpx.AsyncClient(timeout=10) as client:
        while True:
            events = [make_order(TENANT) for _ in range(100)]
            try:
                answer = await client.post(f"{url}/api/v1/{EventType.ORDER.plural}", json={"events": events})
            except httpx.TransportError:
                return
            if answer.status_code != 200:
                return
            acknowledged.update(event["id"] for event in events)


async def test_sigterm_under_load_exits_0_and_loses_nothing(tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    platform = EmbeddedPlatform(tmp_path / "data")
    await platform.start()
    load = [asyncio.create_task(_stream(platform.intake_url, acknowledged)) for _ in range(4)]
    await asyncio.sleep(3)
    assert await platform.stop() == 0, platform.log_tail()
    await asyncio.gather(*load)
    assert acknowledged
    async with platform:
        await settle(platform.queue)
        assert acknowledged <= set(await stored_ids(platform, StoredTable.ORDERS, TENANT))
        assert (await read_ledger(platform, TENANT)).faults() == []
