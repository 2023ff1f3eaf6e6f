"""A shared cache with publish/subscribe. Nothing that must be right lives here: losing it costs only time."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator


class CacheInterface(ABC):
    """Keys to strings, with expiry; channels to whoever listens now. Raises Unavailable."""

    @abstractmethod
    async def connect(self) -> None:
        """Make it usable. Idempotent."""

    @abstractmethod
    async def disconnect(self) -> None:
        """Release everything; subscriptions end. Idempotent."""

    @abstractmethod
    async def health_check(self) -> None:
        """Return when it answers; raises Unavailable."""

    @abstractmethod
    async def get(self, key: str) -> str | None:
        """Return the value, or None when absent or expired."""

    @abstractmethod
    async def set(self, key: str, value: str, *, ttl_seconds: float | None = None) -> None:
        """Store a value, replacing value and expiry."""

    @abstractmethod
    async def delete(self, key: str) -> bool:
        """Remove a key; True if it was there."""

    @abstractmethod
    async def exists(self, key: str) -> bool:
        """Say whether `get` would return a value."""

    @abstractmethod
    async def flush(self) -> None:
        """Remove all keys of this platform."""

    @abstractmethod
    async def publish(self, channel: str, message: str) -> None:
        """Send to current subscribers; at most once, kept nowhere. Messages are at most 7,000 bytes."""

    @abstractmethod
    def subscribe(self, channel: str) -> AsyncIterator[str]:
        """Iterate over messages published from the first `anext` on; survives reconnects, losing what came between."""
