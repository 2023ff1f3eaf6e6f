"""Rows as the stores take them, valid unless a test says otherwise."""

from datetime import UTC, datetime
from typing import Any

from de_platform.pipeline.alerts import Alert, Severity

Row = dict[str, Any]

ORDER: Row = {
    "id": "ord-1",
    "tenant_id": "acme",
    "status": "new",
    "transact_time": "2026-01-15T11:59:00.500Z",
    "symbol": "AAPL",
    "side": "buy",
    "quantity": "100",
    "price": "150.25",
    "order_type": "limit",
    "currency": "USD",
    "message_id": "m-1.0",
    "submission_id": "s-1",
    "event_type": "order",
    "ingestion_method": "rest",
    "ingested_at": "2026-01-15T12:00:00.000000Z",
    "normalized_at": "2026-01-15T12:00:01.000000Z",
    "primary_key": "acme_order_ord-1_2026-01-15",
    "origin": "trade_normalization:0:1",
    "order_id": "ord-1",
    "notional": "15025",
    "notional_usd": "15025",
    "usd_rate": "1",
    "usd_rate_on": "2026-01-15",
}


def order(number: int, **overrides: Any) -> Row:
    own = {"id": f"ord-{number}", "message_id": f"m-{number}.0", "origin": f"trade_normalization:0:{number}"}
    return ORDER | own | overrides


def execution(number: int) -> Row:
    row = order(number, id=f"exe-{number}", event_type="execution", execution_venue="XNAS")
    return {name: value for name, value in row.items() if name != "order_type"}


def transaction(number: int) -> Row:
    trade = ("symbol", "side", "quantity", "price", "order_type", "order_id", "notional", "notional_usd")
    row = {name: value for name, value in order(number, id=f"tx-{number}").items() if name not in trade}
    own = {"account_id": "a", "counterparty_id": "b", "transaction_type": "wire", "amount": "2.5", "amount_usd": "2.5"}
    return row | own | {"event_type": "transaction"}


def duplicate(number: int) -> Row:
    return {
        "message_id": f"d-{number}.0",
        "original_message_id": "m-1.0",
        "tenant_id": "acme",
        "event_type": "order",
        "primary_key": "acme_order_ord-1_2026-01-15",
        "received_at": "2026-01-15T12:00:00.000000Z",
        "ingestion_method": "rest",
        "submission_id": "s-1",
        "origin": f"trade_normalization:0:{number}",
        "original_event": {"id": "ord-1"},
    }


def error_record(number: int) -> Row:
    return {
        "message_id": f"e-{number}.0",
        "tenant_id": "acme",
        "event_type": "order",
        "errors": [{"field": "currency", "message": "is no currency"}],
        "raw_data": '{"id": 1}',
        "created_at": "2026-01-15T12:00:00.000000Z",
        "stage": "intake",
        "ingestion_method": "rest",
        "submission_id": "s-1",
        "position": number,
        "origin": "",
    }


def alert(number: int, **overrides: Any) -> Alert:
    values = {
        "alert_id": f"alert-{number}",
        "tenant_id": "acme",
        "event_type": "order",
        "event_id": f"ord-{number}",
        "message_id": f"m-{number}.0",
        "algorithm": "large_notional",
        "severity": Severity.HIGH,
        "description": "large",
        "details": {"threshold_usd": "1000000"},
        "created_at": datetime(2026, 1, 15, 12, number, tzinfo=UTC),
    }
    return Alert(**values | overrides)
