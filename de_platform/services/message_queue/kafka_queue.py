"""The log on Apache Kafka: many machines, many processes.

Every publish is a transaction (`kafka_producer`) and every consumer reads what is committed only. Topics
have the partition that the platform chooses from the key (`partitioning`), so clients of other makes that
publish with a partitioner of their own must stay with it.

Offsets have gaps: a transaction's end takes one. `Watermarks.high - low` is therefore more than the
number of records, and a group that has taken in everything is where `high` is (`kafka_consumer`).
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.pipeline.messages import Message, TopicPartition
from de_platform.services.clock.interface import Clock
from de_platform.services.message_queue.interface import Consumer, RebalanceListener, StartAt, Watermarks
from de_platform.services.message_queue.kafka_admin import KafkaAdmin
from de_platform.services.message_queue.kafka_consumer import KafkaConsumer
from de_platform.services.message_queue.kafka_errors import DEPENDENCY
from de_platform.services.message_queue.kafka_producer import Placed, TransactionalWriters, producer_configuration
from de_platform.services.message_queue.kafka_settings import KafkaSettings
from de_platform.services.message_queue.partitioning import chosen_partition
from de_platform.services.message_queue.single_records import SingleRecords

PUBLISH_SECONDS = 30.0
"""Longest time that a publish waits, for those before it and for its own transaction."""
_STOP_SECONDS = 15.0


class KafkaQueue(SingleRecords):
    """Use from one event loop."""

    def __init__(self, settings: KafkaSettings, clock: Clock) -> None:
        super().__init__()
        self._settings = settings
        self._clock = clock
        self._admin: KafkaAdmin | None = None
        self._writers: TransactionalWriters | None = None
        self._consumers: list[Consumer] = []

    async def connect(self) -> None:
        if self._admin is not None:
            return
        admin = KafkaAdmin(self._settings, self._clock)
        try:
            await admin.check()
        except BaseException:
            admin.close()
            raise
        self._admin = admin

    async def disconnect(self) -> None:
        try:
            async with AsyncExitStack() as stack:
                stack.push_async_callback(self._stop)
                for consumer in self._consumers:
                    stack.push_async_callback(consumer.close)
        finally:
            self._consumers.clear()
            self._remembered.clear()

    async def health_check(self) -> None:
        await self._connected().check()

    async def create_topics(self, topics: Mapping[str, int], *, retention_hours: Mapping[str, int | None]) -> None:
        await self._connected().create_topics(topics, retention_hours)

    async def publish(self, messages: Sequence[Message]) -> None:
        admin = self._connected()
        if not messages:
            return
        counts = await admin.ensure({message.topic for message in messages})
        placed = [
            Placed(
                self._settings.topic_there(message.topic),
                chosen_partition(message.topic, message.key, message.partition, counts[message.topic]),
                message,
            )
            for message in messages
        ]
        if self._writers is None:
            self._writers = TransactionalWriters(producer_configuration(self._settings))
        try:
            await asyncio.wait_for(asyncio.wrap_future(self._writers.submit(placed)), PUBLISH_SECONDS)
        except TimeoutError:
            raise Unavailable(DEPENDENCY, f"nothing was published within {PUBLISH_SECONDS:.0f} s") from None
        except Unavailable:
            admin.forget(counts)
            raise

    async def consumer(
        self,
        topics: Sequence[str],
        group: str,
        *,
        listener: RebalanceListener | None = None,
        start_at: StartAt = StartAt.EARLIEST,
    ) -> Consumer:
        admin = self._connected()
        _check_same(await admin.ensure(topics))
        is_latest = StartAt.LATEST in (start_at, self._settings.start_at)
        first_starts = await admin.ends(topics) if is_latest else {}
        consumer = KafkaConsumer(
            self._settings, topics, group, self._clock, listener=listener, first_starts=first_starts
        )
        self._consumers.append(consumer)
        return consumer

    async def watermarks(self, topics: Sequence[str]) -> dict[TopicPartition, Watermarks]:
        return await self._connected().watermarks(topics)

    async def committed(self, group: str, topics: Sequence[str]) -> dict[TopicPartition, int]:
        return await self._connected().committed(group, topics)

    def _connected(self) -> KafkaAdmin:
        if self._admin is None:
            raise Unavailable(DEPENDENCY, "not connected")
        return self._admin

    async def _stop(self) -> None:
        writers, self._writers = self._writers, None
        admin, self._admin = self._admin, None
        if writers is not None:
            await asyncio.to_thread(writers.stop, _STOP_SECONDS)
        if admin is not None:
            admin.close()


def _check_same(counts: Mapping[str, int]) -> None:
    """Refuse topics of which partition p could belong to different members. Raises InvalidInput."""
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{topic} has {count}" for topic, count in sorted(counts.items()))
        raise InvalidInput.single("partitions", f"topics that are read together must have equally many: {found}")
