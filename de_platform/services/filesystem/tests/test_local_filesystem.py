"""The directory keeps the contract, its confinement and its promise about full disks."""

import asyncio
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.services.filesystem.contract import FileSystemContract
from de_platform.services.filesystem.local_filesystem import LocalFileSystem


@pytest.fixture
def files(tmp_path: Path) -> LocalFileSystem:
    return LocalFileSystem(tmp_path / "root")


@pytest.fixture
def full_disk() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestLocalFileSystem(FileSystemContract):
    @pytest.fixture
    def files(self, files: LocalFileSystem) -> LocalFileSystem:
        return files


@pytest.mark.parametrize("link", ["link", "link/file"])
async def test_a_link_out_of_the_root_is_refused(files: LocalFileSystem, tmp_path: Path, link: str) -> None:
    await files.write("a", b"")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"secret")
    target = outside if "/" in link else outside / "file"
    (tmp_path / "root" / "link").symlink_to(target)
    with pytest.raises(InvalidInput, match="link"):
        await files.read(link)


async def test_writing_through_a_linked_directory_is_refused(files: LocalFileSystem, tmp_path: Path) -> None:
    await files.write("a", b"")
    (tmp_path / "root" / "link").symlink_to(tmp_path)
    with pytest.raises(InvalidInput, match="link"):
        await files.write("link/file", b"x")
    assert not (tmp_path / "file").exists()


async def test_writing_over_a_link_replaces_the_link(files: LocalFileSystem, tmp_path: Path) -> None:
    await files.write("a", b"")
    (tmp_path / "outside").write_bytes(b"theirs")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "outside")
    await files.write("link", b"ours")
    assert (tmp_path / "outside").read_bytes() == b"theirs"
    assert await files.read("link") == b"ours"


async def test_a_link_within_the_root_is_followed(files: LocalFileSystem, tmp_path: Path) -> None:
    await files.write("a", b"x")
    (tmp_path / "root" / "link").symlink_to("a")
    assert await files.read("link") == b"x"


@pytest.mark.usefixtures("full_disk")
async def test_a_full_disk_is_unavailable_and_keeps_the_old_file(files: LocalFileSystem) -> None:
    await files.write("a", b"old")
    with pytest.raises(Unavailable):
        await files.write("a", b"x" * 200_000)
    assert await files.read("a") == b"old"
    assert await files.list("") == ["a"]


@pytest.mark.parametrize("path", ["x" * 300, "a/b", "d"], ids=["too long", "below a file", "over a directory"])
async def test_a_path_that_cannot_be_a_file_is_invalid(files: LocalFileSystem, path: str) -> None:
    await files.write("a", b"")
    await files.write("d/e", b"")
    with pytest.raises(InvalidInput):
        await files.write(path, b"")


async def test_temporary_files_cannot_be_addressed(files: LocalFileSystem) -> None:
    with pytest.raises(InvalidInput, match="reserved"):
        await files.write(".partial/x", b"")


async def test_what_a_dead_writer_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    partial = tmp_path / ".partial"
    partial.mkdir()
    for name, age in (("old", 7200), ("fresh", 10)):
        (partial / name).touch()
        stat = (partial / name).stat()
        os.utime(partial / name, (stat.st_atime - age, stat.st_mtime - age))
    await LocalFileSystem(tmp_path).write("a", b"")
    assert {p.name for p in partial.iterdir()} == {"fresh"}


async def test_of_many_creators_one_wins(files: LocalFileSystem) -> None:
    outcomes = await asyncio.gather(*(files.create("a", str(i).encode()) for i in range(8)))
    assert outcomes.count(True) == 1
    assert await files.read("a") == str(outcomes.index(True)).encode()


async def test_a_root_that_cannot_be_written_is_unhealthy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable):
        await LocalFileSystem(tmp_path / "file").health_check()
