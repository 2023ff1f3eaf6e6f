"""One pipeline, however it is run: what the scenarios ask of it, and what all harnesses share."""

import asyncio
import json
import time
import uuid
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import httpx
import msgspec

from de_platform.pipeline import topics
from de_platform.pipeline.errors import Unavailable
from de_platform.pipeline.events import EventType, Header, IngestionMethod
from de_platform.pipeline.messages import Message, Record
from de_platform.services.message_queue.interface import MessageQueueInterface
from tests.helpers.events import Event

SUSPICIOUS_COUNTERPARTY = "cp-listed-1"
"""Every harness runs the algorithms with this counterparty on the list."""

CLIENT_TOPIC: Mapping[EventType, str] = {
    EventType.ORDER: topics.CLIENT_ORDERS,
    EventType.EXECUTION: topics.CLIENT_EXECUTIONS,
    EventType.TRANSACTION: topics.CLIENT_TRANSACTIONS,
}

CONSUMERS: Mapping[str, Sequence[str]] = {
    "kafka_starter": tuple(CLIENT_TOPIC.values()),
    "normalizer": (topics.TRADE_NORMALIZATION, topics.TX_NORMALIZATION),
    "persistence": (
        topics.ORDERS_PERSISTENCE,
        topics.EXECUTIONS_PERSISTENCE,
        topics.TRANSACTIONS_PERSISTENCE,
        topics.DUPLICATES,
        topics.NORMALIZATION_ERRORS,
    ),
    "algos": (topics.TRADES_ALGOS, topics.TRANSACTIONS_ALGOS),
    "data_api": (topics.ALERTS,),
}
"""Consumer groups in the order of the flow, with what each must have read when the pipeline rests."""

SETTLE_TIMEOUT_SECONDS = 60.0


class PipelineHarness(Protocol):
    """A running pipeline and one tenant in it that nobody else uses."""

    tenant_id: str

    async def ingest(self, method: IngestionMethod, event_type: EventType, events: Sequence[Event]) -> None:
        """Bring events in through one of the doors; returns when they are acknowledged."""

    async def redeliver(self, event_type: EventType) -> None:
        """Append this tenant's last message of the normalisation topic once more, unchanged."""

    async def settled(self) -> None:
        """Return when every stage has dealt with all that came in. Raises TimeoutError that says who lags."""

    async def rows(self, what: str) -> list[dict[str, Any]]:
        """Return all of the tenant's orders, executions, transactions, errors or duplicates, read by the API."""

    async def alerts(self, algorithm: str) -> list[dict[str, Any]]:
        """Return the tenant's alerts of one algorithm, read by the API."""


class RunningPipeline(Protocol):
    """A pipeline under test: its log, its two HTTP ports, and a way to hand it a file."""

    queue: MessageQueueInterface
    intake_url: str
    api_url: str

    @abstractmethod
    async def process_file(self, path: Path, event_type: EventType) -> None:
        """Run `file_processor` over a file and return when it is done."""


class TenantHarness:
    """A `PipelineHarness`: one tenant's view of a running pipeline."""

    def __init__(self, pipeline: RunningPipeline, scratch: Path, *, tenant_id: str | None = None) -> None:
        self.tenant_id = tenant_id or f"test-{uuid.uuid4().hex[:8]}"
        self._pipeline = pipeline
        self._scratch = scratch

    async def ingest(self, method: IngestionMethod, event_type: EventType, events: Sequence[Event]) -> None:
        match method:
            case IngestionMethod.REST:
                await self._post(event_type, events)
            case IngestionMethod.KAFKA:
                await self._produce(event_type, events)
            case IngestionMethod.FILE:
                path = self._scratch / f"{uuid.uuid4().hex}.jsonl"
                path.write_bytes(b"\n".join(json.dumps(event).encode() for event in events))
                await self._pipeline.process_file(path, event_type)

    async def _post(self, event_type: EventType, events: Sequence[Event]) -> None:
        async with httpx.AsyncClient(base_url=self._pipeline.intake_url, timeout=30) as client:
            answer = await client.post(f"/api/v1/{event_type.plural}", json={"events": list(events)})
        assert answer.status_code == 200, answer.text

    async def _produce(self, event_type: EventType, events: Sequence[Event]) -> None:
        topic = CLIENT_TOPIC[event_type]
        messages = [Message(topic=topic, key=self.tenant_id, value=json.dumps(event).encode()) for event in events]
        await self._pipeline.queue.publish(messages)

    async def redeliver(self, event_type: EventType) -> None:
        topic = topics.NORMALIZATION_TOPIC[event_type]
        own = [r for r in await records(self._pipeline.queue, topic) if r.headers[Header.TENANT_ID] == self.tenant_id]
        last = own[-1]
        await self._pipeline.queue.publish([Message(topic=topic, key=last.key, value=last.value, headers=last.headers)])

    async def settled(self) -> None:
        await settle(self._pipeline.queue)

    async def rows(self, what: str) -> list[dict[str, Any]]:
        return await self._all_pages(f"/api/v1/events/{what}", {})

    async def alerts(self, algorithm: str) -> list[dict[str, Any]]:
        return await self._all_pages("/api/v1/alerts", {"algorithm": algorithm})

    async def _all_pages(self, path: str, filters: Mapping[str, str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        async with httpx.AsyncClient(base_url=self._pipeline.api_url, timeout=30) as client:
            while True:
                params = {"tenant_id": self.tenant_id, "limit": "500", **filters}
                answer = await client.get(path, params=params | ({"cursor": cursor} if cursor else {}))
                assert answer.status_code == 200, answer.text
                page = msgspec.json.decode(answer.content)
                found.extend(page["items"])
                cursor = page["next_cursor"]
                if cursor is None:
                    return found


async def lagging(queue: MessageQueueInterface) -> dict[str, int]:
    """Say which consumer groups have not committed everything yet, and how many records each is behind.

    Groups are asked in the order of the flow: a stage commits after its outputs are in the queue, so an
    empty answer means that nothing is in flight anywhere.
    """
    behind: dict[str, int] = {}
    for group, names in CONSUMERS.items():
        marks = await queue.watermarks(names)
        committed = await queue.committed(group, names)
        lag = sum(mark.high - committed.get(partition, mark.low) for partition, mark in marks.items())
        if lag:
            behind[group] = lag
    return behind


async def settle(queue: MessageQueueInterface, timeout_seconds: float = SETTLE_TIMEOUT_SECONDS) -> None:
    """Wait until no group lags, also while the queue recovers. Raises TimeoutError naming those that do."""
    deadline = time.monotonic() + timeout_seconds
    behind: object = None
    while time.monotonic() < deadline:
        try:
            behind = await lagging(queue)
        except Unavailable as error:
            behind = error
        if not behind:
            return
        await asyncio.sleep(0.02)
    raise TimeoutError(f"the pipeline did not come to rest; records behind: {behind}")


async def records(queue: MessageQueueInterface, topic: str) -> list[Record]:
    """Return everything that a topic holds, by a consumer group of its own."""
    consumer = await queue.consumer([topic], f"peek-{uuid.uuid4().hex}")
    found: list[Record] = []
    try:
        wanted = sum(mark.high - mark.low for mark in (await queue.watermarks([topic])).values())
        while len(found) < wanted:
            batch = await consumer.poll(max_records=5000, timeout_seconds=2)
            if batch is not None:
                found.extend(batch.records)
            elif consumer.assignment:
                break
    finally:
        await consumer.close()
    return found
