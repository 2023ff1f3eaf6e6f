"""The event store in ClickHouse: all of its SQL.

Every read goes through FINAL, so it sees one row an identity whatever has been merged so far.
Partitions derive from key columns, so rows of one identity share a partition and FINAL need not merge across them.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from de_platform.pipeline.events import EventType
from de_platform.pipeline.query import FieldKind, Page, Query
from de_platform.pipeline.tenancy import TenantScope
from de_platform.services.database.interface import AnalyticalDatabase, DatabaseError, Row
from de_platform.services.event_store.clickhouse_dialect import ClickHouseDialect
from de_platform.services.event_store.days import by_day, days_only, spans_of_days
from de_platform.services.event_store.fields import SHAPES
from de_platform.services.event_store.identity_lookup import lookups
from de_platform.services.event_store.interface import (
    TABLE_OF,
    EventIdentity,
    EventStore,
    RowsRefused,
    StoredIdentity,
    StoredTable,
)
from de_platform.services.querying.cursor import encode_cursor
from de_platform.services.querying.plan import QueryPlan, plan_query
from de_platform.services.querying.shape import TableShape
from de_platform.services.querying.sql import Conditions, scope_condition
from de_platform.services.querying.values import plain_decimal

_SETTINGS = "SETTINGS do_not_merge_across_partitions_select_final = 1"
_DIALECT = ClickHouseDialect()
_CONTENT_ERRORS = frozenset(
    (
        "6",  # CANNOT_PARSE_TEXT
        "25",  # CANNOT_PARSE_ESCAPE_SEQUENCE
        "26",  # CANNOT_PARSE_QUOTED_STRING
        "27",  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
        "33",  # CANNOT_READ_ALL_DATA: the object does not end
        "38",  # CANNOT_PARSE_DATE
        "41",  # CANNOT_PARSE_DATETIME
        "53",  # TYPE_MISMATCH
        "69",  # ARGUMENT_OUT_OF_BOUND
        "72",  # CANNOT_PARSE_NUMBER
        "117",  # INCORRECT_DATA
        "130",  # CANNOT_READ_ARRAY_FROM_TEXT
        "131",  # TOO_LARGE_STRING_SIZE
        "321",  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        "349",  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        "407",  # DECIMAL_OVERFLOW
        "467",  # CANNOT_PARSE_BOOL
        "636",  # CANNOT_EXTRACT_TABLE_STRUCTURE
    )
)
"""Codes by which ClickHouse says that a value cannot be read into its column; anything else is not the row's fault."""


