"""Error records on the command line: what the filters ask, what a replay sends."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from de_platform.cli.error_query import ErrorFilters, find_errors, parse_since
from de_platform.cli.errors import ReplaySummary, replay_all, row_of
from de_platform.pipeline import topics
from de_platform.pipeline.error_records import ErrorRecord, Stage
from de_platform.pipeline.errors import InvalidInput
from de_platform.pipeline.events import EventType, IngestionMethod
from de_platform.pipeline.intake import Submission, take_in
from de_platform.services.clock.memory_clock import MemoryClock
from de_platform.services.event_store.interface import StoredTable
from de_platform.services.event_store.memory_event_store import MemoryEventStore
from de_platform.services.message_queue.memory_queue import MemoryQueue

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
EARLY = {
    "id": "t-1",
    "tenant_id": "acme",
    "status": "completed",
    "transact_time": "2026-01-15T11:30:00Z",
    "account_id": "a",
    "counterparty_id": "b",
    "amount": 12.5,
    "currency": "USD",
    "transaction_type": "wire",
}


@pytest.fixture
async def store() -> MemoryEventStore:
    """Two refused events of acme (one was early and is valid by now), one of beta a day ago."""
    store = MemoryEventStore()
    hour = timedelta(hours=1)
    await refuse(
        store, "acme", NOW - hour, EARLY, {**EARLY, "id": "t-2", "transact_time": "2026-01-15T10:00:00Z", "amount": -1}
    )
    await refuse(store, "beta", NOW - 24 * hour, {**EARLY, "tenant_id": "beta", "transact_time": "soon"})
    return store


async def refuse(store: MemoryEventStore, tenant_id: str, received_at: datetime, *events: object) -> None:
    submission = Submission(
        tenant_id=tenant_id,
        event_type=EventType.TRANSACTION,
        method=IngestionMethod.FILE,
        submission_id=f"of {tenant_id}",
        received_at=received_at,
    )
    raw = [json.dumps(event).encode() for event in events]
    intake = take_in(submission, raw, positions=range(1, len(raw) + 1))
    assert not intake.accepted
    await store.append(StoredTable.NORMALIZATION_ERRORS, [message.value for message in intake.messages])


async def found(store: MemoryEventStore, **filters: object) -> list[tuple[str, int]]:
    errors = find_errors(store, ErrorFilters(**filters), now=NOW, descending=False)
    return [(record.tenant_id, record.position) async for record in errors]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, [("beta", 1), ("acme", 1), ("acme", 2)]),
        ({"tenant": "acme"}, [("acme", 1), ("acme", 2)]),
        ({"field": "amount"}, [("acme", 2)]),
        ({"field": "amoun"}, []),
        ({"text": "greater than 0"}, [("acme", 2)]),
        ({"raw": "soon"}, [("beta", 1)]),
        ({"since": "2h"}, [("acme", 1), ("acme", 2)]),
        ({"event_type": EventType.ORDER}, []),
        ({"stage": Stage.NORMALIZER}, []),
        ({"stage": Stage.INTAKE, "field": "transact_time", "tenant": "acme"}, [("acme", 1)]),
    ],
)
async def test_filters_choose_records(store, filters, expected) -> None:
    assert await found(store, **filters) == expected


async def test_newest_come_first_up_to_the_limit(store) -> None:
    errors = find_errors(store, ErrorFilters(), now=NOW, descending=True, limit=2)
    assert [record.tenant_id async for record in errors] == ["acme", "acme"]


async def test_record_comes_back_as_it_was_published(store) -> None:
    (record,) = [r async for r in find_errors(store, ErrorFilters(field="amount"), now=NOW, descending=True)]
    assert isinstance(record, ErrorRecord)
    assert (record.position, record.created_at) == (2, "2026-01-15T11:00:00.000000Z")
    assert row_of(record)["faults"] == "amount: must be greater than 0"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30m", NOW - timedelta(minutes=30)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        ("2026-01-02T01:00:00+01:00", datetime(2026, 1, 2, tzinfo=UTC)),
    ],
)
def test_since_is_a_span_a_day_or_a_time(text, expected) -> None:
    assert parse_since(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30", "2026-01-02T00:00:00", "999999d", "-1h"])
def test_since_that_is_neither_is_refused(text) -> None:
    with pytest.raises(InvalidInput, match="--since"):
        parse_since(text, NOW)


async def replayed(store: MemoryEventStore, *, dry_run: bool = False) -> tuple[ReplaySummary, list[str], MemoryQueue]:
    clock = MemoryClock(NOW)
    queue = MemoryQueue(clock)
    await queue.connect()
    said: list[str] = []
    summary = await replay_all(store, queue, clock, ErrorFilters(), dry_run=dry_run, say=said.append)
    return summary, said, queue


async def test_what_is_valid_by_now_is_sent_and_the_rest_is_explained(store) -> None:
    summary, said, queue = await replayed(store)
    assert (summary.found, summary.replayed, summary.still_refused) == (3, 1, 2)
    assert [("amount" in line, "transact_time" in line) for line in said] == [(False, True), (True, False)]
    record = await queue.consume_one(topics.TX_NORMALIZATION, "test", timeout_seconds=1)
    assert record is not None
    assert json.loads(record.value)["replayed_at"] == "2026-01-15T12:00:00.000000Z"


async def test_dry_run_sends_nothing(store) -> None:
    summary, _, queue = await replayed(store, dry_run=True)
    assert (summary.replayed, summary.dry_run) == (1, True)
    assert not await queue.watermarks([topics.TX_NORMALIZATION])
