"""A deduplicator as the named, immutable segments of a checkpoint, and back."""

from collections.abc import Mapping

import msgspec
import xxhash

from de_platform.pipeline.dedup import Deduplicator
from de_platform.pipeline.generation import Extent, Generation, Segment

_HEAD = "dedup"


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    """What is not in a generation."""

    salt: int
    sources: frozenset[str]
    complete_from: str
    latest_at: str


class DedupSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Segments to write, names of segments to keep, and what will be saved once both are durable."""

    new_segments: Mapping[str, bytes]
    kept_segments: frozenset[str]
    saved: Mapping[str, list[tuple[Extent, Extent, str]]]


def take_snapshot(dedup: Deduplicator) -> DedupSnapshot:
    """Write what is new since the last saved snapshot. Changes nothing; see `confirm`.

    A name ends with the digest of its bytes, so no name ever stands for two contents.
    """
    head = _Head(
        salt=dedup.salt,
        sources=dedup.sources,
        complete_from=dedup.complete_from,
        latest_at=dedup.latest_at,
    )
    new_segments = dict([_named(_HEAD, msgspec.msgpack.encode(head))])
    kept_segments: set[str] = set()
    saved: dict[str, list[tuple[Extent, Extent, str]]] = {}
    for generation in dedup.generations.values():
        kept, slice_ = generation.slices_to_save()
        kept_segments.update(name for _, _, name in kept)
        saved[generation.name] = list(kept)
        if slice_ is not None:
            first, end = slice_
            prefix = f"{generation.name}.{first.entries}-{end.entries}"
            name, data = _named(prefix, msgspec.msgpack.encode(generation.cut(first, end)))
            new_segments[name] = data
            saved[generation.name].append((first, end, name))
    return DedupSnapshot(new_segments=new_segments, kept_segments=frozenset(kept_segments), saved=saved)


def confirm(dedup: Deduplicator, snapshot: DedupSnapshot) -> None:
    """Note that a snapshot is durable: the next one writes only what came after it."""
    for name, slices in snapshot.saved.items():
        dedup.generations[name].saved = slices


def restore(segments: Mapping[str, bytes]) -> Deduplicator:
    """Build the deduplicator that a checkpoint's segments describe."""
    head = next(data for name, data in segments.items() if name.startswith(f"{_HEAD}."))
    known = msgspec.msgpack.decode(head, type=_Head)
    dedup = Deduplicator(salt=known.salt)
    dedup.sources, dedup.complete_from, dedup.latest_at = known.sources, known.complete_from, known.latest_at
    slices = [
        (msgspec.msgpack.decode(data, type=Segment), name)
        for name, data in segments.items()
        if not name.startswith(f"{_HEAD}.")
    ]
    for segment, name in sorted(slices, key=lambda pair: (pair[0].generation, pair[0].first)):
        generation = dedup.generations.setdefault(segment.generation, Generation(segment.generation))
        generation.load(segment, name)
    return dedup


def _named(prefix: str, data: bytes) -> tuple[str, bytes]:
    return f"{prefix}.{xxhash.xxh3_64_hexdigest(data)}", data
