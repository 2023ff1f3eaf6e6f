"""Plans over events told in days: `transact_date` is in the primary key, and it follows from `transact_time`."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, timedelta

import msgspec

from de_platform.pipeline.query import Filter, Operator
from de_platform.services.querying.plan import QueryPlan

_SPANS_DAYS = (1, 8, 64)
"""A page in order of time is first looked for in the newest (or oldest) day, then in wider spans."""

_DAY_OPERATOR = {
    Operator.EQ: Operator.EQ,
    Operator.LT: Operator.LTE,
    Operator.LTE: Operator.LTE,
    Operator.GT: Operator.GTE,
    Operator.GTE: Operator.GTE,
}


def by_day(plan: QueryPlan) -> QueryPlan:
    """Add the conditions on the day that the plan's conditions on the time imply; the rows stay the same."""
    if "transact_date" not in plan.shape.fields:
        return plan
    return msgspec.structs.replace(plan, filters=(*plan.filters, *_implied(plan)))


def days_only(plan: QueryPlan) -> QueryPlan:
    """Keep what the primary key alone can answer."""
    kept = tuple(condition for condition in plan.filters if condition.field == "transact_date")
    return msgspec.structs.replace(plan, filters=kept, after=None)


def spans_of_days(plan: QueryPlan, first_on: date, last_on: date) -> Sequence[QueryPlan]:
    """Return plans over ever more days from the beginning of an order by time, short of all of them.

    The days bound where the plan can find anything.
    """
    plans: list[QueryPlan] = []
    for days in _SPANS_DAYS:
        if days > (last_on - first_on).days:
            break
        reach = timedelta(days=days - 1)
        span = (
            Filter("transact_date", Operator.GTE, (last_on - reach,))
            if plan.sort.descending
            else Filter("transact_date", Operator.LTE, (first_on + reach,))
        )
        plans.append(msgspec.structs.replace(plan, filters=(*plan.filters, span)))
    return plans


def _implied(plan: QueryPlan) -> Iterator[Filter]:
    for condition in plan.filters:
        operator = _DAY_OPERATOR.get(condition.operator)
        if condition.field == "transact_time" and operator is not None:
            yield Filter("transact_date", operator, (condition.values[0].astimezone(UTC).date(),))
    if plan.sort.field == "transact_time" and plan.after is not None:
        operator = Operator.LTE if plan.sort.descending else Operator.GTE
        yield Filter("transact_date", operator, (plan.after.value.astimezone(UTC).date(),))
