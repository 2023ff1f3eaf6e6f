"""Valid events as a client would send them. A test states only what matters to it."""

import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from de_platform.pipeline.events import EventType

Event = dict[str, Any]

_serial = itertools.count(1)


def unique_id(prefix: str) -> str:
    """Return an id that no other event of this process has."""
    return f"{prefix}-{next(_serial):06d}"


def instant(*, seconds_ago: float = 60.0) -> str:
    """Return a recent instant in the form that clients send."""
    return (
        (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def make_order(tenant_id: str, **overrides: Any) -> Event:
    """Return a limit order over 15,000 USD."""
    return {
        "id": unique_id("ord"),
        "tenant_id": tenant_id,
        "status": "new",
        "transact_time": instant(),
        "symbol": "AAPL",
        "side": "buy",
        "quantity": 100,
        "price": 150.25,
        "order_type": "limit",
        "currency": "USD",
    } | overrides


def make_execution(tenant_id: str, **overrides: Any) -> Event:
    """Return an execution of 15,000 USD."""
    return {
        "id": unique_id("exe"),
        "tenant_id": tenant_id,
        "status": "filled",
        "transact_time": instant(),
        "order_id": unique_id("ord"),
        "symbol": "AAPL",
        "side": "sell",
        "quantity": 100,
        "price": 150,
        "execution_venue": "XNAS",
        "currency": "USD",
    } | overrides


def make_transaction(tenant_id: str, **overrides: Any) -> Event:
    """Return a wire of 2,500.50 USD."""
    return {
        "id": unique_id("tx"),
        "tenant_id": tenant_id,
        "status": "completed",
        "transact_time": instant(),
        "account_id": "acc-1",
        "counterparty_id": "cp-9",
        "amount": 2500.50,
        "currency": "USD",
        "transaction_type": "wire",
    } | overrides


FACTORIES: Mapping[EventType, Callable[..., Event]] = {
    EventType.ORDER: make_order,
    EventType.EXECUTION: make_execution,
    EventType.TRANSACTION: make_transaction,
}

AMOUNT_FIELD: Mapping[EventType, str] = {
    EventType.ORDER: "price",
    EventType.EXECUTION: "price",
    EventType.TRANSACTION: "amount",
}


def make_event(event_type: EventType, tenant_id: str, **overrides: Any) -> Event:
    """Return a valid event of that type."""
    return FACTORIES[event_type](tenant_id, **overrides)


def make_valued(event_type: EventType, tenant_id: str, usd: float, **overrides: Any) -> Event:
    """Return an event worth exactly that many US dollars."""
    value = {"amount": usd} if event_type is EventType.TRANSACTION else {"quantity": 1, "price": usd}
    return make_event(event_type, tenant_id, **value, **overrides)
