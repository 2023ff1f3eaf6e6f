from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from de_platform.pipeline.errors import InvalidInput
from de_platform.pipeline.query import FieldKind, Filter, Operator, Query, Sort
from de_platform.pipeline.query_parsing import OPERATORS, Vocabulary, parse_query

VOCABULARY = Vocabulary(
    fields={
        "symbol": FieldKind.TEXT,
        "client_id": FieldKind.TEXT,
        "side": FieldKind.TEXT,
        "notional_usd": FieldKind.NUMBER,
        "transact_time": FieldKind.INSTANT,
        "transact_date": FieldKind.DATE,
    },
    dated_by="transact_time",
    choices={"side": ("buy", "sell")},
)


def parse(*pairs: tuple[str, str]) -> Query:
    return parse_query(pairs, VOCABULARY)


def faults(*pairs: tuple[str, str]) -> dict[str, str]:
    with pytest.raises(InvalidInput) as raised:
        parse(*pairs)
    return {error.field: error.message for error in raised.value.errors}


def test_nothing_asked_is_the_first_page_of_everything() -> None:
    assert parse() == Query()


def test_a_field_alone_means_equality() -> None:
    assert parse(("symbol", "AAPL")).filters == (Filter("symbol", Operator.EQ, ("AAPL",)),)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("symbol[ne]", "A,B", Filter("symbol", Operator.NE, ("A,B",))),
        ("symbol[contains]", "%_'", Filter("symbol", Operator.CONTAINS, ("%_'",))),
        ("side[in]", "buy,sell", Filter("side", Operator.IN, ("buy", "sell"))),
        ("notional_usd[gte]", "1000000", Filter("notional_usd", Operator.GTE, (Decimal(1000000),))),
        ("notional_usd[lt]", "-0.50", Filter("notional_usd", Operator.LT, (Decimal("-0.50"),))),
        (
            "transact_time[gt]",
            "2026-01-01T00:00:00+02:00",
            Filter("transact_time", Operator.GT, (datetime(2025, 12, 31, 22, tzinfo=UTC),)),
        ),
        ("transact_date", "2026-01-31", Filter("transact_date", Operator.EQ, (date(2026, 1, 31),))),
        ("notional_usd[is_null]", "true", Filter("notional_usd", Operator.IS_NULL)),
        ("notional_usd[is_null]", "false", Filter("notional_usd", Operator.NOT_NULL)),
        ("notional_usd[not_null]", "false", Filter("notional_usd", Operator.IS_NULL)),
        ("client_id[is_null]", "true", Filter("client_id", Operator.EQ, ("",))),
        ("client_id[not_null]", "true", Filter("client_id", Operator.NE, ("",))),
    ],
)
def test_values_are_typed_by_field_and_operator(name: str, value: str, expected: Filter) -> None:
    assert parse((name, value)).filters == (expected,)


def test_a_set_may_come_in_parts() -> None:
    query = parse(("symbol[in]", "A,B"), ("symbol[in]", "C"))
    assert query.filters == (Filter("symbol", Operator.IN, ("A", "B", "C")),)


@pytest.mark.parametrize(
    ("text", "expected"), [("-transact_time", Sort("transact_time")), ("symbol", Sort("symbol", descending=False))]
)
def test_a_minus_sorts_descending(text: str, expected: Sort) -> None:
    assert parse(("sort", text)).sort == expected


def test_limit_and_cursor_are_taken() -> None:
    query = parse(("limit", "7"), ("cursor", "abc"))
    assert (query.limit, query.cursor) == (7, "abc")


def test_end_date_is_a_whole_day() -> None:
    query = parse(("start_date", "2026-01-30"), ("end_date", "2026-01-31"))
    assert query.filters == (
        Filter("transact_time", Operator.GTE, (datetime(2026, 1, 30, tzinfo=UTC),)),
        Filter("transact_time", Operator.LT, (datetime(2026, 2, 1, tzinfo=UTC),)),
    )


