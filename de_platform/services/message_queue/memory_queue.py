"""The log as a fake for one process: modules of a harness share one object. Forgets everything with it."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from de_platform.pipeline.errors import Unavailable
from de_platform.pipeline.messages import Message, Record, TopicPartition
from de_platform.services.clock.interface import Clock
from de_platform.services.message_queue.group_consumer import GroupConsumer, Membership, Standing
from de_platform.services.message_queue.interface import (
    DEFAULT_PARTITIONS,
    Consumer,
    PartitionsLost,
    RebalanceListener,
    StartAt,
    Watermarks,
)
from de_platform.services.message_queue.partitioning import chosen_partition, claimable, share_of
from de_platform.services.message_queue.single_records import SingleRecords
from de_platform.services.message_queue.waiting import wait_for_event

SESSION_SECONDS = 30.0


class _Partition:
    """Records of one partition that retention has left, with the time of their append."""

    def __init__(self) -> None:
        self.low = 0
        self.records: list[Record] = []
        self.appended_at: list[datetime] = []

    @property
    def end(self) -> int:
        return self.low + len(self.records)

    def append(self, message: Message, now: datetime) -> None:
        self.records.append(Record(self.end, message.key, bytes(message.value), dict(message.headers)))
        self.appended_at.append(now)

    def remove_older(self, than: datetime) -> None:
        old = next((i for i, at in enumerate(self.appended_at) if at >= than), len(self.records))
        self.low += old
        del self.records[:old], self.appended_at[:old]


class _Topic:
    def __init__(self, partitions: int, retention_hours: int | None) -> None:
        self.partitions = [_Partition() for _ in range(partitions)]
        self.retention_hours = retention_hours


class _Group:
    """Members with their last sign of life, claims and offsets. `generation` counts the changes of membership."""

    def __init__(self) -> None:
        self.generation = 0
        self.subscriptions: dict[str, frozenset[str]] = {}
        self.seen_at: dict[str, float] = {}
        self.claims: dict[TopicPartition, str] = {}
        self.offsets: dict[TopicPartition, int] = {}

    def join(self, member: str, topics: frozenset[str]) -> None:
        self.subscriptions[member] = topics
        self.generation += 1

    def remove(self, member: str) -> None:
        if self.subscriptions.pop(member, None) is None:
            return
        self.seen_at.pop(member, None)
        self.claims = {p: m for p, m in self.claims.items() if m != member}
        self.generation += 1


class MemoryQueue(SingleRecords):
    """All of the interface except durability."""

    def __init__(self, clock: Clock, *, session_seconds: float = SESSION_SECONDS) -> None:
        super().__init__()
        self.clock = clock
        self.session_seconds = session_seconds
        self._topics: dict[str, _Topic] = {}
        self._groups: dict[str, _Group] = {}
        self._consumers: list[Consumer] = []
        self._members = 0
        self._connected = False
        self._news = asyncio.Event()

    async def connect(self) -> None:
        self._connected = True

    async def disconnect(self) -> None:
        consumers, self._consumers = self._consumers, []
        for consumer in consumers:
            await consumer.close()
        self._remembered.clear()
        self._connected = False

    async def health_check(self) -> None:
        self._check_connected()

    async def create_topics(self, topics: Mapping[str, int], *, retention_hours: Mapping[str, int | None]) -> None:
        self._check_connected()
        for name, partitions in topics.items():
            topic = self._topics.setdefault(name, _Topic(partitions, None))
            if name in retention_hours:
                topic.retention_hours = retention_hours[name]

    async def publish(self, messages: Sequence[Message]) -> None:
        self._check_connected()
        now = self.clock.now()
        targets = [self._target(m) for m in messages]
        for message, target in zip(messages, targets, strict=True):
            target.append(message, now)
        for topic in {m.topic for m in messages}:
            self._apply_retention(self._topics[topic], now)
        if messages:
            self.announce()

    async def consumer(
        self,
        topics: Sequence[str],
        group: str,
        *,
        listener: RebalanceListener | None = None,
        start_at: StartAt = StartAt.EARLIEST,
    ) -> Consumer:
        self._check_connected()
        for name in topics:
            self._topics.setdefault(name, _Topic(DEFAULT_PARTITIONS, None))
        self._members += 1
        name = f"member-{self._members:06d}"
        membership = _MemoryMembership(self, self._groups.setdefault(group, _Group()), name, topics, start_at)
        await membership.renew()
        consumer = GroupConsumer(membership, self.clock, listener)
        self._consumers.append(consumer)
        return consumer

    async def watermarks(self, topics: Sequence[str]) -> dict[TopicPartition, Watermarks]:
        self._check_connected()
        return {
            TopicPartition(name, number): Watermarks(partition.low, partition.end)
            for name in topics
            if name in self._topics
            for number, partition in enumerate(self._topics[name].partitions)
        }

    async def committed(self, group: str, topics: Sequence[str]) -> dict[TopicPartition, int]:
        self._check_connected()
        offsets = self._groups[group].offsets if group in self._groups else {}
        return {p: offset for p, offset in offsets.items() if p.topic in topics}

    def partition(self, at: TopicPartition) -> _Partition:
        """Return the log of one partition; for this module's own use."""
        return self._topics[at.topic].partitions[at.partition]

    def partition_counts(self) -> dict[str, int]:
        """Return how many partitions each topic has; for this module's own use."""
        return {name: len(topic.partitions) for name, topic in self._topics.items()}

    def announce(self) -> None:
        """Wake whoever waits."""
        self._news.set()
        self._news = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        """Return at the next `announce` or when time is over."""
        await wait_for_event(self._news, self.clock, seconds)

    def _check_connected(self) -> None:
        if not self._connected:
            raise Unavailable("message queue", "not connected")

    def _target(self, message: Message) -> _Partition:
        topic = self._topics.get(message.topic)
        if topic is None:
            topic = self._topics[message.topic] = _Topic(DEFAULT_PARTITIONS, None)
        number = chosen_partition(message.topic, message.key, message.partition, len(topic.partitions))
        return topic.partitions[number]

    def _apply_retention(self, topic: _Topic, now: datetime) -> None:
        if topic.retention_hours is not None:
            for partition in topic.partitions:
                partition.remove_older(now - timedelta(hours=topic.retention_hours))


