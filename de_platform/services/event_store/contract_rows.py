"""Rows as the pipeline writes them, for the contracts of the event store and its users' tests."""

import itertools
from typing import Any

import msgspec

_serial = itertools.count(1)


def fresh_tenant() -> str:
    """Return a tenant that no other test of this process uses."""
    return f"tenant-{next(_serial)}"


def order_row(tenant_id: str, event_id: str, *, offset: int = 0, **overrides: Any) -> bytes:
    """Return the bytes of an enriched order as the normaliser writes them."""
    at = overrides.get("transact_time", "2026-11-03T12:00:00.000001Z")
    row = {
        "id": event_id,
        "tenant_id": tenant_id,
        "status": "new",
        "transact_time": at,
        "symbol": "AAPL",
        "side": "buy",
        "quantity": msgspec.Raw(b"100"),
        "price": msgspec.Raw(b"150.25"),
        "order_type": "limit",
        "currency": "USD",
        "message_id": f"{tenant_id}-{event_id}.{offset}",
        "ingested_at": "2026-11-03T12:00:01.000000Z",
        "event_type": "order",
        "ingestion_method": "rest",
        "submission_id": "sub-1",
        "normalized_at": "2026-11-03T12:00:01.500000Z",
        "primary_key": f"{tenant_id}_order_{event_id}_{at[:10]}",
        "origin": f"trade_normalization:0:{offset}",
        "order_id": event_id,
        "notional": msgspec.Raw(b"15025"),
        "notional_usd": msgspec.Raw(b"15025"),
        "usd_rate": msgspec.Raw(b"1"),
        "usd_rate_on": "2026-11-03",
    } | overrides
    return msgspec.json.encode({field: value for field, value in row.items() if value is not ...})


def error_row(tenant_id: str, message_id: str, **overrides: Any) -> bytes:
    """Return the bytes of an error record."""
    row = {
        "event_type": "order",
        "tenant_id": tenant_id,
        "errors": [{"field": "price", "message": "must be > 0"}],
        "raw_data": '{"price": -1}\n\t"\\ é',
        "created_at": "2026-11-03T12:00:00.250000Z",
        "message_id": message_id,
        "ingestion_method": "file",
        "submission_id": "sub-2",
        "position": 7,
        "stage": "intake",
        "origin": "",
    }
    return msgspec.json.encode(row | overrides)


def duplicate_row(tenant_id: str, message_id: str, **overrides: Any) -> bytes:
    """Return the bytes of a record of an external duplicate."""
    row = {
        "event_type": "order",
        "primary_key": f"{tenant_id}_order_o1_2026-11-03",
        "message_id": message_id,
        "original_message_id": "first.0",
        "tenant_id": tenant_id,
        "received_at": "2026-11-03T12:00:00.250000Z",
        "ingestion_method": "kafka",
        "submission_id": "sub-3",
        "origin": "trade_normalization:0:9",
        "original_event": {"id": "o1", "nested": {"a": [1, 2]}},
    }
    return msgspec.json.encode(row | overrides)
