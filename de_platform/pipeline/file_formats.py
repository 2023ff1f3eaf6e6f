"""Which format a file of events has, told from its first bytes and its name."""

import codecs
from enum import StrEnum
from pathlib import PurePath
from typing import assert_never

from de_platform.pipeline.errors import InvalidInput
from de_platform.pipeline.file_array import JsonArray
from de_platform.pipeline.file_csv import Csv
from de_platform.pipeline.file_lines import JsonLines
from de_platform.pipeline.file_pieces import FileParser

HEAD_BYTES = 8192
"""How much of the beginning `detect` wants to see (all of a shorter file)."""

GZIP_MAGIC = b"\x1f\x8b"


class FileFormat(StrEnum):
    """Formats of event files."""

    JSON = "json"
    """An array of events."""
    JSONL = "jsonl"
    """One event a line."""
    CSV = "csv"
    """A header, then one event a record."""


_BY_SUFFIX = {".jsonl": FileFormat.JSONL, ".ndjson": FileFormat.JSONL, ".csv": FileFormat.CSV}

_FOREIGN_BOMS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)

_ARCHIVES = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"PAR1", "Parquet"),
    (GZIP_MAGIC, "gzip within gzip"),
)


def detect(head: bytes, name: str) -> FileFormat:
    """Tell the format of a file from its first bytes (after decompression, without BOM) and its name.

    The first character decides; a name ending in .jsonl, .ndjson or .csv decides where that is no bracket.
    Raises InvalidInput.
    """
    text = head.lstrip()
    suffix = PurePath(name.lower().removesuffix(".gz")).suffix
    if text.startswith(b"["):
        return FileFormat.JSON
    if text.startswith(b"{"):
        if text.split(b"\n", 1)[0].strip() == b"{" and suffix not in _BY_SUFFIX:
            raise InvalidInput.single("--file-path", "holds one JSON object over several lines; wrap the events in [ ]")
        return FileFormat.JSONL
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    header = text.splitlines()[0] if text else b""
    if b"id" in [cell.strip(b' "') for cell in header.split(b",")]:
        return FileFormat.CSV
    raise InvalidInput.single("--file-path", "is neither a JSON array, nor JSON Lines, nor CSV with a column 'id'")


def without_bom(head: bytes) -> bytes:
    """Return `head` without the mark of UTF-8. Raises InvalidInput for what is not text in UTF-8 at all."""
    for bom, encoding in _FOREIGN_BOMS:
        if head.startswith(bom):
            raise InvalidInput.single("--file-path", f"is {encoding}; convert it to UTF-8")
    for magic, kind in _ARCHIVES:
        if head.startswith(magic):
            raise InvalidInput.single("--file-path", f"is {kind}; unpack it first")
    if b"\0" in head[:2]:
        raise InvalidInput.single("--file-path", "is UTF-16 or binary; convert it to UTF-8")
    if b"\0" in head and head.lstrip()[:1] not in (b"{", b"["):
        raise InvalidInput.single("--file-path", "is binary, not text")
    return head.removeprefix(codecs.BOM_UTF8)


def parser_for(file_format: FileFormat) -> FileParser:
    """Return a fresh parser."""
    match file_format:
        case FileFormat.JSON:
            return JsonArray()
        case FileFormat.JSONL:
            return JsonLines()
        case FileFormat.CSV:
            return Csv()
        case _:
            assert_never(file_format)
