"""The recent events of one tenant: sorted numpy columns to compute on, encoded rows to give back as events."""

from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from de_platform.pipeline.algorithms import TYPE_SUFFIX, Event, hash_id
from de_platform.pipeline.event_columns import (
    EVENT_TYPES,
    TYPE_CODE,
    Codes,
    EventColumns,
    Instants,
    LeanEvent,
    Mask,
    decode_event,
    decode_lean,
    lean_to_event,
    to_microseconds,
)

NEVER = np.iinfo(np.int64).min
"""An instant before all others."""

_COLUMN_TYPES = (np.int64, np.uint64, np.uint8, np.int32, np.float64, np.int64)
_INSTANT, _IDENTITY, _TYPE, _ACTOR, _VALUE, _SERIAL = range(len(_COLUMN_TYPES))
_FIRST_CAPACITY = 256
_UNKNOWN = -1
_WORTH_COMPACTING = 1024


class _LeanRow(LeanEvent, array_like=True, gc=False, kw_only=True):
    """A lean event without its field names."""


_row_values = attrgetter(*LeanEvent.__struct_fields__)
_encode_row = msgspec.msgpack.Encoder().encode
_decode_row = msgspec.msgpack.Decoder(_LeanRow).decode


class Chunk:
    """Events that arrived together, encoded, in order of arrival: serials `first_serial` and up."""

    def __init__(self, first_serial: int, ends: npt.NDArray[np.uint32], blob: bytes, *, whole: bool) -> None:
        self.first_serial = first_serial
        self.ends = ends
        """Where in `blob` each row ends."""
        self.blob = blob
        self.whole = whole
        """Whether rows are whole events as JSON, or lean ones."""
        self.newest = np.full(len(EVENT_TYPES), NEVER)
        """Latest instant per event type."""
        self.segment: str | None = None
        """The saved checkpoint segment that has it."""

    @classmethod
    def of(cls, first_serial: int, leans: Sequence[LeanEvent], raws: Sequence[bytes], *, whole: bool) -> "Chunk":
        """Encode events."""
        rows = raws if whole else [_encode_row(_row_values(lean)) for lean in leans]
        ends = np.cumsum(np.fromiter(map(len, rows), dtype=np.uint32, count=len(rows)), dtype=np.uint32)
        return cls(first_serial, ends, b"".join(rows), whole=whole)

    def __len__(self) -> int:
        return len(self.ends)

    def is_needed(self, floors: Instants) -> bool:
        """Say whether any of its events is at or above the floor of its type."""
        return bool(((self.newest != NEVER) & (self.newest >= floors)).any())

    def row(self, serial: int) -> bytes:
        """Return one encoded row."""
        index = serial - self.first_serial
        begin = int(self.ends[index - 1]) if index else 0
        return self.blob[begin : int(self.ends[index])]

    def lean(self, serial: int) -> LeanEvent:
        """Decode one row, narrowly."""
        return decode_lean(self.row(serial)) if self.whole else _decode_row(self.row(serial))

    def event(self, serial: int, tenant_id: str) -> Event:
        """Decode one row as an algorithm sees it."""
        row = self.row(serial)
        return decode_event(row, tenant_id) if self.whole else lean_to_event(_decode_row(row), tenant_id)


class ActorCodes:
    """Small numbers for the actors of one tenant."""

    def __init__(self) -> None:
        self._codes: dict[str, dict[str, int]] = {"client": {}, "account": {}, "tenant": {}}
        self._names: list[tuple[str, str]] = []

    def __len__(self) -> int:
        return len(self._names)

    def codes(self, leans: Sequence[LeanEvent]) -> Codes:
        """Return, for each event, the number of the client, else the account, else the tenant."""
        clients = self._codes["client"]
        known = [clients.get(lean.client_id or "", _UNKNOWN) for lean in leans]
        codes = np.array(known, dtype=np.int32)
        for row in np.flatnonzero(codes == _UNKNOWN).tolist():
            codes[row] = self._code(leans[row])
        return codes

    def _code(self, lean: LeanEvent) -> int:
        if lean.client_id:
            kind, name = "client", lean.client_id
        elif lean.account_id:
            kind, name = "account", lean.account_id
        else:
            kind, name = "tenant", ""
        known = self._codes[kind]
        code = known.get(name)
        if code is None:
            code = known[name] = len(self._names)
            self._names.append((kind, name))
        return code

    def key(self, code: int, tenant_id: str) -> str:
        """Return the actor's subject key, as alerts carry it."""
        kind, name = self._names[code]
        return f"{kind}:{name or tenant_id}"

    def keep_only(self, live: npt.NDArray[np.int32]) -> None:
        """Forget all others; `live[i]` gets the number i. `live` is sorted and has no number twice."""
        names = [self._names[code] for code in live]
        self._codes = {"client": {}, "account": {}, "tenant": {}}
        self._names = names
        for code, (kind, name) in enumerate(names):
            self._codes[kind][name] = code


