"""Structured logging: a short constant message, everything that varies as fields."""

from abc import ABC, abstractmethod


class LoggingInterface(ABC):
    """Write log entries. Never blocks on a network and never raises."""

    @abstractmethod
    def debug(self, message: str, **fields: object) -> None: ...
    @abstractmethod
    def info(self, message: str, **fields: object) -> None: ...
    @abstractmethod
    def warn(self, message: str, **fields: object) -> None: ...
    @abstractmethod
    def error(self, message: str, **fields: object) -> None: ...
    @abstractmethod
    def critical(self, message: str, **fields: object) -> None: ...

    @abstractmethod
    def bind(self, **fields: object) -> "LoggingInterface":
        """Return a logger that adds these fields to every entry."""

    @abstractmethod
    async def close(self) -> None:
        """Write out what is still buffered. Idempotent."""
