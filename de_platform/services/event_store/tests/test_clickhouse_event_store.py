"""The event store under the contract, on the real engine; and the fake held equal to it."""

from collections.abc import AsyncGenerator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from de_platform.pipeline.events import EventType
from de_platform.pipeline.query import FieldKind, Filter, Operator, Query, Sort
from de_platform.pipeline.tenancy import TenantScope
from de_platform.services.database.chdb_engine import ChdbDatabase
from de_platform.services.database.interface import DatabaseError
from de_platform.services.database.migrations import MigrationRunner
from de_platform.services.event_store.clickhouse_event_store import ClickHouseEventStore
from de_platform.services.event_store.contract import EventStoreContract
from de_platform.services.event_store.contract_rows import error_row, order_row
from de_platform.services.event_store.fields import SHAPES
from de_platform.services.event_store.interface import EventIdentity, EventStore, StoredTable
from de_platform.services.event_store.memory_event_store import MemoryEventStore
from de_platform.services.event_store.query_contract import all_pages
from tests.helpers.engines import fresh_chdb

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database() -> AsyncGenerator[ChdbDatabase]:
    async with fresh_chdb() as opened:
        await MigrationRunner(opened, "events").apply()
        yield opened


@pytest.fixture(scope="module")
def store(database: ChdbDatabase) -> ClickHouseEventStore:
    return ClickHouseEventStore(database)


class TestClickHouseEventStore(EventStoreContract):
    pass


async def test_shapes_name_every_column_of_the_schema(database: ChdbDatabase) -> None:
    rows = await database.fetch_all(
        "SELECT table, name, type FROM system.columns WHERE database = currentDatabase() AND name <> 'first_wins'"
        " AND table IN {tables:Array(String)}",
        {"tables": [table.value for table in StoredTable]},
    )
    columns = {table.value: {r["name"]: r["type"] for r in rows if r["table"] == table.value} for table in StoredTable}
    assert {t: set(c) for t, c in columns.items()} == {t.value: set(shape.fields) for t, shape in SHAPES.items()}
    nullable = {t: {n for n, kind in c.items() if kind.startswith("Nullable")} for t, c in columns.items()}
    assert nullable == {t.value: set(shape.nullable) for t, shape in SHAPES.items()}


async def test_missing_table_is_a_defect_not_a_refused_row() -> None:
    async with fresh_chdb() as empty:
        with pytest.raises(DatabaseError):
            await ClickHouseEventStore(empty).append(StoredTable.ORDERS, [order_row("acme", "o1")])


async def test_lookup_of_identities_reads_few_granules(database: ChdbDatabase) -> None:
    store = ClickHouseEventStore(database)
    rows = [order_row("scan", f"o{n:06}", offset=n) for n in range(40_000)]
    await store.append(StoredTable.ORDERS, rows)
    wanted = [EventIdentity("scan", f"o{n:06}", date(2026, 11, 3)) for n in range(100, 200)]
    assert len(await store.identities(EventType.ORDER, wanted)) == 100
    plan = await database.fetch_all(
        "EXPLAIN ESTIMATE SELECT origin FROM orders FINAL WHERE (tenant_id, transact_date, id) IN"
        " (SELECT g.1, g.2, arrayJoin(g.3) FROM"
        " (SELECT arrayJoin({groups:Array(Tuple(String, Date, Array(String)))}) AS g))",
        {"groups": [("scan", date(2026, 11, 3), [identity.event_id for identity in wanted])]},
    )
    assert sum(row["rows"] for row in plan) < 20_000


# the fake equals the real one

_TENANTS = ("equal-1", "equal-2")
_INSTANTS = [
    datetime(2026, 11, 3, 12, tzinfo=UTC) - timedelta(days=d, microseconds=u) for d in (0, 1, 9, 70) for u in (0, 1)
]
_VALUES: dict[FieldKind, st.SearchStrategy[Any]] = {
    FieldKind.TEXT: st.sampled_from(["", "AAPL", "MSFT", "b", "sell", "buy", "é", "new", "%", "'"]),
    FieldKind.NUMBER: st.sampled_from([Decimal(n) for n in ("0", "1", "1.5", "1.50", "-3", "150.25", "1e30", "1e-30")]),
    FieldKind.INSTANT: st.sampled_from(_INSTANTS),
    FieldKind.DATE: st.sampled_from([instant.date() for instant in _INSTANTS]),
}
_COMPARISONS = (Operator.EQ, Operator.NE, Operator.LT, Operator.LTE, Operator.GT, Operator.GTE)


@st.composite
def _filters(draw: st.DrawFn) -> Filter:
    field, kind = draw(st.sampled_from(sorted(SHAPES[StoredTable.ORDERS].fields.items())))
    operators = [*_COMPARISONS, Operator.IN, Operator.NOT_IN, Operator.IS_NULL, Operator.NOT_NULL]
    operators += [Operator.CONTAINS, Operator.PREFIX] if kind is FieldKind.TEXT else []
    match draw(st.sampled_from(operators)):
        case Operator.IN | Operator.NOT_IN as operator:
            return Filter(field, operator, tuple(draw(st.lists(_VALUES[kind], min_size=1, max_size=3))))
        case Operator.IS_NULL | Operator.NOT_NULL as operator:
            return Filter(field, operator)
        case operator:
            return Filter(field, operator, (draw(_VALUES[kind]),))


_QUERIES = st.builds(
    Query,
    filters=st.lists(_filters(), max_size=2).map(tuple),
    sort=st.none()
    | st.builds(Sort, st.sampled_from(sorted(SHAPES[StoredTable.ORDERS].fields)), descending=st.booleans()),
    limit=st.integers(4, 20),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def twins(store: ClickHouseEventStore) -> tuple[EventStore, EventStore]:
    fake = MemoryEventStore()
    rows = [
        order_row(
            tenant,
            f"o{n % 11}",
            offset=(n * 7) % 13,
            symbol=["AAPL", "MSFT", "é", ""][n % 4],
            side=["buy", "sell"][n % 2],
            price=... if n % 5 == 0 else msgspec.Raw(b"1.5" if n % 3 else b"150.25"),
            notional=... if n % 5 == 0 else msgspec.Raw(str(n % 7).encode()),
            transact_time=_INSTANTS[n % len(_INSTANTS)].isoformat(),
        )
        for n in range(26)
        for tenant in _TENANTS
    ]
    for start in range(0, len(rows), 9):
        for twin in (fake, store):
            await twin.append(StoredTable.ORDERS, rows[start : start + 9])
    return fake, store


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=_QUERIES, tenant=st.sampled_from(_TENANTS))
async def test_fake_answers_any_query_as_the_engine_does(
    twins: tuple[EventStore, EventStore], query: Query, tenant: str
) -> None:
    fake, real = twins
    scope = TenantScope.of(tenant)
    expected = await all_pages(fake, StoredTable.ORDERS, scope, query)
    assert await all_pages(real, StoredTable.ORDERS, scope, query) == expected


async def test_errors_without_a_tenant_are_seen_by_operators_only(store: ClickHouseEventStore) -> None:
    await store.append(StoredTable.NORMALIZATION_ERRORS, [error_row("", "nobody.0")])
    assert await store.get(StoredTable.NORMALIZATION_ERRORS, TenantScope.all_tenants(), "nobody.0") is not None
    assert await store.get(StoredTable.NORMALIZATION_ERRORS, TenantScope.of("equal-1"), "nobody.0") is None
