"""How every implementation of EventStore filters, orders and pages."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from de_platform.pipeline.errors import InvalidInput
from de_platform.pipeline.query import Filter, Operator, Page, Query, Sort
from de_platform.pipeline.tenancy import TenantScope
from de_platform.services.event_store.contract_rows import fresh_tenant, order_row
from de_platform.services.event_store.interface import EventStore, StoredTable

BY_ID = Query(sort=Sort("id", descending=False))
_NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)

HOSTILE_TEXTS = (
    "' OR 1=1 --",
    "\\' AND 1=1 --",
    "{p0:String}",
    "%(p0)s",
    "$$",
    "a\tb\nc",
    "`",
    "é😀",
    "?",
    ";",
    '"',
    "\x1f|",
)
"""Values that break out of badly quoted statements; none contains another."""

_FILTERS: Mapping[str, Sequence[tuple[Operator, tuple[Any, ...], str]]] = {
    "symbol": (
        (Operator.EQ, ("AAPL",), "ad"),
        (Operator.NE, ("AAPL",), "bc"),
        (Operator.IN, ("AAPL", "MSFT", "X"), "abd"),
        (Operator.NOT_IN, ("AAPL", "X"), "bc"),
        (Operator.CONTAINS, ("%",), "c"),
        (Operator.CONTAINS, ("aapl",), ""),
        (Operator.PREFIX, ("MS",), "b"),
        (Operator.PREFIX, ("",), "abcd"),
        (Operator.GT, ("AAPL",), "bc"),
    ),
    "price": (
        (Operator.EQ, (Decimal("1.50"),), "a"),
        (Operator.EQ, (20,), "b"),
        (Operator.NE, (Decimal("1.5"),), "bc"),
        (Operator.IN, (Decimal("1.5"), Decimal(20)), "ab"),
        (Operator.NOT_IN, (Decimal("1.5"),), "bc"),
        (Operator.GTE, (Decimal(20),), "bc"),
        (Operator.LT, (Decimal("20.000000000000000000000000000001"),), "ab"),
        (Operator.IS_NULL, (), "d"),
        (Operator.NOT_NULL, (), "abc"),
    ),
    "transact_time": (
        (Operator.GTE, (_NOON,), "ab"),
        (Operator.GT, (_NOON,), "a"),
        (Operator.LT, (_NOON,), "cd"),
        (Operator.EQ, (_NOON.astimezone(timezone(timedelta(hours=14))),), "b"),
        (Operator.IN, (_NOON, _NOON - timedelta(days=1)), "bc"),
    ),
    "transact_date": (
        (Operator.EQ, (date(2026, 11, 3),), "ab"),
        (Operator.IN, (date(2026, 11, 2), date(2025, 1, 1)), "c"),
        (Operator.LTE, (date(2026, 11, 2),), "cd"),
    ),
}
"""Per field: operator, values, and which of the rows a to d meet them."""


async def all_pages(store: EventStore, table: StoredTable, scope: TenantScope, query: Query) -> list[dict[str, Any]]:
    """Follow cursors to the end."""
    rows: list[dict[str, Any]] = []
    cursor: str | None = None
    for _ in range(1000):
        page: Page = await store.find(table, scope, msgspec.structs.replace(query, cursor=cursor))
        rows += page.items
        cursor = page.next_cursor
        if cursor is None:
            return rows
    raise AssertionError("paging does not end")


def ids_of(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the event ids in order."""
    return [row["id"] for row in rows]


