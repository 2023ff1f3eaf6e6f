"""The platform as a user starts it: `up` and its processes, on the real engines, in a directory of its own."""

import asyncio
import atexit
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from de_platform.cli.instance import process_lock, read_instance, supervisor_lock
from de_platform.pipeline.events import EventType
from de_platform.services.clock.system_clock import SystemClock
from de_platform.services.database.factory import NamedDatabaseFactory
from de_platform.services.database.interface import Row
from de_platform.services.message_queue.local_queue import LocalQueue
from de_platform.services.secrets.env_secrets import EnvSecrets
from tests.helpers.harness import SUSPICIOUS_COUNTERPARTY

PROCESSES = ("store", "pipeline", "edge")
PORTS = (8001, 8002, 8080, 9091)
READY_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 60.0

MODULE_ARGUMENTS = {
    "kafka_starter": {"shared-topics": True},
    "algos": {"suspicious-counterparty-ids": [SUSPICIOUS_COUNTERPARTY]},
}


class EmbeddedPlatform:
    """A `RunningPipeline` of processes. Use as an async context manager, which ends it with SIGTERM."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        offset = free_port_offset()
        self.intake_url = f"http://127.0.0.1:{8001 + offset}"
        self.api_url = f"http://127.0.0.1:{8002 + offset}"
        self.queue = LocalQueue(data_dir / "log" / "queue.db", SystemClock())
        self._log_path = data_dir.parent / f"{data_dir.name}.log"
        self._environment = {
            **os.environ,
            "DE_PLATFORM_DATA_DIR": str(data_dir),
            "DE_PLATFORM_PORT_OFFSET": str(offset),
            "DE_PLATFORM_MODULE_ARGUMENTS": json.dumps(MODULE_ARGUMENTS),
        }
        self._supervisor: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        await self.queue.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.queue.disconnect()
        code = await self.stop()
        if error is None:
            assert code == 0, f"`up` ended with {code}:\n{self.log_tail()}"

    async def start(self) -> None:
        """Start `up` and wait until all of it is ready. Raises AssertionError with the end of its log."""
        with self._log_path.open("ab") as log:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-m", "de_platform", "up"],
                env=self._environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        atexit.register(self._supervisor.kill)
        deadline = time.monotonic() + READY_TIMEOUT_SECONDS
        async with httpx.AsyncClient() as client:
            while not await _is_ready(client, f"{self.api_url}/health/ready"):
                assert self._supervisor.poll() is None, f"`up` ended:\n{self.log_tail()}"
                assert time.monotonic() < deadline, f"`up` did not become ready:\n{self.log_tail()}"
                await asyncio.sleep(0.05)

    async def stop(self) -> int:
        """Ask for an orderly end and wait for it. Returns the exit code."""
        supervisor = self._started()
        if supervisor.poll() is None:
            supervisor.terminate()
        return await asyncio.to_thread(supervisor.wait, STOP_TIMEOUT_SECONDS)

    def kill(self, name: str) -> bool:
        """`kill -9` one process of the platform. Says whether there was one."""
        pid = process_lock(self.data_dir, name).holder()
        return pid is not None and _kill(pid)

    async def kill_all(self) -> None:
        """`kill -9` the supervisor and every process of it, as near to at once as can be."""
        pids = [supervisor_lock(self.data_dir).holder(), *(process_lock(self.data_dir, n).holder() for n in PROCESSES)]
        for pid in pids:
            if pid is not None:
                _kill(pid)
        await asyncio.to_thread(self._started().wait, STOP_TIMEOUT_SECONDS)

    async def process_file(self, path: Path, event_type: EventType) -> None:
        process = self.start_file_job(path, event_type)
        code = await asyncio.to_thread(process.wait, 120)
        assert code == 0, f"file_processor ended with {code}"

    def start_file_job(self, path: Path, event_type: EventType) -> "subprocess.Popen[bytes]":
        """Start `events ingest` beside the platform."""
        command = [sys.executable, "-m", "de_platform", "events", "ingest", str(path), "--type", event_type.value]
        with self._log_path.open("ab") as log:
            return subprocess.Popen(
                [*command, "--data-dir", str(self.data_dir)], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def process_ids(self) -> list[int]:
        """Return the supervisor and everything it started, PostgreSQL's processes included."""
        parents = {pid: _parent(pid) for pid in _all_processes()}
        found = [self._started().pid]
        for pid in found:
            found.extend(child for child, parent in parents.items() if parent == pid)
        return found

    async def fetch(self, query: str, params: Mapping[str, Any]) -> list[Row]:
        """Ask ClickHouse directly, past the API."""
        factory = NamedDatabaseFactory({}, EnvSecrets(read_instance(self.data_dir).environment))
        try:
            return await factory.analytical("events").fetch_all(query, params)
        finally:
            await factory.disconnect_all()

    def log_tail(self, lines: int = 40) -> str:
        """Return the end of what the processes wrote."""
        return "\n".join(self._log_path.read_text(errors="replace").splitlines()[-lines:])

    def _started(self) -> "subprocess.Popen[bytes]":
        assert self._supervisor is not None, "start comes first"
        return self._supervisor


def _all_processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


async def _is_ready(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url, timeout=5)).status_code == 200
    except httpx.HTTPError:
        return False


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def free_port_offset() -> int:
    """Return an offset at which all ports of the platform are free, below those that outgoing connections take."""
    for _ in range(1000):
        offset = random.randrange(10_000 - PORTS[0], 30_000 - max(PORTS))
        if all(_is_free(port + offset) for port in PORTS):
            return offset
    raise RuntimeError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
