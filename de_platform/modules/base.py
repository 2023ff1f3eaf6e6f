"""What every module is: four awaited phases, run in order, torn down in any case."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from de_platform.services.logger.interface import LoggingInterface

HealthCheck = Callable[[], Awaitable[None]]
"""Returns when all is well; raises what is wrong. Asked every second or so, cut off after a few."""


class ModuleSettings(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """Base of a module's settings: one field per argument of its `module.json`, built and injected by the container.

    Defaults are stated in the descriptor only.
    """


class Module(ABC):
    """A job, worker or service. Constructor parameters are injected by type and stored; `__init__` does no work."""

    log: LoggingInterface
    has_started = False
    """True once `initialize` and `validate` succeeded: what the startup probe asks for."""

    def health_checks(self) -> Mapping[str, HealthCheck]:
        """Name what must be well for this module to be ready, beside the services it was given."""
        return {}

    async def initialize(self) -> None:  # noqa: B027 - optional phase
        """Open what is needed: subscriptions, caches, servers."""

    async def validate(self) -> None:  # noqa: B027 - optional phase
        """Check arguments and surroundings. Raises InvalidInput with every fault."""

    @abstractmethod
    async def execute(self) -> int:
        """Do the work: a job until done, a service until shutdown. Returns the exit code."""

    async def teardown(self) -> None:  # noqa: B027 - optional phase
        """Release what `initialize` opened; also called after a failed phase, so it takes half-open state."""

    async def run(self) -> int:
        """Run the phases in order; teardown always runs. Returns the exit code; exceptions pass through."""
        try:
            await self.initialize()
            await self.validate()
            self.has_started = True
            return await self.execute()
        finally:
            await self.teardown()
