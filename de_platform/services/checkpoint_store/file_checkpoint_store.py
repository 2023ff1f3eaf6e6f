"""Checkpoints as files, so that they may lie on a disk or in an object store.

**Layout.** Below `checkpoints/<group>/<partition>/` every file name begins with the number of the save
that wrote it:

    000000000007.keys-3.5f1c…   segment `keys-3`, with the checksum of its bytes
    000000000008.manifest       what the checkpoint of save 8 consists of: offsets, origins, segments

The checkpoint is the manifest with the highest number. A manifest is *created*, never replaced, so of
two owners that both believe in save 7 only one can write save 8; the other gets CheckpointConflict. An
owner that slept so long that manifest 8 has come and gone creates it again, in vain: a higher one counts.

**Effects of `save` in order.** 1. new segments written, 2. manifest created, 3. files of this or earlier
saves that it does not list removed. A crash after 1 leaves segments that nothing lists: save 7 is still
the checkpoint. A crash after 2, or during 3, leaves files that the next save removes. Step 3 never
touches a file with a higher number, so a stale owner that wakes up late cannot destroy its successor's.
"""

from collections.abc import Mapping
from urllib.parse import quote

import msgspec
import xxhash

from de_platform.pipeline.messages import TopicPartition
from de_platform.services.checkpoint_store.interface import (
    Checkpoint,
    CheckpointConflict,
    CheckpointDamaged,
    CheckpointStore,
)
from de_platform.services.filesystem.interface import FileSystemInterface

_MANIFEST = "manifest"
_LOAD_ATTEMPTS = 5


class _Segment(msgspec.Struct, frozen=True, kw_only=True):
    file: str
    checksum: str


class _Input(msgspec.Struct, frozen=True, kw_only=True):
    topic: str
    partition: int
    offset: int | None
    origins: dict[str, int] | None


class _Manifest(msgspec.Struct, frozen=True, kw_only=True):
    inputs: list[_Input]
    segments: dict[str, _Segment]


class FileCheckpointStore(CheckpointStore):
    """Over any file system."""

    def __init__(self, fs: FileSystemInterface) -> None:
        self._fs = fs
        self._saves: dict[str, int] = {}
        """Number of the save that this object loaded or wrote last, by directory."""

    async def load(self, group: str, partition: int) -> Checkpoint | None:
        directory = _directory(group, partition)
        for _ in range(_LOAD_ATTEMPTS):
            number = _latest(await self._fs.list(directory))
            if number == 0:
                self._saves[directory] = 0
                return None
            try:
                manifest = await self._manifest(group, partition, number)
                segments = {name: await self._segment(group, partition, s) for name, s in manifest.segments.items()}
            except FileNotFoundError as error:
                if _latest(await self._fs.list(directory)) == number:
                    raise CheckpointDamaged(group, partition, f"{error} is missing") from error
                continue
            self._saves[directory] = number
            return _checkpoint(manifest, segments)
        raise CheckpointConflict(group, partition)

    async def save(
        self,
        group: str,
        partition: int,
        *,
        offsets: Mapping[TopicPartition, int],
        origins: Mapping[TopicPartition, Mapping[str, int]],
        new_segments: Mapping[str, bytes],
        kept_segments: frozenset[str],
    ) -> None:
        directory = _directory(group, partition)
        before = self._saves.get(directory, 0)
        if _latest(await self._fs.list(directory)) != before:
            raise CheckpointConflict(group, partition)
        segments = await self._kept(group, partition, before, kept_segments)
        number = before + 1
        for name, data in new_segments.items():
            segments[name] = await self._write_segment(directory, number, name, data)
        manifest = _seal(_Manifest(inputs=_inputs(offsets, origins), segments=segments))
        if not await self._fs.create(_manifest_path(directory, number), manifest):
            raise CheckpointConflict(group, partition)
        paths = await self._fs.list(directory)
        if _latest(paths) != number:
            raise CheckpointConflict(group, partition)
        self._saves[directory] = number
        listed = {s.file for s in segments.values()} | {_manifest_path(directory, number)}
        for path in paths:
            if path not in listed and _number(path) <= number:
                await self._fs.delete(path)

    async def _kept(self, group: str, partition: int, number: int, kept: frozenset[str]) -> dict[str, _Segment]:
        if not kept:
            return {}
        try:
            manifest = await self._manifest(group, partition, number)
        except FileNotFoundError as error:
            raise CheckpointConflict(group, partition) from error
        assert kept <= manifest.segments.keys(), "a kept segment is one of the checkpoint before"
        return {name: manifest.segments[name] for name in kept}

    async def _write_segment(self, directory: str, number: int, name: str, data: bytes) -> _Segment:
        checksum = _checksum(data)
        file = f"{directory}{number:012d}.{quote(name, safe='')}.{checksum}"
        await self._fs.write(file, data)
        return _Segment(file=file, checksum=checksum)

    async def _manifest(self, group: str, partition: int, number: int) -> _Manifest:
        sealed = await self._fs.read(_manifest_path(_directory(group, partition), number))
        checksum, _, body = sealed.partition(b"\n")
        if checksum.decode("ascii", "replace") != _checksum(body):
            raise CheckpointDamaged(group, partition, f"the manifest of save {number} was altered")
        return msgspec.json.decode(body, type=_Manifest)

    async def _segment(self, group: str, partition: int, segment: _Segment) -> bytes:
        data = await self._fs.read(segment.file)
        if _checksum(data) != segment.checksum:
            raise CheckpointDamaged(group, partition, f"{segment.file} was altered")
        return data


def _directory(group: str, partition: int) -> str:
    return f"checkpoints/{quote(group, safe='')}/{partition}/"


def _manifest_path(directory: str, number: int) -> str:
    return f"{directory}{number:012d}.{_MANIFEST}"


def _number(path: str) -> int:
    return int(path.rpartition("/")[2].partition(".")[0])


def _latest(paths: list[str]) -> int:
    """Return the number of the last save, 0 if there was none."""
    return max((_number(path) for path in paths if path.rpartition("/")[2].partition(".")[2] == _MANIFEST), default=0)


def _checksum(data: bytes) -> str:
    return xxhash.xxh3_128_hexdigest(data)


def _seal(manifest: _Manifest) -> bytes:
    body = msgspec.json.encode(manifest)
    return _checksum(body).encode() + b"\n" + body


def _inputs(offsets: Mapping[TopicPartition, int], origins: Mapping[TopicPartition, Mapping[str, int]]) -> list[_Input]:
    return [
        _Input(
            topic=source.topic,
            partition=source.partition,
            offset=offsets.get(source),
            origins=dict(origins[source]) if source in origins else None,
        )
        for source in sorted({*offsets, *origins})
    ]


def _checkpoint(manifest: _Manifest, segments: Mapping[str, bytes]) -> Checkpoint:
    inputs = {TopicPartition(i.topic, i.partition): i for i in manifest.inputs}
    return Checkpoint(
        offsets={source: i.offset for source, i in inputs.items() if i.offset is not None},
        origins={source: i.origins for source, i in inputs.items() if i.origins is not None},
        segments=segments,
    )
