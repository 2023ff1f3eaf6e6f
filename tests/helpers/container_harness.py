"""All modules as tasks of one process, on real engines."""

from contextlib import AsyncExitStack

from de_platform.cli.migrating import migrate_databases
from de_platform.cli.wiring import compose
from de_platform.config.container import Container
from de_platform.services.metrics.memory_metrics import MemoryMetrics
from tests.helpers.in_process_harness import InProcessPipeline
from tests.helpers.real_engines import RealEngines


class ContainerHarness(InProcessPipeline):
    """A `RunningPipeline` whose services are those of a deployment."""

    def __init__(self, engines: RealEngines) -> None:
        super().__init__()
        self._engines = engines

    async def open_services(self, stack: AsyncExitStack) -> Container:
        around = self._engines.surroundings
        await migrate_databases(around)
        services = compose(around, log=self.log, lifecycle=self._lifecycle, metrics=MemoryMetrics())
        return await stack.enter_async_context(services)
