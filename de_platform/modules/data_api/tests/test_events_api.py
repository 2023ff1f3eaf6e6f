import csv
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from de_platform.modules.data_api.rows import ROW_TYPES, vocabulary_of
from de_platform.modules.data_api.tests.rows import duplicate, error_record, execution, order, transaction
from de_platform.pipeline.errors import Unavailable
from de_platform.services.event_store.interface import StoredTable

FACTORIES = {
    "orders": (StoredTable.ORDERS, order),
    "executions": (StoredTable.EXECUTIONS, execution),
    "transactions": (StoredTable.TRANSACTIONS, transaction),
    "duplicates": (StoredTable.DUPLICATES, duplicate),
    "errors": (StoredTable.NORMALIZATION_ERRORS, error_record),
}


@pytest.mark.parametrize("segment", FACTORIES)
async def test_every_table_is_listed_and_looked_up(served, segment: str) -> None:
    table, make = FACTORIES[segment]
    await served.store(table, make(1), make(2))
    items = (await served.get(f"/api/v1/events/{segment}")).json()["items"]
    assert len(items) == 2
    [row] = [item for item in items if item["message_id"] == make(1)["message_id"]]
    assert (await served.get(f"/api/v1/events/{segment}/{row['message_id']}")).json() == row


@pytest.mark.parametrize("table", StoredTable)
def test_every_column_that_can_be_asked_for_is_shown(table: StoredTable) -> None:
    assert set(vocabulary_of(table).fields) == set(ROW_TYPES[table].__struct_fields__)


async def test_money_is_exact_text_and_instants_are_utc(served) -> None:
    await served.store(StoredTable.ORDERS, order(1, price="0.100000000000000001"))
    [row] = (await served.get("/api/v1/events/orders")).json()["items"]
    assert row["price"] == "0.100000000000000001"
    assert row["transact_time"] == "2026-01-15T11:59:00.500000Z"
    assert row["usd_rate_on"] == "2026-01-15"


async def test_a_market_order_without_price_has_nulls(served) -> None:
    bare = {k: v for k, v in order(1).items() if k not in ("price", "notional", "notional_usd")}
    await served.store(StoredTable.ORDERS, bare | {"order_type": "market"})
    [row] = (await served.get("/api/v1/events/orders", {"price[is_null]": "true"})).json()["items"]
    assert (row["price"], row["notional"], row["notional_usd"]) == (None, None, None)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"symbol": "MSFT"}, ["ord-2"]),
        ({"symbol[in]": "AAPL,TSLA"}, ["ord-1", "ord-3"]),
        ({"notional_usd[gte]": "2000"}, ["ord-2", "ord-3"]),
        ({"notional_usd[gte]": "2000", "notional_usd[lt]": "3000"}, ["ord-2"]),
        ({"id[contains]": "-3"}, ["ord-3"]),
        ({"client_id[is_null]": "false"}, ["ord-2"]),
        ({"start_date": "2026-01-15", "end_date": "2026-01-15"}, ["ord-1", "ord-2"]),
        ({"date": "2026-01-14"}, ["ord-3"]),
        ({"tenant_id": "globex"}, ["ord-3"]),
        ({"sort": "notional_usd", "limit": "1"}, ["ord-1"]),
    ],
)
async def test_rows_are_filtered_and_sorted(served, params: dict[str, str], expected: list[str]) -> None:
    await served.store(
        StoredTable.ORDERS,
        order(1, notional_usd="1000"),
        order(2, symbol="MSFT", notional_usd="2000", client_id="c", transact_time="2026-01-15T23:59:59.999Z"),
        order(3, symbol="TSLA", notional_usd="3000", tenant_id="globex", transact_time="2026-01-14T00:00:00Z"),
    )
    items = (await served.get("/api/v1/events/orders", params)).json()["items"]
    assert sorted(item["id"] for item in items) == expected


async def test_pages_follow_each_other_to_the_end(served) -> None:
    await served.store(StoredTable.ORDERS, *[order(n) for n in range(7)])
    seen: list[str] = []
    url = "/api/v1/events/orders?limit=3&symbol=AAPL"
    while url:
        page = await served.client.get(url)
        seen += [item["id"] for item in page.json()["items"]]
        url = page.links["next"]["url"] if "next" in page.links else ""
        assert bool(url) == (page.json()["next_cursor"] is not None)
    assert sorted(seen) == [f"ord-{n}" for n in range(7)]


async def test_a_foreign_row_is_not_there(served) -> None:
    await served.store(StoredTable.ORDERS, order(1))
    response = await served.get("/api/v1/events/orders/m-1.0", {"tenant_id": "globex"})
    assert response.status_code == 404


async def test_every_fault_of_a_question_is_named(served) -> None:
    params = {"symbl": "A", "limit": "0", "side": "hold", "price[gte]": "NaN"}
    response = await served.get("/api/v1/events/orders", params)
    assert response.status_code == 400
    assert {e["field"] for e in response.json()["errors"]} == set(params)


@pytest.mark.parametrize("cursor", ["x", "e30", "../..", "eyJhIjoxfQ=="])
async def test_a_made_up_cursor_is_a_bad_request(served, cursor: str) -> None:
    assert (await served.get("/api/v1/events/orders", {"cursor": cursor})).status_code == 400


async def test_csv_has_a_header_and_defused_text(served) -> None:
    await served.store(StoredTable.ORDERS, order(1, symbol="=cmd()"))
    response = await served.client.get("/api/v1/events/orders", headers={"accept": "text/csv"})
    [row] = list(csv.DictReader(io.StringIO(response.text)))
    assert row["symbol"] == "'=cmd()"
    assert row["price"] == "150.25"


async def test_a_store_that_is_down_is_a_503(served) -> None:
    served.events.unavailable = Unavailable("events", "down for a test")
    response = await served.get("/api/v1/events/orders")
    assert response.status_code == 503
    assert response.headers["retry-after"]


NAMES = [
    f"{field}{op}" for field in ("id", "price", "transact_time", "nope", "") for op in ("", "[gte]", "[in]", "[x]")
]


@given(
    query=st.dictionaries(
        st.sampled_from([*NAMES, "sort", "limit", "cursor", "date", "tenant_id"]) | st.text(max_size=10),
        st.text(max_size=20)
        | st.sampled_from(["1", "2026-01-01", "2026-01-01T00:00:00Z", "-id", "acme", "9999-12-31"]),
        max_size=4,
    ),
    segment=st.sampled_from(list(FACTORIES)),
    accept=st.sampled_from(["application/json", "text/csv", "application/x-ndjson", "x"]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_question_is_a_server_error(served, query, segment, accept) -> None:
    await served.store(*[FACTORIES[segment][0], FACTORIES[segment][1](1)])
    usable = {k.encode("utf-8", "replace").decode(): v.encode("utf-8", "replace").decode() for k, v in query.items()}
    response = await served.client.get(f"/api/v1/events/{segment}", params=usable, headers={"accept": accept})
    assert response.status_code < 500


@pytest.mark.parametrize("query", ["%ff=1", "a=%ff", "&&&", "=", "a;b", "x=1&" * 300, "[]=1", "id[=1", "sort[eq]=id"])
async def test_malformed_queries_are_bad_requests_or_nothing(served, query: str) -> None:
    assert (await served.client.get(f"/api/v1/events/orders?{query}")).status_code in {200, 400}