class WindowRows:
    """Columns in canonical order; events that came out of order are merged in.

    Appending costs the rows appended; a late row costs the rows newer than it, once a batch.
    """

    def __init__(self, tenant_id: str) -> None:
        self._tenant_id = tenant_id
        self._columns: list[npt.NDArray[Any]] = [np.empty(_FIRST_CAPACITY, dtype) for dtype in _COLUMN_TYPES]
        self._end = 0
        self._chunks: list[Chunk] = []
        self.next_serial = 0
        self.actors = ActorCodes()

    def __len__(self) -> int:
        return self._end

    @property
    def chunks(self) -> Sequence[Chunk]:
        """What the rows were made from, in order of arrival."""
        return self._chunks

    @property
    def instants(self) -> Instants:
        return self._view(_INSTANT)

    @property
    def serials(self) -> npt.NDArray[np.int64]:
        """Order of arrival of each row."""
        return self._view(_SERIAL)

    def columns(self, chosen: slice) -> EventColumns:
        """Return rows as columns."""
        return EventColumns(
            instants=self._view(_INSTANT)[chosen],
            event_types=self._view(_TYPE)[chosen],
            actors=self._view(_ACTOR)[chosen],
            values_usd=self._view(_VALUE)[chosen],
        )

    def between(self, first: int, last: int) -> slice:
        """Return the rows whose instant is in [first, last]."""
        instants = self.instants
        return slice(int(np.searchsorted(instants, first, "left")), int(np.searchsorted(instants, last, "right")))

    def holds(self, instants: Instants, identities: npt.NDArray[np.uint64]) -> Mask:
        """Say which events are here already."""
        here = self.instants
        lows, highs = np.searchsorted(here, instants, "left"), np.searchsorted(here, instants, "right")
        held = np.zeros(len(instants), dtype=np.bool_)
        known = self._view(_IDENTITY)
        for index in np.flatnonzero(lows < highs):
            held[index] = bool((known[lows[index] : highs[index]] == identities[index]).any())
        return held

    def add(self, chunk: Chunk, columns: EventColumns, identities: npt.NDArray[np.uint64]) -> None:
        """Take in events in order of arrival; `chunk` has the same ones."""
        for code in range(len(EVENT_TYPES)):
            of_type = columns.instants[columns.event_types == code]
            if len(of_type):
                chunk.newest[code] = of_type.max()
        serials = np.arange(chunk.first_serial, chunk.first_serial + len(chunk))
        order = np.lexsort((identities, columns.instants))
        parts = (columns.instants, identities, columns.event_types, columns.actors, columns.values_usd, serials)
        self._merge([part[order] for part in parts])
        self._chunks.append(chunk)
        self.next_serial = chunk.first_serial + len(chunk)

    def event(self, serial: int) -> Event:
        """Return one held event as an algorithm sees it."""
        index = bisect_right(self._chunks, serial, key=_first_serial) - 1
        return self._chunks[index].event(serial, self._tenant_id)

    def evict(self, floors: Instants) -> None:
        """Drop, per event type, what is older than its floor; done when it is worth it."""
        if len(self) < _WORTH_COMPACTING:
            return
        keep = self._view(_INSTANT) >= floors[self._view(_TYPE)]
        kept = int(np.count_nonzero(keep))
        if kept * 2 > len(self):
            return
        for number in range(len(_COLUMN_TYPES)):
            self._columns[number][:kept] = self._view(number)[keep]
        self._end = kept
        self._chunks = [chunk for chunk in self._chunks if chunk.is_needed(floors)]
        self._forget_actors()

    def _forget_actors(self) -> None:
        actors = self._view(_ACTOR)
        live, renumbered = np.unique(actors, return_inverse=True)
        if len(live) < len(self.actors):
            self.actors.keep_only(live)
            actors[:] = renumbered

    def _merge(self, added: list[npt.NDArray[Any]]) -> None:
        count = len(added[_INSTANT])
        self._reserve(count)
        tail = self._end
        if len(self) and _before(added, 0, self._columns, self._end - 1):
            tail = int(np.searchsorted(self.instants, added[_INSTANT][0], "left"))
            pairs = zip(self._columns, added, strict=True)
            added = [np.concatenate((column[tail : self._end], new)) for column, new in pairs]
            order = np.lexsort((added[_IDENTITY], added[_INSTANT]))
            added = [column[order] for column in added]
        self._end += count
        for column, new in zip(self._columns, added, strict=True):
            column[tail : self._end] = new

    def _reserve(self, count: int) -> None:
        if self._end + count <= len(self._columns[0]):
            return
        capacity = max(2 * (len(self) + count), _FIRST_CAPACITY)
        for number, dtype in enumerate(_COLUMN_TYPES):
            grown = np.empty(capacity, dtype)
            grown[: len(self)] = self._view(number)
            self._columns[number] = grown

    def _view(self, number: int) -> npt.NDArray[Any]:
        return self._columns[number][: self._end]


def arrived_columns(leans: Sequence[LeanEvent], actors: Codes) -> EventColumns:
    """Return columns of events in order of arrival."""
    values = np.array([lean.notional_usd for lean in leans], dtype=np.float64)
    without = np.isnan(values)
    if without.any():
        values[without] = np.array([lean.amount_usd for lean in leans], dtype=np.float64)[without]
    return EventColumns(
        instants=to_microseconds([lean.transact_time for lean in leans]),
        event_types=np.array([TYPE_CODE[lean.event_type] for lean in leans], dtype=np.uint8),
        actors=actors,
        values_usd=values,
        counterparty_ids=[lean.counterparty_id for lean in leans],
    )


def identity_column(leans: Sequence[LeanEvent], event_types: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Return the `identity_hash` of each event."""
    suffixes = map(TYPE_SUFFIX.__getitem__, event_types.tolist())
    return np.array([hash_id(lean.id.encode() + end) for lean, end in zip(leans, suffixes, strict=True)], np.uint64)


def _first_serial(chunk: Chunk) -> int:
    return chunk.first_serial


def _before(a: list[npt.NDArray[Any]], row: int, b: list[npt.NDArray[Any]], other: int) -> bool:
    return (a[_INSTANT][row], a[_IDENTITY][row]) < (b[_INSTANT][other], b[_IDENTITY][other])
