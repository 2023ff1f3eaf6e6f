"""The fake keeps the contract."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from de_platform.services.clock.memory_clock import MemoryClock
from de_platform.services.clock.system_clock import SystemClock
from de_platform.services.message_queue.contract import MessageQueueContract
from de_platform.services.message_queue.contract_support import ORDERS, numbered, settle
from de_platform.services.message_queue.memory_queue import MemoryQueue


class TestMemoryQueue(MessageQueueContract):
    @pytest.fixture
    async def queue(self, clock: MemoryClock) -> AsyncIterator[MemoryQueue]:
        queue = MemoryQueue(clock)
        await queue.connect()
        yield queue
        await queue.disconnect()


async def test_a_waiting_poll_is_woken_by_a_publish() -> None:
    queue = MemoryQueue(SystemClock())
    await queue.connect()
    consumer = await queue.consumer([ORDERS], "g")
    await settle(consumer)
    polling = asyncio.create_task(consumer.poll(max_records=1, timeout_seconds=30))
    await asyncio.sleep(0)
    await queue.publish(numbered(1))
    assert await asyncio.wait_for(polling, 2) is not None
    await queue.disconnect()
