"""The local log keeps the contract, and what it promises beyond it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from de_platform.services.clock.memory_clock import MemoryClock
from de_platform.services.message_queue.contract import MessageQueueContract
from de_platform.services.message_queue.local_queue import LocalQueue


class TestLocalQueue(MessageQueueContract):
    @pytest.fixture
    async def queue(self, tmp_path: Path, clock: MemoryClock) -> AsyncIterator[LocalQueue]:
        queue = LocalQueue(tmp_path / "log.db", clock)
        await queue.connect()
        yield queue
        await queue.disconnect()
