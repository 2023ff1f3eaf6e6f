"""The platform as a cluster runs it: one operating-system process a module, replicas of some, on real engines."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from de_platform.cli.wiring import compose
from de_platform.pipeline.events import EventType
from de_platform.services.database.interface import DatabaseFactory, Row
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.message_queue.interface import MessageQueueInterface
from de_platform.services.metrics.memory_metrics import MemoryMetrics
from scripts.infra_servers.ports import free_port
from tests.helpers.harness import SUSPICIOUS_COUNTERPARTY
from tests.helpers.processes import ModuleProcess
from tests.helpers.real_engines import SERVICE_FLAGS, RealEngines

JOB_TIMEOUT_SECONDS = 120.0

ARGUMENTS: Mapping[str, Sequence[str]] = {
    "rest_starter": (),
    "kafka_starter": ("--shared-topics",),
    "normalizer": (),
    "persistence": (),
    "archive": ("--file-interval", "2"),
    "algos": ("--suspicious-counterparty-ids", f'["{SUSPICIOUS_COUNTERPARTY}"]'),
    "data_api": (),
}
"""What runs, with the arguments that differ from the defaults."""


class SubprocessHarness:
    """A `RunningPipeline` of processes. Use as an async context manager, which ends them with SIGTERM."""

    def __init__(self, engines: RealEngines, scratch: Path, *, replicas: Mapping[str, int] | None = None) -> None:
        self._engines = engines
        self._environment = {**os.environ, **engines.settings}
        self.processes: list[ModuleProcess] = []
        self._scratch = scratch
        self._replicas = replicas or {}
        self._ports = {"rest_starter": free_port(), "data_api": free_port()}
        self.intake_url = f"http://127.0.0.1:{self._ports['rest_starter']}"
        self.api_url = f"http://127.0.0.1:{self._ports['data_api']}"
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._migrate()
        log = MemoryLogger()
        services = compose(
            self._engines.surroundings, log=log, lifecycle=LifecycleManager(log), metrics=MemoryMetrics()
        )
        self._services = await self._stack.enter_async_context(services)
        self.queue = await self._services.resolve(MessageQueueInterface)
        for name in ARGUMENTS:
            for _ in range(self._replicas.get(name, 1)):
                self.add(name)
        await asyncio.gather(*(process.until_ready() for process in self.processes))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        codes = await asyncio.gather(*(process.stop() for process in self.processes))
        for process, code in zip(self.processes, codes, strict=True):
            if error is None:
                assert code == 0, f"{process.name} ended with {code}:\n{process.log_tail()}"

    def add(self, name: str) -> ModuleProcess:
        """Start a replica of a module."""
        process = self._start(name, ARGUMENTS[name])
        self.processes.append(process)
        return process

    def kill(self, process: ModuleProcess) -> None:
        """`kill -9` a replica; it stays away."""
        process.kill()
        self.processes.remove(process)

    def replicas(self, name: str) -> list[ModuleProcess]:
        """Return the running processes of a module."""
        return [process for process in self.processes if process.name == name]

    async def process_file(self, path: Path, event_type: EventType) -> None:
        job = self._start("file_processor", ["--file-path", str(path), "--event-type", event_type.value])
        try:
            code = await job.wait(JOB_TIMEOUT_SECONDS)
        finally:
            job.kill()
        assert code == 0, f"file_processor ended with {code}:\n{job.log_tail()}"

    async def fetch(self, query: str, params: Mapping[str, Any]) -> list[Row]:
        """Ask ClickHouse directly, past the API."""
        databases = await self._services.resolve(DatabaseFactory)
        return await databases.analytical("events").fetch_all(query, params)

    def _start(self, name: str, arguments: Sequence[str]) -> ModuleProcess:
        port = ["--port", str(self._ports[name])] if name in self._ports else []
        return ModuleProcess(
            name, [*SERVICE_FLAGS, *arguments, *port], self._environment, self._scratch / f"{name}.log"
        )

    async def _migrate(self) -> None:
        command = [sys.executable, "-m", "de_platform", "migrate", "--db", "postgres", "--db", "clickhouse"]
        job = await asyncio.create_subprocess_exec(
            *command, env=self._environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output, _ = await job.communicate()
        assert job.returncode == 0, output.decode()
