"""The log on a real broker.

Each test has topics and groups of its own by prefix: deleting topics between tests would be slower, and a topic's name
is not free again until every broker has forgotten it.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec, ResourceType

from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.pipeline.messages import Message, TopicPartition
from de_platform.services.clock.system_clock import SystemClock
from de_platform.services.message_queue.contract import MessageQueueContract
from de_platform.services.message_queue.contract_support import (
    ORDERS,
    P0,
    PAYMENTS,
    Journal,
    message,
    numbered,
    read,
    settle,
    values,
)
from de_platform.services.message_queue.interface import PartitionsLost
from de_platform.services.message_queue.kafka_queue import KafkaQueue
from de_platform.services.message_queue.kafka_settings import KafkaSettings
from scripts.infra_servers.server import Server
from tests.helpers.real_servers import RealServers

pytestmark = pytest.mark.real_infra

SESSION_SECONDS = 6.0
"""The shortest that brokers allow by default."""


@pytest.fixture
def settings(infra: RealServers) -> KafkaSettings:
    prefix = f"test-{uuid4().hex[:12]}."
    return KafkaSettings(
        bootstrap_servers=infra.kafka,
        topic_prefix=prefix,
        group_prefix=prefix,
        session_seconds=SESSION_SECONDS,
        max_poll_interval_seconds=SESSION_SECONDS,
    )


@pytest.fixture
def admin(settings: KafkaSettings) -> AdminClient:
    return AdminClient({"bootstrap.servers": settings.bootstrap_servers})


@pytest.fixture
def clock() -> SystemClock:
    return SystemClock()


@pytest.fixture
async def queue(settings: KafkaSettings, clock: SystemClock) -> AsyncGenerator[KafkaQueue]:
    queue = KafkaQueue(settings, clock)
    await queue.connect()
    yield queue
    await queue.disconnect()


@pytest.fixture
def session_passes() -> Callable[[], Awaitable[None]]:
    """Members are timed by the library and the broker, whose clocks cannot be moved."""

    async def passes() -> None:
        await asyncio.sleep(SESSION_SECONDS + 2)

    return passes


@pytest.fixture
def hours_pass(settings: KafkaSettings, admin: AdminClient) -> Callable[[float], Awaitable[None]]:
    """Delete what is older than its topic's retention, as the broker does, which looks only every five minutes."""

    def delete_old(hours: float) -> None:
        topics = admin.list_topics(timeout=10).topics
        for name in (name for name in topics if name.startswith(settings.topic_prefix)):
            resource = ConfigResource(ResourceType.TOPIC, name)
            retention_ms = int(admin.describe_configs([resource])[resource].result()["retention.ms"].value)
            if 0 <= retention_ms < hours * 3_600_000:
                places = [Place(name, number) for number in topics[name].partitions]
                ends = admin.list_offsets(dict.fromkeys(places, OffsetSpec.latest()))
                deleting = admin.delete_records(
                    [Place(p.topic, p.partition, e.result().offset) for p, e in ends.items()]
                )
                for deleted in deleting.values():
                    deleted.result()

    async def passes(hours: float) -> None:
        await asyncio.to_thread(delete_old, hours)

    return passes


class TestKafkaQueue(MessageQueueContract):
    pass


def producer(settings: KafkaSettings, **more: str) -> Producer:
    """Return a client of another make."""
    return Producer({"bootstrap.servers": settings.bootstrap_servers, **more})


def retention_of(settings: KafkaSettings, admin: AdminClient, topic: str) -> int:
    resource = ConfigResource(ResourceType.TOPIC, settings.topic_there(topic))
    return int(admin.describe_configs([resource])[resource].result()["retention.ms"].value)


async def test_topics_are_made_with_their_retention(
    queue: KafkaQueue, settings: KafkaSettings, admin: AdminClient
) -> None:
    await queue.create_topics({ORDERS: 3, PAYMENTS: 3}, retention_hours={ORDERS: 5, PAYMENTS: None})
    assert [retention_of(settings, admin, topic) for topic in (ORDERS, PAYMENTS)] == [5 * 3_600_000, -1]


