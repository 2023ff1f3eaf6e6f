"""Runs modules in one process: opens what they need, serves their health, stops them in order, says how it went.

The end, in order: 1. readiness says no, 2. modules see `is_shutting_down`, finish what they took in and
return, 3. shutdown hooks run, 4. services close, last opened first. All within the drain timeout; a second
Ctrl-C cuts it short.
"""

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any

import msgspec

from de_platform.cli.catalog import ModuleCatalog, settings_type
from de_platform.cli.exit_codes import ExitCode, code_of
from de_platform.cli.global_flags import Surroundings
from de_platform.cli.library_logs import take_over_library_logs
from de_platform.cli.wiring import compose, make_logger, make_metrics
from de_platform.config.arguments import settings_from
from de_platform.config.container import Container
from de_platform.config.descriptor import ArgumentValue
from de_platform.http.health import HealthMonitor, HealthServer
from de_platform.modules.base import Module
from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.services.clock.interface import Clock
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.metrics.interface import MetricsInterface

_GC_THRESHOLDS = (70_000, 20, 50)

ModuleBuilder = Callable[[Container], Awaitable[Module]]


class ModuleRun(msgspec.Struct, frozen=True, kw_only=True):
    """One module that a process runs: what it is called, and how it is made from the services of the process."""

    name: str
    build: ModuleBuilder


class HealthOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Where a process serves its health; `on_listening` learns the port, which port 0 leaves to the system."""

    host: str
    port: int
    on_listening: Callable[[int], None] = lambda _port: None


def module_run(catalog: ModuleCatalog, name: str, values: Mapping[str, ArgumentValue]) -> ModuleRun:
    """Describe the run of a catalogued module with the values of its arguments."""

    async def build(container: Container) -> Module:
        kind = catalog.load_class(name)
        wanted = settings_type(kind)
        if wanted is not None:
            container.register_instance(wanted, settings_from(values, wanted))
        return await container.construct(kind)

    return ModuleRun(name=name, build=build)


def run_event_loop(main: Coroutine[Any, Any, int]) -> int:
    """Run a process's coroutine on uvloop where it is installed."""
    try:
        import uvloop  # noqa: PLC0415 - not installed everywhere, and slow to import
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def collect_garbage_rarely() -> None:
    """Let the cycle collector look at what was imported never again, and at what is new a hundred times less often.

    A stage makes tens of thousands of short-lived records a second, none of them in a cycle.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


async def run_process(runs: Sequence[ModuleRun], around: Surroundings, health: HealthOptions | None) -> int:
    """Run modules until they are done, one of them fails, or a signal asks to stop. Returns the exit code."""
    collect_garbage_rarely()
    log = make_logger(around)
    timeout_seconds = around.settings.seconds("DE_PLATFORM_DRAIN_TIMEOUT_SECONDS")
    lifecycle = LifecycleManager(log, drain_timeout_seconds=timeout_seconds)
    take_over_library_logs(log)
    process = _Process(around, log, lifecycle, timeout_seconds)
    try:
        return await process.run(runs, health)
    except Exception as error:  # noqa: BLE001 - the process boundary
        report_failure(log, "cannot go on", error)
        return code_of(error)
    finally:
        await log.close()


def report_failure(log: LoggingInterface, message: str, error: BaseException) -> None:
    """Log what ended a module or a process: faults of input and surroundings plainly, defects with their traceback."""
    match error:
        case InvalidInput() | Unavailable():
            log.error(message, error=str(error))
        case _:
            log.critical(message, error=repr(error), exc_info=error)


class _Process:
    def __init__(
        self, around: Surroundings, log: LoggingInterface, lifecycle: LifecycleManager, timeout_seconds: float
    ) -> None:
        self._around = around
        self._log = log
        self._lifecycle = lifecycle
        self._timeout_seconds = timeout_seconds
        self._forced = asyncio.Event()
        self._modules: dict[str, Module] = {}

    async def run(self, runs: Sequence[ModuleRun], health: HealthOptions | None) -> int:
        self._listen_to_signals()
        metrics = make_metrics(self._around)
        async with AsyncExitStack() as stack:
            monitor: HealthMonitor | None = None

            def on_open(name: str, check: Callable[[], Awaitable[None]]) -> None:
                if monitor is not None:
                    monitor.add(name, check)

            container = compose(
                self._around, log=self._log, lifecycle=self._lifecycle, metrics=metrics, on_open=on_open
            )
            if health is not None:
                monitor = await self._serve_health(await container.resolve(Clock), metrics, health, stack, len(runs))
            await stack.enter_async_context(container)
            for run in runs:
                await self._build(run, container, stack, monitor)
            codes = await self._run_modules()
            if not await self._lifecycle.run_hooks():
                codes.append(ExitCode.NOT_DRAINED)
        return next((code for code in codes if code != ExitCode.OK), ExitCode.OK)

    async def _serve_health(
        self,
        clock: Clock,
        metrics: MetricsInterface,
        options: HealthOptions,
        stack: AsyncExitStack,
        count: int,
    ) -> HealthMonitor:
        monitor = HealthMonitor(
            clock,
            is_started=lambda: len(self._modules) == count and all(m.has_started for m in self._modules.values()),
            is_stopping=lambda: self._lifecycle.is_shutting_down,
        )

        async def exposition() -> bytes:
            return metrics.exposition()

        server = HealthServer(monitor, exposition, host=options.host, port=options.port, flag="--health-port")
        await server.start()
        stack.push_async_callback(server.stop)
        watching = asyncio.create_task(monitor.watch())
        stack.push_async_callback(_cancelled, watching)
        options.on_listening(server.port)
        return monitor

    async def _build(
        self, run: ModuleRun, container: Container, stack: AsyncExitStack, monitor: HealthMonitor | None
    ) -> None:
        own = await stack.enter_async_context(container.child())
        own.register_instance(LoggingInterface, self._log.bind(service=run.name))
        module = await run.build(own)
        self._modules[run.name] = module
        if monitor is not None:
            for name, check in module.health_checks().items():
                monitor.add(f"{run.name}.{name}", check)

    async def _run_modules(self) -> list[int]:
        """Run all modules; the first one that ends brings the others to their end, too."""
        tasks = [asyncio.create_task(self._run_one(name, module)) for name, module in self._modules.items()]
        await self._lifecycle.wait_for_shutdown()
        all_ended = asyncio.ensure_future(asyncio.wait(tasks))
        forced = asyncio.create_task(self._forced.wait())
        await asyncio.wait({all_ended, forced}, timeout=self._timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        late = [task for task in tasks if not task.done()]
        for task in (all_ended, forced, *late):
            task.cancel()
        await asyncio.gather(all_ended, forced, *late, return_exceptions=True)
        codes = [task.result() for task in tasks if not task.cancelled()]
        if late:
            self._log.error("modules did not end in time", seconds=self._timeout_seconds, late=len(late))
            codes.append(ExitCode.INTERRUPTED if self._forced.is_set() else ExitCode.NOT_DRAINED)
        return codes

    async def _run_one(self, name: str, module: Module) -> int:
        try:
            return await module.run()
        except Exception as error:  # noqa: BLE001 - the process boundary: a failed phase is an exit code
            report_failure(self._log.bind(service=name), "module failed", error)
            return code_of(error)
        finally:
            self._lifecycle.request_shutdown()

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)

    def _on_signal(self, number: int) -> None:
        if self._lifecycle.is_shutting_down and number == signal.SIGINT:
            self._forced.set()
            return
        self._log.info("stopping", signal=signal.Signals(number).name)
        self._lifecycle.request_shutdown()


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
