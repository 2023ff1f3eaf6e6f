"""Kafka starter: what a client's records become, whatever they hold and however often they are read."""

import asyncio
import json
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from de_platform.modules.kafka_starter.kafka_step import Binding, KafkaStep
from de_platform.modules.kafka_starter.main import KafkaStarterModule, KafkaStarterSettings, group_of
from de_platform.modules.kafka_starter.receipt_blocks import BLOCK_OFFSETS, Blocks
from de_platform.pipeline import topics
from de_platform.pipeline.errors import InvalidInput
from de_platform.pipeline.events import EventType
from de_platform.pipeline.messages import Batch, Message, Record
from de_platform.services.checkpoint_store.memory_checkpoint_store import MemoryCheckpointStore
from de_platform.services.clock.memory_clock import MemoryClock
from de_platform.services.clock.system_clock import SystemClock
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.message_queue.memory_queue import MemoryQueue
from de_platform.services.metrics.memory_metrics import MemoryMetrics

TRANSACTION = {
    "id": "t-1",
    "tenant_id": "acme",
    "status": "completed",
    "transact_time": "2026-01-15T10:00:00Z",
    "account_id": "a",
    "counterparty_id": "b",
    "amount": 12.5,
    "currency": "USD",
    "transaction_type": "wire",
}


def transaction(**changes: object) -> bytes:
    return json.dumps({**TRANSACTION, **changes}).encode()


def batch(*values: bytes, first_offset: int = 0, headers: dict[str, str] | None = None) -> Batch:
    records = [Record(first_offset + i, "k", value, headers or {}) for i, value in enumerate(values)]
    return Batch("client_transactions", 2, records)


def step(tenant_id: str | None = "acme") -> KafkaStep:
    binding = Binding(
        event_types={"client_transactions": EventType.TRANSACTION}, errors_topic="client_errors", tenant_id=tenant_id
    )
    return KafkaStep("kafka_starter", binding, MemoryClock(), MemoryMetrics())


def on(topic: str, messages: Sequence[Message]) -> list[Message]:
    return [m for m in messages if m.topic == topic]


def bodies(topic: str, messages: Sequence[Message]) -> list[dict]:
    return [json.loads(m.value) for m in on(topic, messages)]


async def test_event_carries_where_it_came_from() -> None:
    messages = await step().process(batch(transaction(), first_offset=7), Blocks())
    (event,) = on(topics.TX_NORMALIZATION, messages)
    assert event.headers["origin"] == "client_transactions:2:7"
    assert event.headers["message_id"].endswith(".7")
    assert event.headers["ingestion_method"] == "kafka"


async def test_same_record_gives_the_same_id_in_any_batch() -> None:
    alone = await step().process(batch(transaction(), first_offset=1), Blocks())
    within = await step().process(batch(b"x", transaction(), transaction()), Blocks())
    ids = [m.headers["message_id"] for m in on(topics.TX_NORMALIZATION, within)]
    assert ids[0] == on(topics.TX_NORMALIZATION, alone)[0].headers["message_id"]


async def test_faulty_event_is_told_to_both_sides() -> None:
    messages = await step().process(batch(transaction(), transaction(amount=-1, currency="X")), Blocks())
    (ours,) = bodies(topics.NORMALIZATION_ERRORS, messages)
    (theirs,) = bodies(topics.CLIENT_ERRORS, messages)
    assert theirs["errors"] == ours["errors"]
    assert {e["field"] for e in theirs["errors"]} == {"amount", "currency"}
    assert (theirs["topic"], theirs["partition"], theirs["offset"]) == ("client_transactions", 2, 1)
    assert json.loads(theirs["raw"])["amount"] == -1
    assert (ours["position"], ours["origin"]) == (1, "client_transactions:2:1")


@pytest.mark.parametrize("value", [b"", b"\xff", b"{}", b"[" * 100_000, b"x" * 100_000, b'{"events":[]}'])
async def test_any_bytes_become_one_error(value) -> None:
    messages = await step().process(batch(value), Blocks())
    assert len(on(topics.NORMALIZATION_ERRORS, messages)) == len(on(topics.CLIENT_ERRORS, messages)) == 1


async def test_event_of_another_tenant_is_an_error_of_the_owner() -> None:
    messages = await step().process(batch(transaction(tenant_id="beta")), Blocks())
    assert on(topics.NORMALIZATION_ERRORS, messages)[0].key == "acme"
    assert not on(topics.TX_NORMALIZATION, messages)


async def test_shared_topic_takes_the_tenant_from_the_event() -> None:
    messages = await step(None).process(batch(transaction(tenant_id="beta")), Blocks())
    assert on(topics.TX_NORMALIZATION, messages)[0].key == "beta"


