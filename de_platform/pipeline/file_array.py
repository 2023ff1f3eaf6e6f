"""A JSON array into its elements, without holding the array."""

import re
from collections.abc import Sequence

from de_platform.pipeline.file_lines import TOO_LONG
from de_platform.pipeline.file_pieces import MAX_PIECE_BYTES, FileParser, Piece, excerpt

_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_FLAT = rb'[^"{}\[\]]++|' + _STRING
_DEPTH_1 = rb"[{\[](?:" + _FLAT + rb")*+[}\]]"
_DEPTH_2 = rb"[{\[](?:" + _FLAT + rb"|" + _DEPTH_1 + rb")*+[}\]]"
_DEPTH_3 = rb"[{\[](?:" + _FLAT + rb"|" + _DEPTH_2 + rb")*+[}\]]"

_ELEMENT = re.compile(rb"\s*+(" + _DEPTH_3 + rb")\s*+([,\]])", re.DOTALL)
"""An element with its separator, nested at most three deep: what nearly every element is, in one match."""

_STRUCTURE = re.compile(rb'["{}\[\],]')
_STRING_END = re.compile(rb'["\\]')

_WHITESPACE = b" \t\r\n"


class _Scan:
    """Find where an element of any depth ends, across chunks. Brackets are counted, not matched: that is validation."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._at = 0

    def end(self, buffer: bytes) -> int | None:
        """Return the index of the separator behind the element; None when `buffer` ends first.

        Called again with a longer buffer it goes on where it stopped.
        """
        while (found := (_STRING_END if self._in_string else _STRUCTURE).search(buffer, self._at)) is not None:
            index = found.start()
            self._at = index + 1
            match buffer[index : index + 1]:
                case b'"':
                    self._in_string = not self._in_string
                case b"\\":
                    if index + 1 == len(buffer):
                        self._at = index
                        return None
                    self._at = index + 2
                case b"{" | b"[":
                    self._depth += 1
                case b"," if self._depth == 0:
                    return index
                case b"}" | b"]" if self._depth > 0:
                    self._depth -= 1
                case b"]":
                    return index
                case _:
                    pass
        self._at = len(buffer)
        return None

    def shift(self, count: int) -> None:
        """Learn that so many bytes, all looked at, were cut off at the front."""
        self._at -= count

    def forget(self, buffer: bytes) -> bytes:
        """Drop what was looked at already; return what must be seen again with the next chunk."""
        rest, self._at = buffer[self._at :], 0
        return rest


class JsonArray(FileParser):
    """The elements of one top-level array; `position` counts elements."""

    def __init__(self) -> None:
        self._buffer = b""
        self._position = 0
        self._opened = False
        self._closed = False
        self._garbage = b""
        """The beginning of what follows the array, or of what is no array."""
        self._scan: _Scan | None = None
        """Set while an element does not end in the buffer, or (`_dropping`) while it is too long to hold."""
        self._dropping = False

    def feed(self, chunk: bytes) -> Sequence[Piece]:
        self._buffer += chunk
        if not self._opened:
            self._open()
        pieces: list[Piece] = []
        if self._opened and not self._closed:
            self._take_elements(pieces)
        if self._closed:
            self._keep_garbage()
        return pieces

    def close(self) -> Sequence[Piece]:
        if not self._opened:
            return []
        if self._closed:
            garbage = self._garbage.rstrip(_WHITESPACE)
            return [self._faulty(garbage, "text outside of the array")] if garbage else []
        self.truncated = True
        if self._dropping:
            return []
        rest = self._buffer.strip(_WHITESPACE)
        fault = "the file ends in the middle of this element" if rest else "the file ends before the array is closed"
        return [self._faulty(rest, fault)]

    def _open(self) -> None:
        """Look for the bracket; without one the whole file is garbage."""
        self._buffer = self._buffer.lstrip(_WHITESPACE)
        if self._buffer:
            self._opened = True
            self._closed = not self._buffer.startswith(b"[")
            self._buffer = self._buffer.removeprefix(b"[")

    def _take_elements(self, pieces: list[Piece]) -> None:
        buffer, at = self._buffer, 0
        while not self._closed:
            quick = _ELEMENT.match(buffer, at) if self._scan is None else None
            if quick is not None and quick.end() - quick.start(1) <= MAX_PIECE_BYTES:
                self._position += 1
                pieces.append(Piece(self._position, quick[1]))
                at = quick.end()
                self._closed = quick[2] == b"]"
                continue
            if self._scan is None:
                buffer, at = buffer[at:], 0
                self._scan = _Scan()
            end = self._scan.end(buffer)
            if end is None:
                buffer = self._wait(buffer, pieces)
                break
            self._take(buffer[:end], pieces, is_last=buffer[end : end + 1] == b"]")
            at = end + 1
        self._buffer = buffer[at:]

    def _take(self, element: bytes, pieces: list[Piece], *, is_last: bool) -> None:
        """Note an element that the slow scan found."""
        self._scan = None
        self._closed = is_last
        element = element.lstrip(_WHITESPACE)
        if self._dropping:
            self._dropping = False
        elif len(element) > MAX_PIECE_BYTES:
            pieces.append(self._faulty(element, TOO_LONG))
        elif element:
            self._position += 1
            pieces.append(Piece(self._position, element.rstrip(_WHITESPACE)))
        elif not (is_last and self._position == 0):
            pieces.append(self._faulty(b"", "nothing between two commas or brackets"))

    def _wait(self, buffer: bytes, pieces: list[Piece]) -> bytes:
        """Return what must be kept of an element whose end has not come yet."""
        assert self._scan is not None, "only an element without an end is waited for"
        if self._dropping:
            return self._scan.forget(buffer)
        kept = buffer.lstrip(_WHITESPACE)
        if len(kept) > MAX_PIECE_BYTES:
            pieces.append(self._faulty(kept, TOO_LONG))
            self._dropping = True
            return self._scan.forget(buffer)
        self._scan.shift(len(buffer) - len(kept))
        return kept

    def _keep_garbage(self) -> None:
        rest, self._buffer = self._buffer, b""
        self._garbage = excerpt((self._garbage + rest).lstrip(_WHITESPACE))

    def _faulty(self, raw: bytes, fault: str) -> Piece:
        self._position += 1
        return Piece(self._position, excerpt(raw), fault)
