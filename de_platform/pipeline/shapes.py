"""The shapes of events as msgspec reads them: narrow structs, in the order in which clients usually write the fields.

Numbers stay raw text (exact), times stay text. A struct from `decoding` has passed every rule.
"""

from collections.abc import Sequence
from operator import attrgetter
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from de_platform.pipeline.events import EventType

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


ClientEvent = Order | Execution | Transaction
StampedEvent = StampedOrder | StampedExecution | StampedTransaction

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


def column(events: Sequence[ClientEvent], name: str) -> list[Any]:
    """Return one field of all events, as the shapes declare it."""
    return list(map(attrgetter(name), events))
