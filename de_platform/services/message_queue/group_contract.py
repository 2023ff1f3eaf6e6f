"""What every consumer group does; part of the contract of message queues."""

from collections.abc import Awaitable, Callable

import pytest

from de_platform.pipeline.errors import Unavailable
from de_platform.pipeline.messages import TopicPartition
from de_platform.services.message_queue.contract_support import (
    ORDERS,
    P0,
    P1,
    PATIENCE_SECONDS,
    PAYMENTS,
    Journal,
    numbered,
    read,
    settle,
    values,
)
from de_platform.services.message_queue.interface import DEFAULT_PARTITIONS, MessageQueueInterface, PartitionsLost


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
        moved = {p.partition: list[int]() for p in second.assignment}
        assert moved
        while sum(len(b.records) for b in batches if b.partition in moved) < 2 * len(moved):
            batch = await second.poll(max_records=1000, timeout_seconds=PATIENCE_SECONDS)
            assert batch is not None
            batches.append(batch)
        for batch in batches:
            moved.get(batch.partition, []).extend(values(batch.records))
        assert moved == {partition: [3, 4] for partition in moved}

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
        await settle(second, partitions=DEFAULT_PARTITIONS)
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
        own, foreign = min(first.assignment), min(second.assignment)
        with pytest.raises(PartitionsLost) as refusal:
            await first.commit({own: 1, foreign: 1})
        assert refusal.value.partitions == (foreign,)
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
