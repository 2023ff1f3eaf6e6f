"""All modules as tasks of one event loop, on whatever services a container offers."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from de_platform.cli.catalog import ModuleCatalog, settings_type
from de_platform.config.arguments import settings_from
from de_platform.config.container import Container
from de_platform.modules.base import Module
from de_platform.pipeline.events import EventType
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.message_queue.interface import MessageQueueInterface
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


class InProcessPipeline:
    """A `RunningPipeline` in this process. Use as an async context manager; subclasses open the services."""

    queue: MessageQueueInterface

    def __init__(self) -> None:
        self.log = MemoryLogger()
        self.intake_url = ""
        self.api_url = ""
        self._lifecycle = LifecycleManager(self.log)
        self._catalog = ModuleCatalog()
        self._stack = AsyncExitStack()
        self._container = Container()
        self._tasks: list[asyncio.Task[int]] = []

    async def open_services(self, stack: AsyncExitStack) -> Container:
        """Return the services that modules ask for; what must be closed afterwards goes onto the stack."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        self._container = await self.open_services(self._stack)
        self.queue = await self._container.resolve(MessageQueueInterface)
        modules = {name: await self._construct(name, changes) for name, changes in SERVICES.items()}
        self._tasks = [asyncio.create_task(module.run(), name=name) for name, module in modules.items()]
        self.intake_url = await self._url(modules["rest_starter"])
        self.api_url = await self._url(modules["data_api"])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lifecycle.request_shutdown()
        codes = await asyncio.gather(*self._tasks)
        await self._lifecycle.run_hooks()
        await self._stack.aclose()
        assert set(codes) <= {0}

    async def process_file(self, path: Path, event_type: EventType) -> None:
        job = await self._construct("file_processor", {"file-path": str(path), "event-type": event_type.value})
        assert await job.run() == 0

    async def _construct(self, name: str, changes: Mapping[str, Any]) -> Module:
        module = self._catalog.load_class(name)
        defaults = {argument.name: argument.default for argument in self._catalog.descriptor(name).args}
        scope = self._container.child()
        if kind := settings_type(module):
            scope.register_instance(kind, settings_from({**defaults, **changes}, kind))
        return await scope.construct(module)

    async def _url(self, module: Any) -> str:
        """Wait until a module listens."""
        while module._server is None:
            await asyncio.sleep(0.005)
            for task in self._tasks:
                assert not task.done(), f"{task.get_name()} ended: {task.exception() or task.result()}"
        return module.url
