"""Valid events as columns: what every stage after the check works on."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from msgspec import UNSET, UnsetType

from de_platform.pipeline.amounts import Number
from de_platform.pipeline.events import EventType
from de_platform.pipeline.instants import utc_days
from de_platform.pipeline.messages import Record
from de_platform.pipeline.shapes import EventFacts, StampedEvent, column


class Content(NamedTuple):
    """What clients said, as columns of equal length."""

    ids: Sequence[str]
    days: Sequence[str]
    """UTC days of transact_time, `YYYY-MM-DD`."""
    currencies: Sequence[str]
    sizes: Sequence[Number]
    """Quantities of orders and executions, amounts of transactions."""
    prices: Sequence[Number | UnsetType]
    """Empty for transactions."""
    order_ids: Sequence[str | UnsetType]
    """Empty but for orders."""

    @classmethod
    def of(cls, event_type: EventType, events: Sequence[StampedEvent | EventFacts]) -> "Content":
        """Take it from events of one type."""
        is_transaction = event_type is EventType.TRANSACTION
        return cls(
            ids=column(events, "id"),
            days=utc_days(column(events, "transact_time")),
            currencies=column(events, "currency"),
            sizes=column(events, "amount" if is_transaction else "quantity"),
            prices=[] if is_transaction else column(events, "price"),
            order_ids=column(events, "order_id") if event_type is EventType.ORDER else [],
        )


class Stamps(NamedTuple):
    """What the platform said about each at the door, as columns of equal length."""

    tenant_ids: Sequence[str]
    message_ids: Sequence[str]
    ingestion_methods: Sequence[str]
    ingested_at: Sequence[str]
    known_at: Sequence[str]
    """The instants whose knowledge of rates counts: of the replay, or else of the intake."""

    @classmethod
    def of(cls, events: Sequence[StampedEvent]) -> "Stamps":
        """Take them from stamped events."""
        arrivals, replays = column(events, "ingested_at"), column(events, "replayed_at")
        known_at = [arrival if replay is UNSET else replay for arrival, replay in zip(arrivals, replays, strict=True)]
        return cls(
            tenant_ids=column(events, "tenant_id"),
            message_ids=column(events, "message_id"),
            ingestion_methods=column(events, "ingestion_method"),
            ingested_at=arrivals,
            known_at=known_at,
        )


class Lot(NamedTuple):
    """Valid events of one type out of a batch, in log order."""

    event_type: EventType
    records: Sequence[Record]
    content: Content
    stamps: Stamps

    def only(self, rows: Sequence[int]) -> "Lot":
        """Return some of its rows, in this order."""
        return Lot(
            self.event_type,
            _picked(self.records, rows),
            Content(*(_picked(values, rows) for values in self.content)),
            Stamps(*(_picked(values, rows) for values in self.stamps)),
        )

    def merged(self, other: "Lot") -> "Lot":
        """Return the rows of both."""
        both = Lot(
            self.event_type,
            [*self.records, *other.records],
            Content(*map(_joined, self.content, other.content)),
            Stamps(*map(_joined, self.stamps, other.stamps)),
        )
        offsets = column(both.records, "offset")
        return both.only(sorted(range(len(offsets)), key=offsets.__getitem__))


def _picked(values: Sequence[Any], rows: Sequence[int]) -> list[Any]:
    return [values[row] for row in rows] if values else []


def _joined(ours: Sequence[Any], theirs: Sequence[Any]) -> list[Any]:
    return [*ours, *theirs]
