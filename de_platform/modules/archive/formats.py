"""What archive files consist of.

Lines of JSON are the default: by measurement they cost a third of Parquet's CPU time a record and less
space, and every tool that reads JSON lines infers their columns. Parquet carries the record's JSON as it is in the
column `body` (typed columns would mean to decode it, and to guess types file by file), beside the columns
by which one looks for records.
"""

import io
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

_ZSTD_LEVEL = 1


class ArchivedRecord(NamedTuple):
    """What of a record goes into a file. The value is UTF-8."""

    offset: int
    ingested_at: str
    message_id: str
    value: bytes


class FileFormat(StrEnum):
    """Names of formats, as the setting has them."""

    JSONL = "jsonl"
    PARQUET = "parquet"

    @property
    def extension(self) -> str:
        """How its files' names end."""
        return "jsonl.zst" if self is FileFormat.JSONL else "parquet"


def encode(file_format: FileFormat, records: Sequence[ArchivedRecord]) -> bytes:
    """Return a file. The same records always give the same bytes (by one version of the libraries)."""
    return _jsonl(records) if file_format is FileFormat.JSONL else _parquet(records)


def decode(path: str, data: bytes) -> list[bytes]:
    """Return the values of a file's records in order; line breaks between the members of an object are spaces."""
    if path.endswith(FileFormat.PARQUET.extension):
        return [body.encode() for body in pq.ParquetFile(io.BytesIO(data)).read(["body"])["body"].to_pylist()]
    with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
        return stream.read().splitlines()


def _jsonl(records: Sequence[ArchivedRecord]) -> bytes:
    lines = bytearray()
    for record in records:
        value = record.value
        if b"\n" in value or b"\r" in value:
            # within JSON text a raw line break is only ever white space
            value = value.replace(b"\n", b" ").replace(b"\r", b" ")
        lines += value
        lines += b"\n"
    return pa.Codec("zstd", compression_level=_ZSTD_LEVEL).compress(lines, asbytes=True)


def _parquet(records: Sequence[ArchivedRecord]) -> bytes:
    ingested_at = pa.array([record.ingested_at for record in records], pa.string())
    table = pa.table(
        {
            "offset": pa.array([record.offset for record in records], pa.int64()),
            "ingested_at": ingested_at.cast(pa.timestamp("us", "UTC")),
            "message_id": pa.array([record.message_id for record in records], pa.string()),
            "body": pa.array([record.value for record in records], pa.string()),
        }
    )
    file = io.BytesIO()
    pq.write_table(
        table,
        file,
        compression="zstd",
        compression_level=_ZSTD_LEVEL,
        use_dictionary=False,
    )
    return file.getvalue()
