"""The alert store in PostgreSQL: all of its SQL."""

from collections.abc import Sequence
from typing import Any

import msgspec

from de_platform.pipeline.alerts import Alert
from de_platform.pipeline.query import FieldKind, Page, Query
from de_platform.pipeline.tenancy import TenantScope
from de_platform.services.alert_store.interface import AlertStore
from de_platform.services.alert_store.shape import ALERT_COLUMNS, ALERT_SHAPE, row_of, storable, storable_text
from de_platform.services.database.interface import RelationalDatabase, Row
from de_platform.services.querying.cursor import encode_cursor
from de_platform.services.querying.plan import plan_query
from de_platform.services.querying.postgres_dialect import PostgresDialect
from de_platform.services.querying.sql import Conditions, scope_condition

_DIALECT = PostgresDialect()
_COLUMNS = ", ".join(ALERT_COLUMNS)
_ARRAY_TYPES = {FieldKind.TEXT: "text[]", FieldKind.INSTANT: "timestamptz[]"}
_ARRAYS = ", ".join(f"%({name})s::{_ARRAY_TYPES[kind]}" for name, kind in ALERT_SHAPE.fields.items())
_INSERT = (
    f"INSERT INTO alerts ({_COLUMNS})"
    f" SELECT {', '.join(ALERT_SHAPE.fields)}, details::jsonb FROM unnest({_ARRAYS}, %(details)s::text[])"
    f" AS new ({_COLUMNS}) ON CONFLICT (alert_id) DO NOTHING"
)


class PostgresAlertStore(AlertStore):
    """One table, `alerts`, whose primary key makes an alert that is found again the same alert."""

    def __init__(self, db: RelationalDatabase) -> None:
        self._db = db

    async def add(self, alerts: Sequence[Alert]) -> int:
        if not alerts:
            return 0
        # a fixed order of rows, so that two writers wait for each other instead of deadlocking
        rows = [row_of(alert) for alert in sorted(map(storable, alerts), key=lambda alert: alert.alert_id)]
        params: dict[str, Any] = {name: [row[name] for row in rows] for name in ALERT_SHAPE.fields}
        params["details"] = [msgspec.json.encode(row["details"]).decode() for row in rows]
        return await self._db.execute(_INSERT, params)

    async def get(self, scope: TenantScope, alert_id: str) -> Alert | None:
        params: dict[str, Any] = {"alert_id": storable_text(alert_id)}
        where = scope_condition(_DIALECT, ALERT_SHAPE, scope, params)
        row = await self._db.fetch_one(
            f"SELECT {_COLUMNS} FROM alerts WHERE {where} AND alert_id = %(alert_id)s", params
        )
        return None if row is None else _alert(row)

    async def find(self, scope: TenantScope, query: Query) -> Page:
        plan = plan_query(ALERT_SHAPE, scope, query)
        conditions = Conditions(_DIALECT, plan)
        rows = await self._db.fetch_all(
            f"SELECT {_COLUMNS} FROM alerts WHERE {conditions.where}"
            f" ORDER BY {conditions.order_by} LIMIT {plan.limit + 1}",
            conditions.params,
        )
        items = [row_of(_alert(row)) for row in rows[: plan.limit]]
        more = len(rows) > plan.limit
        return Page(items, encode_cursor(plan.shape, plan.sort, items[-1]) if more else None)

    async def health_check(self) -> None:
        await self._db.health_check()


def _alert(row: Row) -> Alert:
    return msgspec.convert(row, Alert)
