"""Files as a fake: a dict."""

from de_platform.services.filesystem.interface import FileSystemInterface
from de_platform.services.filesystem.paths import check_path, check_prefix


class MemoryFileSystem(FileSystemInterface):
    """Forgets everything with the object."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    async def read(self, path: str) -> bytes:
        check_path(path)
        if path not in self._files:
            raise FileNotFoundError(path)
        return self._files[path]

    async def write(self, path: str, data: bytes) -> None:
        check_path(path)
        self._files[path] = bytes(data)

    async def create(self, path: str, data: bytes) -> bool:
        check_path(path)
        if path in self._files:
            return False
        self._files[path] = bytes(data)
        return True

    async def list(self, prefix: str) -> list[str]:
        check_prefix(prefix)
        return sorted(path for path in self._files if path.startswith(prefix))

    async def delete(self, path: str) -> bool:
        check_path(path)
        return self._files.pop(path, None) is not None

    async def exists(self, path: str) -> bool:
        check_path(path)
        return path in self._files

    async def health_check(self) -> None:
        """Memory is always there."""
