"""Decode events at a glance: the fast path of validation.

An event that passes here would pass `validation.examine` with the same values; whatever does not is handed to it. The
proof rests on the shapes in `shapes.py`, which know no other field, and on counting:

- The text is plain (ASCII without backslash and DEL), so every quotation mark begins or ends a name or a string. A
  name or a string costs exactly two marks, so when the marks add up to those of the fields that were found, no name
  occurs twice and no number is a string.
- A string that is blank begins with a space after its quotation mark.
- A number is digits with at most one point, not all zero; JSON itself forbids leading zeros and bare points.
"""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Generic, TypeVar

import msgspec
from msgspec import UNSET, Raw

from de_platform.pipeline.currencies import CURRENCIES
from de_platform.pipeline.events import EventType
from de_platform.pipeline.instants import format_instant, is_instant, is_timely, parse_instant
from de_platform.pipeline.shapes import (
    CLIENT_SHAPES,
    STAMPED_SHAPES,
    ClientEvent,
    Order,
    StampedEvent,
    StampedExecution,
    StampedOrder,
    StampedTransaction,
    Transaction,
)
from de_platform.pipeline.validation import (
    MARKET,
    MAX_ADDITIONAL_FIELDS_BYTES,
    MAX_DEPTH,
    MAX_EVENT_BYTES,
    Value,
    examine,
    is_tenant_id,
)

Event = TypeVar("Event", bound=ClientEvent)

_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_MAX_GLANCE_DIGITS = 18
_MARKS = {EventType.ORDER: 36, EventType.EXECUTION: 40, EventType.TRANSACTION: 34}
"""Quotation marks of an event that has all required fields and no other."""
_STAMP_MARKS = 20
_CANONICAL_CHARS = len("2026-01-31T09:30:00.123456Z")
_REMEMBERED_TENANTS = 10_000
_REMEMBERED_INSTANTS = 10_000


def is_plain(data: bytes) -> bool:
    """Say whether JSON text is ASCII without escapes and DEL: then its strings stand in it as they are."""
    return data.isascii() and b"\\" not in data and b"\x7f" not in data


class ClientDecoder:
    """Decodes events of one type as clients send them; `tenant_id` is the tenant that all must name, if bound."""

    def __init__(self, event_type: EventType, *, tenant_id: str | None, arrived_at: datetime) -> None:
        self._event_type = event_type
        self._shape = CLIENT_SHAPES[event_type]
        self._glance = _Glance(self._shape, _MARKS[event_type])
        self._tenant_id = tenant_id
        self._arrived_at = arrived_at
        self._arrived_at_text = format_instant(arrived_at)

    def decode(self, raw: bytes, *, plain: bool) -> ClientEvent:
        """Return a valid event. `plain` must be what `is_plain` says, or False.

        Raises InvalidInput with every fault.
        """
        event = self._glance.decode(raw) if plain else None
        if (
            event is not None
            and _is_named(event.tenant_id, self._tenant_id)
            and is_timely(event.transact_time, self._arrived_at_text)
        ):
            return event
        values = examine(raw, self._event_type, tenant_id=self._tenant_id, arrived_at=self._arrived_at)
        return self._shape(**values)  # pyright: ignore[reportArgumentType]


class StampedDecoder:
    """Decodes events of one type as they lie on a normalisation topic.

    `ingested_at` and `replayed_at` come out as `format_instant` writes them, however they came in.
    """

    def __init__(self, event_type: EventType) -> None:
        self._event_type = event_type
        self._shape = STAMPED_SHAPES[event_type]
        self._glance = _Glance(self._shape, _MARKS[event_type] + _STAMP_MARKS)

    def decode(self, raw: bytes, *, plain: bool) -> StampedEvent:
        """Return a valid event. `plain` must be what `is_plain` says, or False.

        Raises InvalidInput with every fault.
        """
        event = self._glance.decode(raw) if plain else None
        if (
            event is not None
            and _is_tenant_id(event.tenant_id)
            and _is_arrival(event.ingested_at)
            and (event.replayed_at is UNSET or _is_arrival(event.replayed_at))
            and is_timely(event.transact_time, event.ingested_at)
        ):
            return event
        values = examine(raw, self._event_type, tenant_id=None, arrived_at=None)
        arrivals = {name: _canonical(values[name]) for name in ("ingested_at", "replayed_at") if name in values}
        return self._shape(**{**values, **arrivals})  # pyright: ignore[reportArgumentType]


class _Glance(Generic[Event]):
    """Checks of one shape that need nothing but the event."""

    def __init__(self, shape: type[Event], marks: int) -> None:
        self._decode: Callable[[bytes], Event] = msgspec.json.Decoder(shape).decode
        self._marks = marks

    def decode(self, raw: bytes) -> Event | None:
        """Return the event if it is surely valid, apart from its tenant and its times. `raw` is plain."""
        try:
            event = self._decode(raw)
        except _MALFORMED:
            return None
        missing = _missing_marks(event)
        if missing is None:
            return None
        surplus = raw.count(b'"') - self._marks + missing
        if surplus and (surplus != _optional_marks(event) or not _is_modest(event, raw)):
            return None
        if event.currency in CURRENCIES and (b" " not in raw or b'" ' not in raw) and len(raw) <= MAX_EVENT_BYTES:
            return event
        return None


def _missing_marks(event: ClientEvent) -> int | None:
    """Return the marks that a legally missing price saves; None if an amount is no good.

    Only a market order may lack its price; the shape of an execution always has one.
    """
    if isinstance(event, Transaction):
        return 0 if _is_amount(event.amount) else None
    if not _is_amount(event.quantity):
        return None
    if event.price is UNSET:
        return 2 if isinstance(event, Order) and event.order_type == MARKET else None
    return 0 if _is_amount(event.price) else None


def _is_amount(raw: Raw) -> bool:
    digits = bytes(raw).replace(b".", b"", 1)
    return len(digits) <= _MAX_GLANCE_DIGITS and digits.isdigit() and digits.strip(b"0") != b""


def _optional_marks(event: ClientEvent) -> int:
    """Count the quotation marks of the optional fields that are there."""
    texts = [event.client_id, event.supersedes]
    if isinstance(event, Order):
        texts.append(event.order_id)
    if isinstance(event, StampedOrder | StampedExecution | StampedTransaction):
        texts.append(event.replayed_at)
    marks = 4 * sum(text is not UNSET for text in texts)
    if event.additional_fields is not UNSET:
        marks += 2 + bytes(event.additional_fields).count(b'"')
    return marks


def _is_modest(event: ClientEvent, raw: bytes) -> bool:
    """Say whether `additional_fields`, if any, is an object within its limits."""
    if event.additional_fields is UNSET:
        return True
    text = bytes(event.additional_fields)
    return (
        text.startswith(b"{")
        and len(text) <= MAX_ADDITIONAL_FIELDS_BYTES
        and raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH
    )


def _is_named(tenant_id: str, bound: str | None) -> bool:
    return tenant_id == bound if bound is not None else _is_tenant_id(tenant_id)


_is_tenant_id = lru_cache(_REMEMBERED_TENANTS)(is_tenant_id)


@lru_cache(_REMEMBERED_INSTANTS)
def _is_arrival(text: str) -> bool:
    return text.endswith("Z") and len(text) == _CANONICAL_CHARS and is_instant(text)


def _canonical(text: Value) -> str:
    assert isinstance(text, str), "instants are text"
    return format_instant(parse_instant(text))
