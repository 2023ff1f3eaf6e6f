"""Files on their way: cut from the log, not yet in the archive."""

import hashlib
from collections.abc import Sequence

import msgspec
import xxhash

from de_platform.modules.archive.formats import ArchivedRecord, FileFormat, encode
from de_platform.modules.archive.layout import FilePlace, ManifestEntry, entry_path, file_path


class ParcelFile(msgspec.Struct, frozen=True, kw_only=True):
    """A finished file with its manifest entry."""

    entry: ManifestEntry
    entry_path: str
    data: bytes


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """All files that one checkpoint of a partition cut; it rests in the checkpoint until it is delivered."""

    files: tuple[ParcelFile, ...]

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(len(file.data) for file in self.files)


def pack(parcel: Parcel) -> bytes:
    """Return a parcel as a checkpoint's segment."""
    return msgspec.msgpack.encode(parcel)


def unpack(segment: bytes) -> Parcel:
    """Read what `pack` wrote."""
    return msgspec.msgpack.decode(segment, type=Parcel)


def segment_name(segment: bytes) -> str:
    """Return the name of a segment: a function of its bytes, so that it never names others."""
    return f"parcel-{xxhash.xxh3_128_hexdigest(segment)}"


def seal(place: FilePlace, records: Sequence[ArchivedRecord], file_format: FileFormat) -> ParcelFile:
    """Make a file of records in offset order, at least one."""
    data = encode(file_format, records)
    first, last = records[0], records[-1]
    entry = ManifestEntry(
        path=file_path(place, first.offset, file_format.extension),
        table=place.table,
        topic=place.topic,
        partition=place.partition,
        first_offset=first.offset,
        last_offset=last.offset,
        records=len(records),
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        first_ingested_at=min(record.ingested_at for record in records),
        last_ingested_at=max(record.ingested_at for record in records),
    )
    return ParcelFile(entry=entry, entry_path=entry_path(place, first.offset), data=data)
