"""`subscribe` and `consume_one`, the same for every log."""

from abc import ABC

from de_platform.pipeline.messages import Record, TopicPartition
from de_platform.services.message_queue.interface import Consumer, MessageQueueInterface


class SingleRecords(MessageQueueInterface, ABC):
    """Remembers one consumer for each topic and group that was asked for."""

    def __init__(self) -> None:
        self._remembered: dict[tuple[str, str], Consumer] = {}

    async def subscribe(self, topic: str, group: str) -> None:
        if (topic, group) not in self._remembered:
            self._remembered[topic, group] = await self.consumer([topic], group)

    async def consume_one(self, topic: str, group: str, *, timeout_seconds: float = 1.0) -> Record | None:
        await self.subscribe(topic, group)
        consumer = self._remembered[topic, group]
        batch = await consumer.poll(max_records=1, timeout_seconds=timeout_seconds)
        if batch is None:
            return None
        await consumer.commit({TopicPartition(batch.topic, batch.partition): batch.next_offset})
        return batch.records[0]
