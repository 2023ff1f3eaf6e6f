"""What every implementation of IngestBatchStore does. Tests share a store; each works with a topic of its own."""

import itertools
from datetime import UTC, datetime
from typing import Any

from de_platform.services.ingest_batch_store.interface import IngestBatch, IngestBatchStore

_serial = itertools.count(1)


def fresh_topic() -> str:
    """Return a topic that no other test of this process uses."""
    return f"topic_{next(_serial)}"


def make_batch(topic: str, **overrides: Any) -> IngestBatch:
    """Return a row whose path names its partition and first offset."""
    partition, first_offset = overrides.get("partition", 0), overrides.get("first_offset", 0)
    path = f"lake/{topic}/{partition}/{first_offset}.jsonl"
    fields: dict[str, Any] = {
        "batch_id": f"id of {path}",
        "path": path,
        "topic": topic,
        "partition": 0,
        "first_offset": 0,
        "last_offset": first_offset + 11,
        "record_count": 10,
        "byte_count": 1 << 40,
        "created_at": datetime(2026, 11, 3, 16, 0, 0, 1, tzinfo=UTC),
    }
    return IngestBatch(**(fields | overrides))


class IngestBatchStoreContract:
    """Subclasses provide the fixture `store`."""

    async def test_batch_comes_back_as_it_was(self, store: IngestBatchStore) -> None:
        batch = make_batch(fresh_topic(), first_offset=1 << 50)
        assert await store.add(batch)
        assert await store.of_topic(batch.topic) == [batch]

    async def test_first_row_of_an_id_stays(self, store: IngestBatchStore) -> None:
        batch = make_batch(fresh_topic())
        await store.add(batch)
        assert not await store.add(make_batch(batch.topic, record_count=99))
        assert await store.of_topic(batch.topic) == [batch]

    async def test_rows_come_by_partition_and_offset(self, store: IngestBatchStore) -> None:
        topic = fresh_topic()
        places = [(1, 5), (0, 30), (0, 4), (1, 0)]
        for partition, first_offset in places:
            await store.add(make_batch(topic, partition=partition, first_offset=first_offset))
        found = await store.of_topic(topic)
        assert [(b.partition, b.first_offset) for b in found] == sorted(places)
        assert await store.of_topic(topic, limit=2) == found[:2]

    async def test_topics_do_not_meet(self, store: IngestBatchStore) -> None:
        batch = make_batch(fresh_topic())
        await store.add(batch)
        assert await store.of_topic(batch.topic + "x") == []
