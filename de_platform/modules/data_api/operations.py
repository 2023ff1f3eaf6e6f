"""What the API's reader is told: its head and the examples."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec

from de_platform import __version__
from de_platform.http.openapi import ApiInfo
from de_platform.modules.data_api.rows import DuplicateRow, ErrorRow, ExecutionRow, OrderRow, TransactionRow
from de_platform.pipeline.alerts import Alert, Severity
from de_platform.pipeline.errors import FieldError
from de_platform.pipeline.events import EventType, IngestionMethod
from de_platform.services.event_store.interface import StoredTable

API_INFO = ApiInfo(
    title="DE Platform data API",
    version=__version__,
    description=(
        "Alerts and events of the platform. Money and quantities are decimal strings; instants are RFC 3339 in UTC."
        "\n\n"
        "Lists are filtered by field and operator: `symbol=AAPL`, `notional_usd[gte]=1000000`, `side[in]=buy,sell`, "
        "`client_id[is_null]=true`; sorted by `sort=-transact_time`; paged by `limit` and the `next_cursor` of the "
        "page before. They come as JSON, CSV (`Accept: text/csv`) or NDJSON (`Accept: application/x-ndjson`); the "
        "address of the next page is in the `Link` header, too."
        "\n\n"
        "Errors are `application/problem+json` and name every field that is wrong, and the request id."
    ),
    tags={
        "alerts": "What the algorithms found.",
        "events": "What was sent: stored events, refused ones and duplicates.",
        "health": "Whether the platform works.",
    },
)

_AT = datetime(2026, 1, 30, 14, 5, 9, 250000, tzinfo=UTC)
_MESSAGE_ID = "9f86d081884c7d659a2feaa0c55ad015.0"
_COMMON: Mapping[str, object] = {
    "tenant_id": "acme",
    "transact_time": _AT,
    "transact_date": _AT.date(),
    "client_id": "trader-7",
    "message_id": _MESSAGE_ID,
    "submission_id": "5f2c7a1e9b7e4d0f8f3e3f0a9c1d2b3a",
    "ingestion_method": IngestionMethod.REST,
    "ingested_at": _AT,
    "normalized_at": _AT,
    "origin": "trade_normalization:2:1841",
    "usd_rate": Decimal(1),
    "usd_rate_on": date(2026, 1, 30),
}

_ORDER = msgspec.convert(
    {
        **_COMMON,
        "id": "ord-1",
        "status": "new",
        "currency": "USD",
        "event_type": EventType.ORDER,
        "primary_key": "acme_order_ord-1_2026-01-30",
        "order_id": "ord-1",
        "symbol": "AAPL",
        "side": "buy",
        "order_type": "limit",
        "quantity": Decimal(10000),
        "price": Decimal("150.25"),
        "notional": Decimal(1502500),
        "notional_usd": Decimal(1502500),
    },
    OrderRow,
)
_EXECUTION = msgspec.convert(
    {
        **_COMMON,
        "id": "exe-1",
        "status": "filled",
        "currency": "USD",
        "event_type": EventType.EXECUTION,
        "primary_key": "acme_execution_exe-1_2026-01-30",
        "order_id": "ord-1",
        "symbol": "AAPL",
        "side": "buy",
        "execution_venue": "XNAS",
        "quantity": Decimal(10000),
        "price": Decimal("150.25"),
        "notional": Decimal(1502500),
        "notional_usd": Decimal(1502500),
    },
    ExecutionRow,
)
_TRANSACTION = msgspec.convert(
    {
        **_COMMON,
        "id": "tx-1",
        "status": "completed",
        "currency": "USD",
        "event_type": EventType.TRANSACTION,
        "primary_key": "acme_transaction_tx-1_2026-01-30",
        "account_id": "acc-1",
        "counterparty_id": "cp-9",
        "transaction_type": "wire",
        "amount": Decimal("2500.50"),
        "amount_usd": Decimal("2500.50"),
    },
    TransactionRow,
)
_DUPLICATE = DuplicateRow(
    message_id="2c26b46b68ffc68ff99b453c1d304134.0",
    original_message_id=_MESSAGE_ID,
    tenant_id="acme",
    event_type=EventType.ORDER,
    primary_key="acme_order_ord-1_2026-01-30",
    received_at=_AT,
    ingestion_method=IngestionMethod.REST,
    submission_id="0b7e4d0f8f3e3f0a9c1d2b3a5f2c7a1e",
    origin="trade_normalization:2:1842",
    original_event='{"id":"ord-1","tenant_id":"acme"}',
)
_ERROR = ErrorRow(
    message_id="2c26b46b68ffc68ff99b453c1d304134.1",
    tenant_id="acme",
    event_type=EventType.ORDER,
    errors=(FieldError("currency", "must be a currency code of ISO 4217, like USD"),),
    raw_data='{"id":"ord-2","tenant_id":"acme","currency":"ZZZ"}',
    created_at=_AT,
    stage="intake",
    ingestion_method=IngestionMethod.REST,
    submission_id="0b7e4d0f8f3e3f0a9c1d2b3a5f2c7a1e",
    position=1,
    origin="",
)

ROW_EXAMPLES = {
    StoredTable.ORDERS: _ORDER,
    StoredTable.EXECUTIONS: _EXECUTION,
    StoredTable.TRANSACTIONS: _TRANSACTION,
    StoredTable.DUPLICATES: _DUPLICATE,
    StoredTable.NORMALIZATION_ERRORS: _ERROR,
}

ALERT_EXAMPLE = Alert(
    alert_id="b1946ac92492d2347c6235b4d2611184",
    tenant_id="acme",
    event_type=EventType.ORDER,
    event_id="ord-1",
    message_id=_MESSAGE_ID,
    algorithm="large_notional",
    severity=Severity.HIGH,
    description="Order ord-1 is worth 1502500 USD, above 1000000 USD",
    details={"notional_usd": "1502500", "threshold_usd": "1000000"},
    created_at=_AT,
)
