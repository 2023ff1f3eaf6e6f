"""The fake keeps the contract."""

import pytest

from de_platform.services.filesystem.contract import FileSystemContract
from de_platform.services.filesystem.memory_filesystem import MemoryFileSystem


class TestMemoryFileSystem(FileSystemContract):
    @pytest.fixture
    def files(self) -> MemoryFileSystem:
        return MemoryFileSystem()
