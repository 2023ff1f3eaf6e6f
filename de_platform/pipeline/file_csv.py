"""CSV with a header row into events: a column is a field, a number keeps its exact text, an empty cell is absent."""

import csv
import re
from collections import deque
from collections.abc import Sequence

import msgspec

from de_platform.pipeline.errors import FieldError, InvalidInput
from de_platform.pipeline.file_lines import TOO_LONG, Line, LineSplitter
from de_platform.pipeline.file_pieces import FileParser, Piece, excerpt

NUMBER_COLUMNS = frozenset(("quantity", "price", "amount"))
"""Cells that read as a JSON number are spliced in as one; any other text stays text, and validation says why."""

JSON_COLUMNS = frozenset(("additional_fields",))
"""Cells that hold JSON."""

MAX_LINES_A_RECORD = 100
"""A quoted cell may hold line breaks, but a quote that never closes must not swallow the file."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")

_encode = msgspec.json.Encoder().encode


class _WrongWidth(ValueError):
    """A record has more or fewer cells than the header."""


class Csv(FileParser):
    """RFC 4180 with commas. `position` is the number of the line where a record begins; the header has one too.

    Raises InvalidInput from `feed` or `close` when the header is not one: then no event can be read.
    """

    def __init__(self) -> None:
        self._lines = LineSplitter()
        self._waiting: deque[Line] = deque()
        """Lines of a record whose quotes have not closed yet."""
        self._names: list[str] | None = None
        self._special: Sequence[str] = ()

    def feed(self, chunk: bytes) -> Sequence[Piece]:
        return self._take(self._lines.feed(chunk), is_end=False)

    def close(self) -> Sequence[Piece]:
        return self._take(self._lines.close(), is_end=True)

    def _take(self, lines: Sequence[Line], *, is_end: bool) -> list[Piece]:
        pieces: list[Piece] = []
        self._waiting.extend(lines)
        while self._waiting:
            record = self._record(is_end=is_end)
            if record is None:
                break
            piece = self._piece(record)
            if piece is not None:
                pieces.append(piece)
        return pieces

    def _record(self, *, is_end: bool) -> list[Line] | None:
        """Take the lines up to where the quotes are closed off the queue; None when that may still come.

        If they do not close in time, the first line alone is the (broken) record, and the rest goes on.
        """
        first = self._waiting[0]
        if first.too_long or b'"' not in first.content or first.content.count(b'"') % 2 == 0:
            return [self._waiting.popleft()]
        quotes = 0
        for index, line in enumerate(self._waiting):
            if line.too_long or index == MAX_LINES_A_RECORD:
                break
            quotes += line.content.count(b'"')
            if quotes % 2 == 0:
                lines = [self._waiting[i] for i in range(index + 1)]
                if self._parses(lines):
                    self._waiting = deque(list(self._waiting)[index + 1 :])
                    return lines
                break
        else:
            if not is_end:
                return None
        return [self._waiting.popleft()]

    def _parses(self, lines: Sequence[Line]) -> bool:
        try:
            cells = _cells(_join(lines))
        except (csv.Error, UnicodeDecodeError):
            return False
        return self._names is None or len(cells) == len(self._names)

    def _piece(self, record: Sequence[Line]) -> Piece | None:
        line = record[0]
        if line.too_long:
            return Piece(line.number, excerpt(line.content), TOO_LONG)
        raw = line.content if len(record) == 1 else _join(record)
        if not raw.strip():
            return None
        if self._names is None:
            self._names = _header(raw)
            self._special = [name for name in self._names if name in NUMBER_COLUMNS | JSON_COLUMNS]
            return None
        try:
            return Piece(line.number, self._event(self._names, _cells(raw)))
        except (csv.Error, UnicodeDecodeError, _WrongWidth) as error:
            return Piece(line.number, excerpt(raw), f"not a CSV record: {error}")

    def _event(self, names: Sequence[str], cells: Sequence[str]) -> bytes:
        if len(cells) != len(names):
            raise _WrongWidth(f"it has {len(cells)} cells, the header has {len(names)}")
        row: dict[str, str | msgspec.Raw] = dict(zip(names, cells, strict=True))
        for name in self._special:
            row[name] = _spliced(name, row[name])
        if "" in cells:
            row = {name: cell for name, cell in row.items() if cell != ""}
        return _encode(row)


def _spliced(name: str, cell: str | msgspec.Raw) -> str | msgspec.Raw:
    """Return JSON text to put in as it is, or the cell where it is none."""
    assert isinstance(cell, str), "a cell is spliced once"
    if name in NUMBER_COLUMNS:
        return msgspec.Raw(cell.encode()) if _NUMBER.fullmatch(cell) else cell
    try:
        msgspec.json.decode(cell)
    except (msgspec.DecodeError, RecursionError):
        return cell
    return msgspec.Raw(cell.encode())


def _cells(raw: bytes) -> list[str]:
    text = raw.decode()
    if '"' not in text:
        return text.split(",")
    return next(csv.reader([text], strict=True))


def _join(lines: Sequence[Line]) -> bytes:
    return b"\n".join(line.content for line in lines)


def _header(raw: bytes) -> list[str]:
    """Return the columns' names. Raises InvalidInput with every fault."""
    try:
        names = [name.strip() for name in _cells(raw)]
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidInput.single("header", f"the first line is not a CSV header: {error}") from error
    faults = [FieldError("header", f"column {index} has no name") for index, name in enumerate(names, 1) if not name]
    faults += [
        FieldError("header", f"column {name!r} appears {names.count(name)} times")
        for name in dict.fromkeys(names)
        if name and names.count(name) > 1
    ]
    if "id" not in names:
        faults.append(FieldError("header", f"has no column 'id', only {excerpt(raw)[:200].decode(errors='replace')!r}"))
    if faults:
        raise InvalidInput(faults)
    return names
