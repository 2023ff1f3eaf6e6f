"""The data API as an application without a socket, over stores in memory."""

from collections.abc import Mapping

import httpx
import msgspec
import pytest

from de_platform.modules.data_api.main import DataApi, DataApiSettings
from de_platform.modules.data_api.tests.rows import Row
from de_platform.services.alert_store.memory_alert_store import MemoryAlertStore
from de_platform.services.checkpoint_store.memory_checkpoint_store import MemoryCheckpointStore
from de_platform.services.clock.memory_clock import MemoryClock
from de_platform.services.event_store.interface import StoredTable
from de_platform.services.event_store.memory_event_store import MemoryEventStore
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.message_queue.memory_queue import MemoryQueue
from de_platform.services.metrics.memory_metrics import MemoryMetrics
from de_platform.services.secrets.env_secrets import EnvSecrets


class Served:
    """A data API and everything around it."""

    def __init__(self, environ: Mapping[str, str] = {}) -> None:
        self.clock = MemoryClock()
        self.queue = MemoryQueue(self.clock)
        self.events = MemoryEventStore()
        self.alerts = MemoryAlertStore()
        self.log = MemoryLogger()
        self.lifecycle = LifecycleManager(self.log)
        self.module = DataApi(
            DataApiSettings(port=0),
            self.queue,
            MemoryCheckpointStore(),
            self.events,
            self.alerts,
            EnvSecrets(environ),
            self.log,
            MemoryMetrics(),
            self.clock,
            self.lifecycle,
        )
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.module.app()), base_url="http://test")

    async def store(self, table: StoredTable, *rows: Row) -> None:
        await self.events.append(table, [msgspec.json.encode(row) for row in rows])

    async def get(self, path: str, params: Mapping[str, str] = {}) -> httpx.Response:
        return await self.client.get(path, params=dict(params))


@pytest.fixture
async def served() -> Served:
    served = Served()
    await served.queue.connect()
    return served
