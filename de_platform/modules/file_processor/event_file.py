"""A file of events on disk: opened once, digested, then read in chunks."""

import hashlib
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from de_platform.modules.file_processor.gunzip import TornFile, gunzipped
from de_platform.pipeline.errors import InvalidInput
from de_platform.pipeline.file_formats import GZIP_MAGIC, HEAD_BYTES, without_bom

CHUNK_BYTES = 256 * 1024


class EventFile:
    """A regular file. Faults of the file as a whole are InvalidInput on `--file-path`."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises InvalidInput."""
        self.name = path.name
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise _refusal(path, error.strerror or str(error)) from error
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise _refusal(path, "is a directory" if stat.S_ISDIR(status.st_mode) else "is not a regular file")
        self._file = io.FileIO(descriptor)
        self.size_bytes = status.st_size
        self._modified_ns = status.st_mtime_ns
        self.read_bytes = 0
        """How far into the file (not into what it unpacks to) the reading is."""

    def content_digest(self) -> str:
        """Return the SHA-256 of the bytes on disk, in hex digits. Costs a pass over the file."""
        self._file.seek(0)
        return hashlib.file_digest(self._file, "sha256").hexdigest()

    def chunks(self) -> Iterator[bytes]:
        """Yield the text, unpacked and without byte order mark; the first chunk has at least `HEAD_BYTES` of it.

        Raises InvalidInput before anything was yielded when this is no text, TornFile where reading cannot go on.
        """
        self._file.seek(0)
        self.read_bytes = 0
        raw = self._raw_chunks()
        first = next(raw, b"")
        unpacked = gunzipped(_chained(first, raw)) if first.startswith(GZIP_MAGIC) else _chained(first, raw)
        head = b""
        torn: TornFile | None = None
        try:
            while len(head) < HEAD_BYTES and (chunk := next(unpacked, b"")):
                head += chunk
        except TornFile as error:
            torn = error
        yield without_bom(head)
        if torn is not None:
            raise torn
        yield from unpacked
        self._check_unchanged()

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._file.close()

    def _raw_chunks(self) -> Iterator[bytes]:
        while chunk := self._read():
            self.read_bytes += len(chunk)
            yield chunk

    def _read(self) -> bytes:
        try:
            return self._file.read(CHUNK_BYTES)
        except OSError as error:
            raise TornFile(f"cannot be read any further: {error.strerror or error}") from error

    def _check_unchanged(self) -> None:
        """Raise TornFile if somebody wrote to the file meanwhile: its digest named other content."""
        status = os.fstat(self._file.fileno())
        if (status.st_size, status.st_mtime_ns) != (self.size_bytes, self._modified_ns):
            raise TornFile("the file was changed while it was read")


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
        yield from rest


def _refusal(path: Path, reason: str) -> InvalidInput:
    return InvalidInput.single("--file-path", f"{path}: {reason}")
