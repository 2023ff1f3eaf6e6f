"""Enriched events as algorithms see them: narrow structs, numpy columns of many, and whole events as dicts."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from de_platform.pipeline.events import EventType

Mask: TypeAlias = npt.NDArray[np.bool_]
Instants: TypeAlias = npt.NDArray[np.int64]
"""Microseconds since 1970, UTC."""
Codes: TypeAlias = npt.NDArray[np.int32]
Values: TypeAlias = npt.NDArray[np.float64]

EVENT_TYPES: tuple[EventType, ...] = tuple(EventType)
TYPE_CODE: Mapping[str, int] = {event_type.value: code for code, event_type in enumerate(EVENT_TYPES)}

LEAN_FIELDS = frozenset(
    (
        "id",
        "tenant_id",
        "event_type",
        "message_id",
        "transact_time",
        "ingested_at",
        "normalized_at",
        "client_id",
        "account_id",
        "counterparty_id",
    )
)
"""What a lean event can give back. An algorithm that reads other fields of earlier events needs whole ones."""


class LeanEvent(msgspec.Struct, gc=False, kw_only=True):
    """The part of an enriched event that windows read. The USD values are approximate: they only preselect."""

    id: str
    event_type: Literal["order", "execution", "transaction"]
    message_id: str
    transact_time: datetime
    ingested_at: datetime
    normalized_at: datetime | None = None
    client_id: str | None = None
    account_id: str | None = None
    counterparty_id: str | None = None
    notional_usd: float | None = None
    amount_usd: float | None = None


class EventColumns(msgspec.Struct, frozen=True, kw_only=True):
    """Events as parallel arrays, one row each."""

    instants: Instants
    event_types: npt.NDArray[np.uint8]
    """Positions in EVENT_TYPES."""
    actors: Codes
    """Equal numbers are equal actors; the numbers mean nothing else and are small."""
    values_usd: Values
    """notional_usd or amount_usd as a float, NaN where there is none."""
    counterparty_ids: Sequence[str | None] = ()
    """Only in columns of newly arrived events."""

    def __len__(self) -> int:
        return len(self.instants)

    def rows(self, chosen: slice | Mask | npt.NDArray[np.intp]) -> "EventColumns":
        """Return some of the rows, without counterparties."""
        return EventColumns(
            instants=self.instants[chosen],
            event_types=self.event_types[chosen],
            actors=self.actors[chosen],
            values_usd=self.values_usd[chosen],
        )


decode_lean = msgspec.json.Decoder(LeanEvent).decode
"""Raises msgspec.DecodeError."""


class _StoredEvent(msgspec.Struct, omit_defaults=True, kw_only=True):
    """All fields whose type JSON cannot say."""

    transact_time: datetime
    ingested_at: datetime | msgspec.UnsetType = msgspec.UNSET
    normalized_at: datetime | msgspec.UnsetType = msgspec.UNSET
    replayed_at: datetime | msgspec.UnsetType = msgspec.UNSET
    quantity: Decimal | msgspec.UnsetType = msgspec.UNSET
    price: Decimal | msgspec.UnsetType | None = msgspec.UNSET
    amount: Decimal | msgspec.UnsetType = msgspec.UNSET
    notional: Decimal | msgspec.UnsetType | None = msgspec.UNSET
    notional_usd: Decimal | msgspec.UnsetType | None = msgspec.UNSET
    amount_usd: Decimal | msgspec.UnsetType = msgspec.UNSET
    usd_rate: Decimal | msgspec.UnsetType | None = msgspec.UNSET


_decode_typed = msgspec.json.Decoder(_StoredEvent).decode
_decode_plain = msgspec.json.Decoder(dict[str, Any]).decode


def decode_event(raw: bytes, tenant_id: str) -> dict[str, Any]:
    """Return an enriched event for an algorithm: money as Decimal, exact; instants aware, in UTC.

    The tenant is the given one, whatever the event says. Raises msgspec.DecodeError.
    """
    event = _decode_plain(raw)
    event["tenant_id"] = tenant_id
    typed = _decode_typed(raw)
    for field in _StoredEvent.__struct_fields__:
        value = getattr(typed, field)
        if value is not msgspec.UNSET:
            event[field] = value.astimezone(UTC) if isinstance(value, datetime) else value
    return event


def lean_to_event(lean: LeanEvent, tenant_id: str) -> dict[str, Any]:
    """Return what a lean event holds in the form of `decode_event`; absent fields are absent."""
    event: dict[str, Any] = {
        "id": lean.id,
        "tenant_id": tenant_id,
        "event_type": lean.event_type,
        "message_id": lean.message_id,
        "transact_time": lean.transact_time.astimezone(UTC),
        "ingested_at": lean.ingested_at.astimezone(UTC),
    }
    if lean.normalized_at is not None:
        event["normalized_at"] = lean.normalized_at.astimezone(UTC)
    for field in ("client_id", "account_id", "counterparty_id"):
        value = getattr(lean, field)
        if value is not None:
            event[field] = value
    return event


def to_microseconds(instants: Iterable[datetime]) -> Instants:
    """Convert aware datetimes, exactly for all years up to 2200."""
    seconds = np.fromiter(map(datetime.timestamp, instants), dtype=np.float64)
    return np.rint(seconds * 1e6).astype(np.int64)


def microseconds(duration: timedelta) -> int:
    """Return a duration in microseconds."""
    return duration // timedelta(microseconds=1)
