"""Files by path under one root: the archive, checkpoints, the data lake."""

from abc import ABC, abstractmethod


class FileSystemInterface(ABC):
    """Whole files by relative path with `/`. Raises Unavailable, and InvalidInput for paths that leave the root."""

    @abstractmethod
    async def read(self, path: str) -> bytes:
        """Return a whole file. Raises FileNotFoundError."""

    @abstractmethod
    async def write(self, path: str, data: bytes) -> None:
        """Create or replace a file, atomically and durably: a reader sees the old or the new one, after a crash."""

    @abstractmethod
    async def create(self, path: str, data: bytes) -> bool:
        """Write a file only if there is none, as durably as `write`. Of several that try at once, one gets True."""

    @abstractmethod
    async def list(self, prefix: str) -> list[str]:
        """Return the paths that start with `prefix`, sorted."""

    @abstractmethod
    async def delete(self, path: str) -> bool:
        """Remove a file; True if it was there."""

    @abstractmethod
    async def exists(self, path: str) -> bool:
        """Say whether `read` would succeed."""

    @abstractmethod
    async def health_check(self) -> None:
        """Return when the root can be written; raises Unavailable."""
