"""The local log keeps the contract, and what it promises beyond it."""

import asyncio
import resource
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.services.clock.memory_clock import MemoryClock
from de_platform.services.clock.system_clock import SystemClock
from de_platform.services.message_queue.contract import MessageQueueContract
from de_platform.services.message_queue.contract_support import ORDERS, P0, message, numbered, read, settle, values
from de_platform.services.message_queue.local_queue import LocalQueue


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "log.db"


@pytest.fixture
async def queue(path: Path, clock: MemoryClock) -> AsyncIterator[LocalQueue]:
    queue = LocalQueue(path, clock)
    await queue.connect()
    yield queue
    await queue.disconnect()


@pytest.fixture
def full_disk() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestLocalQueue(MessageQueueContract):
    @pytest.fixture
    def queue(self, queue: LocalQueue) -> LocalQueue:
        return queue


async def test_two_queues_of_a_process_see_each_others_records(queue: LocalQueue, path: Path) -> None:
    other = LocalQueue(path, SystemClock())
    await other.connect()
    consumer = await other.consumer([ORDERS], "g")
    await settle(consumer)
    polling = asyncio.create_task(consumer.poll(max_records=10, timeout_seconds=30))
    await asyncio.sleep(0)
    await queue.publish(numbered(3))
    batch = await asyncio.wait_for(polling, 5)
    assert batch is not None
    assert values(batch.records) == [0, 1, 2]
    await other.disconnect()


async def test_a_waiting_poll_is_woken_by_a_publish_of_its_process(path: Path) -> None:
    queue = LocalQueue(path, SystemClock())
    await queue.connect()
    consumer = await queue.consumer([ORDERS], "g")
    await settle(consumer)
    polling = asyncio.create_task(consumer.poll(max_records=10, timeout_seconds=30))
    await asyncio.sleep(0)
    await queue.publish(numbered(1))
    assert await asyncio.wait_for(polling, 5) is not None
    await queue.disconnect()


async def test_publishes_that_wait_together_all_arrive_whole_and_in_order(queue: LocalQueue) -> None:
    await asyncio.gather(*(queue.publish(numbered(10, first=first)) for first in range(0, 500, 10)))
    assert values(await read(await queue.consumer([ORDERS], "g"), 500)) == list(range(500))


async def test_one_bad_publish_does_not_harm_those_that_wait_with_it(queue: LocalQueue) -> None:
    outcomes = await asyncio.gather(
        queue.publish(numbered(1)),
        queue.publish([message(1, partition=99)]),
        queue.publish(numbered(1, first=1)),
        return_exceptions=True,
    )
    assert [type(o) for o in outcomes] == [type(None), InvalidInput, type(None)]
    assert values(await read(await queue.consumer([ORDERS], "g"), 2)) == [0, 1]


async def test_a_refused_commit_does_not_harm_a_publish_that_waits_with_it(
    queue: LocalQueue, clock: MemoryClock
) -> None:
    stale = await queue.consumer([ORDERS], "g")
    await settle(stale)
    other = await queue.consumer([ORDERS], "g")
    clock.advance(60)
    await settle(other)
    outcomes = await asyncio.gather(
        queue.publish(numbered(1)), stale.commit({P0: 1}), queue.publish(numbered(1, first=1)), return_exceptions=True
    )
    assert [o is None for o in outcomes] == [True, False, True]
    assert values(await read(other, 2)) == [0, 1]


async def test_a_publish_larger_than_a_stored_batch_comes_back_whole(queue: LocalQueue) -> None:
    await queue.publish([message(bytes([i]) * 60_000) for i in range(60)])
    records = await read(await queue.consumer([ORDERS], "g"), 60, max_records=7)
    assert [r.value for r in records] == [bytes([i]) * 60_000 for i in range(60)]


async def test_a_lock_held_too_long_is_unavailable_and_passes(path: Path, clock: MemoryClock) -> None:
    queue = LocalQueue(path, clock, lock_wait_seconds=0.05)
    await queue.connect()
    await queue.create_topics({ORDERS: 1}, retention_hours={})
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked"):
        await queue.publish(numbered(1))
    holder.execute("ROLLBACK")
    holder.close()
    await queue.publish(numbered(1, first=1))
    assert values(await read(await queue.consumer([ORDERS], "g"), 1)) == [1]
    await queue.disconnect()


async def test_a_full_disk_is_unavailable_appends_nothing_and_passes(queue: LocalQueue, full_disk: None) -> None:
    await queue.publish(numbered(1))
    with pytest.raises(Unavailable):
        await queue.publish([*numbered(5, first=1, partition=1), message(b"x" * 3_000_000)])
    marks = await queue.watermarks([ORDERS])
    assert [m.high for m in marks.values()] == [1, 0, 0, 0]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard := resource.getrlimit(resource.RLIMIT_FSIZE)[1], hard))
    await queue.publish(numbered(1, first=1))
    assert values(await read(await queue.consumer([ORDERS], "g"), 2)) == [0, 1]


async def test_a_file_of_a_newer_version_is_refused(path: Path, clock: MemoryClock) -> None:
    queue = LocalQueue(path, clock)
    await queue.connect()
    await queue.disconnect()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(Unavailable, match="format 99"):
        await queue.connect()


@pytest.fixture
def path_of_something_else(tmp_path: Path) -> Path:
    path = tmp_path / "text"
    path.write_bytes(b"something else entirely" * 1000)
    return path


async def test_a_file_that_is_no_log_is_refused(path_of_something_else: Path, clock: MemoryClock) -> None:
    with pytest.raises(Unavailable, match="not a database"):
        await LocalQueue(path_of_something_else, clock).connect()


async def test_retention_makes_room_for_new_records(queue: LocalQueue, path: Path, clock: MemoryClock) -> None:
    await queue.create_topics({ORDERS: 1}, retention_hours={ORDERS: 1})
    for _ in range(16):
        await queue.publish([message(b"x" * 60_000)] * 50)
        clock.advance(7200)
    await queue.disconnect()
    assert _size(path) < 24_000_000 < 16 * 50 * 60_000


def _size(path: Path) -> int:
    return path.stat().st_size


@settings(max_examples=15, deadline=None)
@given(publishes=st.lists(st.integers(1, 30), min_size=1, max_size=8), polls=st.lists(st.integers(1, 40), min_size=1))
def test_any_split_of_publishes_and_polls_gives_the_same_records(publishes: list[int], polls: list[int]) -> None:
    async def run() -> list[int]:
        with tempfile.TemporaryDirectory() as directory:
            queue = LocalQueue(Path(directory) / "log.db", MemoryClock())
            await queue.connect()
            total = 0
            for count in publishes:
                await queue.publish(numbered(count, first=total))
                total += count
            consumer = await queue.consumer([ORDERS], "g")
            got: list[int] = []
            while len(got) < total:
                batch = await consumer.poll(max_records=polls[len(got) % len(polls)], timeout_seconds=1)
                assert batch is not None
                got.extend(values(batch.records))
            await queue.disconnect()
            return got

    assert asyncio.run(run()) == list(range(sum(publishes)))
