"""What every message queue does: an implementation's test class subclasses `MessageQueueContract`, adding fixtures."""

from collections.abc import Awaitable, Callable, Mapping

import pytest

from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.pipeline.messages import Batch, Message, Record, TopicPartition
from de_platform.services.clock.interface import Clock
from de_platform.services.message_queue.interface import (
    DEFAULT_PARTITIONS,
    Consumer,
    MessageQueueInterface,
    PartitionsLost,
    RebalanceListener,
    StartAt,
    Watermarks,
)

ORDERS = "orders"
PAYMENTS = "payments"
P0 = TopicPartition(ORDERS, 0)
P1 = TopicPartition(ORDERS, 1)


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
        batch = await consumer.poll(max_records=max_records, timeout_seconds=2.0)
        if batch is None:
            break
        records.extend(batch.records)
    return records


async def settle(*consumers: Consumer) -> list[Batch]:
    """Poll all members in turn until the group has come to rest; returns what was read on the way."""
    batches: list[Batch] = []
    calm = 0
    before = [c.assignment for c in consumers]
    for _ in range(100):
        for consumer in consumers:
            batch = await consumer.poll(max_records=1000, timeout_seconds=0.01)
            batches.extend([batch] if batch else [])
        after = [c.assignment for c in consumers]
        calm = calm + 1 if after == before and all(after) else 0
        if calm == 3:
            return batches
        before = after
    raise AssertionError(f"the group does not come to rest: {before}")


def values(records: list[Record] | tuple[Record, ...]) -> list[int]:
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


