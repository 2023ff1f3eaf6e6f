"""What the platform promises about events, each said once, for every harness, door and event type."""

from datetime import UTC, datetime, timedelta

from de_platform.pipeline.events import EventType, IngestionMethod
from tests.helpers.events import Event, make_event, make_transaction, make_valued, unique_id
from tests.helpers.harness import SUSPICIOUS_COUNTERPARTY, PipelineHarness

ADDED_VALUE = {
    EventType.ORDER: "notional_usd",
    EventType.EXECUTION: "notional_usd",
    EventType.TRANSACTION: "amount_usd",
}


async def valid_events_become_enriched_rows(h: PipelineHarness, method: IngestionMethod, event_type: EventType) -> None:
    events = [make_event(event_type, h.tenant_id) for _ in range(100)]
    await h.ingest(method, event_type, events)
    await h.settled()
    rows = await h.rows(event_type.plural)
    assert {row["id"] for row in rows} == {event["id"] for event in events}
    assert len(rows) == 100
    for row in rows:
        day = row["transact_time"][:10]
        assert row["primary_key"] == f"{h.tenant_id}_{event_type}_{row['id']}_{day}"
        assert row["ingestion_method"] == method
        assert float(row[ADDED_VALUE[event_type]]) > 0
        assert row["message_id"]
        assert row["ingested_at"]
        assert row["normalized_at"]
    assert await h.rows("errors") == []
    assert await h.rows("duplicates") == []


async def invalid_events_become_error_rows(h: PipelineHarness, method: IngestionMethod, event_type: EventType) -> None:
    events = [make_event(event_type, h.tenant_id, currency="ZZZ") for _ in range(100)]
    await h.ingest(method, event_type, events)
    await h.settled()
    errors = await h.rows("errors")
    assert len(errors) == 100
    assert {e["event_type"] for e in errors} == {event_type}
    for event in events:
        assert sum(event["id"] in e["raw_data"] for e in errors) == 1
    assert await h.rows(event_type.plural) == []


async def the_same_event_again_is_a_duplicate(
    h: PipelineHarness, method: IngestionMethod, event_type: EventType
) -> None:
    event = make_event(event_type, h.tenant_id)
    await h.ingest(method, event_type, [event] * 100)
    await h.settled()
    [row] = await h.rows(event_type.plural)
    duplicates = await h.rows("duplicates")
    assert len(duplicates) == 99
    for duplicate in duplicates:
        assert duplicate["primary_key"] == row["primary_key"]
        assert event["id"] in duplicate["original_event"]
    assert len({d["message_id"] for d in duplicates} | {row["message_id"]}) == 100


async def a_redelivered_message_leaves_no_trace(h: PipelineHarness, event_type: EventType) -> None:
    event = make_event(event_type, h.tenant_id)
    await h.ingest(IngestionMethod.REST, event_type, [event])
    await h.redeliver(event_type)
    await h.settled()
    assert len(await h.rows(event_type.plural)) == 1
    assert await h.rows("duplicates") == []
    assert await h.rows("errors") == []


async def several_faults_make_one_error_row(h: PipelineHarness, method: IngestionMethod, event_type: EventType) -> None:
    event = make_event(event_type, h.tenant_id, id="  ", currency="dollars", transact_time="yesterday")
    await h.ingest(method, event_type, [event])
    await h.settled()
    [error] = await h.rows("errors")
    assert {fault["field"] for fault in error["errors"]} == {"id", "currency", "transact_time"}


async def good_events_pass_beside_bad_ones(h: PipelineHarness, method: IngestionMethod, event_type: EventType) -> None:
    good = [make_event(event_type, h.tenant_id) for _ in range(5)]
    bad = [make_event(event_type, h.tenant_id, status=None) for _ in range(5)]
    mixed: list[Event] = [event for pair in zip(good, bad, strict=True) for event in pair]
    await h.ingest(method, event_type, mixed)
    await h.settled()
    assert {row["id"] for row in await h.rows(event_type.plural)} == {event["id"] for event in good}
    assert len(await h.rows("errors")) == 5


async def large_notional_fires_above_its_threshold_only(
    h: PipelineHarness, method: IngestionMethod, event_type: EventType
) -> None:
    at = make_valued(event_type, h.tenant_id, 1_000_000)
    above = make_valued(event_type, h.tenant_id, 1_000_000.01)
    await h.ingest(method, event_type, [at, above])
    await h.settled()
    [alert] = await h.alerts("large_notional")
    assert alert["event_id"] == above["id"]
    assert alert["event_type"] == event_type
    assert alert["severity"] == "high"
    assert alert["tenant_id"] == h.tenant_id


async def velocity_fires_on_the_event_too_many(
    h: PipelineHarness, method: IngestionMethod, event_type: EventType
) -> None:
    start = datetime.now(UTC) - timedelta(seconds=90)
    calm, hasty = unique_id("client"), unique_id("client")

    def burst(client_id: str, count: int) -> list[Event]:
        times = [start + timedelta(milliseconds=100 * index) for index in range(count)]
        return [make_event(event_type, h.tenant_id, client_id=client_id, transact_time=at.isoformat()) for at in times]

    await h.ingest(method, event_type, burst(calm, 100))
    await h.ingest(method, event_type, burst(hasty, 101))
    await h.settled()
    [alert] = await h.alerts("velocity")
    assert alert["severity"] == "medium"
    assert hasty in str(alert["details"])


async def a_listed_counterparty_is_critical(h: PipelineHarness, method: IngestionMethod) -> None:
    clean = make_transaction(h.tenant_id)
    listed = make_transaction(h.tenant_id, counterparty_id=SUSPICIOUS_COUNTERPARTY)
    await h.ingest(method, EventType.TRANSACTION, [clean, listed])
    await h.settled()
    [alert] = await h.alerts("suspicious_counterparty")
    assert alert["event_id"] == listed["id"]
    assert alert["severity"] == "critical"