class _MemoryMembership(Membership):
    def __init__(
        self, queue: MemoryQueue, group: _Group, member: str, topics: Sequence[str], start_at: StartAt
    ) -> None:
        self._queue = queue
        self._group = group
        self._member = member
        self._topics = frozenset(topics)
        self._start_at = start_at
        self._generation = -1
        group.join(member, self._topics)

    def is_standing_due(self) -> bool:
        silent = self._queue.clock.monotonic_seconds() - self._group.seen_at.get(self._member, 0.0)
        return self._group.generation != self._generation or silent >= self._queue.session_seconds / 3

    async def renew(self) -> Standing:
        group, now = self._group, self._queue.clock.monotonic_seconds()
        was_expelled = self._member not in group.subscriptions
        if was_expelled:
            group.join(self._member, self._topics)
        group.seen_at[self._member] = now
        for member, seen_at in list(group.seen_at.items()):
            if now - seen_at > self._queue.session_seconds:
                group.remove(member)
        share = share_of(self._member, group.subscriptions, self._queue.partition_counts())
        others = frozenset(p for p, member in group.claims.items() if member != self._member)
        for partition in claimable(share, others):
            group.claims[partition] = self._member
            if self._start_at is StartAt.LATEST:
                group.offsets.setdefault(partition, self.end(partition))
        claimed = {p: group.offsets.get(p, 0) for p, member in group.claims.items() if member == self._member}
        if self._generation != group.generation:
            self._queue.announce()
        self._generation = group.generation
        return Standing(claimed, frozenset(claimed) - share, was_expelled)

    async def release(self, partitions: frozenset[TopicPartition]) -> None:
        self._group.claims = {
            p: m for p, m in self._group.claims.items() if not (p in partitions and m == self._member)
        }
        self._group.generation += 1
        self._queue.announce()

    async def leave(self) -> None:
        self._group.remove(self._member)
        self._queue.announce()

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        lost = [p for p in offsets if self._group.claims.get(p) != self._member]
        if lost:
            raise PartitionsLost(lost)
        self._group.offsets.update(offsets)

    def end(self, partition: TopicPartition) -> int:
        return self._queue.partition(partition).end

    async def refresh(self) -> None:
        """Nothing to learn: there is one process."""

    async def read(self, partition: TopicPartition, offset: int, max_records: int) -> Sequence[Record]:
        log = self._queue.partition(partition)
        start = max(offset - log.low, 0)
        return tuple(log.records[start : start + max_records])

    async def wait(self, seconds: float) -> None:
        await self._queue.wait(seconds)
