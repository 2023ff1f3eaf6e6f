"""Stamped events on the log become rows, duplicates and errors, exactly."""

import json
from datetime import date
from typing import Any

import msgspec
import pytest

from de_platform.modules.normalizer.normalizer_step import NormalizerState
from de_platform.modules.normalizer.tests.normalizer_bench import Bench, bodies
from de_platform.pipeline import topics
from de_platform.pipeline.errors import Unavailable
from de_platform.pipeline.events import EventType
from de_platform.pipeline.messages import Batch, Record
from de_platform.pipeline.tests.sample_events import SAMPLES, TENANT, execution, order, stamped, transaction
from de_platform.services.event_store.interface import StoredTable


def _without_mark(record: Record) -> dict[str, str]:
    return {name: text for name, text in record.headers.items() if name != "checked"}


@pytest.mark.parametrize("event_type", list(EventType))
async def test_a_valid_event_goes_enriched_to_the_store_and_the_algorithms(bench: Bench, event_type: EventType) -> None:
    record = stamped(SAMPLES[event_type](), offset=5)
    topic = topics.NORMALIZATION_TOPIC[event_type]
    stored, evaluated = await bench.take(record, topic=topic)
    assert (stored.topic, evaluated.topic) == (topics.PERSISTENCE_TOPIC[event_type], topics.ALGOS_TOPIC[event_type])
    assert stored.value == evaluated.value
    assert stored.value.startswith(record.value[:-1])
    assert (stored.key, stored.partition) == (TENANT, 0)
    assert stored.headers == {**_without_mark(record), "origin": f"{topic}:0:5"}
    added = {name: value for name, value in json.loads(stored.value).items() if name not in json.loads(record.value)}
    common = {"normalized_at": "2026-11-20T15:00:00.000000Z", "origin": f"{topic}:0:5"}
    expected = {
        EventType.ORDER: {
            "primary_key": "acme_order_ord-1_2026-11-20",
            "order_id": "ord-1",
            "notional": 15025,
            "notional_usd": 15025,
            "usd_rate": 1,
            "usd_rate_on": "2026-11-20",
        },
        EventType.EXECUTION: {
            "primary_key": "acme_execution_exe-1_2026-11-20",
            "notional": 15000,
            "notional_usd": 15000,
            "usd_rate": 1,
            "usd_rate_on": "2026-11-20",
        },
        EventType.TRANSACTION: {
            "primary_key": "acme_transaction_tx-1_2026-11-20",
            "amount_usd": 2500.5,
            "usd_rate": 1,
            "usd_rate_on": "2026-11-20",
        },
    }
    assert added == expected[event_type] | common


async def test_rows_fit_the_store(bench: Bench) -> None:
    await bench.store(
        await bench.take(stamped(order()), stamped(order(), offset=1, position=1), Record(2, "", b"{", {}))
    )
    await bench.store(await bench.take(stamped(transaction()), topic=topics.TX_NORMALIZATION))
    everyone = {table: len(bench.events._tables[table]) for table in StoredTable}
    assert everyone == {
        StoredTable.ORDERS: 1,
        StoredTable.EXECUTIONS: 0,
        StoredTable.TRANSACTIONS: 1,
        StoredTable.DUPLICATES: 1,
        StoredTable.NORMALIZATION_ERRORS: 1,
    }


async def test_an_order_keeps_the_order_id_that_it_has(bench: Bench) -> None:
    stored, _ = await bench.take(stamped(order(order_id="parent")))
    assert stored.value.count(b'"order_id"') == 1
    assert json.loads(stored.value)["order_id"] == "parent"


async def test_ids_with_quotes_and_other_alphabets_survive(bench: Bench) -> None:
    stored, _ = await bench.take(stamped(order(id='ü"\\1')))
    body = json.loads(stored.value)
    assert (body["order_id"], body["primary_key"]) == ('ü"\\1', 'acme_order_ü"\\1_2026-11-20')


async def test_unknown_fields_reach_the_store_topic_as_they_were(bench: Bench) -> None:
    stored, _ = await bench.take(stamped(order(desk={"a": 1.50}, note="\n")))
    assert json.loads(stored.value)["desk"] == {"a": 1.5}


async def test_tenants_in_batch_mode_are_stored_only(bench: Bench) -> None:
    bench.batch_tenants.add(TENANT)
    messages = await bench.take(stamped(order()), stamped(order(tenant_id="b"), offset=1))
    assert [(message.topic, message.key) for message in messages] == [
        (topics.ORDERS_PERSISTENCE, TENANT),
        (topics.ORDERS_PERSISTENCE, "b"),
        (topics.TRADES_ALGOS, "b"),
    ]


