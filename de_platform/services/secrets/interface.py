"""Secrets and connection settings by name."""

from abc import ABC, abstractmethod


class SecretsInterface(ABC):
    """Look up values that must not appear in arguments, logs or errors."""

    @abstractmethod
    def get(self, name: str) -> str | None:
        """Return the value, or None."""

    @abstractmethod
    def get_or_default(self, name: str, default: str) -> str:
        """Return the value, or `default`."""

    @abstractmethod
    def require(self, name: str) -> str:
        """Return the value. Raises InvalidInput naming what to set."""
