"""The shapes of events as msgspec reads them: narrow structs, in the order in which clients usually write the fields.

Numbers stay raw text (exact), times stay text. A struct from `decoding` has passed every rule.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from de_platform.pipeline.events import EventType
from de_platform.pipeline.messages import Record

MAX_TEXT_CHARS = 256

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT_CHARS)]
OptionalText = Text | UnsetType


class _Shape(msgspec.Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True):
    """Options of all shapes. An unknown field is legal in an event, but leaves the fast path."""


class Order(_Shape, frozen=True, kw_only=True):
    """An order message as the client sent it. A market order may lack its price."""

    id: Text
    tenant_id: Text
    status: Text
    transact_time: str
    symbol: Text
    side: Literal["buy", "sell"]
    quantity: Raw
    price: Raw | UnsetType = UNSET
    order_type: Text
    currency: str
    order_id: OptionalText = UNSET
    client_id: OptionalText = UNSET
    supersedes: OptionalText = UNSET
    additional_fields: Raw | UnsetType = UNSET


class Execution(_Shape, frozen=True, kw_only=True):
    """A fill as the client sent it."""

    id: Text
    tenant_id: Text
    status: Text
    transact_time: str
    order_id: Text
    symbol: Text
    side: Literal["buy", "sell"]
    quantity: Raw
    price: Raw
    execution_venue: Text
    currency: str
    client_id: OptionalText = UNSET
    supersedes: OptionalText = UNSET
    additional_fields: Raw | UnsetType = UNSET


class Transaction(_Shape, frozen=True, kw_only=True):
    """A movement of money from `account_id` to `counterparty_id` as the client sent it."""

    id: Text
    tenant_id: Text
    status: Text
    transact_time: str
    account_id: Text
    counterparty_id: Text
    amount: Raw
    currency: str
    transaction_type: Text
    client_id: OptionalText = UNSET
    supersedes: OptionalText = UNSET
    additional_fields: Raw | UnsetType = UNSET


class StampedOrder(Order, frozen=True, kw_only=True):
    """An order as it lies on its normalisation topic."""

    message_id: Text
    ingested_at: str
    event_type: Literal["order"]
    ingestion_method: Literal["rest", "kafka", "file"]
    submission_id: Text
    replayed_at: OptionalText = UNSET


class StampedExecution(Execution, frozen=True, kw_only=True):
    """An execution as it lies on its normalisation topic."""

    message_id: Text
    ingested_at: str
    event_type: Literal["execution"]
    ingestion_method: Literal["rest", "kafka", "file"]
    submission_id: Text
    replayed_at: OptionalText = UNSET


class StampedTransaction(Transaction, frozen=True, kw_only=True):
    """A transaction as it lies on its normalisation topic."""

    message_id: Text
    ingested_at: str
    event_type: Literal["transaction"]
    ingestion_method: Literal["rest", "kafka", "file"]
    submission_id: Text
    replayed_at: OptionalText = UNSET


class _Facts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Options of what is read of an event that a starter has checked; its numbers have few enough digits for floats."""


class OrderFacts(_Facts, frozen=True, kw_only=True):
    """An order, without what its headers say and what nobody needs."""

    id: Text
    transact_time: str
    quantity: float
    price: float | UnsetType = UNSET
    currency: str
    order_id: OptionalText = UNSET


class ExecutionFacts(_Facts, frozen=True, kw_only=True):
    """An execution likewise."""

    id: Text
    transact_time: str
    quantity: float
    price: float
    currency: str


class TransactionFacts(_Facts, frozen=True, kw_only=True):
    """A transaction likewise."""

    id: Text
    transact_time: str
    amount: float
    currency: str


ClientEvent = Order | Execution | Transaction
StampedEvent = StampedOrder | StampedExecution | StampedTransaction
EventFacts = OrderFacts | ExecutionFacts | TransactionFacts

CLIENT_SHAPES: dict[EventType, type[ClientEvent]] = {
    EventType.ORDER: Order,
    EventType.EXECUTION: Execution,
    EventType.TRANSACTION: Transaction,
}
STAMPED_SHAPES: dict[EventType, type[StampedEvent]] = {
    EventType.ORDER: StampedOrder,
    EventType.EXECUTION: StampedExecution,
    EventType.TRANSACTION: StampedTransaction,
}


FACTS: dict[EventType, type[EventFacts]] = {
    EventType.ORDER: OrderFacts,
    EventType.EXECUTION: ExecutionFacts,
    EventType.TRANSACTION: TransactionFacts,
}


def column(rows: Sequence[ClientEvent | EventFacts | Record], name: str) -> list[Any]:
    """Return one field of all events or records, with the type that they declare."""
    return _COLUMNS[name](rows)


def count_set(values: Sequence[object]) -> int:
    """Count the rows that have an optional field."""
    return len([value for value in values if value is not UNSET])


def unset_rows(values: Sequence[object]) -> list[int]:
    """Return the rows that lack an optional field."""
    if count_set(values) == len(values):
        return []
    return [row for row, value in enumerate(values) if value is UNSET]


_COLUMNS: Mapping[str, Callable[[Sequence[Any]], list[Any]]] = {
    "id": lambda rows: [row.id for row in rows],
    "tenant_id": lambda rows: [row.tenant_id for row in rows],
    "transact_time": lambda rows: [row.transact_time for row in rows],
    "currency": lambda rows: [row.currency for row in rows],
    "quantity": lambda rows: [row.quantity for row in rows],
    "price": lambda rows: [row.price for row in rows],
    "amount": lambda rows: [row.amount for row in rows],
    "order_type": lambda rows: [row.order_type for row in rows],
    "order_id": lambda rows: [row.order_id for row in rows],
    "client_id": lambda rows: [row.client_id for row in rows],
    "supersedes": lambda rows: [row.supersedes for row in rows],
    "additional_fields": lambda rows: [row.additional_fields for row in rows],
    "message_id": lambda rows: [row.message_id for row in rows],
    "ingested_at": lambda rows: [row.ingested_at for row in rows],
    "replayed_at": lambda rows: [row.replayed_at for row in rows],
    "ingestion_method": lambda rows: [row.ingestion_method for row in rows],
    "offset": lambda rows: [row.offset for row in rows],
    "value": lambda rows: [row.value for row in rows],
    "headers": lambda rows: [row.headers for row in rows],
}
"""Spelt out, because the interpreter reads an attribute that it can see in half the time of one that it is told."""
