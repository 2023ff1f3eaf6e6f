"""Claims about cursors, plans and the statements they become."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from de_platform.pipeline.errors import InvalidInput
from de_platform.pipeline.query import FieldKind, Filter, Operator, Query, Sort
from de_platform.pipeline.tenancy import TenantScope
from de_platform.services.querying.cursor import Place, decode_cursor, encode_cursor
from de_platform.services.querying.plan import MAX_FILTERS, plan_query
from de_platform.services.querying.postgres_dialect import PostgresDialect
from de_platform.services.querying.shape import TableShape
from de_platform.services.querying.sql import Conditions
from de_platform.services.querying.values import fault_of, plain_decimal

SHAPE = TableShape(
    name="things",
    fields={
        "id": FieldKind.TEXT,
        "tenant_id": FieldKind.TEXT,
        "amount": FieldKind.NUMBER,
        "at": FieldKind.INSTANT,
        "on": FieldKind.DATE,
    },
    default_sort=Sort("at"),
    identity=("tenant_id", "id"),
    nullable=frozenset(("amount",)),
)
ROWS = st.fixed_dictionaries(
    {
        "id": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
        "tenant_id": st.just("acme"),
        "amount": st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=18, max_value=10**18),
        "at": st.datetimes(datetime(1970, 1, 1), datetime(2149, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
        "on": st.dates(date(1970, 1, 1), date(2149, 1, 1)),
    }
)
SORTS = st.builds(Sort, st.sampled_from(sorted(SHAPE.fields)), descending=st.booleans())


@given(row=ROWS, sort=SORTS)
def test_cursor_names_the_place_of_its_row(row: dict[str, Any], sort: Sort) -> None:
    ties = tuple(row[field] for field in SHAPE.identity if field != sort.field)
    assert decode_cursor(SHAPE, sort, encode_cursor(SHAPE, sort, row)) == Place(value=row[sort.field], ties=ties)


@given(row=ROWS, sort=SORTS, other=SORTS)
def test_cursor_is_bound_to_its_sort(row: dict[str, Any], sort: Sort, other: Sort) -> None:
    assert (decode_cursor(SHAPE, other, encode_cursor(SHAPE, sort, row)) is not None) == (sort == other)


@settings(max_examples=200)
@given(cursor=st.text() | st.binary().map(lambda data: data.hex()), sort=SORTS)
def test_made_up_cursor_is_no_place(cursor: str, sort: Sort) -> None:
    assert decode_cursor(SHAPE, sort, cursor) is None


@settings(max_examples=200)
@given(row=ROWS, sort=SORTS, at=st.integers(0), letter=st.sampled_from("Aa0_-"))
def test_damaged_cursor_never_holds_a_value_that_its_field_cannot_have(
    row: dict[str, Any], sort: Sort, at: int, letter: str
) -> None:
    cursor = encode_cursor(SHAPE, sort, row)
    position = at % len(cursor)
    place = decode_cursor(SHAPE, sort, cursor[:position] + letter + cursor[position + 1 :])
    if place is not None and place.value is not None:
        assert fault_of(SHAPE.fields[sort.field], place.value) is None


@given(value=st.text(min_size=1), operator=st.sampled_from(list(Operator)))
def test_statement_is_the_same_whatever_the_value(value: str, operator: Operator) -> None:
    count = 0 if operator in (Operator.IS_NULL, Operator.NOT_NULL) else 1
    texts: set[str] = set()
    for text in ("plain", value):
        try:
            query = Query(filters=(Filter("id", operator, (text,) * count),))
            texts.add(Conditions(PostgresDialect(), plan_query(SHAPE, TenantScope.of("acme"), query)).where)
        except InvalidInput:
            continue
    assert len(texts) == 1


def test_every_statement_begins_with_the_scope() -> None:
    query = Query(filters=(Filter("tenant_id", Operator.EQ, ("globex",)),))
    conditions = Conditions(PostgresDialect(), plan_query(SHAPE, TenantScope.of("acme"), query))
    assert conditions.where == "tenant_id = %(tenant)s::text AND tenant_id = %(p1)s::text"
    assert conditions.params == {"tenant": "acme", "p1": "globex"}


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (Decimal("NaN"), "finite"),
        (Decimal("Infinity"), "finite"),
        (Decimal("1E+1000000"), "digits"),
        (Decimal("1E-1000000"), "digits"),
        (10**37, "digits"),
        (True, "decimal number"),
        (1.5, "decimal number"),
        ("1", "decimal number"),
    ],
)
def test_number_that_no_column_holds_is_a_fault(value: Any, fault: str) -> None:
    assert fault in (fault_of(FieldKind.NUMBER, value) or "")


@pytest.mark.parametrize(
    "value", [datetime(1969, 12, 31, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC), date(2026, 1, 1)]
)
def test_instant_that_no_column_holds_is_a_fault(value: Any) -> None:
    assert fault_of(FieldKind.INSTANT, value) is not None


def test_too_many_filters_are_refused() -> None:
    with pytest.raises(InvalidInput, match="at most"):
        plan_query(
            SHAPE, TenantScope.all_tenants(), Query(filters=(Filter("id", Operator.IS_NULL),) * (MAX_FILTERS + 1))
        )


@given(number=st.decimals(allow_nan=False, allow_infinity=False, max_value=10**40, min_value=-(10**40)))
def test_plain_decimal_changes_the_form_and_never_the_value(number: Decimal) -> None:
    assert plain_decimal(number) == number
    assert "E" not in str(plain_decimal(number)) or abs(number) < Decimal("0.00001")
