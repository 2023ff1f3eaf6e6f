"""What every implementation of EventStore does. Tests share a store; each works with tenants of its own."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from de_platform.pipeline.events import EventType
from de_platform.pipeline.query import Filter, Operator, Query
from de_platform.pipeline.tenancy import TenantScope
from de_platform.services.event_store.contract_rows import duplicate_row, error_row, fresh_tenant, order_row
from de_platform.services.event_store.interface import (
    EventIdentity,
    EventStore,
    RowsRefused,
    StoredIdentity,
    StoredTable,
)
from de_platform.services.event_store.query_contract import BY_ID, EventQueryContract, all_pages, ids_of


class EventStoreContract(EventQueryContract):
    """Rows, identities and scopes, beside queries. Subclasses provide the fixture `store`."""

    # rows

    async def test_order_comes_back_with_exact_types(self, store: EventStore) -> None:
        tenant = fresh_tenant()
        await store.append(
            StoredTable.ORDERS,
            [order_row(tenant, "o1", price=msgspec.Raw(b"0.000000000000000001"), notional=msgspec.Raw(b"12.50"))],
        )
        (row,) = (await store.find(StoredTable.ORDERS, TenantScope.of(tenant), Query())).items
        assert (row["price"], row["notional"]) == (Decimal("0.000000000000000001"), Decimal("12.5"))
        assert row["transact_time"] == datetime(2026, 11, 3, 12, 0, 0, 1, tzinfo=UTC)
        assert row["transact_time"].utcoffset() == timedelta(0)
        assert (row["transact_date"], row["usd_rate_on"]) == (date(2026, 11, 3), date(2026, 11, 3))

    async def test_decimals_carry_no_padding(self, store: EventStore) -> None:
        tenant = fresh_tenant()
        await store.append(StoredTable.ORDERS, [order_row(tenant, "o1", price=msgspec.Raw(b"150.50"))])
        (row,) = (await store.find(StoredTable.ORDERS, TenantScope.of(tenant), Query())).items
        assert (str(row["price"]), str(row["quantity"])) == ("150.5", "100")

    async def test_largest_numbers_are_exact(self, store: EventStore) -> None:
        tenant = fresh_tenant()
        quantity = "9" * 18 + "." + "9" * 18
        notional = format(Decimal("9" * 36).scaleb(-18) * 10**18, "f")[:36] + "." + "9" * 36
        await store.append(
            StoredTable.ORDERS,
            [order_row(tenant, "o1", quantity=msgspec.Raw(quantity.encode()), notional=msgspec.Raw(notional.encode()))],
        )
        (row,) = (await store.find(StoredTable.ORDERS, TenantScope.of(tenant), Query())).items
        assert (row["quantity"], row["notional"]) == (Decimal(quantity), Decimal(notional))

    async def test_offset_of_the_client_becomes_utc(self, store: EventStore) -> None:
        tenant = fresh_tenant()
        await store.append(StoredTable.ORDERS, [order_row(tenant, "o1", transact_time="2026-11-03T00:30:00.5+02:00")])
        (row,) = (await store.find(StoredTable.ORDERS, TenantScope.of(tenant), Query())).items
        assert row["transact_time"] == datetime(2026, 11, 2, 22, 30, 0, 500000, tzinfo=UTC)
        assert row["transact_date"] == date(2026, 11, 2)

    async def test_market_order_without_price_has_nulls(self, store: EventStore) -> None:
        tenant = fresh_tenant()
        await store.append(StoredTable.ORDERS, [order_row(tenant, "o1", price=..., notional=..., notional_usd=...)])
        (row,) = (await store.find(StoredTable.ORDERS, TenantScope.of(tenant), Query())).items
        assert (row["price"], row["notional"], row["notional_usd"]) == (None, None, None)

    async def test_optional_text_is_empty_when_absent_and_json_text_when_nested(self, store: EventStore) -> None:
        tenant = fresh_tenant()
        fields = {"desk": "é\n", "tags": [1, {"a": None}]}
        await store.append(
            StoredTable.ORDERS,
            [order_row(tenant, "o1"), order_row(tenant, "o2", additional_fields=fields, client_id="c1")],
        )
        rows = (await store.find(StoredTable.ORDERS, TenantScope.of(tenant), BY_ID)).items
        assert [row["client_id"] for row in rows] == ["", "c1"]
        assert rows[0]["additional_fields"] == ""
        assert msgspec.json.decode(rows[1]["additional_fields"]) == fields

    async def test_error_record_comes_back_as_it_was(self, store: EventStore) -> None:
        tenant = fresh_tenant()
        await store.append(StoredTable.NORMALIZATION_ERRORS, [error_row(tenant, f"{tenant}.0")])
        (row,) = (await store.find(StoredTable.NORMALIZATION_ERRORS, TenantScope.of(tenant), Query())).items
        assert row["raw_data"] == '{"price": -1}\n\t"\\ é'
        assert msgspec.json.decode(row["errors"]) == [{"field": "price", "message": "must be > 0"}]
        assert (row["position"], row["stage"]) == (7, "intake")

    async def test_duplicate_keeps_the_whole_original_event(self, store: EventStore) -> None:
        tenant = fresh_tenant()
        await store.append(StoredTable.DUPLICATES, [duplicate_row(tenant, f"{tenant}.0")])
        (row,) = (await store.find(StoredTable.DUPLICATES, TenantScope.of(tenant), Query())).items
        assert msgspec.json.decode(row["original_event"]) == {"id": "o1", "nested": {"a": [1, 2]}}

    async def test_unknown_members_are_ignored(self, store: EventStore) -> None:
        tenant = fresh_tenant()
        await store.append(StoredTable.ORDERS, [order_row(tenant, "o1", broker_memo={"x": 1})])
        assert await store.count(StoredTable.ORDERS, TenantScope.of(tenant)) == 1

    @pytest.mark.parametrize(
        "row", [b'{"id": "o1"', b"\x00\xff", b'{"quantity": "many"}', b'{"transact_time": "soon"}']
    )
    async def test_row_that_does_not_fit_is_refused_by_name(self, store: EventStore, row: bytes) -> None:
        with pytest.raises(RowsRefused, match="orders"):
            await store.append(StoredTable.ORDERS, [row])

    async def test_bytes_that_are_not_text_are_refused(self, store: EventStore) -> None:
        row = order_row(fresh_tenant(), "o1", status="@@").replace(b"@@", b"\xff\xfe")
        with pytest.raises(RowsRefused, match="utf-8"):
            await store.append(StoredTable.ORDERS, [row])

    async def test_appending_nothing_is_fine(self, store: EventStore) -> None:
        await store.append(StoredTable.ORDERS, [])

    # identity

    async def test_row_appended_twice_shows_once(self, store: EventStore) -> None:
        tenant = fresh_tenant()
        for _ in range(2):
            await store.append(StoredTable.ORDERS, [order_row(tenant, "o1"), order_row(tenant, "o2")])
            await store.append(StoredTable.DUPLICATES, [duplicate_row(tenant, f"{tenant}.0")])
            await store.append(StoredTable.NORMALIZATION_ERRORS, [error_row(tenant, f"{tenant}.0")])
        scope = TenantScope.of(tenant)
        assert [await store.count(table, scope) for table in StoredTable] == [2, 0, 0, 1, 1]
        assert ids_of(await all_pages(store, StoredTable.ORDERS, scope, BY_ID)) == ["o1", "o2"]

    @pytest.mark.parametrize("order", [(5, 9), (9, 5)])
    async def test_lowest_origin_wins_in_whichever_order_they_come(
        self, store: EventStore, order: tuple[int, int]
    ) -> None:
        tenant = fresh_tenant()
        for offset in order:
            await store.append(StoredTable.ORDERS, [order_row(tenant, "o1", offset=offset, status=f"from {offset}")])
        (row,) = (await store.find(StoredTable.ORDERS, TenantScope.of(tenant), Query())).items
        assert row["status"] == "from 5"

    async def test_row_that_lost_is_found_by_no_filter(self, store: EventStore) -> None:
        tenant = fresh_tenant()
        for offset in (5, 9):
            await store.append(StoredTable.ORDERS, [order_row(tenant, "o1", offset=offset, status=f"from {offset}")])
        query = Query(filters=(Filter("status", Operator.EQ, ("from 9",)),))
        assert (await store.find(StoredTable.ORDERS, TenantScope.of(tenant), query)).items == []

    async def test_same_id_on_another_day_is_another_event(self, store: EventStore) -> None:
        tenant = fresh_tenant()
        await store.append(
            StoredTable.ORDERS,
            [order_row(tenant, "o1"), order_row(tenant, "o1", transact_time="2026-11-04T00:00:00Z")],
        )
        assert await store.count(StoredTable.ORDERS, TenantScope.of(tenant)) == 2

    async def test_identities_name_the_message_and_the_origin(self, store: EventStore) -> None:
        tenant, other = fresh_tenant(), fresh_tenant()
        await store.append(StoredTable.ORDERS, [order_row(tenant, "o1", offset=9), order_row(tenant, "o1", offset=5)])
        await store.append(StoredTable.ORDERS, [order_row(other, "it's\\'{x:String}", offset=3)])
        here = EventIdentity(tenant, "o1", date(2026, 11, 3))
        quoted = EventIdentity(other, "it's\\'{x:String}", date(2026, 11, 3))
        absent = [
            EventIdentity(tenant, "o1", date(2026, 11, 4)),
            EventIdentity(tenant, "o2", date(2026, 11, 3)),
            EventIdentity(other, "o1", date(2026, 11, 3)),
        ]
        assert await store.identities(EventType.ORDER, [here, quoted, *absent, here]) == {
            here: StoredIdentity(f"{tenant}-o1.5", "trade_normalization:0:5"),
            quoted: StoredIdentity(f"{other}-it's\\'{{x:String}}.3", "trade_normalization:0:3"),
        }

    async def test_identities_of_nothing_and_of_another_type_are_empty(self, store: EventStore) -> None:
        tenant = fresh_tenant()
        await store.append(StoredTable.ORDERS, [order_row(tenant, "o1")])
        assert await store.identities(EventType.ORDER, []) == {}
        wanted = [EventIdentity(tenant, "o1", date(2026, 11, 3))]
        assert await store.identities(EventType.EXECUTION, wanted) == {}

    async def test_thousands_of_identities_are_answered_in_one_call(self, store: EventStore) -> None:
        tenant = fresh_tenant()
        long_id = "x" * 240
        await store.append(
            StoredTable.ORDERS, [order_row(tenant, f"{long_id}{n}", offset=n) for n in range(0, 5000, 10)]
        )
        wanted = [EventIdentity(tenant, f"{long_id}{n}", date(2026, 11, 3)) for n in range(5000)]
        assert len(await store.identities(EventType.ORDER, wanted)) == 500

    # scope

    async def test_tenant_sees_only_its_own_rows(self, store: EventStore) -> None:
        tenant, other = fresh_tenant(), fresh_tenant()
        await store.append(StoredTable.ORDERS, [order_row(tenant, "o1"), order_row(other, "o2")])
        scope = TenantScope.of(tenant)
        assert ids_of(await all_pages(store, StoredTable.ORDERS, scope, Query())) == ["o1"]
        assert await store.count(StoredTable.ORDERS, scope) == 1
        assert await store.get(StoredTable.ORDERS, scope, f"{other}-o2.0") is None

    async def test_filter_on_the_tenant_does_not_widen_the_scope(self, store: EventStore) -> None:
        tenant, other = fresh_tenant(), fresh_tenant()
        await store.append(StoredTable.ORDERS, [order_row(other, "o2")])
        query = Query(filters=(Filter("tenant_id", Operator.EQ, (other,)),))
        assert (await store.find(StoredTable.ORDERS, TenantScope.of(tenant), query)).items == []

    async def test_operators_see_every_tenant(self, store: EventStore) -> None:
        tenants = [fresh_tenant(), fresh_tenant()]
        await store.append(StoredTable.ORDERS, [order_row(tenant, "o1") for tenant in tenants])
        query = Query(filters=(Filter("tenant_id", Operator.IN, tuple(tenants)),))
        rows = await all_pages(store, StoredTable.ORDERS, TenantScope.all_tenants(), query)
        assert sorted(row["tenant_id"] for row in rows) == sorted(tenants)

    async def test_get_finds_a_row_of_every_table_by_message(self, store: EventStore) -> None:
        tenant = fresh_tenant()
        await store.append(StoredTable.ORDERS, [order_row(tenant, "o1"), order_row(tenant, "o2")])
        await store.append(StoredTable.NORMALIZATION_ERRORS, [error_row(tenant, f"{tenant}.4")])
        scope = TenantScope.of(tenant)
        order = await store.get(StoredTable.ORDERS, scope, f"{tenant}-o2.0")
        error = await store.get(StoredTable.NORMALIZATION_ERRORS, scope, f"{tenant}.4")
        assert order is not None
        assert error is not None
        assert (order["id"], error["position"]) == ("o2", 7)

    async def test_get_does_not_find_a_message_that_lost(self, store: EventStore) -> None:
        tenant = fresh_tenant()
        await store.append(StoredTable.ORDERS, [order_row(tenant, "o1", offset=offset) for offset in (5, 9)])
        assert await store.get(StoredTable.ORDERS, TenantScope.of(tenant), f"{tenant}-o1.9") is None

    async def test_health_check_answers(self, store: EventStore) -> None:
        await store.health_check()