class ClickHouseEventStore(EventStore):
    """Events, duplicates and errors in ReplacingMergeTree tables whose version lets the lowest origin win."""

    def __init__(self, db: AnalyticalDatabase) -> None:
        self._db = db

    async def append(self, table: StoredTable, rows: Sequence[bytes]) -> None:
        if not rows:
            return
        for row in rows:
            _check_text(table, row)
        try:
            await self._db.insert_json_rows(table.value, rows)
        except DatabaseError as error:
            if error.code in _CONTENT_ERRORS:
                raise RowsRefused(table.value, str(error)[:500]) from error
            raise

    async def identities(
        self, event_type: EventType, wanted: Sequence[EventIdentity]
    ) -> dict[EventIdentity, StoredIdentity]:
        table = TABLE_OF[event_type].value
        found: dict[EventIdentity, StoredIdentity] = {}
        for groups in lookups(wanted):
            rows = await self._db.fetch_all(
                f"SELECT tenant_id, transact_date, id, message_id, origin FROM {table} FINAL"
                " WHERE (tenant_id, transact_date, id) IN (SELECT g.1, g.2, arrayJoin(g.3) FROM"
                " (SELECT arrayJoin({groups:Array(Tuple(String, Date, Array(String)))}) AS g))"
                f" {_SETTINGS}, optimize_move_to_prewhere_if_final = 1",
                {"groups": groups},
            )
            for row in rows:
                identity = EventIdentity(row["tenant_id"], row["id"], row["transact_date"])
                found[identity] = StoredIdentity(row["message_id"], row["origin"])
        return found

    async def find(self, table: StoredTable, scope: TenantScope, query: Query) -> Page:
        plan = plan_query(SHAPES[table], scope, query)
        wide = by_day(plan)
        for narrow in await self._narrowed(wide):
            rows = await self._rows(narrow, _narrow_statement)
            if len(rows) > plan.limit:
                return _page(plan, rows)
        return _page(plan, await self._rows(wide, _wide_statement))

    async def get(self, table: StoredTable, scope: TenantScope, message_id: str) -> dict[str, Any] | None:
        shape = SHAPES[table]
        params: dict[str, Any] = {"message_id": message_id}
        where = f"{scope_condition(_DIALECT, shape, scope, params)} AND message_id = {{message_id:String}}"
        identity = ", ".join(shape.identity)
        row = await self._db.fetch_one(
            f"SELECT {', '.join(shape.fields)} FROM {shape.name} FINAL WHERE {where}"
            f" AND ({identity}) IN (SELECT {identity} FROM {shape.name} WHERE {where}) LIMIT 1 {_SETTINGS}",
            params,
        )
        return None if row is None else _adapt(shape, row)

    async def count(self, table: StoredTable, scope: TenantScope) -> int:
        shape = SHAPES[table]
        params: dict[str, Any] = {}
        where = scope_condition(_DIALECT, shape, scope, params)
        row = await self._db.fetch_one(
            f"SELECT count() AS stored FROM {shape.name} FINAL WHERE {where} {_SETTINGS}", params
        )
        assert row is not None, "an aggregate without groups gives one row"
        return int(row["stored"])

    async def health_check(self) -> None:
        await self._db.health_check()

    async def _narrowed(self, plan: QueryPlan) -> Sequence[QueryPlan]:
        """Return plans that fill a page if few days at the beginning of the order do.

        An order by time is an order by day first, and the day is in the primary key: looking into a few days
        costs what they hold, not what the tenant has.
        """
        if plan.sort.field != "transact_time":
            return ()
        days = Conditions(_DIALECT, days_only(plan))
        some_day = f"SELECT transact_date FROM {plan.shape.name} WHERE {days.where} ORDER BY transact_date"
        row = await self._db.fetch_one(
            f"SELECT ({some_day} ASC LIMIT 1) AS first_on, ({some_day} DESC LIMIT 1) AS last_on", days.params
        )
        if row is None or row["first_on"] is None:
            return ()
        return spans_of_days(plan, row["first_on"], row["last_on"])

    async def _rows(self, plan: QueryPlan, statement: Callable[[QueryPlan, Conditions], str]) -> list[Row]:
        conditions = Conditions(_DIALECT, plan)
        return await self._db.fetch_all(f"{statement(plan, conditions)} {_SETTINGS}", conditions.params)


def _check_text(table: StoredTable, row: bytes) -> None:
    """Raise RowsRefused for bytes that are not UTF-8: the engine would store them, and no reader could read them."""
    if row.isascii():
        return
    try:
        row.decode()
    except UnicodeDecodeError as error:
        raise RowsRefused(table.value, str(error)) from error


def _narrow_statement(plan: QueryPlan, conditions: Conditions) -> str:
    """Read one row more than the limit."""
    return (
        f"SELECT {', '.join(plan.shape.fields)} FROM {plan.shape.name} FINAL WHERE {conditions.where}"
        f" ORDER BY {conditions.order_by} LIMIT {plan.limit + 1}"
    )


def _wide_statement(plan: QueryPlan, conditions: Conditions) -> str:
    """Read one row more than the limit: find them by as few columns as it takes, then read them by their key."""
    shape = plan.shape
    identity = ", ".join(shape.identity)
    order = f"ORDER BY {conditions.order_by} LIMIT {plan.limit + 1}"
    return (
        f"SELECT {', '.join(shape.fields)} FROM {shape.name} FINAL WHERE ({identity}) IN"
        f" (SELECT {identity} FROM {shape.name} FINAL WHERE {conditions.where} {order}) {order}"
    )


def _page(plan: QueryPlan, rows: Sequence[Row]) -> Page:
    items = [_adapt(plan.shape, row) for row in rows[: plan.limit]]
    more = len(rows) > plan.limit
    return Page(items, encode_cursor(plan.shape, plan.sort, items[-1]) if more else None)


def _adapt(shape: TableShape, row: Mapping[str, Any]) -> Row:
    """Give values the types that readers expect, whichever client they came through."""
    return {field: _value(kind, row[field]) for field, kind in shape.fields.items()}


def _value(kind: FieldKind, value: Any) -> Any:
    if value is None:
        return None
    match kind:
        case FieldKind.TEXT:
            return value
        case FieldKind.NUMBER:
            return plain_decimal(Decimal(value))
        case FieldKind.INSTANT:
            assert isinstance(value, datetime), "instants are DateTime64 columns"
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        case FieldKind.DATE:
            return value
