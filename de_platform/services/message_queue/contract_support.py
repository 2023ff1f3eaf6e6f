"""What the contract's tests are written with; also of use to other tests of queues."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from de_platform.pipeline.messages import Batch, Message, Record, TopicPartition
from de_platform.services.message_queue.interface import Consumer, RebalanceListener

ORDERS = "orders"
PAYMENTS = "payments"
P0 = TopicPartition(ORDERS, 0)
P1 = TopicPartition(ORDERS, 1)
PATIENCE_SECONDS = 10.0
"""How long a test waits for what must come; a log on other machines takes its time to form a group."""
_MAX_ROUNDS = 3000


def message(value: object, *, topic: str = ORDERS, partition: int | None = 0, key: str = "acme") -> Message:
    """Build a valid message; a value that is not bytes is its text."""
    return Message(
        topic=topic,
        key=key,
        value=value if isinstance(value, bytes) else str(value).encode(),
        headers={"tenant_id": key},
        partition=partition,
    )


def numbered(count: int, *, first: int = 0, topic: str = ORDERS, partition: int = 0) -> list[Message]:
    """Build messages whose values count up."""
    return [message(i, topic=topic, partition=partition) for i in range(first, first + count)]


async def read(consumer: Consumer, count: int, *, max_records: int = 1000) -> list[Record]:
    """Poll until `count` records have come, or nothing more comes."""
    records: list[Record] = []
    while len(records) < count:
        batch = await consumer.poll(max_records=max_records, timeout_seconds=PATIENCE_SECONDS)
        if batch is None:
            break
        records.extend(batch.records)
    return records


async def settle(*consumers: Consumer, partitions: int | None = None) -> list[Batch]:
    """Poll all members in turn until the group has come to rest; returns what was read on the way.

    Give the number of partitions that they must own together where members have left: they may not know yet.
    """
    batches: list[Batch] = []
    calm = 0
    before = [c.assignment for c in consumers]
    for _ in range(_MAX_ROUNDS):
        for consumer in consumers:
            batch = await consumer.poll(max_records=1000, timeout_seconds=0.01)
            batches.extend([batch] if batch else [])
        after = [c.assignment for c in consumers]
        is_whole = partitions is None or sum(map(len, after)) == partitions
        calm = calm + 1 if after == before and all(after) and is_whole else 0
        if calm == 3:
            return batches
        before = after
    raise AssertionError(f"the group does not come to rest: {before}")


def values(records: Sequence[Record]) -> list[int]:
    """Read the values that `numbered` wrote."""
    return [int(r.value) for r in records]


class Journal(RebalanceListener):
    """Writes down what a member is told; members of a group share the list to show their order."""

    def __init__(self, name: str = "a", entries: list[tuple[str, str, TopicPartition]] | None = None) -> None:
        self.name = name
        self.entries = [] if entries is None else entries
        self.starts: Mapping[TopicPartition, int] = {}
        self.failures: list[Exception] = []
        self.before_revoke: Callable[[frozenset[TopicPartition]], Awaitable[None]] | None = None

    async def on_assigned(self, partitions: frozenset[TopicPartition]) -> Mapping[TopicPartition, int]:
        if self.failures:
            raise self.failures.pop()
        self._note("assigned", partitions)
        return {p: o for p, o in self.starts.items() if p in partitions}

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        self._note("revoked", partitions)
        if self.before_revoke is not None:
            await self.before_revoke(partitions)

    async def on_lost(self, partitions: frozenset[TopicPartition]) -> None:
        self._note("lost", partitions)

    def told(self, event: str) -> set[TopicPartition]:
        """Return the partitions of all entries of this member with that event."""
        return {p for name, what, p in self.entries if name == self.name and what == event}

    def _note(self, event: str, partitions: frozenset[TopicPartition]) -> None:
        self.entries.extend((self.name, event, p) for p in sorted(partitions))
