"""Log entries that a test can read."""

import msgspec

from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.logger.level import Level


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry as it was given, bound fields included."""

    level: Level
    message: str
    fields: dict[str, object]


class MemoryLogger(LoggingInterface):
    """Keeps entries in order; loggers made by `bind` write to the same list."""

    def __init__(self) -> None:
        self._bound: dict[str, object] = {}
        self.entries: list[LogEntry] = []

    def debug(self, message: str, **fields: object) -> None:
        self._keep(Level.DEBUG, message, fields)

    def info(self, message: str, **fields: object) -> None:
        self._keep(Level.INFO, message, fields)

    def warn(self, message: str, **fields: object) -> None:
        self._keep(Level.WARN, message, fields)

    def error(self, message: str, **fields: object) -> None:
        self._keep(Level.ERROR, message, fields)

    def critical(self, message: str, **fields: object) -> None:
        self._keep(Level.CRITICAL, message, fields)

    def bind(self, **fields: object) -> "MemoryLogger":
        bound = MemoryLogger()
        bound._bound = {**self._bound, **fields}
        bound.entries = self.entries
        return bound

    def messages(self, level: Level | None = None) -> list[str]:
        """Return the messages of one level, or of all."""
        return [entry.message for entry in self.entries if level in (None, entry.level)]

    async def close(self) -> None: ...

    def _keep(self, level: Level, message: str, fields: dict[str, object]) -> None:
        self.entries.append(LogEntry(level=level, message=message, fields={**self._bound, **fields}))
