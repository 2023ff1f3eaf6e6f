"""From a query that somebody wrote to a plan that any store can carry out: everything is checked here."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from de_platform.pipeline.errors import FieldError, InvalidInput
from de_platform.pipeline.query import MAX_PAGE_SIZE, FieldKind, Filter, Operator, Query, Sort
from de_platform.pipeline.tenancy import TenantScope
from de_platform.services.querying.cursor import Place, decode_cursor
from de_platform.services.querying.shape import TableShape
from de_platform.services.querying.values import fault_of

MAX_FILTERS = 50
MAX_SET_VALUES = 1000

_EQUALITY = frozenset((Operator.EQ, Operator.NE, Operator.IN, Operator.NOT_IN, Operator.IS_NULL, Operator.NOT_NULL))
_RANGES = frozenset((Operator.LT, Operator.LTE, Operator.GT, Operator.GTE))
_OPERATORS: Mapping[FieldKind, frozenset[Operator]] = {
    FieldKind.TEXT: _EQUALITY | _RANGES | {Operator.CONTAINS, Operator.PREFIX},
    FieldKind.NUMBER: _EQUALITY | _RANGES,
    FieldKind.INSTANT: _EQUALITY | _RANGES,
    FieldKind.DATE: _EQUALITY | _RANGES,
}


class QueryPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A checked query over one table, for one scope.

    Comparisons are exact: text by code points and with its case, ranked text by rank; a null meets no
    condition but IS_NULL. Nulls come last in both directions, ties follow the identity in the direction
    of the sort.
    """

    shape: TableShape
    scope: TenantScope
    filters: tuple[Filter, ...]
    sort: Sort
    limit: int
    after: Place | None

    @property
    def tie_breakers(self) -> tuple[str, ...]:
        """Fields that follow the sort field in the order."""
        return tuple(field for field in self.shape.identity if field != self.sort.field)


def plan_query(shape: TableShape, scope: TenantScope, query: Query) -> QueryPlan:
    """Check a query. Raises InvalidInput that names every fault."""
    faults = [*_filter_faults(shape, query.filters)]
    sort = query.sort or shape.default_sort
    if not 1 <= query.limit <= MAX_PAGE_SIZE:
        faults.append(FieldError("limit", f"must be between 1 and {MAX_PAGE_SIZE}"))
    after: Place | None = None
    if sort.field not in shape.fields:
        faults.append(FieldError("sort", f"unknown field {sort.field!r}"))
    elif query.cursor is not None:
        after = decode_cursor(shape, sort, query.cursor)
        if after is None:
            faults.append(FieldError("cursor", "is not a cursor of this query"))
    if faults:
        raise InvalidInput(faults)
    return QueryPlan(shape=shape, scope=scope, filters=query.filters, sort=sort, limit=query.limit, after=after)


def _filter_faults(shape: TableShape, filters: tuple[Filter, ...]) -> Iterable[FieldError]:
    if len(filters) > MAX_FILTERS:
        yield FieldError("filters", f"must be at most {MAX_FILTERS}")
        return
    for condition in filters:
        kind = shape.fields.get(condition.field)
        if kind is None:
            yield FieldError(condition.field, "unknown field")
        elif condition.operator not in _OPERATORS[kind]:
            yield FieldError(condition.field, f"{condition.operator.value} does not apply to {kind.value}")
        else:
            yield from _value_faults(shape, kind, condition)


def _value_faults(shape: TableShape, kind: FieldKind, condition: Filter) -> Iterable[FieldError]:
    values = condition.values
    fault = _arity_fault(condition.operator, len(values))
    if fault is not None:
        yield FieldError(condition.field, fault)
        return
    faults = {fault for value in values if (fault := fault_of(kind, value)) is not None}
    yield from (FieldError(condition.field, fault) for fault in sorted(faults))
    ranks = shape.ranked.get(condition.field)
    if ranks is not None and condition.operator in _RANGES and values[0] not in ranks:
        yield FieldError(condition.field, f"must be one of {', '.join(ranks)}")


def _arity_fault(operator: Operator, count: int) -> str | None:
    match operator:
        case Operator.IN | Operator.NOT_IN:
            return None if 1 <= count <= MAX_SET_VALUES else f"takes 1 to {MAX_SET_VALUES} values"
        case Operator.IS_NULL | Operator.NOT_NULL:
            return None if count == 0 else "takes no value"
        case _:
            return None if count == 1 else "takes one value"


def sort_value(shape: TableShape, field: str, value: Any) -> Any:
    """Return what a value of a field is ordered by: its rank where the field is ranked (unknown ones first)."""
    ranks = shape.ranked.get(field)
    if ranks is None or value is None:
        return value
    return ranks.index(value) if value in ranks else -1
