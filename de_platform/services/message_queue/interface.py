"""The log that connects all stages: topics of partitions of ordered, durable records.

Two ways to use it. The batch API (`publish`, `consumer`) is what the streaming loop and the starters
use. `subscribe` and `consume_one` are conveniences for scripts and tests.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from de_platform.pipeline.messages import Batch, Message, Record, TopicPartition

DEFAULT_PARTITIONS = 4


class Watermarks(NamedTuple):
    """Offsets still held: `low` is the first one, `high` the one that the next record will get at the earliest.

    A log may use offsets of its own, so `high - low` is the largest number of records that there can be. A group
    that has committed everything comes to rest at `high` (an idle consumer moves its commits over such offsets).
    """

    low: int
    high: int


class StartAt(StrEnum):
    """Where a group without a committed offset begins."""

    EARLIEST = "earliest"
    LATEST = "latest"


class PartitionsLost(Exception):
    """A commit or seek named partitions that another member of the group owns by now; stop working on them."""

    def __init__(self, partitions: Iterable[TopicPartition]) -> None:
        self.partitions = tuple(partitions)
        super().__init__(", ".join(f"{p.topic}/{p.partition}" for p in self.partitions))


class RebalanceListener(ABC):
    """Told of changes of assignment, from inside `Consumer.poll` and `Consumer.close`, one call at a time."""

    @abstractmethod
    async def on_assigned(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Take over partitions. Returns where to start reading each; absent ones start at the committed offset."""

    @abstractmethod
    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Finish and checkpoint partitions that are about to go to another member; commits still work."""

    @abstractmethod
    async def on_lost(self, partitions: frozenset[TopicPartition]) -> None:
        """Drop partitions that already belong to another member; nothing may be committed."""


class Consumer(ABC):
    """One member of a consumer group. Not safe for concurrent use.

    Partition p of all subscribed topics belongs to the same member, so that a stage that reads
    several topics of one tenant sees them together.
    """

    @abstractmethod
    async def poll(self, *, max_records: int, timeout_seconds: float) -> Batch | None:
        """Return records of one assigned, not paused partition, or None when the time is over.

        Partitions are served fairly; offsets of one ascend, but need not follow on each other. A record is
        returned once per seek or assignment. Runs the rebalance listener when the group changes. Raises Unavailable.
        """

    @abstractmethod
    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Store where the group will go on (next offset to read). Durable on return.

        Raises PartitionsLost when any of them is no longer owned (the owned ones are not committed either).
        """

    @abstractmethod
    async def seek(self, partition: TopicPartition, offset: int) -> None:
        """Continue reading an assigned partition at `offset`."""

    @abstractmethod
    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Stop returning records of these partitions until `resume`; stay a member."""

    @abstractmethod
    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Undo `pause`."""

    @property
    @abstractmethod
    def assignment(self) -> frozenset[TopicPartition]:
        """Partitions owned now."""

    @abstractmethod
    async def close(self) -> None:
        """Leave the group: `on_revoked` runs first. Idempotent."""


class MessageQueueInterface(ABC):
    """A durable, partitioned log with consumer groups."""

    @abstractmethod
    async def connect(self) -> None:
        """Make it usable. Idempotent. Raises Unavailable."""

    @abstractmethod
    async def disconnect(self) -> None:
        """Release everything, consumers included. Idempotent."""

    @abstractmethod
    async def health_check(self) -> None:
        """Return when the log answers; raises Unavailable."""

    @abstractmethod
    async def create_topics(self, topics: Mapping[str, int], *, retention_hours: Mapping[str, int | None]) -> None:
        """Make sure that topics exist with that many partitions. Existing ones keep their partition count."""

    @abstractmethod
    async def publish(self, messages: Sequence[Message]) -> None:
        """Append all messages, across topics, or none; durable on return, order kept per partition.

        A topic that does not exist is created with `DEFAULT_PARTITIONS`. Raises Unavailable; then the
        outcome is unknown and the caller may publish the same again (consumers skip by origin or identity).
        """

    @abstractmethod
    async def consumer(
        self,
        topics: Sequence[str],
        group: str,
        *,
        listener: RebalanceListener | None = None,
        start_at: StartAt = StartAt.EARLIEST,
    ) -> Consumer:
        """Join `group` for `topics`. Topics that do not exist yet are created."""

    @abstractmethod
    async def watermarks(self, topics: Sequence[str]) -> dict[TopicPartition, Watermarks]:
        """Say which offsets are held, for every partition of these topics (unknown topics are left out)."""

    @abstractmethod
    async def committed(self, group: str, topics: Sequence[str]) -> dict[TopicPartition, int]:
        """Say where `group` will go on, for partitions where it has committed."""

    @abstractmethod
    async def subscribe(self, topic: str, group: str) -> None:
        """Convenience: remember a consumer of one topic for `consume_one`."""

    @abstractmethod
    async def consume_one(self, topic: str, group: str, *, timeout_seconds: float = 1.0) -> Record | None:
        """Convenience: return and commit the next record, or None."""
