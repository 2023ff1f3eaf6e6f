"""Plans as SQL, for every dialect: values only as bound parameters, identifiers only from the table's shape."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from de_platform.pipeline.query import FieldKind, Filter, Operator
from de_platform.pipeline.tenancy import TenantScope
from de_platform.services.querying.cursor import Place
from de_platform.services.querying.plan import QueryPlan
from de_platform.services.querying.shape import TableShape

_INFIX: Mapping[Operator, str] = {
    Operator.EQ: "=",
    Operator.NE: "<>",
    Operator.LT: "<",
    Operator.LTE: "<=",
    Operator.GT: ">",
    Operator.GTE: ">=",
}
_RANGES = (Operator.LT, Operator.LTE, Operator.GT, Operator.GTE)


class Dialect(ABC):
    """What differs between the databases."""

    @abstractmethod
    def placeholder(self, name: str, kind: FieldKind, *, many: bool = False) -> str:
        """Return the text that stands for a bound value, or for a bound list of values."""

    @abstractmethod
    def bound(self, kind: FieldKind, value: Any) -> Any:
        """Return a value as the driver takes it for the placeholder of that kind."""

    @abstractmethod
    def member(self, column: str, values: str, kind: FieldKind) -> str:
        """Say that a column has one of a bound list of values."""

    @abstractmethod
    def contains(self, column: str, value: str) -> str:
        """Say that text contains a bound value."""

    @abstractmethod
    def prefixed(self, column: str, value: str) -> str:
        """Say that text starts with a bound value."""

    @abstractmethod
    def ordered_text(self, operand: str) -> str:
        """Return text such that it compares by code points."""

    @abstractmethod
    def rank(self, operand: str, ranks: Sequence[str]) -> str:
        """Return the place (from 1) of text within a fixed list, 0 if it is not there."""


class Conditions:
    """The WHERE and ORDER BY of one plan, with the parameters they bind.

    The tenant scope is the first condition and cannot be left out: there is no other way to build one.
    """

    def __init__(self, dialect: Dialect, plan: QueryPlan) -> None:
        self._dialect = dialect
        self._plan = plan
        self.params: dict[str, Any] = {}
        self._conditions = [scope_condition(dialect, plan.shape, plan.scope, self.params)]
        self._conditions += [self._filter(condition) for condition in plan.filters]
        if plan.after is not None:
            self._conditions.append(self._after(plan.after))

    @property
    def where(self) -> str:
        """All conditions, to follow WHERE."""
        return " AND ".join(self._conditions)

    @property
    def order_by(self) -> str:
        """The total order, to follow ORDER BY."""
        direction = "DESC" if self._plan.sort.descending else "ASC"
        fields = (self._plan.sort.field, *self._plan.tie_breakers)
        return ", ".join(f"{self._ordered(field, field)} {direction} NULLS LAST" for field in fields)

    def _bind(self, field: str, value: Any) -> str:
        kind = self._plan.shape.fields[field]
        name = f"p{len(self.params)}"
        self.params[name] = self._dialect.bound(kind, value)
        return self._dialect.placeholder(name, kind)

    def _member(self, condition: Filter) -> str:
        kind = self._plan.shape.fields[condition.field]
        name = f"p{len(self.params)}"
        self.params[name] = [self._dialect.bound(kind, value) for value in condition.values]
        return self._dialect.member(condition.field, self._dialect.placeholder(name, kind, many=True), kind)

    def _filter(self, condition: Filter) -> str:
        field, operator = condition.field, condition.operator
        match operator:
            case Operator.IS_NULL:
                text = f"{field} IS NULL"
            case Operator.NOT_NULL:
                text = f"{field} IS NOT NULL"
            case Operator.IN:
                text = self._member(condition)
            case Operator.NOT_IN:
                text = f"({field} IS NOT NULL AND NOT {self._member(condition)})"
            case Operator.CONTAINS:
                text = self._dialect.contains(field, self._bind(field, condition.values[0]))
            case Operator.PREFIX:
                text = self._dialect.prefixed(field, self._bind(field, condition.values[0]))
            case _:
                value = self._bind(field, condition.values[0])
                column, value = (self._ordered(field, o) if operator in _RANGES else o for o in (field, value))
                text = f"{column} {_INFIX[operator]} {value}"
        return text

    def _ordered(self, field: str, operand: str) -> str:
        """Return an operand of a field (the column or a bound value) as the field is ordered by."""
        ranks = self._plan.shape.ranked.get(field)
        if ranks is not None:
            return self._dialect.rank(operand, ranks)
        if self._plan.shape.fields[field] is FieldKind.TEXT:
            return self._dialect.ordered_text(operand)
        return operand

    def _after(self, place: Place) -> str:
        """Keep the rows that come after a place.

        The sort field's own bound is stated once more outside of the alternatives, so that an index can use it.
        """
        field = self._plan.sort.field
        beyond = "<" if self._plan.sort.descending else ">"
        ties = self._ties_beyond(place, beyond)
        if place.value is None:
            return f"({field} IS NULL AND {ties})" if ties else "FALSE"
        column, value = self._ordered(field, field), self._ordered(field, self._bind(field, place.value))
        later = f"{column} {beyond} {value}"
        if ties:
            later = f"{column} {beyond}= {value} AND ({later} OR {ties})"
        if field in self._plan.shape.nullable:
            return f"({field} IS NULL OR ({later}))"
        return f"({later})"

    def _ties_beyond(self, place: Place, beyond: str) -> str:
        """Compare the tie breakers as a tuple, spelled out."""
        text = ""
        for field, value in reversed(list(zip(self._plan.tie_breakers, place.ties, strict=True))):
            column, bound = self._ordered(field, field), self._ordered(field, self._bind(field, value))
            text = (
                f"({column} {beyond} {bound} OR ({column} = {bound} AND {text}))"
                if text
                else f"({column} {beyond} {bound})"
            )
        return text


def scope_condition(dialect: Dialect, shape: TableShape, scope: TenantScope, params: dict[str, Any]) -> str:
    """Return the condition that keeps a statement within its scope, binding it; TRUE only for all tenants."""
    if scope.tenant_id is None:
        return "TRUE"
    params["tenant"] = dialect.bound(FieldKind.TEXT, scope.tenant_id)
    return f"{shape.tenant_field} = {dialect.placeholder('tenant', FieldKind.TEXT)}"
