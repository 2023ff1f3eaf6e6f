"""The whole platform on one machine: a supervisor, its processes, one health server for all of them."""

import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from de_platform.cli.child import ChildSpec
from de_platform.cli.choices import EMBEDDED
from de_platform.cli.data_dir import PROCESSES, chosen_data_dir, end_leftovers, prepare_data_dir
from de_platform.cli.exit_codes import ExitCode
from de_platform.cli.global_flags import Surroundings
from de_platform.cli.instance import RunningInstance, remove_instance, supervisor_lock, write_instance
from de_platform.cli.layout import HEALTH, METRICS, check_ports, ports_of, url_of
from de_platform.cli.supervisor import Supervisor
from de_platform.cli.wiring import make_logger
from de_platform.config.settings import Settings
from de_platform.http.health import HealthMonitor, HealthServer
from de_platform.pipeline.errors import InvalidInput
from de_platform.services.clock.system_clock import SystemClock
from de_platform.services.lifecycle import LifecycleManager

OnReady = Callable[[RunningInstance], Awaitable[None]]
"""Called once, when the platform has become ready for the first time; cancelled when the platform stops."""

_LAST_GRACE_SECONDS = 5.0


def run_platform(around: Surroundings, *, on_ready: OnReady) -> int:
    """Hold the data directory and run the platform on it until it is stopped. Returns the exit code.

    Effects in order: 1. the directory is made and locked, 2. processes that a killed supervisor left behind
    have ended, 3. ports are found free, 4. the processes run. Raises InvalidInput for faults of 1 and 3.
    """
    data_dir = chosen_data_dir(around.settings)
    prepare_data_dir(data_dir)
    lock = supervisor_lock(data_dir)
    if not lock.acquire():
        fault = f"a platform already runs on {data_dir} (process {lock.holder()}); stop it or choose another directory"
        raise InvalidInput.single("--data-dir", fault)
    try:
        end_leftovers(data_dir)
        ports = ports_of(around.settings)
        check_ports(ports, around.settings["DE_PLATFORM_BIND_HOST"])
        return asyncio.run(_Platform(around, data_dir, ports, on_ready).run())
    finally:
        remove_instance(data_dir)
        lock.release()


def platform_environment(settings: Settings, data_dir: Path, ports: Mapping[str, int]) -> dict[str, str]:
    """Return what every process of the platform is told, beside what the store process reports."""
    return {
        "DE_PLATFORM_DATA_DIR": str(data_dir),
        "DE_PLATFORM_PORT_OFFSET": settings["DE_PLATFORM_PORT_OFFSET"],
        "DE_PLATFORM_HEALTH_URL": url_of(ports[HEALTH], settings["DE_PLATFORM_BIND_HOST"]),
        "MQ_LOCAL_PATH": str(data_dir / "log" / "queue.db"),
        "FS_LOCAL_ROOT": str(data_dir / "files"),
    }


class _Platform:
    def __init__(self, around: Surroundings, data_dir: Path, ports: Mapping[str, int], on_ready: OnReady) -> None:
        self._settings = around.settings
        self._data_dir = data_dir
        self._ports = ports
        self._on_ready = on_ready
        self._host = around.settings["DE_PLATFORM_BIND_HOST"]
        self._log = make_logger(around)
        self._lifecycle = LifecycleManager(self._log)
        self._environment = platform_environment(around.settings, data_dir, ports)
        self._instance: RunningInstance | None = None
        self._is_cut_short = False
        specs = [
            ChildSpec(name=name, command=(sys.executable, "-m", "de_platform", "worker", name)) for name in PROCESSES
        ]
        drain_seconds = around.settings.seconds("DE_PLATFORM_DRAIN_TIMEOUT_SECONDS")
        self._supervisor = Supervisor(
            specs,
            {**around.settings.as_environ(), **self._environment},
            self._log,
            self._lifecycle,
            on_founded=self._publish,
            stop_timeout_seconds=drain_seconds + _LAST_GRACE_SECONDS,
        )
        self._monitor = HealthMonitor(
            SystemClock(),
            is_started=lambda: self._supervisor.are_all_running,
            is_stopping=lambda: self._lifecycle.is_shutting_down,
        )
        self._supervisor.watch_health(self._monitor)

    async def run(self) -> int:
        """Serve health and metrics, and keep the processes running, until a signal."""
        self._log.info("starting", data_dir=str(self._data_dir))
        self._listen_to_signals()
        async with AsyncExitStack() as stack:
            for name in (HEALTH, METRICS):
                server = HealthServer(
                    self._monitor,
                    self._supervisor.metrics,
                    host=self._host,
                    port=self._ports[name],
                    flag="--port-offset",
                )
                await server.start()
                stack.push_async_callback(server.stop)
            for coroutine in (self._monitor.watch(), self._greet()):
                stack.callback(asyncio.create_task(coroutine).cancel)
            code = await self._supervisor.run()
        return ExitCode.INTERRUPTED if self._is_cut_short else code

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._on_signal, number)

    def _on_signal(self, number: int) -> None:
        if self._lifecycle.is_shutting_down and number == signal.SIGINT:
            self._log.warn("ending all processes at once")
            self._is_cut_short = True
            for child in self._supervisor.children:
                child.kill()
            return
        self._log.info("stopping", signal=signal.Signals(number).name)
        self._lifecycle.request_shutdown()

    def _publish(self, found: Mapping[str, str]) -> None:
        """Let other commands find the platform."""
        urls = {name: url_of(port, self._host) for name, port in self._ports.items()}
        environment = {**self._environment, **found}
        self._instance = RunningInstance(choices=EMBEDDED, environment=environment, urls=urls)
        write_instance(self._data_dir, self._instance)

    async def _greet(self) -> None:
        began = time.monotonic()
        await self._monitor.first_readiness()
        assert self._instance is not None, "nothing is ready before the store process has reported"
        self._log.info("ready", seconds=round(time.monotonic() - began, 1))
        await self._on_ready(self._instance)
