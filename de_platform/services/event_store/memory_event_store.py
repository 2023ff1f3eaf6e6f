"""An event store in memory, for tests; the contract holds it equal to the real one."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from de_platform.pipeline.events import EventType
from de_platform.pipeline.query import FieldKind, Page, Query
from de_platform.pipeline.tenancy import TenantScope
from de_platform.services.event_store.fields import SHAPES
from de_platform.services.event_store.interface import (
    TABLE_OF,
    EventIdentity,
    EventStore,
    RowsRefused,
    StoredIdentity,
    StoredTable,
)
from de_platform.services.querying.memory import page_of
from de_platform.services.querying.plan import plan_query
from de_platform.services.querying.shape import TableShape
from de_platform.services.querying.values import plain_decimal

_Columns = dict[str, Any]
_DEFAULTS: Mapping[FieldKind, Any] = {
    FieldKind.TEXT: "",
    FieldKind.NUMBER: Decimal(0),
    FieldKind.INSTANT: datetime(1970, 1, 1, tzinfo=UTC),
    FieldKind.DATE: date(1970, 1, 1),
}
_PLAIN_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")


class MemoryEventStore(EventStore):
    """Keeps rows by identity. Whatever `unavailable` is set to is raised by the next calls."""

    def __init__(self) -> None:
        self._tables: dict[StoredTable, dict[tuple[Any, ...], tuple[int, _Columns]]] = {t: {} for t in StoredTable}
        self.unavailable: Exception | None = None

    async def append(self, table: StoredTable, rows: Sequence[bytes]) -> None:
        self._check()
        shape = SHAPES[table]
        parsed = [_columns(shape, row) for row in rows]
        stored = self._tables[table]
        for columns in parsed:
            identity = tuple(columns[field] for field in shape.identity)
            offset = _origin_offset(columns["origin"])
            if identity not in stored or offset <= stored[identity][0]:
                stored[identity] = (offset, columns)

    async def identities(
        self, event_type: EventType, wanted: Sequence[EventIdentity]
    ) -> dict[EventIdentity, StoredIdentity]:
        self._check()
        stored = self._tables[TABLE_OF[event_type]]
        found: dict[EventIdentity, StoredIdentity] = {}
        for identity in wanted:
            row = stored.get((identity.tenant_id, identity.dated_on, identity.event_id))
            if row is not None:
                found[identity] = StoredIdentity(row[1]["message_id"], row[1]["origin"])
        return found

    async def find(self, table: StoredTable, scope: TenantScope, query: Query) -> Page:
        self._check()
        return page_of(plan_query(SHAPES[table], scope, query), self._rows(table))

    async def get(self, table: StoredTable, scope: TenantScope, message_id: str) -> dict[str, Any] | None:
        self._check()
        for row in self._rows(table):
            if row["message_id"] == message_id and scope.covers(row["tenant_id"]):
                return dict(row)
        return None

    async def count(self, table: StoredTable, scope: TenantScope) -> int:
        self._check()
        return sum(scope.covers(row["tenant_id"]) for row in self._rows(table))

    async def health_check(self) -> None:
        self._check()

    def _check(self) -> None:
        if self.unavailable is not None:
            raise self.unavailable

    def _rows(self, table: StoredTable) -> list[_Columns]:
        return [columns for _, columns in self._tables[table].values()]


def _origin_offset(origin: str) -> int:
    offset = origin.rpartition(":")[2]
    return int(offset) if offset.isdigit() else 0


def _columns(shape: TableShape, row: bytes) -> _Columns:
    try:
        members = msgspec.json.decode(row.decode(), type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RowsRefused(shape.name, str(error)) from error
    columns: _Columns = {}
    for field, kind in shape.fields.items():
        raw = bytes(members[field]).decode() if field in members else "null"
        try:
            columns[field] = _value(kind, raw, nullable=field in shape.nullable)
        except (ValueError, InvalidOperation) as error:
            raise RowsRefused(shape.name, f"{field}: {raw[:100]}") from error
    if "transact_date" in columns:
        columns["transact_date"] = columns["transact_time"].date()
    return columns


def _value(kind: FieldKind, raw: str, *, nullable: bool) -> Any:
    """Read a member as the column would. Raises ValueError for what the column refuses."""
    if raw == "null":
        return None if nullable else _DEFAULTS[kind]
    text: str = msgspec.json.decode(raw) if raw.startswith('"') else raw
    match kind:
        case FieldKind.TEXT:
            return text
        case FieldKind.NUMBER:
            if not _PLAIN_NUMBER.fullmatch(text):
                raise ValueError(text)
            return plain_decimal(Decimal(text))
        case FieldKind.INSTANT:
            return _instant(text)
        case FieldKind.DATE:
            return date.fromisoformat(text)


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
