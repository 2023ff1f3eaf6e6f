"""The analytical store: events, duplicates and errors at rest."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Any, NamedTuple

from de_platform.pipeline.events import EventType
from de_platform.pipeline.query import Page, Query
from de_platform.pipeline.tenancy import TenantScope
from de_platform.pipeline.topics import (
    DUPLICATES,
    EXECUTIONS_PERSISTENCE,
    NORMALIZATION_ERRORS,
    ORDERS_PERSISTENCE,
    TRANSACTIONS_PERSISTENCE,
)


class StoredTable(StrEnum):
    """Tables of the database `fraud_pipeline`."""

    ORDERS = "orders"
    EXECUTIONS = "executions"
    TRANSACTIONS = "transactions"
    DUPLICATES = "duplicates"
    NORMALIZATION_ERRORS = "normalization_errors"


TABLE_OF: Mapping[EventType, StoredTable] = {
    EventType.ORDER: StoredTable.ORDERS,
    EventType.EXECUTION: StoredTable.EXECUTIONS,
    EventType.TRANSACTION: StoredTable.TRANSACTIONS,
}

TABLE_OF_TOPIC: Mapping[str, StoredTable] = {
    ORDERS_PERSISTENCE: StoredTable.ORDERS,
    EXECUTIONS_PERSISTENCE: StoredTable.EXECUTIONS,
    TRANSACTIONS_PERSISTENCE: StoredTable.TRANSACTIONS,
    DUPLICATES: StoredTable.DUPLICATES,
    NORMALIZATION_ERRORS: StoredTable.NORMALIZATION_ERRORS,
}
"""The topics whose records are rows as they are."""


class EventIdentity(NamedTuple):
    """What makes two messages the same event (beside their type): dedup compares this tuple."""

    tenant_id: str
    event_id: str
    dated_on: date
    """UTC day of transact_time."""


class StoredIdentity(NamedTuple):
    """Which message made the stored row, and from which record of the normalisation log (`topic:partition:offset`)."""

    message_id: str
    origin: str


class RowsRefused(Exception):
    """The store answered, and the content of at least one of the rows does not fit its table: asking again is vain."""

    def __init__(self, table: str, reason: str) -> None:
        self.table = table
        self.reason = reason
        super().__init__(f"{table} refuses a row: {reason}")


class EventStore(ABC):
    """Rows are identified by (tenant, id, date) in event tables and by message_id in the other two; first one wins.

    Reads never show an identity twice, whatever was appended twice. Raises Unavailable.
    """

    @abstractmethod
    async def append(self, table: StoredTable, rows: Sequence[bytes]) -> None:
        """Store JSON objects, durable on return. Appending the same again changes nothing that a reader sees.

        Raises RowsRefused; then any of the other rows may be stored or not, and may be appended again.
        """

    @abstractmethod
    async def identities(
        self, event_type: EventType, wanted: Sequence[EventIdentity]
    ) -> dict[EventIdentity, StoredIdentity]:
        """Return those of `wanted` that are stored. Pipeline use only: crosses tenants by design."""

    @abstractmethod
    async def find(self, table: StoredTable, scope: TenantScope, query: Query) -> Page:
        """Return a page of rows; default order is `transact_time` (events) or time of arrival, descending.

        Raises InvalidInput for unknown fields, operators that do not fit, and bad cursors.
        """

    @abstractmethod
    async def get(self, table: StoredTable, scope: TenantScope, message_id: str) -> dict[str, Any] | None:
        """Return the row that a message became."""

    @abstractmethod
    async def count(self, table: StoredTable, scope: TenantScope) -> int:
        """Count rows as a reader sees them."""

    @abstractmethod
    async def health_check(self) -> None:
        """Return when the store answers; raises Unavailable."""