async def test_the_retention_of_a_topic_that_is_there_is_altered(
    queue: KafkaQueue, settings: KafkaSettings, admin: AdminClient
) -> None:
    await queue.create_topics({ORDERS: 1}, retention_hours={ORDERS: 5})
    await queue.create_topics({ORDERS: 1}, retention_hours={ORDERS: 7})
    assert retention_of(settings, admin, ORDERS) == 7 * 3_600_000


async def test_processes_may_create_the_same_topics_at_once(settings: KafkaSettings, clock: SystemClock) -> None:
    queues = [KafkaQueue(settings, clock) for _ in range(3)]
    for queue in queues:
        await queue.connect()
    await asyncio.gather(*(queue.create_topics({ORDERS: 2, PAYMENTS: 2}, retention_hours={}) for queue in queues))
    assert len(await queues[0].watermarks([ORDERS, PAYMENTS])) == 4
    for queue in queues:
        await queue.disconnect()


async def test_topics_with_different_partition_counts_are_not_read_together(queue: KafkaQueue) -> None:
    await queue.create_topics({ORDERS: 2, PAYMENTS: 3}, retention_hours={})
    with pytest.raises(InvalidInput, match="orders has 2, payments has 3"):
        await queue.consumer([ORDERS, PAYMENTS], "g")


async def test_readers_do_not_see_what_was_not_committed(queue: KafkaQueue, settings: KafkaSettings) -> None:
    await queue.create_topics({ORDERS: 1}, retention_hours={})
    other = producer(settings, **{"transactional.id": settings.topic_there("other")})
    other.init_transactions(10)
    other.begin_transaction()
    other.produce(settings.topic_there(ORDERS), value=b"-1", partition=0)
    other.flush(10)
    await queue.publish(numbered(1))
    consumer = await queue.consumer([ORDERS], "g")
    await settle(consumer)
    assert await consumer.poll(max_records=10, timeout_seconds=0.5) is None
    other.abort_transaction(10)
    assert values(await read(consumer, 1)) == [0]


async def test_a_publish_of_which_one_message_can_never_pass_leaves_nothing(queue: KafkaQueue) -> None:
    await queue.create_topics({ORDERS: 1, PAYMENTS: 1}, retention_hours={})
    with pytest.raises(InvalidInput):
        await queue.publish([*numbered(3), message(b"x" * 2_000_000, topic=PAYMENTS)])
    await queue.publish(numbered(1, first=7))
    assert values(await read(await queue.consumer([ORDERS, PAYMENTS], "g"), 1)) == [7]


async def test_a_group_comes_to_rest_behind_transactions_that_were_aborted(
    queue: KafkaQueue, settings: KafkaSettings
) -> None:
    await queue.create_topics({ORDERS: 1}, retention_hours={})
    other = producer(settings, **{"transactional.id": settings.topic_there("other")})
    other.init_transactions(10)
    for _ in range(3):
        other.begin_transaction()
        other.produce(settings.topic_there(ORDERS), value=b"-1", partition=0)
        other.flush(10)
        other.abort_transaction(10)
    consumer = await queue.consumer([ORDERS], "g")
    await settle(consumer)
    for _ in range(3):
        assert await consumer.poll(max_records=10, timeout_seconds=0.3) is None
    assert await queue.committed("g", [ORDERS]) == {P0: (await queue.watermarks([ORDERS]))[P0].high}


async def test_messages_of_other_clients_may_lack_everything(queue: KafkaQueue, settings: KafkaSettings) -> None:
    await queue.create_topics({ORDERS: 1}, retention_hours={})
    other = producer(settings)
    other.produce(settings.topic_there(ORDERS))
    other.produce(settings.topic_there(ORDERS), key=b"\xff", value=b"1", headers=[("a", b"\xfe"), ("b", None)])
    other.flush(10)
    bare, odd = await read(await queue.consumer([ORDERS], "g"), 2)
    assert (bare.key, bare.value, bare.headers) == ("", b"", {})
    assert (odd.key, odd.value, odd.headers) == ("\ufffd", b"1", {"a": "\ufffd", "b": ""})


