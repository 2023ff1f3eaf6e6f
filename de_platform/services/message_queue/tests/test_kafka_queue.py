"""The log on a broker that librdkafka imitates: it does not keep transactions apart, but speaks their protocol.

The whole contract needs a real one (`tests/integration/test_kafka.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer
from confluent_kafka import TopicPartition as Place

from de_platform.pipeline.errors import InvalidInput
from de_platform.pipeline.messages import TopicPartition
from de_platform.services.clock.system_clock import SystemClock
from de_platform.services.message_queue.contract_support import ORDERS, PAYMENTS, message, numbered, read, values
from de_platform.services.message_queue.kafka_producer import Placed, TransactionalWriters, producer_configuration
from de_platform.services.message_queue.kafka_queue import KafkaQueue
from de_platform.services.message_queue.kafka_settings import KafkaSettings

TOO_LARGE = b"x" * 2_000_000


@pytest.fixture(scope="module")
def cluster() -> Iterator[Producer]:
    cluster = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    for topic in (ORDERS, PAYMENTS):
        cluster.list_topics(topic, timeout=10)
    yield cluster
    cluster.close()


@pytest.fixture
def settings(cluster: Producer) -> KafkaSettings:
    (broker,) = cluster.list_topics(timeout=10).brokers.values()
    return KafkaSettings(bootstrap_servers=f"{broker.host}:{broker.port}")


@pytest.fixture
async def queue(settings: KafkaSettings) -> AsyncIterator[KafkaQueue]:
    queue = KafkaQueue(settings, SystemClock())
    await queue.connect()
    yield queue
    await queue.disconnect()


def published(settings: KafkaSettings, partition: int) -> list[bytes]:
    """Return what the partition holds beside the marks of transactions."""
    consumer = Consumer({**settings.membership("peek"), "isolation.level": "read_uncommitted"})
    consumer.assign([Place(ORDERS, partition, OFFSET_BEGINNING)])
    found: list[bytes] = []
    while True:
        (entry,) = consumer.consume(1, 10)
        if entry.error() is not None:
            consumer.close()
            return found
        found.append(entry.value() or b"")


async def test_a_group_reads_commits_and_goes_on_there(queue: KafkaQueue) -> None:
    await queue.publish(numbered(5, topic=PAYMENTS))
    first = await queue.consumer([PAYMENTS], "g")
    assert values(await read(first, 5)) == [0, 1, 2, 3, 4]
    await first.commit({TopicPartition(PAYMENTS, 0): 2})
    await first.seek(TopicPartition(PAYMENTS, 0), 4)
    assert values(await read(first, 1)) == [4]
    assert await queue.committed("g", [PAYMENTS]) == {TopicPartition(PAYMENTS, 0): 2}


async def test_many_publishes_at_once_all_arrive(queue: KafkaQueue, settings: KafkaSettings) -> None:
    await asyncio.gather(*(queue.publish([message(number, partition=0)]) for number in range(200)))
    assert sorted(map(int, published(settings, 0))) == list(range(200))


async def test_a_message_that_can_never_pass_fails_only_its_own_publish(
    queue: KafkaQueue, settings: KafkaSettings
) -> None:
    outcomes = await asyncio.gather(
        *(queue.publish([message(number, partition=1)]) for number in range(20)),
        queue.publish([message(TOO_LARGE, partition=1)]),
        *(queue.publish([message(number, partition=1)]) for number in range(20, 40)),
        return_exceptions=True,
    )
    (failure,) = [outcome for outcome in outcomes if outcome is not None]
    assert isinstance(failure, InvalidInput)
    assert {int(value) for value in published(settings, 1)} == set(range(40))


async def test_a_publisher_waits_while_the_producers_queue_is_full(settings: KafkaSettings) -> None:
    writers = TransactionalWriters({**producer_configuration(settings), "queue.buffering.max.messages": 10})
    messages = [Placed(ORDERS, 2, sent) for sent in numbered(500, partition=2)]
    await asyncio.wrap_future(writers.submit(messages))
    writers.stop(10)
    assert [int(value) for value in published(settings, 2)] == list(range(500))


async def test_what_was_submitted_before_the_end_is_published(settings: KafkaSettings) -> None:
    writers = TransactionalWriters(producer_configuration(settings))
    futures = [writers.submit([Placed(ORDERS, 3, sent)]) for sent in numbered(20, partition=3)]
    await asyncio.to_thread(writers.stop, 10)
    assert [future.result(0) for future in futures] == [None] * 20
