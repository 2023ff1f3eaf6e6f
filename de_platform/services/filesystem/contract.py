"""What every file system does. An implementation's test class subclasses this and adds the fixture `files`."""

import pytest

from de_platform.pipeline.errors import InvalidInput
from de_platform.services.filesystem.interface import FileSystemInterface

ESCAPING_PATHS = ["", "/etc/passwd", "../x", "a/../../x", "a/..", "a\0b", "a//b", "./a", "a/", "\ud800"]


class FileSystemContract:
    """Whole files by relative path."""

    @pytest.mark.parametrize("data", [b"", bytes(range(256)) * 1000], ids=["empty", "all bytes"])
    async def test_what_was_written_is_read(self, files: FileSystemInterface, data: bytes) -> None:
        await files.write("a/b/c d.bin", data)
        assert await files.read("a/b/c d.bin") == data

    async def test_writing_again_replaces(self, files: FileSystemInterface) -> None:
        await files.write("a", b"long old content")
        await files.write("a", b"new")
        assert await files.read("a") == b"new"

    async def test_a_missing_file_is_not_found(self, files: FileSystemInterface) -> None:
        with pytest.raises(FileNotFoundError):
            await files.read("nowhere/file")
        assert not await files.exists("nowhere/file")

    async def test_create_does_not_replace(self, files: FileSystemInterface) -> None:
        assert await files.create("d/a", b"first")
        assert not await files.create("d/a", b"second")
        assert await files.read("d/a") == b"first"

    async def test_list_returns_paths_by_prefix_in_order(self, files: FileSystemInterface) -> None:
        for path in ("b/2", "b/10", "a", "b/c/1", "bb"):
            await files.write(path, b"")
        assert await files.list("") == ["a", "b/10", "b/2", "b/c/1", "bb"]
        assert await files.list("b") == ["b/10", "b/2", "b/c/1", "bb"]
        assert await files.list("b/") == ["b/10", "b/2", "b/c/1"]
        assert await files.list("b/1") == ["b/10"]
        assert await files.list("none/of/these") == []

    async def test_delete_says_whether_something_was_there(self, files: FileSystemInterface) -> None:
        await files.write("d/a", b"x")
        assert await files.exists("d/a")
        assert await files.delete("d/a")
        assert not await files.delete("d/a")
        assert not await files.exists("d/a")

    async def test_a_directory_is_not_a_file(self, files: FileSystemInterface) -> None:
        await files.write("d/a", b"x")
        assert not await files.exists("d")
        assert not await files.delete("d")
        with pytest.raises(FileNotFoundError):
            await files.read("d")

    @pytest.mark.parametrize("path", ESCAPING_PATHS)
    async def test_paths_that_are_not_plain_are_refused(self, files: FileSystemInterface, path: str) -> None:
        with pytest.raises(InvalidInput):
            await files.read(path)
        with pytest.raises(InvalidInput):
            await files.write(path, b"")
        with pytest.raises(InvalidInput):
            await files.create(path, b"")
        with pytest.raises(InvalidInput):
            await files.delete(path)
        with pytest.raises(InvalidInput):
            await files.exists(path)

    @pytest.mark.parametrize("prefix", ["/", "../", "a/../", "\0"])
    async def test_prefixes_that_leave_the_root_are_refused(self, files: FileSystemInterface, prefix: str) -> None:
        with pytest.raises(InvalidInput):
            await files.list(prefix)

    async def test_it_is_healthy_and_leaves_nothing_behind(self, files: FileSystemInterface) -> None:
        await files.health_check()
        assert await files.list("") == []
