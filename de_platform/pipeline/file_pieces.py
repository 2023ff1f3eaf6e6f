"""What every file parser yields, and the limits that keep a hostile file from filling the memory."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

MAX_PIECE_BYTES = 1024 * 1024
"""A line or array element longer than this is one fault and is never held whole."""

EXCERPT_BYTES = 4096
"""How much of a faulty piece is kept for the error record."""


class Piece(NamedTuple):
    """One event of a file as JSON bytes, or (`fault` not empty) an excerpt of what could not be made into one.

    `position` is the number of the line where it begins, or of the array's element; both count from 1.
    """

    position: int
    raw: bytes
    fault: str = ""


class FileParser(ABC):
    """A push parser: pieces depend on the bytes alone, never on how they are cut into chunks.

    It holds at most a chunk and one piece, and never raises for a broken piece.
    """

    truncated = False
    """After `close`: the bytes ended before the format said so."""

    @abstractmethod
    def feed(self, chunk: bytes) -> Sequence[Piece]:
        """Take the next bytes, return the pieces that they complete, in order."""

    @abstractmethod
    def close(self) -> Sequence[Piece]:
        """Take the end of the file, return what is left."""


def excerpt(raw: bytes) -> bytes:
    """Return the beginning that an error record keeps."""
    return raw[:EXCERPT_BYTES]
