"""The tables of `fraud_pipeline` as readers see them: per table the columns, the default order, the identity."""

from collections.abc import Mapping

from de_platform.pipeline.query import FieldKind, Sort
from de_platform.services.event_store.interface import StoredTable
from de_platform.services.querying.shape import TableShape

_TEXT, _NUMBER, _INSTANT, _DATE = FieldKind.TEXT, FieldKind.NUMBER, FieldKind.INSTANT, FieldKind.DATE

_EVENT: Mapping[str, FieldKind] = {
    "id": _TEXT,
    "tenant_id": _TEXT,
    "status": _TEXT,
    "transact_time": _INSTANT,
    "transact_date": _DATE,
    "currency": _TEXT,
    "client_id": _TEXT,
    "supersedes": _TEXT,
    "additional_fields": _TEXT,
}
_TRADE: Mapping[str, FieldKind] = {
    "order_id": _TEXT,
    "symbol": _TEXT,
    "side": _TEXT,
    "quantity": _NUMBER,
    "price": _NUMBER,
    "notional": _NUMBER,
    "notional_usd": _NUMBER,
}
_STAMPS: Mapping[str, FieldKind] = {
    "message_id": _TEXT,
    "event_type": _TEXT,
    "ingestion_method": _TEXT,
    "submission_id": _TEXT,
    "origin": _TEXT,
}
_EVENT_STAMPS: Mapping[str, FieldKind] = {
    **_STAMPS,
    "ingested_at": _INSTANT,
    "replayed_at": _INSTANT,
    "normalized_at": _INSTANT,
    "primary_key": _TEXT,
    "usd_rate": _NUMBER,
    "usd_rate_on": _DATE,
}
_EVENT_NULLABLE = frozenset(("replayed_at",))
_EVENT_IDENTITY = ("tenant_id", "transact_date", "id")
_MESSAGE_IDENTITY = ("tenant_id", "message_id")

SHAPES: Mapping[StoredTable, TableShape] = {
    StoredTable.ORDERS: TableShape(
        name="orders",
        fields={**_EVENT, **_TRADE, "order_type": _TEXT, **_EVENT_STAMPS},
        default_sort=Sort("transact_time"),
        identity=_EVENT_IDENTITY,
        nullable=_EVENT_NULLABLE | {"price", "notional", "notional_usd"},
    ),
    StoredTable.EXECUTIONS: TableShape(
        name="executions",
        fields={**_EVENT, **_TRADE, "execution_venue": _TEXT, **_EVENT_STAMPS},
        default_sort=Sort("transact_time"),
        identity=_EVENT_IDENTITY,
        nullable=_EVENT_NULLABLE,
    ),
    StoredTable.TRANSACTIONS: TableShape(
        name="transactions",
        fields={
            **_EVENT,
            "account_id": _TEXT,
            "counterparty_id": _TEXT,
            "amount": _NUMBER,
            "amount_usd": _NUMBER,
            "transaction_type": _TEXT,
            **_EVENT_STAMPS,
        },
        default_sort=Sort("transact_time"),
        identity=_EVENT_IDENTITY,
        nullable=_EVENT_NULLABLE,
    ),
    StoredTable.DUPLICATES: TableShape(
        name="duplicates",
        fields={
            **_STAMPS,
            "tenant_id": _TEXT,
            "primary_key": _TEXT,
            "original_message_id": _TEXT,
            "received_at": _INSTANT,
            "original_event": _TEXT,
        },
        default_sort=Sort("received_at"),
        identity=_MESSAGE_IDENTITY,
    ),
    StoredTable.NORMALIZATION_ERRORS: TableShape(
        name="normalization_errors",
        fields={
            **_STAMPS,
            "tenant_id": _TEXT,
            "errors": _TEXT,
            "raw_data": _TEXT,
            "created_at": _INSTANT,
            "position": _NUMBER,
            "stage": _TEXT,
        },
        default_sort=Sort("created_at"),
        identity=_MESSAGE_IDENTITY,
    ),
}
"""Every column but the engine's own, by which the first one wins."""

EVENT_TABLES = frozenset((StoredTable.ORDERS, StoredTable.EXECUTIONS, StoredTable.TRANSACTIONS))
