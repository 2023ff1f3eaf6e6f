"""Checkpoints in files keep the contract, and are whole after a crash at any of their effects."""

from pathlib import Path

import pytest

from de_platform.pipeline.errors import Unavailable
from de_platform.services.checkpoint_store.contract import ORDERS_0, CheckpointStoreContract, save
from de_platform.services.checkpoint_store.file_checkpoint_store import FileCheckpointStore
from de_platform.services.checkpoint_store.interface import CheckpointConflict, CheckpointDamaged
from de_platform.services.filesystem.local_filesystem import LocalFileSystem
from de_platform.services.filesystem.memory_filesystem import MemoryFileSystem


class FailingFileSystem(MemoryFileSystem):
    """Fails at the nth change and at every one after it, as a process that died there."""

    def __init__(self) -> None:
        super().__init__()
        self.changes_left: int | None = None

    async def write(self, path: str, data: bytes) -> None:
        self._change()
        await super().write(path, data)

    async def create(self, path: str, data: bytes) -> bool:
        self._change()
        return await super().create(path, data)

    async def delete(self, path: str) -> bool:
        self._change()
        return await super().delete(path)

    def _change(self) -> None:
        if self.changes_left is not None:
            if self.changes_left == 0:
                raise Unavailable("file system", "crashed")
            self.changes_left -= 1


class TestInMemoryFiles(CheckpointStoreContract):
    @pytest.fixture
    def files(self) -> MemoryFileSystem:
        return MemoryFileSystem()

    @pytest.fixture
    def store(self, files: MemoryFileSystem) -> FileCheckpointStore:
        return FileCheckpointStore(files)

    @pytest.fixture
    def another(self, files: MemoryFileSystem) -> FileCheckpointStore:
        return FileCheckpointStore(files)


class TestInLocalFiles(CheckpointStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> FileCheckpointStore:
        return FileCheckpointStore(LocalFileSystem(tmp_path))

    @pytest.fixture
    def another(self, tmp_path: Path) -> FileCheckpointStore:
        return FileCheckpointStore(LocalFileSystem(tmp_path))


SECOND_SAVE_CHANGES = 5
"""Two segments and a manifest written, one segment and a manifest removed."""


@pytest.mark.parametrize("crash_at", range(SECOND_SAVE_CHANGES + 1))
async def test_after_a_crash_at_any_change_the_old_or_the_new_checkpoint_is_whole(crash_at: int) -> None:
    files = FailingFileSystem()
    store = FileCheckpointStore(files)
    await save(store, 1, {"a": b"1", "b": b"2"})
    files.changes_left = crash_at
    try:
        await save(store, 2, {"c": b"3", "d": b"4"}, frozenset({"b"}))
    except Unavailable:
        assert crash_at < SECOND_SAVE_CHANGES
    else:
        assert crash_at == SECOND_SAVE_CHANGES
    files.changes_left = None
    loaded = await FileCheckpointStore(files).load("g", 0)
    assert loaded is not None
    expected = {1: {"a": b"1", "b": b"2"}, 2: {"b": b"2", "c": b"3", "d": b"4"}}
    number = 1 if crash_at < 3 else 2
    assert (loaded.offsets, dict(loaded.segments)) == ({ORDERS_0: number}, expected[number])


@pytest.mark.parametrize("crash_at", range(SECOND_SAVE_CHANGES))
async def test_the_next_save_removes_what_a_crash_left(crash_at: int) -> None:
    files = FailingFileSystem()
    store = FileCheckpointStore(files)
    await save(store, 1, {"a": b"1", "b": b"2"})
    files.changes_left = crash_at
    with pytest.raises(Unavailable):
        await save(store, 2, {"c": b"3", "d": b"4"}, frozenset({"b"}))
    files.changes_left = None
    successor = FileCheckpointStore(files)
    await successor.load("g", 0)
    await save(successor, 3, {"e": b"5"}, frozenset({"b"}))
    kinds = [path.split(".")[1] for path in await files.list("")]
    assert sorted(kinds) == ["b", "e", "manifest"]


@pytest.mark.parametrize("crash_at", range(SECOND_SAVE_CHANGES))
async def test_a_save_that_failed_may_be_done_again(crash_at: int) -> None:
    files = FailingFileSystem()
    store = FileCheckpointStore(files)
    await save(store, 1, {"a": b"1", "b": b"2"})
    files.changes_left = crash_at
    with pytest.raises(Unavailable):
        await save(store, 2, {"c": b"3", "d": b"4"}, frozenset({"b"}))
    files.changes_left = None
    kept = frozenset({"b"})
    await save(store, 2, {"c": b"3", "d": b"4"}, kept)
    loaded = await store.load("g", 0)
    assert loaded is not None
    assert dict(loaded.segments) == {"b": b"2", "c": b"3", "d": b"4"}


async def _one_saved(files: MemoryFileSystem) -> dict[str, str]:
    await save(FileCheckpointStore(files), 1, {"a": b"1"})
    return {path.split(".")[1]: path for path in await files.list("")}


async def test_a_missing_segment_is_not_an_empty_state() -> None:
    files = MemoryFileSystem()
    paths = await _one_saved(files)
    await files.delete(paths["a"])
    with pytest.raises(CheckpointDamaged, match="missing"):
        await FileCheckpointStore(files).load("g", 0)


@pytest.mark.parametrize("kind", ["a", "manifest"])
async def test_altered_bytes_are_noticed(kind: str) -> None:
    files = MemoryFileSystem()
    paths = await _one_saved(files)
    data = await files.read(paths[kind])
    await files.write(paths[kind], data[:-1])
    with pytest.raises(CheckpointDamaged, match="altered"):
        await FileCheckpointStore(files).load("g", 0)


class PausingFileSystem(MemoryFileSystem):
    """Lets a test act just before a manifest is created: there a stale owner may have slept."""

    def __init__(self) -> None:
        super().__init__()
        self.successor_saves = 0

    async def create(self, path: str, data: bytes) -> bool:
        saves, self.successor_saves = self.successor_saves, 0
        if saves:
            successor = FileCheckpointStore(self)
            await successor.load("g", 0)
            for number in range(saves):
                await save(successor, 100 + number, {f"new-{number}": b"new"})
        return await super().create(path, data)


@pytest.mark.parametrize("successor_saves", [1, 2, 5])
async def test_an_owner_that_slept_inside_a_save_destroys_nothing_of_its_successor(successor_saves: int) -> None:
    files = PausingFileSystem()
    stale = FileCheckpointStore(files)
    await save(stale, 1, {"a": b"1"})
    files.successor_saves = successor_saves
    with pytest.raises(CheckpointConflict):
        await save(stale, 2, {"b": b"2"}, frozenset({"a"}))
    loaded = await FileCheckpointStore(files).load("g", 0)
    assert loaded is not None
    assert loaded.offsets == {ORDERS_0: 99 + successor_saves}
    assert set(loaded.segments) == {f"new-{successor_saves - 1}"}
