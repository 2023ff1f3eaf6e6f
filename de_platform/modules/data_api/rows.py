"""What the API says about a stored row, and what can be asked about it.

The types are the wire: decimals go out as strings, instants as RFC 3339 in UTC, absent text as an empty string.
"""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

import msgspec

from de_platform.pipeline.alerts import Severity
from de_platform.pipeline.errors import FieldError
from de_platform.pipeline.events import EventType, IngestionMethod
from de_platform.pipeline.query_parsing import Vocabulary
from de_platform.services.alert_store.interface import ALERT_FIELDS
from de_platform.services.event_store.fields import SHAPES
from de_platform.services.event_store.interface import StoredTable

Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """What all stored events have."""

    id: str
    tenant_id: str
    status: str
    transact_time: Instant
    transact_date: date
    """UTC day of transact_time."""
    currency: str
    client_id: str = ""
    supersedes: str = ""
    additional_fields: str = ""
    """JSON text, as the client sent it."""
    message_id: str
    submission_id: str
    event_type: EventType
    ingestion_method: IngestionMethod
    ingested_at: Instant
    replayed_at: Instant | None = None
    """When it was taken in again after its error had been mended."""
    normalized_at: Instant
    primary_key: str
    origin: str
    """Which record of the normalisation log it came from: topic:partition:offset."""
    usd_rate: Decimal | None = None
    usd_rate_on: date | None = None


class OrderRow(EventRow, frozen=True, kw_only=True):
    """A stored order event. Market orders may lack a price and then have no notional."""

    order_id: str
    symbol: str
    side: str
    order_type: str
    quantity: Decimal
    price: Decimal | None = None
    notional: Decimal | None = None
    notional_usd: Decimal | None = None


class ExecutionRow(EventRow, frozen=True, kw_only=True):
    """A stored execution."""

    order_id: str
    symbol: str
    side: str
    execution_venue: str
    quantity: Decimal
    price: Decimal
    notional: Decimal
    notional_usd: Decimal


class TransactionRow(EventRow, frozen=True, kw_only=True):
    """A stored transaction: money from `account_id` to `counterparty_id`."""

    account_id: str
    counterparty_id: str
    transaction_type: str
    amount: Decimal
    amount_usd: Decimal


class DuplicateRow(msgspec.Struct, frozen=True, kw_only=True):
    """An event that was sent again under another message."""

    message_id: str
    original_message_id: str
    tenant_id: str
    event_type: EventType
    primary_key: str
    received_at: Instant
    ingestion_method: IngestionMethod
    submission_id: str
    origin: str
    original_event: str
    """JSON text of the duplicate, whole."""


class ErrorRow(msgspec.Struct, frozen=True, kw_only=True):
    """An event that was refused, with everything that is wrong with it."""

    message_id: str
    tenant_id: str
    """Empty when it could not be told."""
    event_type: str
    errors: tuple[FieldError, ...]
    raw_data: str
    created_at: Instant
    stage: str
    """intake or normalizer."""
    ingestion_method: IngestionMethod
    submission_id: str
    position: int
    """Index in the request, line of the file, or offset in the topic."""
    origin: str


ROW_TYPES: Mapping[StoredTable, type[msgspec.Struct]] = {
    StoredTable.ORDERS: OrderRow,
    StoredTable.EXECUTIONS: ExecutionRow,
    StoredTable.TRANSACTIONS: TransactionRow,
    StoredTable.DUPLICATES: DuplicateRow,
    StoredTable.NORMALIZATION_ERRORS: ErrorRow,
}

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "side": ("buy", "sell"),
    "event_type": tuple(EventType),
    "ingestion_method": tuple(IngestionMethod),
    "stage": ("intake", "normalizer"),
}


def vocabulary_of(table: StoredTable) -> Vocabulary:
    """Say what can be asked about a table."""
    shape = SHAPES[table]
    return Vocabulary(
        fields=shape.fields,
        dated_by=shape.default_sort.field,
        choices={name: values for name, values in _CHOICES.items() if name in shape.fields},
    )


ALERT_VOCABULARY = Vocabulary(
    fields=ALERT_FIELDS,
    dated_by="created_at",
    choices={"severity": tuple(Severity), "event_type": tuple(EventType)},
)
