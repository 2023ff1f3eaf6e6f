"""Plans carried out over rows in memory, for fakes; proven equal to SQL by the stores' contracts."""

from collections.abc import Callable, Iterable, Mapping
from functools import cmp_to_key
from typing import Any

from de_platform.pipeline.query import Filter, Operator, Page
from de_platform.services.querying.cursor import encode_cursor
from de_platform.services.querying.plan import QueryPlan, sort_value
from de_platform.services.querying.shape import TableShape

Row = Mapping[str, Any]

_COMPARE: Mapping[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQ: lambda stored, value: stored == value,
    Operator.NE: lambda stored, value: stored != value,
    Operator.LT: lambda stored, value: stored < value,
    Operator.LTE: lambda stored, value: stored <= value,
    Operator.GT: lambda stored, value: stored > value,
    Operator.GTE: lambda stored, value: stored >= value,
    Operator.CONTAINS: lambda stored, value: value in stored,
    Operator.PREFIX: lambda stored, value: stored.startswith(value),
}
_RANGES = (Operator.LT, Operator.LTE, Operator.GT, Operator.GTE)


def page_of(plan: QueryPlan, rows: Iterable[Row]) -> Page:
    """Return the page that the plan asks for; rows are copied."""
    covered = (row for row in rows if plan.scope.covers(row[plan.shape.tenant_field]))
    kept = [row for row in covered if all(_meets(plan.shape, row, condition) for condition in plan.filters)]
    kept.sort(key=cmp_to_key(lambda left, right: _compare(plan, _place(plan, left), _place(plan, right))))
    if plan.after is not None:
        start = (plan.after.value, *plan.after.ties)
        kept = [row for row in kept if _compare(plan, _place(plan, row), start) > 0]
    items = [dict(row) for row in kept[: plan.limit]]
    more = len(kept) > plan.limit
    return Page(items, encode_cursor(plan.shape, plan.sort, items[-1]) if more else None)


def _meets(shape: TableShape, row: Row, condition: Filter) -> bool:
    stored = row[condition.field]
    match condition.operator:
        case Operator.IS_NULL:
            return stored is None
        case Operator.NOT_NULL:
            return stored is not None
        case _ if stored is None:
            return False
        case Operator.IN:
            return stored in condition.values
        case Operator.NOT_IN:
            return stored not in condition.values
        case operator:
            value = condition.values[0]
            if operator in _RANGES:
                stored, value = (sort_value(shape, condition.field, side) for side in (stored, value))
            return _COMPARE[operator](stored, value)


def _place(plan: QueryPlan, row: Row) -> tuple[Any, ...]:
    return (row[plan.sort.field], *(row[field] for field in plan.tie_breakers))


def _compare(plan: QueryPlan, left: tuple[Any, ...], right: tuple[Any, ...]) -> int:
    """Order two places: negative if `left` comes first."""
    if (left[0] is None) != (right[0] is None):
        return 1 if left[0] is None else -1
    fields = (plan.sort.field, *plan.tie_breakers)
    left_key = tuple(sort_value(plan.shape, f, v) for f, v in zip(fields, left, strict=True) if v is not None)
    right_key = tuple(sort_value(plan.shape, f, v) for f, v in zip(fields, right, strict=True) if v is not None)
    sign = -1 if plan.sort.descending else 1
    return sign * ((left_key > right_key) - (left_key < right_key))
