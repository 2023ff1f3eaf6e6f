import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from de_platform.http.paging import csv_of, page_response
from de_platform.http.responses import Response
from de_platform.http.routing import Request, query_pairs

MakeClient = Callable[..., httpx.AsyncClient]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    amount: Decimal | None = None
    at: datetime = datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC)
    details: dict[str, Any] = {}


def serving(rows: list[Row], next_cursor: str | None = None) -> Callable[[Request], Any]:
    async def handle(request: Request) -> Response:
        return page_response(request, query_pairs(request), rows, next_cursor, row_type=Row)

    return handle


ROWS = [Row(name="a", amount=Decimal("1.50")), Row(name="=SUM(A1)", amount=Decimal("-2"))]


async def test_json_is_the_default(make_client: MakeClient) -> None:
    response = await make_client(serving(ROWS, "c1")).get("/api/thing")
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body["next_cursor"] == "c1"
    assert body["items"][0] == {"name": "a", "amount": "1.50", "at": "2026-01-02T03:04:05.000600Z", "details": {}}


async def test_the_last_page_has_no_cursor(make_client: MakeClient) -> None:
    response = await make_client(serving([])).get("/api/thing")
    assert response.json() == {"items": [], "next_cursor": None}
    assert "link" not in response.headers


async def test_the_next_page_is_linked_with_the_same_question(make_client: MakeClient) -> None:
    client = make_client(serving(ROWS, "c=2&"))
    response = await client.get("/api/thing", params={"x": "a b", "cursor": "c1"})
    following = response.links["next"]["url"]
    assert dict(httpx.URL(following).params) == {"x": "a b", "cursor": "c=2&"}
    assert httpx.URL(following).path == "/api/thing"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("*/*", "application/json"),
        ("text/csv", "text/csv; charset=utf-8"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("text/html, application/json;q=0.9", "application/json"),
        ("text/csv;q=0.5, application/json", "application/json"),
        ("text/*", "text/csv; charset=utf-8"),
    ],
)
async def test_the_accept_header_chooses(make_client: MakeClient, accept: str, expected: str) -> None:
    response = await make_client(serving(ROWS)).get("/api/thing", headers={"accept": accept})
    assert response.headers["content-type"] == expected


@pytest.mark.parametrize("accept", ["text/html", "image/png", "nonsense"])
async def test_what_cannot_be_served_is_a_406(make_client: MakeClient, accept: str) -> None:
    response = await make_client(serving(ROWS)).get("/api/thing", headers={"accept": accept})
    assert response.status_code == 406


async def test_ndjson_is_one_object_a_line(make_client: MakeClient) -> None:
    response = await make_client(serving(ROWS)).get("/api/thing", headers={"accept": "application/x-ndjson"})
    assert [msgspec.json.decode(line, type=Row) for line in response.text.splitlines()] == ROWS


def test_formulas_are_defused_and_numbers_are_not() -> None:
    lines = csv_of(ROWS, Row).decode().splitlines()
    assert lines[0] == "name,amount,at,details"
    assert lines[1].startswith("a,1.50,2026-01-02T03:04:05.000600Z")
    assert lines[2].startswith("'=SUM(A1),-2,")


@given(st.text())
@settings(max_examples=100)
def test_no_text_cell_begins_a_formula_and_all_survive(text: str) -> None:
    [_, row] = list(csv.reader(io.StringIO(csv_of([Row(name=text)], Row).decode(), newline="")))
    assert row[0].removeprefix("'") == text.encode(errors="replace").decode().removeprefix("'")
    assert not row[0].startswith(("=", "@", "+", "\t", "\r"))
    assert not row[0].startswith("-") or row[0][1:2].isdigit()
