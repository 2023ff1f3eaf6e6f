"""What every message queue does: an implementation's test class subclasses `MessageQueueContract`, adding fixtures."""

from collections.abc import Awaitable, Callable

import pytest

from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.pipeline.messages import Message, TopicPartition
from de_platform.services.clock.interface import Clock
from de_platform.services.message_queue.contract_support import (
    ORDERS,
    P0,
    P1,
    PATIENCE_SECONDS,
    PAYMENTS,
    Journal,
    message,
    numbered,
    read,
    settle,
    values,
)
from de_platform.services.message_queue.group_contract import GroupContract
from de_platform.services.message_queue.interface import DEFAULT_PARTITIONS, MessageQueueInterface, StartAt, Watermarks


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
            batch = await consumer.poll(max_records=100, timeout_seconds=PATIENCE_SECONDS)
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
        found: dict[tuple[str, int], list[int]] = {}
        consumer = await queue.consumer([ORDERS, PAYMENTS], "g")
        while sum(map(len, found.values())) < 5:
            batch = await consumer.poll(max_records=100, timeout_seconds=PATIENCE_SECONDS)
            assert batch is not None
            found.setdefault((batch.topic, batch.partition), []).extend(values(batch.records))
        assert found == {(ORDERS, 0): [0, 1], (PAYMENTS, 1): [0, 1, 2]}

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
            batch = await consumer.poll(max_records=max_records, timeout_seconds=PATIENCE_SECONDS)
            assert batch is not None
            assert len(batch.records) <= max_records
            got.extend(values(batch.records))
        assert got == list(range(20))
        assert await consumer.poll(max_records=max_records, timeout_seconds=0.01) is None

    async def test_a_busy_partition_does_not_starve_another(self, queue: MessageQueueInterface) -> None:
        await queue.publish([*numbered(100), *numbered(1, partition=1)])
        consumer = await queue.consumer([ORDERS], "g")
        batches = [await consumer.poll(max_records=10, timeout_seconds=PATIENCE_SECONDS) for _ in range(2)]
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
        batch = await first.poll(max_records=4, timeout_seconds=PATIENCE_SECONDS)
        assert batch is not None
        await first.commit({P0: batch.next_offset})
        await first.poll(max_records=4, timeout_seconds=PATIENCE_SECONDS)
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
        marks = await queue.watermarks([ORDERS])
        assert marks.keys() == {P0, P1}
        assert marks[P0].low == 0
        assert marks[P0].high >= 3
        assert marks[P1] == Watermarks(0, 0)

    async def test_a_group_that_has_done_everything_comes_to_rest_without_lag(
        self, queue: MessageQueueInterface
    ) -> None:
        await queue.create_topics({ORDERS: 2}, retention_hours={})
        await queue.publish([*numbered(3), *numbered(1, partition=1)])
        await queue.publish(numbered(1, first=3))
        consumer = await queue.consumer([ORDERS], "g")
        ends: dict[TopicPartition, int] = {}
        seen = 0
        while seen < 5:
            batch = await consumer.poll(max_records=100, timeout_seconds=PATIENCE_SECONDS)
            assert batch is not None
            seen += len(batch.records)
            ends[TopicPartition(batch.topic, batch.partition)] = batch.next_offset
        await consumer.commit(ends)
        assert await consumer.poll(max_records=1, timeout_seconds=0.5) is None
        assert await consumer.poll(max_records=1, timeout_seconds=0.5) is None
        committed = await queue.committed("g", [ORDERS])
        assert committed == {p: mark.high for p, mark in (await queue.watermarks([ORDERS])).items()}

    async def test_retention_removes_what_is_old(
        self, queue: MessageQueueInterface, hours_pass: Callable[[float], Awaitable[None]]
    ) -> None:
        await queue.create_topics({ORDERS: 1, PAYMENTS: 1}, retention_hours={ORDERS: 1, PAYMENTS: None})
        await queue.publish([*numbered(3), *numbered(3, topic=PAYMENTS)])
        await hours_pass(2)
        await queue.publish([*numbered(2, first=3), *numbered(2, first=3, topic=PAYMENTS)])
        marks = await queue.watermarks([ORDERS, PAYMENTS])
        assert marks[P0].low >= 3
        assert marks[P0].high >= 5
        assert marks[TopicPartition(PAYMENTS, 0)].low == 0
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
        found: list[int] = []
        while 4 not in found:
            more = await read(consumer, 1)
            assert more
            found += values(more)
        assert found in ([3, 4], [1, 2, 3, 4])

    async def test_a_group_whose_next_record_is_gone_goes_on_at_the_first_record_held(
        self, queue: MessageQueueInterface, hours_pass: Callable[[float], Awaitable[None]]
    ) -> None:
        await queue.create_topics({ORDERS: 1}, retention_hours={ORDERS: 1})
        await queue.publish(numbered(3))
        first = await queue.consumer([ORDERS], "g")
        await read(first, 3)
        await first.commit({P0: 1})
        await first.close()
        await hours_pass(2)
        await queue.publish(numbered(2, first=3))
        assert values(await read(await queue.consumer([ORDERS], "g"), 2)) == [3, 4]

    async def test_consume_one_returns_and_commits_one_record(self, queue: MessageQueueInterface) -> None:
        await queue.publish(numbered(2))
        await queue.subscribe(ORDERS, "g")
        record = await queue.consume_one(ORDERS, "g", timeout_seconds=PATIENCE_SECONDS)
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


class MessageQueueContract(LogContract, GroupContract):
    """The whole contract."""
