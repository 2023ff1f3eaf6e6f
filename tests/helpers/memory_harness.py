"""All modules as tasks of one event loop, on fakes that the contract suites hold equal to the real thing."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from de_platform.cli.catalog import ModuleCatalog, settings_type
from de_platform.config.arguments import settings_from
from de_platform.config.container import Container
from de_platform.modules.base import Module
from de_platform.pipeline.events import EventType
from de_platform.services.alert_store.interface import AlertStore
from de_platform.services.alert_store.memory_alert_store import MemoryAlertStore
from de_platform.services.cache.interface import CacheInterface
from de_platform.services.cache.memory_cache import MemoryCache
from de_platform.services.checkpoint_store.interface import CheckpointStore
from de_platform.services.checkpoint_store.memory_checkpoint_store import MemoryCheckpointStore
from de_platform.services.clock.interface import Clock
from de_platform.services.clock.system_clock import SystemClock
from de_platform.services.event_store.interface import EventStore
from de_platform.services.event_store.memory_event_store import MemoryEventStore
from de_platform.services.filesystem.interface import FileSystemInterface
from de_platform.services.filesystem.memory_filesystem import MemoryFileSystem
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.message_queue.interface import MessageQueueInterface
from de_platform.services.message_queue.memory_queue import MemoryQueue
from de_platform.services.metrics.interface import MetricsInterface
from de_platform.services.metrics.memory_metrics import MemoryMetrics
from de_platform.services.rate_store.interface import RateStore
from de_platform.services.rate_store.memory_rate_store import MemoryRateStore
from de_platform.services.secrets.env_secrets import EnvSecrets
from de_platform.services.secrets.interface import SecretsInterface
from tests.helpers.harness import SUSPICIOUS_COUNTERPARTY

SERVICES: Mapping[str, Mapping[str, Any]] = {
    "rest_starter": {"port": 0},
    "kafka_starter": {"shared-topics": True},
    "normalizer": {},
    "persistence": {"flush-interval": 0.02},
    "algos": {"suspicious-counterparty-ids": [SUSPICIOUS_COUNTERPARTY]},
    "data_api": {"port": 0},
}
"""What runs, and how it differs from the defaults of its descriptor."""


class MemoryPipeline:
    """A `RunningPipeline` in this process. Use as an async context manager."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self.queue = MemoryQueue(self._clock)
        self._cache = MemoryCache(self._clock)
        self.log = MemoryLogger()
        self.intake_url = ""
        self.api_url = ""
        self._lifecycle = LifecycleManager(self.log)
        self._container = Container()
        self._catalog = ModuleCatalog()
        self._tasks: list[asyncio.Task[int]] = []

    async def __aenter__(self) -> Self:
        await self.queue.connect()
        await self._cache.connect()
        self._register()
        modules = {name: await self._construct(name, changes) for name, changes in SERVICES.items()}
        for module in modules.values():
            self._tasks.append(asyncio.create_task(module.run()))
        self.intake_url = await _url(modules["rest_starter"])
        self.api_url = await _url(modules["data_api"])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lifecycle.request_shutdown()
        codes = await asyncio.gather(*self._tasks)
        await self._cache.disconnect()
        await self.queue.disconnect()
        assert set(codes) <= {0}

    async def process_file(self, path: Path, event_type: EventType) -> None:
        job = await self._construct("file_processor", {"file-path": str(path), "event-type": event_type.value})
        assert await job.run() == 0

    def _register(self) -> None:
        container = self._container
        container.register_instance(Clock, self._clock)
        container.register_instance(MessageQueueInterface, self.queue)
        container.register_instance(LoggingInterface, self.log)
        container.register_instance(MetricsInterface, MemoryMetrics())
        container.register_instance(SecretsInterface, EnvSecrets({}))
        container.register_instance(LifecycleManager, self._lifecycle)
        container.register_instance(CheckpointStore, MemoryCheckpointStore())
        container.register_instance(FileSystemInterface, MemoryFileSystem())
        container.register_instance(CacheInterface, self._cache)
        container.register_instance(EventStore, MemoryEventStore())
        container.register_instance(AlertStore, MemoryAlertStore())
        container.register_instance(RateStore, MemoryRateStore())

    async def _construct(self, name: str, changes: Mapping[str, Any]) -> Module:
        module = self._catalog.load_class(name)
        defaults = {argument.name: argument.default for argument in self._catalog.descriptor(name).args}
        scope = self._container.child()
        if kind := settings_type(module):
            scope.register_instance(kind, settings_from({**defaults, **changes}, kind))
        return await scope.construct(module)


async def _url(module: Any) -> str:
    """Wait until a module listens."""
    while module._server is None:
        await asyncio.sleep(0.005)
    return module.url
