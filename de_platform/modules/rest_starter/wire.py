"""What clients send and get, as documented. What is accepted is decided by `pipeline.intake`, byte by byte."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
TenantId = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9._-]{1,64}$")]
Instant = Annotated[
    str, msgspec.Meta(extra_json_schema={"format": "date-time"}, description="RFC 3339 with an offset or Z")
]
Currency = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$", description="ISO 4217")]
Positive = Annotated[
    float, msgspec.Meta(gt=0, description="Plain decimal notation, at most 18 digits on either side of the point")
]


class _Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    id: Text
    """Names this event, not the order it is about."""
    tenant_id: TenantId
    status: Text
    transact_time: Instant
    currency: Currency
    client_id: Text | msgspec.UnsetType = msgspec.UNSET
    """The tenant's own customer or trader who acted."""
    supersedes: Text | msgspec.UnsetType = msgspec.UNSET
    """Id of an earlier event of this type that this one corrects."""
    additional_fields: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class Order(_Event, frozen=True, kw_only=True, omit_defaults=True):
    """One message of an order's life: new, replaced, filled, cancelled …"""

    symbol: Text
    side: Literal["buy", "sell"]
    quantity: Positive
    price: Positive | msgspec.UnsetType = msgspec.UNSET
    """May be absent for market orders."""
    order_type: Text
    order_id: Text | msgspec.UnsetType = msgspec.UNSET
    """Ties the messages of one order together; the id when absent."""


class Execution(_Event, frozen=True, kw_only=True, omit_defaults=True):
    """A fill."""

    order_id: Text
    symbol: Text
    side: Literal["buy", "sell"]
    quantity: Positive
    price: Positive
    execution_venue: Text


class Transaction(_Event, frozen=True, kw_only=True, omit_defaults=True):
    """Money from `account_id` to `counterparty_id`."""

    account_id: Text
    counterparty_id: Text
    amount: Positive
    transaction_type: Text


class Orders(msgspec.Struct, frozen=True):
    """A batch of orders."""

    events: Sequence[Order]


class Executions(msgspec.Struct, frozen=True):
    """A batch of executions."""

    events: Sequence[Execution]


class Transactions(msgspec.Struct, frozen=True):
    """A batch of transactions."""

    events: Sequence[Transaction]


class EventError(msgspec.Struct, frozen=True):
    """One fault of one event; `field` is empty when the event as a whole is at fault."""

    event_index: int
    field: str
    message: str


class Receipt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a batch at the door. Accepted events are durable; rejected ones are error records."""

    accepted: int
    rejected: int
    errors: Sequence[EventError]
    errors_left_off: int = 0
    """Faults beyond the first thousand, which only the error records list."""


class Health(msgspec.Struct, frozen=True):
    """A good answer; a bad one is a problem with status 503."""

    status: Literal["ok"] = "ok"


WIRE_EXAMPLES = {
    Orders: Orders(
        [
            Order(
                id="ord-1",
                tenant_id="acme",
                status="new",
                transact_time="2026-01-30T14:05:09.250Z",
                symbol="AAPL",
                side="buy",
                quantity=10000,
                price=150.25,
                order_type="limit",
                currency="USD",
            )
        ]
    ),
    Executions: Executions(
        [
            Execution(
                id="exe-1",
                tenant_id="acme",
                status="filled",
                transact_time="2026-01-30T14:05:10Z",
                order_id="ord-1",
                symbol="AAPL",
                side="buy",
                quantity=10000,
                price=150.25,
                execution_venue="XNAS",
                currency="USD",
            )
        ]
    ),
    Transactions: Transactions(
        [
            Transaction(
                id="tx-1",
                tenant_id="acme",
                status="completed",
                transact_time="2026-01-30T14:06:00+00:00",
                account_id="acc-1",
                counterparty_id="cp-9",
                amount=2500.5,
                currency="USD",
                transaction_type="wire",
            )
        ]
    ),
}
