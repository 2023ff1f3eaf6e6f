"""SQL databases behind one small interface. Only store classes and migrations use it; modules use stores.

Queries are in the dialect of the implementation's kind. PostgreSQL parameters are `%(name)s`,
ClickHouse parameters are `{name:Type}`; values never go into the text.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from de_platform.pipeline.tenancy import TenantScope

Row = dict[str, Any]


class DatabaseInterface(ABC):
    """A named database. Methods raise Unavailable when it does not answer and DatabaseError for bad statements."""

    @abstractmethod
    async def connect(self) -> None:
        """Open the pool and create the database if it does not exist. Idempotent."""

    @abstractmethod
    async def disconnect(self) -> None:
        """Close the pool. Idempotent."""

    @property
    @abstractmethod
    def is_connected(self) -> bool:
        """True between connect and disconnect."""

    @abstractmethod
    async def health_check(self) -> None:
        """Return when a trivial query answers; raises Unavailable."""

    @abstractmethod
    async def execute(self, statement: str, params: Mapping[str, Any] | None = None) -> int:
        """Run one statement; returns the number of rows it touched (0 where the engine does not say)."""

    @abstractmethod
    async def fetch_one(self, query: str, params: Mapping[str, Any] | None = None) -> Row | None:
        """Return the first row, or None."""

    @abstractmethod
    async def fetch_all(self, query: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        """Return all rows in query order; the query has a LIMIT wherever the result is not bounded by itself."""

    @abstractmethod
    async def insert_one(self, table: str, row: Mapping[str, Any]) -> None:
        """Insert one row. Nested mappings and lists go into JSONB or, in ClickHouse, into String columns as JSON."""

    @abstractmethod
    async def bulk_insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> int:
        """Insert rows with equal keys, all or none; returns how many."""


class DatabaseError(Exception):
    """The database understood and refused: a constraint, a missing table, bad SQL. A defect, not bad input.

    `code` is the engine's own: an SQLSTATE, or ClickHouse's number.
    """

    def __init__(self, message: str, *, code: str | None = None) -> None:
        self.code = code
        super().__init__(message)


class RelationalDatabase(DatabaseInterface):
    """PostgreSQL."""

    @abstractmethod
    def transaction(self) -> AbstractAsyncContextManager["RelationalDatabase"]:
        """Run all statements on the yielded object in one transaction; an exception rolls it back."""

    @abstractmethod
    def tenant_transaction(self, scope: TenantScope) -> AbstractAsyncContextManager["RelationalDatabase"]:
        """As `transaction`, with the scope's tenant in `app.tenant_id`, by which row policies decide.

        It is set until the end of the transaction and no longer. The scope of all tenants sets none, which shows
        no row: who may see all does so by a role of its own.
        """


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """Servers that the tables of one database are spread over, as they call themselves."""

    name: str
    database: str


class AnalyticalDatabase(DatabaseInterface):
    """ClickHouse. Inserts are durable on return."""

    @property
    def cluster(self) -> Cluster | None:
        """The cluster that tables are spread over; None for one server."""
        return None

    @abstractmethod
    async def insert_json_rows(self, table: str, rows: Sequence[bytes]) -> None:
        """Append JSON objects as they are, one a row. Unknown fields are ignored, nested ones become strings."""

    @abstractmethod
    async def fetch_arrow(self, query: str, params: Mapping[str, Any] | None = None) -> Any:
        """Return a result as a `pyarrow.Table`."""


class DatabaseFactory(ABC):
    """Named databases of a process (`--db events=clickhouse`), each connected on first use."""

    @abstractmethod
    def relational(self, name: str) -> RelationalDatabase:
        """Return the PostgreSQL database of that name. Raises InvalidInput if it is of another kind."""

    @abstractmethod
    def analytical(self, name: str) -> AnalyticalDatabase:
        """Return the ClickHouse database of that name. Raises InvalidInput if it is of another kind."""

    @abstractmethod
    def get(self, name: str) -> DatabaseInterface:
        """Return the database of that name, whichever kind it is."""
