"""`de-platform worker NAME`: one process of `up`. Started by the supervisor, from which it gets its environment."""

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Literal

from de_platform.cli.apps import make_app
from de_platform.cli.catalog import ModuleCatalog
from de_platform.cli.child import Report, send_report
from de_platform.cli.choices import EMBEDDED, Choices
from de_platform.cli.exit_codes import ExitCode
from de_platform.cli.global_flags import Surroundings
from de_platform.cli.instance import process_lock
from de_platform.cli.layout import modules_of
from de_platform.cli.parent_watch import end_with_parent, receive_environment, signal_on_death_of_parent
from de_platform.cli.runner import HealthOptions, ModuleRun, module_run, run_event_loop, run_process
from de_platform.cli.wiring import preload
from de_platform.config.container import Container
from de_platform.config.settings import Origin, Settings, Source
from de_platform.modules.base import Module
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.interface import LoggingInterface

_LOCK_TIMEOUT_SECONDS = 20.0
_LAST_GRACE_SECONDS = 5.0

app = make_app("worker", "")


@app.default
def worker(name: Literal["store", "pipeline", "edge"], /) -> int:
    """Run one process of the embedded platform."""
    signal_on_death_of_parent()
    settings = _settings({})
    _import_what_is_needed(name, settings)
    settings = _settings(receive_environment())
    end_with_parent(grace_seconds=2 * settings.seconds("DE_PLATFORM_DRAIN_TIMEOUT_SECONDS") + _LAST_GRACE_SECONDS)
    data_dir = Path(settings["DE_PLATFORM_DATA_DIR"])
    lock = process_lock(data_dir, name)
    if not lock.acquire(timeout_seconds=_LOCK_TIMEOUT_SECONDS):
        return ExitCode.UNAVAILABLE
    environment: dict[str, str] = {}
    reported_port: list[int] = []

    def report() -> None:
        send_report(Report(health_port=reported_port[0], environment=environment))

    def on_served(found: Mapping[str, str]) -> None:
        environment.update(found)
        report()

    def on_listening(port: int) -> None:
        reported_port.append(port)
        if name != "store":
            report()

    runs = [_store_run(data_dir, settings, on_served)] if name == "store" else _module_runs(name, settings)
    around = Surroundings(choices=Choices(metrics="prometheus") if name == "store" else EMBEDDED, settings=settings)
    return run_event_loop(run_process(runs, around, HealthOptions(host="127.0.0.1", port=0, on_listening=on_listening)))


def _settings(received: Mapping[str, str]) -> Settings:
    return Settings.resolve(Source(origin=Origin.ENVIRONMENT, values={**os.environ, **received}))


def _import_what_is_needed(name: str, settings: Settings) -> None:
    """Import before the environment is there, so that the time it takes runs beside the start of the databases."""
    if name == "store":
        import_module("de_platform.cli.store_host")
        return
    catalog = ModuleCatalog()
    for module in modules_of(name, settings, catalog):
        catalog.load_class(module)
    preload(EMBEDDED)


def _module_runs(name: str, settings: Settings) -> list[ModuleRun]:
    catalog = ModuleCatalog()
    return [module_run(catalog, module, values) for module, values in modules_of(name, settings, catalog).items()]


def _store_run(data_dir: Path, settings: Settings, on_served: Callable[[Mapping[str, str]], None]) -> ModuleRun:
    from de_platform.cli.store_host import StoreHost  # noqa: PLC0415 - only this process opens the engines

    async def build(container: Container) -> Module:
        return StoreHost(
            data_dir,
            settings,
            await container.resolve(LoggingInterface),
            await container.resolve(LifecycleManager),
            on_served,
        )

    return ModuleRun(name="store", build=build)
