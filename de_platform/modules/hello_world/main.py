"""Greets.

**Consumes** nothing. **Produces** one log entry. **Effects in order**: 1. the entry. **On crash** nothing is left.
"""

from de_platform.modules.base import Module, ModuleSettings
from de_platform.pipeline.errors import InvalidInput
from de_platform.services.logger.interface import LoggingInterface


class HelloWorldSettings(ModuleSettings, frozen=True, kw_only=True):
    """Arguments of the module."""

    name: str


class HelloWorldModule(Module):
    """Logs a greeting and is done."""

    def __init__(self, settings: HelloWorldSettings, log: LoggingInterface) -> None:
        self.log = log
        self._name = settings.name

    async def validate(self) -> None:
        """Raise InvalidInput when there is nobody to greet."""
        if not self._name.strip():
            raise InvalidInput.single("--name", "must not be empty")

    async def execute(self) -> int:
        """Greet."""
        self.log.info("hello", name=self._name)
        return 0


module_class = HelloWorldModule
