"""One operating-system process of the platform: a module of its own, started as a user would."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from scripts.infra_servers.ports import free_port

READY_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 60.0


class ModuleProcess:
    """`de-platform run MODULE`, with its health server on a port of its own."""

    def __init__(self, name: str, arguments: Sequence[str], environment: Mapping[str, str], log_path: Path) -> None:
        self.name = name
        self._log_path = log_path
        self.health_url = f"http://127.0.0.1:{(port := free_port())}"
        command = [sys.executable, "-m", "de_platform", "run", name, *arguments, "--health-port", str(port)]
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=dict(environment), stdout=log, stderr=log, stdin=subprocess.DEVNULL, process_group=0
            )

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    async def until_ready(self, *, ready: bool = True, timeout_seconds: float = READY_TIMEOUT_SECONDS) -> None:
        """Wait until `/health/ready` says yes, or no. Raises AssertionError with the end of the log."""
        deadline = time.monotonic() + timeout_seconds
        async with httpx.AsyncClient() as client:
            while await self._answers_ready(client) is not ready:
                assert self.is_running, f"{self.name} ended:\n{self.log_tail()}"
                assert time.monotonic() < deadline, f"{self.name}: ready is not {ready}:\n{self.log_tail()}"
                await asyncio.sleep(0.05)

    async def _answers_ready(self, client: httpx.AsyncClient) -> bool:
        try:
            return (await client.get(f"{self.health_url}/health/ready", timeout=10)).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        if self.is_running:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def pause(self) -> None:
        """Let it make no step until `go_on`: a process that is swapped out, or a machine that hangs."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Undo `pause`."""
        os.kill(self._process.pid, signal.SIGCONT)

    async def stop(self) -> int:
        """Ask for an orderly end and wait for it. Returns the exit code."""
        if self.is_running:
            self._process.terminate()
        return await asyncio.to_thread(self._process.wait, STOP_TIMEOUT_SECONDS)

    async def wait(self, timeout_seconds: float) -> int:
        """Wait for a job. Returns its exit code."""
        return await asyncio.to_thread(self._process.wait, timeout_seconds)

    def log_tail(self, lines: int = 40) -> str:
        """Return the end of what it wrote."""
        return "\n".join(self._log_path.read_text(errors="replace").splitlines()[-lines:])
