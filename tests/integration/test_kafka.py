"""The log on a real broker.

Each test has topics and groups of its own by prefix: deleting topics between tests would be slower, and a topic's name
is not free again until every broker has forgotten it.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from uuid import uuid4

import pytest
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec, ResourceType

from de_platform.services.clock.system_clock import SystemClock
from de_platform.services.message_queue.contract import MessageQueueContract
from de_platform.services.message_queue.kafka_queue import KafkaQueue
from de_platform.services.message_queue.kafka_settings import KafkaSettings
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
