"""Bytes into numbered lines, and JSON Lines into pieces."""

from collections.abc import Sequence
from typing import NamedTuple

from de_platform.pipeline.file_pieces import EXCERPT_BYTES, MAX_PIECE_BYTES, FileParser, Piece, excerpt

TOO_LONG = f"longer than {MAX_PIECE_BYTES} bytes"


class Line(NamedTuple):
    """A line without its end; of one that is too long only the beginning."""

    number: int
    content: bytes
    too_long: bool = False


class LineSplitter:
    r"""Cut bytes into lines at \n, \r\n and \r, in memory bounded by one line of `MAX_PIECE_BYTES`."""

    def __init__(self) -> None:
        self._rest = b""
        self._number = 0
        self._dropping = False
        """What comes is the tail of a line that was too long."""

    def feed(self, chunk: bytes) -> list[Line]:
        """Return the lines that end in `chunk`. A final \\r waits: it may be half of a line's end."""
        lines = (self._rest + chunk).splitlines(keepends=True)
        self._rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        if self._dropping:
            if not lines:
                self._rest = b"\r" if self._rest.endswith(b"\r") else b""
                return []
            del lines[0]
            self._dropping = False
        ended = self._numbered(lines)
        if len(self._rest) > MAX_PIECE_BYTES + len(b"\r\n"):
            ended += self._numbered([self._rest])
            self._dropping = True
            self._rest = b"\r" if self._rest.endswith(b"\r") else b""
        return ended

    def close(self) -> list[Line]:
        """Return the last line if it lacks its end."""
        rest, self._rest = self._rest, b""
        return self._numbered([rest]) if rest and not self._dropping else []

    def _numbered(self, contents: Sequence[bytes]) -> list[Line]:
        first = self._number + 1
        self._number += len(contents)
        return [
            Line(number, content.rstrip(b"\r\n"))
            if len(content) <= MAX_PIECE_BYTES
            else _long_line(number, content.rstrip(b"\r\n"))
            for number, content in enumerate(contents, first)
        ]


class JsonLines(FileParser):
    """One JSON value a line; blank lines count but are nothing."""

    def __init__(self) -> None:
        self._lines = LineSplitter()

    def feed(self, chunk: bytes) -> Sequence[Piece]:
        return _pieces(self._lines.feed(chunk))

    def close(self) -> Sequence[Piece]:
        return _pieces(self._lines.close())


def _long_line(number: int, content: bytes) -> Line:
    if len(content) > MAX_PIECE_BYTES:
        return Line(number, content[:EXCERPT_BYTES], too_long=True)
    return Line(number, content)


def _pieces(lines: Sequence[Line]) -> list[Piece]:
    return [
        Piece(number, excerpt(content), TOO_LONG) if too_long else Piece(number, content.strip())
        for number, content, too_long in lines
        if too_long or content.strip()
    ]