def final_counts(messages: Sequence[Message]) -> dict[tuple[str, str], tuple[int, int, int]]:
    """Take receipts as a reader does: of those with one id the one that claims most."""
    newest: dict[str, dict] = {}
    for body in bodies(topics.INGESTION_AUDIT, messages):
        known = newest.get(body["receipt_id"])
        if known is None or known["claimed"] < body["claimed"]:
            newest[body["receipt_id"]] = body
    return {
        (b["tenant_id"], b["first_position"]): (b["claimed"], b["accepted"], b["rejected"]) for b in newest.values()
    }


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from(["acme", "beta", ""]), min_size=1, max_size=30),
    st.sets(st.integers(1, 29)),
    st.integers(0, 29),
)
async def test_receipts_add_up_however_the_log_is_cut_and_replayed(tenants, cuts, crash_at) -> None:
    values = [transaction(tenant_id=t) if t else b"broken" for t in tenants]
    first = BLOCK_OFFSETS - 10

    async def run(starts: Sequence[int], state: Blocks) -> list[Message]:
        out: list[Message] = []
        for start, end in pairwise(starts):
            out += await step(None).process(batch(*values[start:end], first_offset=first + start), state)
        return out

    whole = await run([0, len(values)], Blocks())
    before = min(crash_at, len(values) - 1)
    state = Blocks()
    replayed = await run(sorted({0, *(c for c in cuts if c < before), before}), state)
    saved = step().snapshot(state)
    replayed += await run(sorted({before, *(c for c in cuts if c > before and c < len(values)), len(values)}), state)
    replayed += await run([before, len(values)], step().restore(2, saved.new_segments))
    assert final_counts(replayed) == final_counts(whole)
    assert sum(claimed for claimed, _, _ in final_counts(whole).values()) == len(values)


async def test_record_that_was_given_up_is_told_to_both_sides() -> None:
    told = step().on_poison("client_transactions", 2, Record(5, "k", b"?", {}), "ValueError()")
    assert [m.topic for m in told] == [topics.NORMALIZATION_ERRORS, topics.CLIENT_ERRORS]


def starter_settings(**changes: object) -> KafkaStarterSettings:
    given = {
        "client_orders_topic": "client_orders",
        "client_executions_topic": "client_executions",
        "client_transactions_topic": "client_transactions",
        "client_errors_topic": "client_errors",
        "tenant_id": "",
        "shared_topics": False,
    }
    return KafkaStarterSettings(**{**given, **changes})


class Rig:
    """A module on a queue in memory."""

    def __init__(self, **changes: object) -> None:
        self.log = MemoryLogger()
        self.queue = MemoryQueue(SystemClock())
        self.lifecycle = LifecycleManager(self.log)
        self.module = KafkaStarterModule(
            starter_settings(**changes),
            self.queue,
            MemoryCheckpointStore(),
            self.log,
            MemoryMetrics(),
            SystemClock(),
            self.lifecycle,
        )


async def test_events_flow_from_the_clients_topic() -> None:
    rig = Rig(client_transactions_topic="acme.tx", tenant_id="acme")
    await rig.queue.connect()
    running = asyncio.create_task(rig.module.run())
    await rig.queue.publish([Message(topic="acme.tx", key="k", value=transaction())])
    record = await rig.queue.consume_one(topics.TX_NORMALIZATION, "test", timeout_seconds=5)
    rig.lifecycle.request_shutdown()
    assert await running == 0
    assert record is not None
    assert record.key == "acme"


async def test_unbound_topics_are_not_read_and_the_log_says_why() -> None:
    rig = Rig()
    await rig.queue.connect()
    await rig.queue.publish([Message(topic="client_transactions", key="k", value=transaction())])
    running = asyncio.create_task(rig.module.run())
    while not rig.log.entries:
        await asyncio.sleep(0)
    rig.lifecycle.request_shutdown()
    assert await running == 0
    assert "tenant-id" in rig.log.entries[0].message
    assert rig.module.health_checks() == {}
    assert topics.TX_NORMALIZATION not in {p.topic for p in await rig.queue.watermarks([topics.TX_NORMALIZATION])}


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"client_orders_topic": ""}, ["--client-orders-topic"]),
        ({"client_errors_topic": "trade_normalization"}, ["--client-errors-topic"]),
        ({"client_orders_topic": "x", "client_errors_topic": "x"}, ["--client-orders-topic", "--client-errors-topic"]),
        ({"tenant_id": "platform"}, ["--tenant-id"]),
        ({"tenant_id": "acme", "shared_topics": True}, ["--shared-topics"]),
    ],
)
async def test_binding_that_makes_no_sense_is_refused(changes, fields) -> None:
    with pytest.raises(InvalidInput) as refused:
        await Rig(**changes).module.run()
    assert [e.field for e in refused.value.errors] == fields


def test_each_binding_is_a_group_of_its_own() -> None:
    shared = group_of(starter_settings(shared_topics=True))
    acme = group_of(starter_settings(tenant_id="acme"))
    beta = group_of(starter_settings(tenant_id="beta"))
    assert shared == "kafka_starter"
    assert len({shared, acme, beta}) == 3
