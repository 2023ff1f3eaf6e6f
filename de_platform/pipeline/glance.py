"""Accept a batch of events at a glance: the fast path of validation.

Every rule is tested for the whole batch at once, column by column, in C; only where a column fails it is tested row by
row. An event that no test doubts would pass `validation.examine` with the same values; whatever is doubtful is handed
to it. The proof rests on the shapes, which know no other field, and on counting:

- The text is plain (ASCII without backslash and DEL), so every quotation mark begins or ends a name or a string. A
  name or a string costs exactly two marks, so when the marks add up to those of the fields that were found, no name
  occurs twice and no number is a string.
- A string that is blank begins with a space after its quotation mark.
- A number is digits with at most one point, not all zero; JSON itself forbids leading zeros and bare points.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Generic, NamedTuple, TypeVar

import msgspec
import numpy as np
from msgspec import UNSET, Raw

from de_platform.pipeline.amounts import texts_of
from de_platform.pipeline.currencies import CURRENCIES
from de_platform.pipeline.instants import are_timely, is_instant, is_timely
from de_platform.pipeline.shapes import ClientEvent, Order, column, count_set, unset_rows
from de_platform.pipeline.validation import (
    MARKET,
    MAX_ADDITIONAL_FIELDS_BYTES,
    MAX_DEPTH,
    MAX_EVENT_BYTES,
    is_tenant_id,
)

Event = TypeVar("Event", bound=ClientEvent)

RULES = "1"
"""Names the rules that an event has passed; another number for every change of them."""
MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_MAX_NUMBER_CHARS = 15
"""So many digits survive in a float, which is how `checked_events` reads them again."""
_CANONICAL_CHARS = len("2026-01-31T09:30:00.123456Z")
_REMEMBERED = 10_000
_NUMBERS = ("quantity", "price", "amount")
_ANY_NUMBER = Raw(b"1")
_MARK = np.uint8(ord('"'))
_OPTIONAL_TEXTS = ("client_id", "order_id", "supersedes", "replayed_at")
_MARKS_OF_TEXT = 4
_MARKS_OF_NUMBER = 2


class Looked(NamedTuple, Generic[Event]):
    """Surely valid events, and the rows that they were decoded from, ascending."""

    rows: Sequence[int]
    events: list[Event]


class Glance(Generic[Event]):
    """Looks at events of one shape."""

    def __init__(self, shape: type[Event]) -> None:
        fields = msgspec.structs.fields(shape)
        self._decode: Callable[[bytes], Event] = msgspec.json.Decoder(shape).decode
        self._marks = sum(_marks_of(field) for field in fields if field.required)
        self._numbers = [field.name for field in fields if field.name in _NUMBERS]
        self._optional_texts = [field.name for field in fields if not field.required and field.name in _OPTIONAL_TEXTS]
        self._may_lack_price = issubclass(shape, Order)
        if self._may_lack_price:
            self._marks += _MARKS_OF_NUMBER

    def look(self, raws: Sequence[bytes], *, tenant_id: str | None, arrived_at: str | None) -> "Looked[Event]":
        """Tell events that are surely valid from doubtful ones.

        `tenant_id` is the tenant that all must name, if bound. `arrived_at` is the arrival of all, written by
        `format_instant`, or None for stamped events, which say it themselves.
        """
        together = b"".join(raws)
        rows, events = self._decoded(raws, all_plain=is_plain(together))
        whole = len(rows) == len(raws)
        kept = raws if whole else [raws[row] for row in rows]
        doubtful = {
            *self._doubtful_marks(kept, events, together),
            *self._doubtful_numbers(events),
            *_not_allowed(column(events, "currency"), CURRENCIES.__contains__),
            *_not_allowed(column(events, "tenant_id"), is_usual_tenant_id if tenant_id is None else tenant_id.__eq__),
            *_doubtful_times(events, arrived_at),
        }
        if b" " in together:
            doubtful.update(row for row, raw in enumerate(kept) if b'" ' in raw)
        if max(map(len, raws), default=0) > MAX_EVENT_BYTES:
            doubtful.update(row for row, raw in enumerate(kept) if len(raw) > MAX_EVENT_BYTES)
        if whole and not doubtful:
            return Looked(rows, events)
        sure = [position for position in range(len(rows)) if position not in doubtful]
        return Looked([rows[position] for position in sure], [events[position] for position in sure])

    def _decoded(self, raws: Sequence[bytes], *, all_plain: bool) -> tuple[Sequence[int], list[Event]]:
        """Decode what is plain and fits the shape; return the rows of that, and the events."""
        if not all_plain:
            return self._decoded_one_by_one(raws)
        try:
            return range(len(raws)), list(map(self._decode, raws))
        except MALFORMED:
            return self._decoded_one_by_one(raws)

    def _decoded_one_by_one(self, raws: Sequence[bytes]) -> tuple[Sequence[int], list[Event]]:
        rows: list[int] = []
        events: list[Event] = []
        for row, raw in enumerate(raws):
            event = self._decoded_one(raw)
            if event is not None:
                rows.append(row)
                events.append(event)
        return rows, events

    def _decoded_one(self, raw: bytes) -> Event | None:
        if not is_plain(raw):
            return None
        try:
            return self._decode(raw)
        except MALFORMED:
            return None

    def _doubtful_marks(self, raws: Sequence[bytes], events: Sequence[Event], together: bytes) -> Iterable[int]:
        """Return rows whose quotation marks are not those of the fields that were found.

        What was found is a lower bound of what is there, in every row. So when the sums over all rows are
        equal they are equal in every row, and once they are, there are no more optional fields to look for.
        """
        unpriced = self._rows_without_price(events)
        surplus = _marks_in(together) - self._marks * len(events) + _MARKS_OF_NUMBER * len(unpriced)
        for name in self._optional_texts:
            if not surplus:
                return ()
            surplus -= _MARKS_OF_TEXT * count_set(column(events, name))
        if not surplus or surplus == _marks_of_flat_objects(events):
            return ()
        return self._rows_with_other_marks(raws, events, unpriced)

    def _rows_with_other_marks(
        self, raws: Sequence[bytes], events: Sequence[Event], unpriced: Sequence[int]
    ) -> Iterable[int]:
        surplus = [marks - self._marks for marks in map(bytes.count, raws, repeat(b'"'))]
        for row in unpriced:
            surplus[row] += _MARKS_OF_NUMBER
        for name in self._optional_texts:
            surplus = [
                marks if text is UNSET else marks - _MARKS_OF_TEXT
                for marks, text in zip(surplus, column(events, name), strict=True)
            ]
        return [
            row
            for row, marks in enumerate(surplus)
            if marks and (marks != _marks_of_object(events[row]) or not _is_modest(raws[row], events[row]))
        ]

    def _doubtful_numbers(self, events: Sequence[Event]) -> Iterable[int]:
        doubtful: set[int] = set()
        unpriced = self._rows_without_price(events)
        for name in self._numbers:
            numbers = column(events, name)
            if name == "price":
                for row in unpriced:
                    numbers[row] = _ANY_NUMBER
            texts = texts_of(numbers)
            if not _are_amounts(texts):
                doubtful.update(row for row, text in enumerate(texts) if not _are_amounts([text]))
        if unpriced:
            order_types = column(events, "order_type")
            doubtful.update(row for row in unpriced if order_types[row] != MARKET)
        return doubtful

    def _rows_without_price(self, events: Sequence[Event]) -> Sequence[int]:
        return unset_rows(column(events, "price")) if self._may_lack_price else ()


def is_plain(data: bytes) -> bool:
    """Say whether JSON text is ASCII without escapes and DEL: then its strings stand in it as they are."""
    return data.isascii() and b"\\" not in data and b"\x7f" not in data


def _marks_of(field: msgspec.structs.FieldInfo) -> int:
    return _MARKS_OF_NUMBER if field.type is Raw else _MARKS_OF_TEXT


def _marks_in(data: bytes) -> int:
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == _MARK))


def _marks_of_flat_objects(events: Sequence[ClientEvent]) -> int:
    """Count the marks of all `additional_fields` if each is an object of scalars within its limits; else return 0."""
    texts = [bytes(value) for value in column(events, "additional_fields") if value is not UNSET]
    together = b"".join(texts)
    are_flat = (
        all(map(bytes.startswith, texts, repeat(b"{")))
        and together.count(b"{") + together.count(b"[") == len(texts)
        and max(map(len, texts), default=0) <= MAX_ADDITIONAL_FIELDS_BYTES
    )
    return 2 * len(texts) + together.count(b'"') if are_flat else 0


def _marks_of_object(event: ClientEvent) -> int:
    if event.additional_fields is UNSET:
        return 0
    return 2 + bytes(event.additional_fields).count(b'"')


def _is_modest(raw: bytes, event: ClientEvent) -> bool:
    """Say whether `additional_fields` is an object within its limits."""
    if event.additional_fields is UNSET:
        return True
    text = bytes(event.additional_fields)
    return (
        text.startswith(b"{")
        and len(text) <= MAX_ADDITIONAL_FIELDS_BYTES
        and raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH
    )


def _are_amounts(texts: Sequence[str]) -> bool:
    """Say whether texts of JSON scalars are all plain positive numbers with few digits."""
    return (
        max(map(len, texts), default=0) <= _MAX_NUMBER_CHARS
        and "".join(texts).replace(".", "").isdigit()
        and (min(texts) >= "1" or all(map(str.strip, texts, repeat("0."))))
    )


def _not_allowed(values: Sequence[str], is_allowed: Callable[[str], bool]) -> Iterable[int]:
    """Return the rows of values that break a rule, which is asked once for each different value."""
    banned = {value for value in set(values) if not is_allowed(value)}
    return [row for row, value in enumerate(values) if value in banned] if banned else ()


def _doubtful_times(events: Sequence[ClientEvent], arrived_at: str | None) -> Iterable[int]:
    times = column(events, "transact_time")
    if arrived_at is None:
        arrivals = column(events, "ingested_at")
        doubtful = {*_not_allowed(arrivals, is_canonical), *_doubtful_replays(events)}
    else:
        arrivals = [arrived_at] * len(times)
        doubtful = set[int]()
    if not are_timely(times, arrivals):
        pairs = enumerate(zip(times, arrivals, strict=True))
        doubtful.update(row for row, (time, arrival) in pairs if row not in doubtful and not is_timely(time, arrival))
    return doubtful


def _doubtful_replays(events: Sequence[ClientEvent]) -> Iterable[int]:
    texts = column(events, "replayed_at")
    if count_set(texts) == 0:
        return ()
    return [row for row, text in enumerate(texts) if text is not UNSET and not is_canonical(text)]


@lru_cache(_REMEMBERED)
def is_usual_tenant_id(text: str) -> bool:
    """Say whether an event may carry this tenant, without asking again for one that was seen."""
    return is_tenant_id(text)


@lru_cache(_REMEMBERED)
def is_canonical(text: str) -> bool:
    """Say whether this is an instant as `format_instant` writes it."""
    return text.endswith("Z") and len(text) == _CANONICAL_CHARS and is_instant(text)