class LogContract:
    """Publishing, reading, positions. Fixtures: a connected `queue`, its `clock`, `hours_pass`."""

    async def test_records_of_a_partition_come_in_the_order_of_publishing(self, queue: MessageQueueInterface) -> None:
        await queue.publish(numbered(5))
        await queue.publish(numbered(5, first=5))
        records = await read(await queue.consumer([ORDERS], "g"), 10)
        assert values(records) == list(range(10))
        assert [r.offset for r in records] == sorted({r.offset for r in records})

    async def test_a_key_always_meets_the_same_partition(self, queue: MessageQueueInterface) -> None:
        await queue.create_topics({ORDERS: 4}, retention_hours={})
        keys = [f"tenant-{i}" for i in range(40)]
        await queue.publish([message(i, key=k, partition=None) for i, k in enumerate(keys)])
        await queue.publish([message(i, key=k, partition=None) for i, k in enumerate(reversed(keys))])
        consumer = await queue.consumer([ORDERS], "g")
        homes: dict[str, set[int]] = {}
        seen = 0
        while seen < 80:
            batch = await consumer.poll(max_records=100, timeout_seconds=2.0)
            assert batch is not None
            seen += len(batch.records)
            for record in batch.records:
                homes.setdefault(record.key, set()).add(batch.partition)
        assert {len(h) for h in homes.values()} == {1}
        assert set().union(*homes.values()) == {0, 1, 2, 3}

    async def test_order_is_kept_between_keys_that_share_a_partition(self, queue: MessageQueueInterface) -> None:
        await queue.create_topics({ORDERS: 1}, retention_hours={})
        await queue.publish([message(i, key=f"t{i % 3}", partition=None) for i in range(30)])
        assert values(await read(await queue.consumer([ORDERS], "g"), 30)) == list(range(30))

    async def test_a_publish_with_an_impossible_partition_appends_nothing(self, queue: MessageQueueInterface) -> None:
        await queue.create_topics({ORDERS: 2, PAYMENTS: 2}, retention_hours={})
        with pytest.raises(InvalidInput, match="partition"):
            await queue.publish([*numbered(3), message(1, topic=PAYMENTS, partition=2)])
        marks = await queue.watermarks([ORDERS, PAYMENTS])
        assert {m.high for m in marks.values()} == {0}

    async def test_one_publish_reaches_several_topics(self, queue: MessageQueueInterface) -> None:
        await queue.publish([*numbered(2), *numbered(3, topic=PAYMENTS, partition=1)])
        marks = await queue.watermarks([ORDERS, PAYMENTS])
        assert marks[P0].high == 2
        assert marks[TopicPartition(PAYMENTS, 1)].high == 3

    async def test_publishing_nothing_is_allowed(self, queue: MessageQueueInterface) -> None:
        await queue.publish([])

    @pytest.mark.parametrize("value", [b"", bytes(range(256)), b"x" * 300_000], ids=["empty", "all bytes", "large"])
    async def test_bytes_headers_and_key_come_back_as_they_were(
        self, queue: MessageQueueInterface, value: bytes
    ) -> None:
        headers = {"": "", "tenant_id": "a\x00b", "näme": "wert \U0001f600"}
        await queue.publish([Message(topic=ORDERS, key="schlüssel", value=value, headers=headers)])
        (record,) = await read(await queue.consumer([ORDERS], "g"), 1)
        assert (record.key, record.value, dict(record.headers)) == ("schlüssel", value, headers)

    async def test_what_was_published_is_not_changed_through_the_publishers_objects(
        self, queue: MessageQueueInterface
    ) -> None:
        headers = {"tenant_id": "acme"}
        await queue.publish([Message(topic=ORDERS, key="k", value=b"v", headers=headers)])
        headers["tenant_id"] = "other"
        (record,) = await read(await queue.consumer([ORDERS], "g"), 1)
        assert record.headers["tenant_id"] == "acme"

    async def test_unknown_topics_get_the_default_partitions(self, queue: MessageQueueInterface) -> None:
        await queue.publish([message(1, partition=None)])
        await queue.consumer([PAYMENTS], "g")
        assert len(await queue.watermarks([ORDERS, PAYMENTS, "nowhere"])) == 2 * DEFAULT_PARTITIONS

    async def test_existing_topics_keep_their_partitions(self, queue: MessageQueueInterface) -> None:
        await queue.create_topics({ORDERS: 2}, retention_hours={})
        await queue.create_topics({ORDERS: 7}, retention_hours={ORDERS: 1})
        assert set(await queue.watermarks([ORDERS])) == {P0, P1}

    @pytest.mark.parametrize("max_records", [1, 3, 7, 100])
    async def test_polls_of_any_size_return_each_record_once(
        self, queue: MessageQueueInterface, max_records: int
    ) -> None:
        for first in range(0, 20, 5):
            await queue.publish(numbered(5, first=first))
        consumer = await queue.consumer([ORDERS], "g")
        got: list[int] = []
        while len(got) < 20:
            batch = await consumer.poll(max_records=max_records, timeout_seconds=2.0)
            assert batch is not None
            assert len(batch.records) <= max_records
            got.extend(values(list(batch.records)))
        assert got == list(range(20))
        assert await consumer.poll(max_records=max_records, timeout_seconds=0.01) is None

    async def test_a_busy_partition_does_not_starve_another(self, queue: MessageQueueInterface) -> None:
        await queue.publish([*numbered(100), *numbered(1, partition=1)])
        consumer = await queue.consumer([ORDERS], "g")
        batches = [await consumer.poll(max_records=10, timeout_seconds=2.0) for _ in range(2)]
        assert {b.partition for b in batches if b} == {0, 1}

    async def test_an_empty_poll_takes_its_time(self, queue: MessageQueueInterface, clock: Clock) -> None:
        consumer = await queue.consumer([ORDERS], "g")
        before = clock.monotonic_seconds()
        assert await consumer.poll(max_records=1, timeout_seconds=0.25) is None
        assert 0.25 <= clock.monotonic_seconds() - before < 2

    async def test_records_published_later_are_polled(self, queue: MessageQueueInterface) -> None:
        consumer = await queue.consumer([ORDERS], "g")
        assert await consumer.poll(max_records=1, timeout_seconds=0.01) is None
        await queue.publish(numbered(1))
        assert values(await read(consumer, 1)) == [0]

    async def test_a_group_goes_on_where_it_committed(self, queue: MessageQueueInterface) -> None:
        await queue.publish(numbered(10))
        first = await queue.consumer([ORDERS], "g")
        batch = await first.poll(max_records=4, timeout_seconds=2.0)
        assert batch is not None
        await first.commit({P0: batch.next_offset})
        await first.poll(max_records=4, timeout_seconds=2.0)
        await first.close()
        assert await queue.committed("g", [ORDERS]) == {P0: batch.next_offset}
        assert values(await read(await queue.consumer([ORDERS], "g"), 6)) == [4, 5, 6, 7, 8, 9]

    async def test_groups_do_not_see_each_others_offsets(self, queue: MessageQueueInterface) -> None:
        await queue.publish(numbered(3))
        first = await queue.consumer([ORDERS], "first")
        await read(first, 3)
        await first.commit({P0: 3})
        assert await queue.committed("second", [ORDERS]) == {}
        assert len(await read(await queue.consumer([ORDERS], "second"), 3)) == 3

    async def test_a_group_may_start_at_the_end(self, queue: MessageQueueInterface) -> None:
        await queue.publish(numbered(3))
        consumer = await queue.consumer([ORDERS], "g", start_at=StartAt.LATEST)
        assert await consumer.poll(max_records=10, timeout_seconds=0.01) is None
        await queue.publish(numbered(2, first=3))
        assert values(await read(consumer, 2)) == [3, 4]

    async def test_seek_moves_back_and_forth(self, queue: MessageQueueInterface) -> None:
        await queue.publish(numbered(10))
        consumer = await queue.consumer([ORDERS], "g")
        await read(consumer, 10)
        await consumer.seek(P0, 2)
        assert values(await read(consumer, 1, max_records=1)) == [2]
        await consumer.seek(P0, 8)
        assert values(await read(consumer, 2)) == [8, 9]

    async def test_a_paused_partition_is_silent_until_it_is_resumed(self, queue: MessageQueueInterface) -> None:
        consumer = await queue.consumer([ORDERS], "g")
        await settle(consumer)
        await queue.publish([*numbered(3), *numbered(3, first=10, partition=1)])
        consumer.pause([P0])
        assert values(await read(consumer, 3)) == [10, 11, 12]
        assert await consumer.poll(max_records=10, timeout_seconds=0.01) is None
        assert P0 in consumer.assignment
        consumer.resume([P0])
        assert values(await read(consumer, 3)) == [0, 1, 2]

    async def test_watermarks_tell_what_is_held(self, queue: MessageQueueInterface) -> None:
        await queue.create_topics({ORDERS: 2}, retention_hours={})
        await queue.publish(numbered(3))
        assert await queue.watermarks([ORDERS]) == {P0: Watermarks(0, 3), P1: Watermarks(0, 0)}

    async def test_retention_removes_what_is_old(
        self, queue: MessageQueueInterface, hours_pass: Callable[[float], Awaitable[None]]
    ) -> None:
        await queue.create_topics({ORDERS: 1, PAYMENTS: 1}, retention_hours={ORDERS: 1, PAYMENTS: None})
        await queue.publish([*numbered(3), *numbered(3, topic=PAYMENTS)])
        await hours_pass(2)
        await queue.publish([*numbered(2, first=3), *numbered(2, first=3, topic=PAYMENTS)])
        marks = await queue.watermarks([ORDERS, PAYMENTS])
        assert marks == {P0: Watermarks(3, 5), TopicPartition(PAYMENTS, 0): Watermarks(0, 5)}
        assert values(await read(await queue.consumer([ORDERS], "g"), 2)) == [3, 4]

    async def test_a_reader_overtaken_by_retention_goes_on_at_the_first_record_held(
        self, queue: MessageQueueInterface, hours_pass: Callable[[float], Awaitable[None]]
    ) -> None:
        await queue.create_topics({ORDERS: 1}, retention_hours={ORDERS: 1})
        await queue.publish(numbered(3))
        consumer = await queue.consumer([ORDERS], "g")
        assert values(await read(consumer, 1, max_records=1)) == [0]
        await hours_pass(2)
        await queue.publish(numbered(2, first=3))
        assert values(await read(consumer, 2)) == [3, 4]

    async def test_consume_one_returns_and_commits_one_record(self, queue: MessageQueueInterface) -> None:
        await queue.publish(numbered(2))
        await queue.subscribe(ORDERS, "g")
        record = await queue.consume_one(ORDERS, "g")
        assert record is not None
        assert record.value == b"0"
        assert await queue.committed("g", [ORDERS]) == {P0: 1}
        assert await queue.consume_one(ORDERS, "g") is not None
        assert await queue.consume_one(ORDERS, "g", timeout_seconds=0.01) is None

    async def test_disconnect_closes_consumers_and_may_be_repeated(self, queue: MessageQueueInterface) -> None:
        journal = Journal()
        await settle(await queue.consumer([ORDERS], "g", listener=journal))
        await queue.disconnect()
        await queue.disconnect()
        assert journal.told("revoked") == journal.told("assigned") != set()

    async def test_a_disconnected_queue_is_unavailable(self, queue: MessageQueueInterface) -> None:
        await queue.health_check()
        await queue.disconnect()
        with pytest.raises(Unavailable):
            await queue.health_check()
        with pytest.raises(Unavailable):
            await queue.publish(numbered(1))

    async def test_connecting_again_finds_everything(self, queue: MessageQueueInterface) -> None:
        await queue.publish(numbered(3))
        consumer = await queue.consumer([ORDERS], "g")
        await read(consumer, 3)
        await consumer.commit({P0: 2})
        await queue.disconnect()
        await queue.connect()
        assert values(await read(await queue.consumer([ORDERS], "g"), 1)) == [2]


