"""Valid events and stamped records for the tests of intake and normalising. A test states only what matters to it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from de_platform.pipeline.events import EventType, IngestionMethod
from de_platform.pipeline.intake import Submission, take_in
from de_platform.pipeline.messages import Record

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
TENANT = "acme"


def order(**changes: Any) -> dict[str, Any]:
    return _changed(
        {
            "id": "ord-1",
            "tenant_id": TENANT,
            "status": "new",
            "transact_time": "2026-11-20T14:59:00.250000Z",
            "symbol": "AAPL",
            "side": "buy",
            "quantity": 100,
            "price": 150.25,
            "order_type": "limit",
            "currency": "USD",
        },
        changes,
    )


def execution(**changes: Any) -> dict[str, Any]:
    return _changed(
        {
            "id": "exe-1",
            "tenant_id": TENANT,
            "status": "filled",
            "transact_time": "2026-11-20T14:59:01Z",
            "order_id": "ord-1",
            "symbol": "AAPL",
            "side": "sell",
            "quantity": 100,
            "price": 150,
            "execution_venue": "XNAS",
            "currency": "USD",
        },
        changes,
    )


def transaction(**changes: Any) -> dict[str, Any]:
    return _changed(
        {
            "id": "tx-1",
            "tenant_id": TENANT,
            "status": "completed",
            "transact_time": "2026-11-20T14:59:02.5Z",
            "account_id": "acc-1",
            "counterparty_id": "cp-1",
            "amount": 2500.5,
            "currency": "USD",
            "transaction_type": "wire",
        },
        changes,
    )


SAMPLES = {EventType.ORDER: order, EventType.EXECUTION: execution, EventType.TRANSACTION: transaction}


def raw(event: dict[str, Any]) -> bytes:
    """Write compact JSON."""
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


def submission(event_type: EventType = EventType.ORDER, **changes: Any) -> Submission:
    """Return a request of the sample tenant."""
    fields: dict[str, Any] = {
        "tenant_id": TENANT,
        "event_type": event_type,
        "method": IngestionMethod.REST,
        "submission_id": "request-1",
        "received_at": NOW,
    }
    return Submission(**(fields | changes))


def stamped(event: dict[str, Any], *, offset: int = 0, position: int = 0, **changes: Any) -> Record:
    """Return the record that a starter makes of a valid event."""
    event_type = (
        EventType.TRANSACTION
        if "amount" in event
        else EventType.EXECUTION
        if "execution_venue" in event
        else EventType.ORDER
    )
    intake = take_in(submission(event_type, **({"tenant_id": None} | changes)), [raw(event)], positions=[position])
    assert not intake.rejections, intake.rejections
    (message,) = intake.messages
    return Record(offset, message.key, message.value, message.headers)


def at(instant: datetime | timedelta) -> str:
    """Write an instant, or NOW plus a delta, as clients do."""
    moment = NOW + instant if isinstance(instant, timedelta) else instant
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _changed(event: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Replace fields; `...` removes one."""
    return {name: value for name, value in (event | changes).items() if value is not ...}
