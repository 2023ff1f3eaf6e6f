"""Files in a directory of this machine.

A write goes to a temporary file, which is synced and then renamed over its target, whose directory is
synced in turn: a reader sees the old or the new file, and what `write` returned for survives a loss of
power. Temporary files live in `.partial/` under the root; a crash leaves one there at most, which a later
process removes.
"""

import asyncio
import errno
import os
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.services.filesystem.interface import FileSystemInterface
from de_platform.services.filesystem.paths import check_path, check_prefix

Result = TypeVar("Result")

_PARTIAL = ".partial"
_ABANDONED_AFTER_SECONDS = 3600.0
_UNUSABLE_PATH = {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL}


class LocalFileSystem(FileSystemInterface):
    """`root` is created when it is first written to. Every call runs in a thread."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._has_swept = False

    async def read(self, path: str) -> bytes:
        return await self._run(path, lambda: self._existing(path).read_bytes())

    async def write(self, path: str, data: bytes) -> None:
        await self._run(path, lambda: self._write(path, data))

    async def create(self, path: str, data: bytes) -> bool:
        return await self._run(path, lambda: self._create(path, data))

    async def list(self, prefix: str) -> list[str]:
        check_prefix(prefix)
        return sorted(await self._guarded(prefix, lambda: self._find(prefix)))

    async def delete(self, path: str) -> bool:
        return await self._run(path, lambda: self._delete(path))

    async def exists(self, path: str) -> bool:
        return await self._run(path, lambda: self._exists(path))

    async def health_check(self) -> None:
        await self._guarded("", self._probe)

    async def _run(self, path: str, work: Callable[[], Result]) -> Result:
        check_path(path)
        if path.split("/", 1)[0] == _PARTIAL:
            raise InvalidInput.single("path", f"{_PARTIAL} is reserved, was {path!r}")
        return await self._guarded(path, work)

    async def _guarded(self, path: str, work: Callable[[], Result]) -> Result:
        with _translated(path):
            return await asyncio.to_thread(work)

    def _existing(self, path: str) -> Path:
        """Return where a file is, links followed. Raises FileNotFoundError, InvalidInput if that is outside."""
        place = self._confined(self._root / path, path)
        if not place.is_file():
            raise FileNotFoundError(path)
        return place

    def _confined(self, place: Path, path: str) -> Path:
        resolved = place.resolve()
        if not resolved.is_relative_to(self._root.resolve()):
            raise InvalidInput.single("path", f"must not leave the root through a link, was {path!r}")
        return resolved

    def _target(self, path: str) -> Path:
        """Return where to write: the directory is confined and exists, the last part is not followed."""
        _make_directory(self._root)
        place = self._root / path
        directory = self._confined(place.parent, path)
        try:
            _make_directory(directory)
        except FileExistsError as error:
            raise InvalidInput.single("path", f"must not lie below a file, was {path!r}") from error
        return directory / place.name

    def _write(self, path: str, data: bytes) -> None:
        target = self._target(path)
        with self._partial(data) as partial:
            partial.replace(target)
        _sync_directory(target.parent)

    def _create(self, path: str, data: bytes) -> bool:
        target = self._target(path)
        with self._partial(data) as partial:
            try:
                target.hardlink_to(partial)
            except FileExistsError:
                return False
        _sync_directory(target.parent)
        return True

    def _find(self, prefix: str) -> Collection[str]:
        start = self._root / prefix.rpartition("/")[0]
        if not self._confined(start, prefix).is_dir():
            return ()
        found: set[str] = set()
        for directory, _, names in os.walk(start, onerror=_raise):
            relative = Path(directory).relative_to(self._root)
            found.update((relative / name).as_posix() for name in names)
        return {p for p in found if p.startswith(prefix) and p.split("/", 1)[0] != _PARTIAL}

    def _delete(self, path: str) -> bool:
        place = self._root / path
        target = self._confined(place.parent, path) / place.name
        try:
            target.unlink()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError):
            if target.is_file():
                raise
            return False
        _sync_directory(target.parent)
        return True

    def _exists(self, path: str) -> bool:
        try:
            self._existing(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def _probe(self) -> None:
        with self._partial(b"probe"):
            pass

    @contextmanager
    def _partial(self, data: bytes) -> Generator[Path]:
        """Write a synced temporary file; it is gone afterwards, renamed or removed."""
        directory = self._root / _PARTIAL
        _make_directory(directory)
        partial = directory / uuid4().hex
        try:
            with partial.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            self._sweep(partial)
            yield partial
        finally:
            partial.unlink(missing_ok=True)

    def _sweep(self, newest: Path) -> None:
        """Remove what writers left behind that died long ago; once a process, by the file system's own time."""
        if self._has_swept:
            return
        self._has_swept = True
        abandoned_before = newest.stat().st_mtime - _ABANDONED_AFTER_SECONDS
        for partial in newest.parent.iterdir():
            with suppress(FileNotFoundError):
                if partial.stat().st_mtime < abandoned_before:
                    partial.unlink()


@contextmanager
def _translated(path: str) -> Generator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in _UNUSABLE_PATH:
            raise InvalidInput.single("path", f"{error.strerror}, was {path[:200]!r}") from error
        raise Unavailable("file system", str(error)) from error


def _make_directory(path: Path) -> None:
    """Create a directory and its parents, each synced into its own parent."""
    if path.is_dir():
        return
    _make_directory(path.parent)
    path.mkdir(exist_ok=True)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