class GroupContract:
    """Membership. Fixtures: a connected `queue`, and `session_passes`: silent members are given up after it."""

    async def test_members_share_all_partitions_and_the_same_numbers_of_every_topic(
        self, queue: MessageQueueInterface
    ) -> None:
        await queue.create_topics({ORDERS: 4, PAYMENTS: 4}, retention_hours={})
        members = [await queue.consumer([ORDERS, PAYMENTS], "g") for _ in range(3)]
        await settle(*members)
        owned = [m.assignment for m in members]
        assert sum(map(len, owned)) == 8 == len(frozenset().union(*owned))
        for assignment in owned:
            numbers = {t: {p.partition for p in assignment if p.topic == t} for t in (ORDERS, PAYMENTS)}
            assert numbers[ORDERS] == numbers[PAYMENTS] != set()

    async def test_members_of_a_group_with_different_topics_each_get_their_own(
        self, queue: MessageQueueInterface
    ) -> None:
        first = await queue.consumer([ORDERS], "g")
        second = await queue.consumer([PAYMENTS], "g")
        await settle(first, second)
        assert {p.topic for p in first.assignment} == {ORDERS}
        assert {p.topic for p in second.assignment} == {PAYMENTS}
        assert len(first.assignment) == len(second.assignment) == DEFAULT_PARTITIONS

    async def test_a_partition_is_given_up_before_it_is_taken_over(self, queue: MessageQueueInterface) -> None:
        entries: list[tuple[str, str, TopicPartition]] = []
        first = await queue.consumer([ORDERS], "g", listener=Journal("a", entries))
        await settle(first)
        second = await queue.consumer([ORDERS], "g", listener=Journal("b", entries))
        await settle(first, second)
        for partition in second.assignment:
            story = [(who, what) for who, what, p in entries if p == partition]
            assert story == [("a", "assigned"), ("a", "revoked"), ("b", "assigned")]

    async def test_a_commit_while_giving_up_is_where_the_successor_starts(self, queue: MessageQueueInterface) -> None:
        await queue.publish([m for p in range(DEFAULT_PARTITIONS) for m in numbered(5, partition=p)])
        journal = Journal()
        first = await queue.consumer([ORDERS], "g", listener=journal)
        await read(first, 20)

        async def commit_three(partitions: frozenset[TopicPartition]) -> None:
            await first.commit(dict.fromkeys(partitions, 3))

        journal.before_revoke = commit_three
        second = await queue.consumer([ORDERS], "g")
        batches = await settle(first, second)
        assert second.assignment
        assert {(b.partition, tuple(values(list(b.records)))) for b in batches} == {
            (p.partition, (3, 4)) for p in second.assignment
        }

    async def test_the_listener_may_say_where_to_start(self, queue: MessageQueueInterface) -> None:
        await queue.publish(numbered(5))
        journal = Journal()
        journal.starts = {P0: 3}
        assert values(await read(await queue.consumer([ORDERS], "g", listener=journal), 2)) == [3, 4]

    async def test_an_assignment_that_the_listener_refused_is_offered_again(self, queue: MessageQueueInterface) -> None:
        await queue.publish(numbered(1))
        journal = Journal()
        journal.failures = [Unavailable("checkpoints", "away")]
        consumer = await queue.consumer([ORDERS], "g", listener=journal)
        with pytest.raises(Unavailable):
            await settle(consumer)
        assert consumer.assignment == frozenset()
        assert values(await read(consumer, 1)) == [0]
        assert P0 in journal.told("assigned")

    async def test_closing_hands_over_at_once(self, queue: MessageQueueInterface) -> None:
        journal = Journal()
        first = await queue.consumer([ORDERS], "g", listener=journal)
        second = await queue.consumer([ORDERS], "g")
        await settle(first, second)
        owned = first.assignment
        await first.close()
        await first.close()
        await settle(second)
        assert journal.told("revoked") >= owned
        assert first.assignment == frozenset()
        assert len(second.assignment) == DEFAULT_PARTITIONS

    async def test_a_silent_member_is_given_up(
        self, queue: MessageQueueInterface, session_passes: Callable[[], Awaitable[None]]
    ) -> None:
        silent = await queue.consumer([ORDERS], "g")
        await settle(silent)
        other = await queue.consumer([ORDERS], "g")
        await session_passes()
        await settle(other)
        assert len(other.assignment) == DEFAULT_PARTITIONS

    async def test_a_stale_commit_is_refused_and_stores_nothing(
        self, queue: MessageQueueInterface, session_passes: Callable[[], Awaitable[None]]
    ) -> None:
        stale = await queue.consumer([ORDERS], "g")
        await settle(stale)
        other = await queue.consumer([ORDERS], "g")
        await session_passes()
        await settle(other)
        with pytest.raises(PartitionsLost) as refusal:
            await stale.commit({P0: 7, P1: 7})
        assert set(refusal.value.partitions) == {P0, P1}
        assert await queue.committed("g", [ORDERS]) == {}

    async def test_a_commit_with_one_foreign_partition_stores_nothing(self, queue: MessageQueueInterface) -> None:
        first = await queue.consumer([ORDERS], "g")
        second = await queue.consumer([ORDERS], "g")
        await settle(first, second)
        with pytest.raises(PartitionsLost) as refusal:
            await first.commit({P0: 1, P1: 1})
        assert len(refusal.value.partitions) == 1
        assert await queue.committed("g", [ORDERS]) == {}

    async def test_an_expelled_member_learns_its_loss_and_joins_again(
        self, queue: MessageQueueInterface, session_passes: Callable[[], Awaitable[None]]
    ) -> None:
        journal = Journal()
        stale = await queue.consumer([ORDERS], "g", listener=journal)
        await settle(stale)
        other = await queue.consumer([ORDERS], "g")
        await session_passes()
        await settle(other)
        await settle(stale, other)
        assert journal.told("lost") == {TopicPartition(ORDERS, p) for p in range(DEFAULT_PARTITIONS)}
        assert journal.told("revoked") == set()
        assert len(stale.assignment) == len(other.assignment) == DEFAULT_PARTITIONS // 2

    async def test_seeking_a_foreign_partition_is_refused(self, queue: MessageQueueInterface) -> None:
        consumer = await queue.consumer([ORDERS], "g")
        await settle(consumer)
        with pytest.raises(PartitionsLost):
            await consumer.seek(TopicPartition(PAYMENTS, 0), 0)


class MessageQueueContract(LogContract, GroupContract):
    """The whole contract."""
