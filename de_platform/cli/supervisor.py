"""Keeps the processes of the embedded platform running, and stops them in order.

The first process is the foundation: the others are spawned beside it, but go on only once it has reported, with
the environment that it reports.
The order of the end is the order of the start backwards, each process awaited before the next is asked to stop.
"""

import asyncio
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import msgspec

from de_platform.cli.child import Child, ChildSpec
from de_platform.cli.exit_codes import ExitCode
from de_platform.http.health import Check, HealthMonitor, HealthReport, HealthStatus
from de_platform.pipeline.errors import Unavailable
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.metrics.exposition import merge


class RestartPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait before a process that died is started again: doubling, and short again after a good while."""

    first_seconds: float = 0.1
    longest_seconds: float = 10.0
    forgiven_after_seconds: float = 30.0


class Supervisor:
    """Runs one set of processes until shutdown is requested or one of them cannot be configured."""

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        environment: Mapping[str, str],
        log: LoggingInterface,
        lifecycle: LifecycleManager,
        *,
        on_founded: Callable[[Mapping[str, str]], None],
        policy: RestartPolicy | None = None,
        stop_timeout_seconds: float = 35.0,
    ) -> None:
        self.children = [Child(spec) for spec in specs]
        self._foundation = self.children[0]
        self._environment = dict(environment)
        self._log = log
        self._lifecycle = lifecycle
        self._on_founded = on_founded
        self._policy = policy or RestartPolicy()
        self._stop_timeout_seconds = stop_timeout_seconds
        self._founded = asyncio.Event()
        self._found: Mapping[str, str] = {}
        self._hopeless: int | None = None

    @property
    def are_all_running(self) -> bool:
        """True while every process runs and has reported."""
        return all(child.report is not None for child in self.children)

    async def run(self) -> int:
        """Keep all processes running until shutdown, then stop them in order.

        Returns 0 when each of them ended with 0, else the first other code.
        """
        keeping = {child.name: asyncio.create_task(self._keep(child)) for child in self.children}
        watching = asyncio.create_task(self._watch_foundation())
        await self._lifecycle.wait_for_shutdown()
        watching.cancel()
        codes = [await self._stop(child, keeping[child.name]) for child in reversed(self.children)]
        await asyncio.gather(watching, return_exceptions=True)
        if self._hopeless is not None:
            return self._hopeless
        return next((code if code > 0 else ExitCode.FAILED for code in codes if code), ExitCode.OK)

    def watch_health(self, monitor: HealthMonitor) -> None:
        """Make readiness of a monitor depend on every process."""
        for child in self.children:
            monitor.add(child.name, _readiness(child))

    async def metrics(self) -> bytes:
        """Return the metrics of all processes as one; one that does not answer is left out."""
        expositions: dict[str, str] = {}
        for child in self.children:
            with suppress(Unavailable):
                _, body = await child.get("/metrics")
                expositions[child.name] = body.decode()
        return merge(expositions).encode()

    async def _keep(self, child: Child) -> None:
        delay = self._policy.first_seconds
        while not self._lifecycle.is_shutting_down:
            began = time.monotonic()
            await child.spawn(self._environment)
            self._log.debug("process started", process=child.name, pid=child.pid)
            handing_over = asyncio.create_task(self._hand_over(child))
            code = await child.ended()
            handing_over.cancel()
            if self._lifecycle.is_shutting_down:
                return
            if code == ExitCode.USAGE:
                self._log.error("a process refuses its configuration", process=child.name)
                self._hopeless = code
                self._lifecycle.request_shutdown()
                return
            if time.monotonic() - began >= self._policy.forgiven_after_seconds:
                delay = self._policy.first_seconds
            self._log.warn("process died", process=child.name, exit_code=code, restart_in_seconds=round(delay, 2))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._lifecycle.wait_for_shutdown(), delay)
            delay = min(delay * 2, self._policy.longest_seconds)

    async def _hand_over(self, child: Child) -> None:
        if child is self._foundation:
            child.send_environment({})
        else:
            await self._founded.wait()
            child.send_environment(self._found)

    async def _watch_foundation(self) -> None:
        """Start the others when the foundation reports; restart them when it reports another environment."""
        while True:
            await self._foundation.reported.wait()
            report = self._foundation.report
            found = dict(report.environment) if report else self._found
            if found != self._found:
                self._found = found
                self._on_founded(found)
                if self._founded.is_set():
                    self._log.warn("addresses have changed, the other processes start anew")
                    for child in self.children[1:]:
                        child.terminate()
            self._founded.set()
            await self._foundation.gone.wait()

    async def _stop(self, child: Child, keeping: "asyncio.Task[None]") -> int:
        """Ask a process to stop and wait. Returns its exit code."""
        if not child.is_running:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            return child.last_code
        self._log.info("stopping process", process=child.name)
        had_begun = child.report is not None
        child.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(keeping), self._stop_timeout_seconds)
        if not keeping.done():
            self._log.error("process did not stop in time", process=child.name, seconds=self._stop_timeout_seconds)
            child.kill()
            await keeping
            return ExitCode.NOT_DRAINED
        if child.last_code == -signal.SIGTERM and not had_begun:
            return ExitCode.OK
        return child.last_code


def _readiness(child: Child) -> Check:
    async def check() -> None:
        status, body = await child.get("/health/ready")
        if status == 200:
            return
        report = msgspec.json.decode(body, type=HealthReport)
        if report.status in (HealthStatus.STARTING, HealthStatus.STOPPING):
            raise Unavailable(child.name, f"is {report.status}")
        raise Unavailable(child.name, "; ".join(f"{n}: {r.error}" for n, r in report.checks.items() if not r.ok))

    return check