def test_date_is_one_day() -> None:
    assert parse(("date", "2026-01-31")) == parse(("start_date", "2026-01-31"), ("end_date", "2026-01-31"))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("symbl", "A", "did you mean symbol?"),
        ("limt", "5", "did you mean limit?"),
        ("symbol[eqq]", "A", "did you mean eq?"),
        ("notional_usd[contains]", "1", "number field"),
        ("side", "bu", "did you mean buy?"),
        ("notional_usd", "1e6", "plain notation"),
        ("notional_usd", "NaN", "plain notation"),
        ("notional_usd", "١", "plain notation"),
        ("notional_usd", "1_000", "plain notation"),
        ("notional_usd", "9" * 39, "plain notation"),
        ("transact_time", "2026-01-01T00:00:00", "must be an instant"),
        ("transact_time", "2026-01-01T00:00:00 02:00", "%2B"),
        ("transact_time", "2026-02-30T00:00:00Z", "no such instant"),
        ("transact_time", "2026-01-01T23:59:60Z", "no such instant"),
        ("transact_time", "0001-01-01T00:00:00+23:00", "no such instant"),
        ("transact_date", "2026-13-01", "no such day"),
        ("transact_date", "today", "must be a day"),
        ("symbol", "", "must not be empty"),
        ("symbol", "a\0b", "control characters"),
        ("symbol", "x" * 257, "256"),
        ("symbol[in]", "a,,b", "must not be empty"),
        ("symbol[in]", ",".join(["a"] * 201), "200 values"),
        ("symbol[is_null]", "maybe", "true or false"),
        ("limit", "0", "from 1 to 1000"),
        ("limit", "1001", "from 1 to 1000"),
        ("limit", "-5", "from 1 to 1000"),
        ("limit", "５", "from 1 to 1000"),
        ("sort", "price", "unknown field"),
        ("cursor", "", "not a cursor"),
        ("start_date", "yesterday", "must be a day"),
        ("symbol[eq", "A", "field[operator]"),
        ("symbol;drop table", "A", "field[operator]"),
    ],
)
def test_each_fault_is_named(name: str, value: str, said: str) -> None:
    [message] = faults((name, value)).values()
    assert said in message


def test_all_faults_are_named_at_once() -> None:
    assert set(faults(("limit", "x"), ("sort", "nope"), ("side", "hold"), ("symbol", "AAPL"))) == {
        "limit",
        "sort",
        "side",
    }


def test_the_same_condition_twice_is_a_fault() -> None:
    assert "symbol[in]=a,b" in faults(("symbol", "A"), ("symbol", "B"))["symbol"]


@pytest.mark.parametrize("name", ["limit", "sort", "cursor", "date"])
def test_paging_twice_is_a_fault(name: str) -> None:
    values = {"limit": "5", "sort": "symbol", "cursor": "c", "date": "2026-01-01"}
    assert faults((name, values[name]), (name, values[name])) == {name: "given more than once"}


def test_a_range_that_ends_before_it_starts_is_a_fault() -> None:
    assert "end_date" in faults(("start_date", "2026-01-02"), ("end_date", "2026-01-01"))


def test_date_and_range_together_are_a_fault() -> None:
    assert "date" in faults(("date", "2026-01-02"), ("end_date", "2026-01-03"))


def test_conditions_are_bounded() -> None:
    names = [f"{field}[{op}]" for field, kind in VOCABULARY.fields.items() for op in OPERATORS[kind]]
    values = {"symbol": "a", "client_id": "a", "side": "buy", "notional_usd": "1", "transact_date": "2026-01-01"}
    pairs = [
        (name, "true" if "null" in name else values.get(name.partition("[")[0], "2026-01-01T00:00:00Z"))
        for name in names
    ]
    assert "conditions" in faults(*pairs)[""]


@given(st.lists(st.tuples(st.sampled_from(["symbol", "limit", "date", "sort", "x[y]"]) | st.text(), st.text())))
@settings(max_examples=200)
def test_any_address_is_a_query_or_invalid_input(pairs: list[tuple[str, str]]) -> None:
    with suppress(InvalidInput):
        assert isinstance(parse_query(pairs, VOCABULARY), Query)