async def test_the_same_message_again_leaves_no_trace(bench: Bench) -> None:
    assert len(await bench.take(stamped(order()), stamped(order(), offset=1))) == 2
    assert not await bench.take(stamped(order(), offset=2))
    assert bench.metrics.value("duplicates_detected_total", dedup_type="internal") == 2


async def test_another_message_of_an_event_is_a_duplicate_with_its_whole_event(bench: Bench) -> None:
    first, again = stamped(order()), stamped(order(price=1), offset=1, position=1)
    await bench.take(first)
    (message,) = await bench.take(again)
    assert message.topic == topics.DUPLICATES
    assert json.loads(message.value) == {
        "event_type": "order",
        "primary_key": "acme_order_ord-1_2026-11-20",
        "message_id": again.headers["message_id"],
        "original_message_id": first.headers["message_id"],
        "tenant_id": TENANT,
        "received_at": "2026-11-20T15:00:00.000000Z",
        "ingestion_method": "rest",
        "submission_id": "request-1",
        "origin": "trade_normalization:0:1",
        "original_event": json.loads(again.value),
    }
    assert message.headers == {**_without_mark(again), "origin": "trade_normalization:0:1"}


@pytest.mark.parametrize(
    "other",
    [order(tenant_id="b"), order(id="ord-2"), order(transact_time="2026-11-19T14:59:00Z"), execution(id="ord-1")],
)
async def test_another_tenant_id_day_or_type_is_another_event(bench: Bench, other: dict[str, Any]) -> None:
    messages = await bench.take(stamped(order()), stamped(other, offset=1, position=1))
    assert not bodies(messages, topics.DUPLICATES)


async def test_keys_that_read_alike_are_still_different_events(bench: Bench) -> None:
    messages = await bench.take(
        stamped(order(tenant_id="a", id="order_x")), stamped(order(tenant_id="a_order", id="x"), offset=1)
    )
    assert not bodies(messages, topics.DUPLICATES)
    assert len({body["primary_key"] for body in bodies(messages, topics.ORDERS_PERSISTENCE)}) == 1


async def test_orders_and_executions_reach_the_algorithms_in_log_order(bench: Bench) -> None:
    records = [stamped((order if n % 3 else execution)(id=f"e{n}"), offset=n, position=n) for n in range(9)]
    messages = await bench.take(*records)
    assert [body["id"] for body in bodies(messages, topics.TRADES_ALGOS)] == [f"e{n}" for n in range(9)]


BAD = [
    b"",
    b"{",
    b"[]",
    b"\xff",
    b"{}",
    b'{"a":' * 100_000,
    stamped(order()).value.replace(b'"side":"buy"', b'"side":"buy","side":"buy"'),
    stamped(order()).value.replace(b'"event_type":"order"', b'"event_type":"execution"'),
    stamped(order()).value.replace(b'"quantity":100', b'"quantity":1e2'),
    stamped(order()).value.replace(b'"message_id"', b'"notional":1,"message_id"'),
    stamped(order()).value.replace(b'"ingested_at":"2026-11-20T15', b'"ingested_at":"2026-11-20T25'),
]


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("headers", [{}, _without_mark(stamped(order()))])
async def test_what_is_no_valid_event_is_one_error_record(bench: Bench, value: bytes, headers: dict[str, str]) -> None:
    messages = await bench.take(stamped(order()), Record(1, "", value, headers), stamped(execution(), offset=2))
    (error,) = bodies(messages, topics.NORMALIZATION_ERRORS)
    assert error["errors"]
    assert error["stage"] == "normalizer"
    assert error["origin"] == "trade_normalization:0:1"
    assert error["message_id"]
    assert len(bodies(messages, topics.TRADES_ALGOS)) == 2


async def test_what_belongs_on_another_topic_is_an_error(bench: Bench) -> None:
    (message,) = await bench.take(stamped(transaction()))
    assert [error["field"] for error in json.loads(message.value)["errors"]] == ["event_type"]


async def test_a_record_of_a_third_party_needs_no_headers(bench: Bench) -> None:
    records = [Record(n, "", stamped(event).value, {}) for n, event in enumerate((execution(), order()))]
    messages = await bench.take(*records)
    assert [message.headers["message_id"] for message in messages if message.topic == topics.TRADES_ALGOS] == [
        json.loads(record.value)["message_id"] for record in records
    ]


