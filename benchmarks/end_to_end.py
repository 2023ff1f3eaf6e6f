"""The whole embedded platform: HTTP in → stored, queryable, evaluated, balanced; the load generator included.

`up` runs as a user starts it. This process sends prepared bodies over several connections, waits until every stage has
dealt with everything, and checks that what is stored is what was acknowledged before it reports a rate.
"""

import asyncio
import json
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from benchmarks.poster import Poster
from tests.helpers.embedded_harness import EmbeddedPlatform
from tests.helpers.harness import settle

TENANTS = 4
BATCH_EVENTS = 500
CONNECTIONS = 4
LATENCY_PROBES = 20
SETTLE_SECONDS = 300.0


def run(*, quick: bool) -> dict[str, float]:
    """Return the rate from the first request to rest, latencies of single events, and memory of all processes."""
    return asyncio.run(_measure(seconds=5.0 if quick else 60.0))


async def _measure(seconds: float) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as directory:
        began = time.monotonic()
        async with EmbeddedPlatform(Path(directory) / "data") as platform:
            ready_seconds = time.monotonic() - began
            at_rest = _memory_megabytes(platform)
            to_alert = [await _seconds_to_alert(platform, number) for number in range(LATENCY_PROBES)]
            sent, taken_seconds = await _load(platform, seconds)
            under_load = _memory_megabytes(platform)
            await _check(platform, sent)
    return {
        "end_to_end_events_per_second": sent / taken_seconds,
        "acknowledged_to_alert_seconds_median": statistics.median(to_alert),
        "acknowledged_to_alert_seconds_max": max(to_alert),
        "start_to_ready_seconds": ready_seconds,
        "memory_at_rest_megabytes": at_rest,
        "memory_after_load_megabytes": under_load,
    }


async def _load(platform: EmbeddedPlatform, seconds: float) -> tuple[int, float]:
    """Send for a while and wait for rest. Returns how many events, and how long both took."""
    began = time.monotonic()
    port = int(platform.intake_url.rpartition(":")[2])
    counts = await asyncio.gather(*(_send(port, connection, began + seconds) for connection in range(CONNECTIONS)))
    await settle(platform.queue, SETTLE_SECONDS)
    return sum(counts), time.monotonic() - began


async def _send(port: int, connection: int, until: float) -> int:
    sent = 0
    async with Poster(port, "/api/v1/orders") as poster:
        while time.monotonic() < until:
            await poster.post(_body(f"tenant-{connection % TENANTS}", sent), BATCH_EVENTS)
            sent += BATCH_EVENTS
    return sent


def _body(tenant_id: str, first: int) -> bytes:
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    head = (
        f'{{"tenant_id":"{tenant_id}","status":"new","transact_time":"{at}","symbol":"AAPL","side":"buy","price":187.25'
    )
    tail = '"order_type":"limit","currency":"USD","additional_fields":{"desk":"cash-equities","route":"smart"}}'
    events = [
        f'{head},"id":"o-{first + i}","quantity":{i + 1},"client_id":"c-{(first + i) % 5003}",{tail}'
        for i in range(BATCH_EVENTS)
    ]
    return f'{{"events":[{",".join(events)}]}}'.encode("ascii")


async def _seconds_to_alert(platform: EmbeddedPlatform, number: int) -> float:
    """Send one order above the threshold; return the time from its acknowledgement to its alert by the API."""
    at = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    event = {
        "id": f"probe-{number}", "tenant_id": "probe", "status": "new", "transact_time": at, "symbol": "AAPL",
        "side": "buy", "quantity": 1_000_000, "price": 10, "order_type": "limit", "currency": "USD",
    }  # fmt: skip
    async with httpx.AsyncClient(timeout=10) as client:
        answer = await client.post(f"{platform.intake_url}/api/v1/orders", json={"events": [event]})
        assert answer.status_code == 200, answer.text
        began = time.monotonic()
        query = f"{platform.api_url}/api/v1/alerts?tenant_id=probe&event_id=probe-{number}"
        while not json.loads((await client.get(query)).content)["items"]:
            await asyncio.sleep(0.005)
        return time.monotonic() - began


async def _check(platform: EmbeddedPlatform, sent: int) -> None:
    """Count what a reader sees against what was acknowledged. Raises AssertionError."""
    [row] = await platform.fetch("SELECT count() AS stored FROM orders FINAL", {})
    stored = int(row["stored"])
    assert stored == sent + LATENCY_PROBES, f"{sent} orders were acknowledged, {stored} are stored"


def _memory_megabytes(platform: EmbeddedPlatform) -> float:
    """Return the proportional set size of all processes of the platform (Linux; elsewhere 0)."""
    return sum(_proportional_kilobytes(pid) for pid in platform.process_ids()) / 1024


def _proportional_kilobytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