class EventQueryContract:
    """Subclasses provide the fixture `store`."""

    async def test_default_order_is_newest_first(self, store: EventStore) -> None:
        tenant = fresh_tenant()
        times = [(_NOON - timedelta(days=days)).isoformat() for days in (3, 0, 200, 20)]
        rows = [order_row(tenant, f"o{n}", transact_time=time) for n, time in enumerate(times)]
        await store.append(StoredTable.ORDERS, rows)
        found = await all_pages(store, StoredTable.ORDERS, TenantScope.of(tenant), Query(limit=1))
        assert ids_of(found) == ["o1", "o0", "o3", "o2"]

    @pytest.mark.parametrize("field", ["transact_time", "transact_date", "id", "notional", "price", "status"])
    @pytest.mark.parametrize("direction", ["descending", "ascending"])
    async def test_pages_join_to_the_whole_order(self, store: EventStore, field: str, direction: str) -> None:
        tenant = fresh_tenant()
        prices: list[Any] = [msgspec.Raw(str(n % 3 + 1).encode()) if n % 4 else ... for n in range(13)]
        await store.append(
            StoredTable.ORDERS,
            [
                order_row(
                    tenant,
                    f"o{n:02}",
                    price=price,
                    notional=price,
                    status="new" if n % 2 else "filled",
                    transact_time=(_NOON - timedelta(days=n % 5, microseconds=n % 3)).isoformat(),
                )
                for n, price in enumerate(prices)
            ],
        )
        query, scope = Query(sort=Sort(field, descending=direction == "descending")), TenantScope.of(tenant)
        whole = await all_pages(store, StoredTable.ORDERS, scope, query)
        assert len(whole) == 13
        assert await all_pages(store, StoredTable.ORDERS, scope, msgspec.structs.replace(query, limit=3)) == whole

    @pytest.mark.parametrize(("direction", "expected"), [("ascending", "bcad"), ("descending", "cbda")])
    async def test_nulls_come_last_in_both_directions(self, store: EventStore, direction: str, expected: str) -> None:
        tenant = fresh_tenant()
        prices = {"a": ..., "b": msgspec.Raw(b"1"), "c": msgspec.Raw(b"2"), "d": ...}
        rows = [order_row(tenant, event_id, price=price) for event_id, price in prices.items()]
        await store.append(StoredTable.ORDERS, rows)
        query = Query(sort=Sort("price", descending=direction == "descending"), limit=1)
        assert "".join(ids_of(await all_pages(store, StoredTable.ORDERS, TenantScope.of(tenant), query))) == expected

    async def test_page_goes_on_after_rows_were_added(self, store: EventStore) -> None:
        tenant = fresh_tenant()
        scope, query = TenantScope.of(tenant), Query(limit=2, sort=Sort("id", descending=False))
        await store.append(StoredTable.ORDERS, [order_row(tenant, event_id) for event_id in ("b", "d", "f")])
        first = await store.find(StoredTable.ORDERS, scope, query)
        await store.append(StoredTable.ORDERS, [order_row(tenant, event_id) for event_id in ("a", "e")])
        second = await store.find(StoredTable.ORDERS, scope, msgspec.structs.replace(query, cursor=first.next_cursor))
        assert ids_of([*first.items, *second.items]) == ["b", "d", "e", "f"]

    async def test_text_sorts_by_code_point(self, store: EventStore) -> None:
        tenant = fresh_tenant()
        names = ["Z", "a", "é", "\uffff", "😀", "10", "9"]
        await store.append(StoredTable.ORDERS, [order_row(tenant, name) for name in names])
        query = Query(sort=Sort("id", descending=False), limit=2)
        assert ids_of(await all_pages(store, StoredTable.ORDERS, TenantScope.of(tenant), query)) == sorted(names)

    # filters

    @pytest.mark.parametrize("field", ["symbol", "price", "transact_time", "transact_date"])
    async def test_filter_keeps_exactly_the_rows_that_meet_it(self, store: EventStore, field: str) -> None:
        tenant = fresh_tenant()
        rows = {
            "a": ("AAPL", msgspec.Raw(b"1.5"), _NOON + timedelta(microseconds=1)),
            "b": ("MSFT", msgspec.Raw(b"20"), _NOON),
            "c": ("S%_'\\", msgspec.Raw(b"300"), _NOON - timedelta(days=1)),
            "d": ("AAPL", ..., _NOON - timedelta(days=90)),
        }
        await store.append(
            StoredTable.ORDERS,
            [
                order_row(tenant, event_id, symbol=symbol, price=price, transact_time=at.isoformat())
                for event_id, (symbol, price, at) in rows.items()
            ],
        )
        for operator, values, expected in _FILTERS[field]:
            query = Query(filters=(Filter(field, operator, values),))
            found = await all_pages(store, StoredTable.ORDERS, TenantScope.of(tenant), query)
            assert "".join(sorted(ids_of(found))) == expected, f"{field} {operator} {values}"

    @pytest.mark.parametrize("operator", [Operator.EQ, Operator.CONTAINS, Operator.PREFIX, Operator.IN])
    async def test_text_of_a_filter_is_only_ever_a_value(self, store: EventStore, operator: Operator) -> None:
        tenant = fresh_tenant()
        await store.append(StoredTable.ORDERS, [order_row(tenant, text, status=text) for text in HOSTILE_TEXTS])
        for text in HOSTILE_TEXTS:
            query = Query(filters=(Filter("status", operator, (text,)),))
            found = await store.find(StoredTable.ORDERS, TenantScope.of(tenant), query)
            assert ids_of(found.items) == [text]

    async def test_filters_hold_together(self, store: EventStore) -> None:
        tenant = fresh_tenant()
        await store.append(
            StoredTable.ORDERS,
            [order_row(tenant, "a", side="buy"), order_row(tenant, "b", side="sell"), order_row(tenant, "c")],
        )
        filters = (Filter("side", Operator.EQ, ("buy",)), Filter("id", Operator.GT, ("a",)))
        found = await store.find(StoredTable.ORDERS, TenantScope.of(tenant), Query(filters=filters))
        assert ids_of(found.items) == ["c"]

    async def test_every_fault_of_a_query_is_named(self, store: EventStore) -> None:
        query = Query(
            filters=(
                Filter("no_such", Operator.EQ, ("x",)),
                Filter("price", Operator.CONTAINS, ("1",)),
                Filter("symbol", Operator.EQ, ()),
                Filter("quantity", Operator.EQ, (Decimal("NaN"),)),
                Filter("transact_time", Operator.EQ, ("yesterday",)),
            ),
            sort=Sort("version"),
            limit=0,
        )
        with pytest.raises(InvalidInput) as caught:
            await store.find(StoredTable.ORDERS, TenantScope.of(fresh_tenant()), query)
        assert [error.field for error in caught.value.errors] == [
            "no_such", "price", "symbol", "quantity", "transact_time", "limit", "sort",
        ]  # fmt: skip

    async def test_cursor_of_another_order_is_refused(self, store: EventStore) -> None:
        tenant = fresh_tenant()
        scope = TenantScope.of(tenant)
        await store.append(StoredTable.ORDERS, [order_row(tenant, "a"), order_row(tenant, "b")])
        page = await store.find(StoredTable.ORDERS, scope, Query(limit=1))
        query = Query(limit=1, sort=Sort("id"), cursor=page.next_cursor)
        with pytest.raises(InvalidInput, match="cursor"):
            await store.find(StoredTable.ORDERS, scope, query)