@pytest.mark.parametrize("dependency", ["rates", "events"])
async def test_an_unavailable_store_changes_nothing(bench: Bench, dependency: str) -> None:
    await bench.load_rate()
    records = [stamped(order(currency="EUR", transact_time="2026-11-18T10:00:00Z")), stamped(order(), offset=1)]
    bench.rates._rates[0] = msgspec.structs.replace(bench.rates._rates[0], effective_on=date(2026, 11, 18))
    store = getattr(bench, dependency)
    store.unavailable = Unavailable(dependency, "gone")
    with pytest.raises(Unavailable):
        await bench.take(*records)
    store.unavailable = None
    assert len(await bench.take(*records)) == 4


async def test_a_late_event_that_is_stored_is_a_duplicate(bench: Bench) -> None:
    late = order(transact_time="2026-11-02T10:00:00Z")
    first = stamped(late)
    await bench.store(await bench.take(first))
    bench.state = bench.step.new_state(0)
    (message,) = await bench.take(stamped(late, offset=1, position=1))
    assert json.loads(message.value)["original_message_id"] == first.headers["message_id"]


async def test_a_replay_after_a_crash_gives_the_same_outputs(bench: Bench) -> None:
    """Rows of the first attempt are in the store already; they do not make the events duplicates of themselves."""
    segments = bench.snapshot({})
    batch = [
        stamped(order(transact_time="2026-11-02T10:00:00Z")),
        stamped(order(transact_time="2026-11-02T10:00:00Z"), offset=1, position=1),
        stamped(order(id="today"), offset=2, position=2),
        stamped(order(id="today"), offset=3, position=3),
    ]
    first = await bench.take(*batch)
    await bench.store(first)
    bench.step = bench.new_step()
    bench.state = bench.step.restore(0, segments)
    assert await bench.take(*batch) == first
    again = bench.step.restore(0, segments)
    one_by_one = [
        message
        for record in batch
        for message in await bench.step.process(Batch(topics.TRADE_NORMALIZATION, 0, [record]), again)
    ]
    assert sorted(map(repr, one_by_one)) == sorted(map(repr, first))


async def test_a_restored_state_knows_what_it_knew(bench: Bench) -> None:
    segments = bench.snapshot({})
    await bench.take(stamped(order()))
    segments = bench.snapshot(segments)
    await bench.take(stamped(order(id="ord-2"), offset=1, position=1))
    segments = bench.snapshot(segments)
    bench.state = bench.step.restore(0, segments)
    messages = await bench.take(*(stamped(order(id=f"ord-{n}"), offset=1 + n, position=9) for n in (1, 2)))
    assert [message.topic for message in messages] == [topics.DUPLICATES] * 2


async def test_what_cannot_be_processed_is_recorded_as_an_error(bench: Bench) -> None:
    record = stamped(transaction(), offset=8)
    (message,) = bench.step.on_poison(topics.TX_NORMALIZATION, 0, record, "boom")
    body = json.loads(message.value)
    assert (body["event_type"], body["tenant_id"], body["origin"]) == ("transaction", TENANT, "tx_normalization:0:8")
    assert body["errors"] == [{"field": "", "message": "could not be processed: boom"}]


async def test_every_record_is_counted_once(bench: Bench) -> None:
    records = [
        stamped(order()),
        stamped(order(), offset=1),
        stamped(order(), offset=2, position=1),
        Record(3, "", b"{", dict(stamped(order()).headers)),
        stamped(order(id="eur", currency="EUR"), offset=4, position=4),
    ]
    await bench.take(*records)
    statuses = {
        status: bench.metrics.value("events_processed_total", service="normalizer", tenant_id=TENANT, status=status)
        for status in ("ok", "error", "duplicate", "redelivery")
    }
    assert statuses == {"ok": 1, "error": 2, "duplicate": 1, "redelivery": 1}
    assert bench.metrics.value("events_received_total", topic=topics.TRADE_NORMALIZATION) == 5
    assert bench.metrics.value("events_errors_total", error_type="no_value") == 1
    assert bench.metrics.value("kafka_messages_published_total", topic=topics.NORMALIZATION_ERRORS) == 2
    assert len(bench.metrics.observations("processing_duration_seconds", operation="normalize")) == 1


def test_states_begin_with_a_salt_of_their_own(bench: Bench) -> None:
    assert isinstance(bench.state, NormalizerState)
    assert bench.state.dedup.salt == 7