async def test_a_last_member_that_was_given_up_cannot_commit_to_its_empty_group(
    queue: KafkaQueue, session_passes: Callable[[], Awaitable[None]]
) -> None:
    await queue.publish(numbered(5))
    consumer = await queue.consumer([ORDERS], "g")
    await read(consumer, 5)
    await session_passes()
    with pytest.raises(PartitionsLost):
        await consumer.commit({P0: 5})
    assert await queue.committed("g", [ORDERS]) == {}
    assert values(await read(consumer, 5)) == [0, 1, 2, 3, 4]


async def test_a_listener_that_fails_to_give_up_is_asked_again_before_anybody_else_gets_anything(
    queue: KafkaQueue,
) -> None:
    entries: list[tuple[str, str, TopicPartition]] = []
    first_journal, failures = Journal("a", entries), [Unavailable("checkpoints", "away")]

    async def fail(_partitions: frozenset[TopicPartition]) -> None:
        if failures:
            raise failures.pop()

    first_journal.before_revoke = fail
    first = await queue.consumer([ORDERS], "g", listener=first_journal)
    await settle(first)
    second = await queue.consumer([ORDERS], "g", listener=Journal("b", entries))
    with pytest.raises(Unavailable):
        await settle(first, second)
    assert ("b", "assigned") not in {(who, what) for who, what, _ in entries}
    await settle(first, second)
    assert first.assignment.isdisjoint(second.assignment)


async def test_a_poll_that_was_given_up_loses_no_record(queue: KafkaQueue) -> None:
    await queue.create_topics({ORDERS: 1}, retention_hours={})
    consumer = await queue.consumer([ORDERS], "g")
    await settle(consumer)
    polling = asyncio.create_task(consumer.poll(max_records=10, timeout_seconds=10))
    await asyncio.sleep(0.05)
    polling.cancel()
    await asyncio.wait([polling])
    await queue.publish(numbered(3))
    assert values(await read(consumer, 3)) == [0, 1, 2]


class TestDisturbedBroker:
    """What becomes of a queue whose broker is frozen or restarted."""

    @pytest.fixture
    def server(self, private_server: Callable[[str], Server]) -> Server:
        return private_server("kafka")

    @pytest.fixture
    def settings(self, server: Server) -> KafkaSettings:
        return KafkaSettings(bootstrap_servers=server.env()["MQ_KAFKA_BOOTSTRAP_SERVERS"])

    async def test_a_frozen_broker_is_unavailable_and_nothing_is_lost_or_needs_a_restart(
        self, queue: KafkaQueue, server: Server
    ) -> None:
        await queue.publish(numbered(3))
        consumer = await queue.consumer([ORDERS], "g")
        await read(consumer, 3)
        server.pause()
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await queue.health_check()
        assert time.monotonic() - began < 8
        with pytest.raises(Unavailable):
            await queue.publish(numbered(1, first=3))
        with pytest.raises((Unavailable, PartitionsLost)):
            await consumer.commit({P0: 3})
        assert await consumer.poll(max_records=1, timeout_seconds=0.1) is None
        server.resume()
        await published(queue, numbered(1, first=4))
        found: list[int] = []
        while 4 not in found:
            found += values(await read(consumer, 1))
        assert set(found) <= {0, 1, 2, 3, 4}

    async def test_a_broker_that_was_killed_and_started_again_is_used_on(
        self, queue: KafkaQueue, server: Server
    ) -> None:
        await queue.publish(numbered(3))
        consumer = await queue.consumer([ORDERS], "g")
        await read(consumer, 3)
        await asyncio.to_thread(server.kill)
        with pytest.raises(Unavailable):
            await queue.publish(numbered(1, first=3))
        await asyncio.to_thread(server.start)
        await published(queue, numbered(1, first=4))
        found: list[int] = []
        while 4 not in found:
            found += values(await read(consumer, 1))
        assert set(found) <= {0, 1, 2, 3, 4}


async def published(queue: KafkaQueue, messages: Sequence[Message]) -> None:
    """Publish as the platform does: again, until it is done."""
    for _ in range(20):
        try:
            return await queue.publish(messages)
        except Unavailable:
            await asyncio.sleep(0.5)
    raise AssertionError("the broker stays unavailable")
