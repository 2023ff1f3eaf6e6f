"""Queries over stored rows as data: typed filters, one sort order, keyset paging. Stores turn them into SQL."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec

MAX_PAGE_SIZE = 1000
DEFAULT_PAGE_SIZE = 50


class FieldKind(StrEnum):
    """Decides which operators a field takes and how its values are parsed."""

    TEXT = "text"
    NUMBER = "number"
    INSTANT = "instant"
    DATE = "date"


class Operator(StrEnum):
    """Comparisons of a filter. `IN`/`NOT_IN` take several values, `IS_NULL`/`NOT_NULL` none, others one."""

    EQ = "eq"
    NE = "ne"
    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"
    IN = "in"
    NOT_IN = "not_in"
    CONTAINS = "contains"
    PREFIX = "prefix"
    IS_NULL = "is_null"
    NOT_NULL = "not_null"


class Filter(msgspec.Struct, frozen=True):
    """One condition; all conditions of a query must hold. Values are already parsed by the field's kind."""

    field: str
    operator: Operator
    values: tuple[Any, ...] = ()


class Sort(msgspec.Struct, frozen=True):
    """Order by one field; ties are broken by the row's identity, so that the order is total."""

    field: str
    descending: bool = True


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A page of rows. `cursor` is what the page before returned as `next_cursor`."""

    filters: tuple[Filter, ...] = ()
    sort: Sort | None = None
    limit: int = DEFAULT_PAGE_SIZE
    cursor: str | None = None


class Page(msgspec.Struct, frozen=True):
    """Rows in order, and where the next page begins (None at the end)."""

    items: Sequence[dict[str, Any]]
    next_cursor: str | None
