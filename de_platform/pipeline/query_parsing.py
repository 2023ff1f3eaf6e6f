"""From an address to a query: `?symbol=AAPL&notional_usd[gte]=1000000&sort=-transact_time&limit=50`.

A parameter is a field, with an operator in brackets (`eq` when there is none). Values are parsed by the
field's kind. Everything that is wrong is named at once, with a suggestion where one comes to mind.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

import msgspec

from de_platform.pipeline.errors import FieldError, InvalidInput
from de_platform.pipeline.query import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, FieldKind, Filter, Operator, Query, Sort

MAX_FILTERS = 30
MAX_VALUES = 200
MAX_TEXT = 256
MAX_CURSOR = 2048

_TEXT_ONLY = (Operator.CONTAINS, Operator.PREFIX)
_ANY_KIND = tuple(operator for operator in Operator if operator not in _TEXT_ONLY)
OPERATORS: Mapping[FieldKind, tuple[Operator, ...]] = {
    FieldKind.TEXT: tuple(Operator),
    FieldKind.NUMBER: _ANY_KIND,
    FieldKind.INSTANT: _ANY_KIND,
    FieldKind.DATE: _ANY_KIND,
}
"""Which operators a kind of field takes."""

PAGING_PARAMETERS = ("sort", "limit", "cursor")
DAY_PARAMETERS = ("date", "start_date", "end_date")

_PARAMETER = re.compile(r"(?P<field>[a-z_]+)(?:\[(?P<operator>[a-z_]*)\])?")
_NUMBER = re.compile(r"-?[0-9]{1,38}(?:\.[0-9]{1,38})?")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LIMIT = re.compile(r"[0-9]{1,6}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Vocabulary(msgspec.Struct, frozen=True, kw_only=True):
    """What can be asked of one collection.

    `dated_by` is the instant that `date`, `start_date` and `end_date` speak of. `choices` lists the values of
    fields that have only these.
    """

    fields: Mapping[str, FieldKind]
    dated_by: str
    choices: Mapping[str, Collection[str]] = {}


def parse_query(pairs: Sequence[tuple[str, str]], vocabulary: Vocabulary) -> Query:
    """Build the query that an address asks for. Raises InvalidInput naming every fault."""
    return _Parsing(vocabulary).parse(pairs)


class _Fault(Exception):
    """One thing that is wrong with the parameter at hand."""


class _Parsing:
    """One address being read; collects faults instead of stopping at the first."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._faults: list[FieldError] = []
        self._filters: dict[tuple[str, Operator], Filter] = {}
        self._seen: set[str] = set()
        self._sort: Sort | None = None
        self._limit = DEFAULT_PAGE_SIZE
        self._cursor: str | None = None
        self._days: dict[str, date] = {}

    def parse(self, pairs: Sequence[tuple[str, str]]) -> Query:
        for name, value in pairs:
            try:
                self._take(name, value)
            except _Fault as fault:
                self._faults.append(FieldError(_shown(name), str(fault)))
        filters = (*self._filters.values(), *self._day_filters())
        if len(filters) > MAX_FILTERS:
            self._faults.append(FieldError("", f"more than {MAX_FILTERS} conditions"))
        if self._faults:
            raise InvalidInput(self._faults)
        return Query(filters=filters, sort=self._sort, limit=self._limit, cursor=self._cursor)

    def _take(self, name: str, value: str) -> None:
        if name in PAGING_PARAMETERS or name in DAY_PARAMETERS:
            if name in self._seen:
                raise _Fault("given more than once")
            self._seen.add(name)
        match name:
            case "sort":
                self._sort = self._parse_sort(value)
            case "limit":
                self._limit = _parse_limit(value)
            case "cursor":
                self._cursor = _parse_cursor(value)
            case "date" | "start_date" | "end_date":
                self._days[name] = _parse_date(value)
            case _:
                self._take_filter(name, value)

    def _parse_sort(self, value: str) -> Sort:
        field = value.removeprefix("-")
        self._kind_of(field)
        return Sort(field, descending=value.startswith("-"))

    def _take_filter(self, name: str, value: str) -> None:
        match = _PARAMETER.fullmatch(name)
        if match is None:
            raise _Fault("a parameter is a field, or field[operator]")
        field = match["field"]
        kind = self._kind_of(field)
        operator = _operator(field, kind, match["operator"])
        values: tuple[Any, ...]
        match operator:
            case Operator.IS_NULL | Operator.NOT_NULL:
                operator, values = _null_check(kind, operator, value)
            case Operator.IN | Operator.NOT_IN:
                values = tuple(self._value(field, kind, part) for part in value.split(","))
            case _:
                values = (self._value(field, kind, value),)
        self._add(name, Filter(field, operator, values))

    def _add(self, name: str, new: Filter) -> None:
        key = (new.field, new.operator)
        known = self._filters.get(key)
        if known is not None:
            if new.operator not in {Operator.IN, Operator.NOT_IN}:
                raise _Fault(f"given more than once; for several values say {new.field}[in]=a,b")
            new = Filter(new.field, new.operator, known.values + new.values)
        if len(new.values) > MAX_VALUES:
            raise _Fault(f"more than {MAX_VALUES} values in {name}")
        self._filters[key] = new

    def _kind_of(self, field: str) -> FieldKind:
        kind = self._vocabulary.fields.get(field)
        if kind is None:
            known = [*self._vocabulary.fields, *PAGING_PARAMETERS, *DAY_PARAMETERS]
            raise _Fault(f"unknown field{_suggestion(field, known)}")
        return kind

    def _value(self, field: str, kind: FieldKind, text: str) -> Any:
        value = _PARSERS[kind](text)
        choices = self._vocabulary.choices.get(field)
        if choices is not None and value not in choices:
            raise _Fault(f"must be one of {', '.join(sorted(choices))}{_suggestion(text, choices)}")
        return value

    def _day_filters(self) -> list[Filter]:
        """Turn whole UTC days into instants, half-open: the midnight after the last day is out."""
        day = self._days.get("date")
        if day is not None and len(self._days) > 1:
            self._faults.append(FieldError("date", "stands alone; start_date and end_date are for ranges"))
        first, last = self._days.get("start_date", day), self._days.get("end_date", day)
        if first is not None and last is not None and last < first:
            self._faults.append(FieldError("end_date", "is before start_date"))
        field = self._vocabulary.dated_by
        filters: list[Filter] = []
        if first is not None:
            filters.append(Filter(field, Operator.GTE, (_midnight(first),)))
        if last is not None and last < date.max:
            filters.append(Filter(field, Operator.LT, (_midnight(last + timedelta(days=1)),)))
        return filters


def _operator(field: str, kind: FieldKind, name: str | None) -> Operator:
    if name is None:
        return Operator.EQ
    try:
        operator = Operator(name)
    except ValueError:
        raise _Fault(f"unknown operator{_suggestion(name, list(Operator))}") from None
    if operator not in OPERATORS[kind]:
        raise _Fault(f"{field} is a {kind} field and takes {', '.join(OPERATORS[kind])}")
    return operator


def _null_check(kind: FieldKind, operator: Operator, text: str) -> tuple[Operator, tuple[Any, ...]]:
    """Read a yes or no. Absent text is stored as an empty string, so for text it is a comparison with that."""
    if text not in {"true", "false"}:
        raise _Fault("must be true or false")
    is_null = (text == "true") is (operator is Operator.IS_NULL)
    if kind is FieldKind.TEXT:
        return (Operator.EQ if is_null else Operator.NE), ("",)
    return (Operator.IS_NULL if is_null else Operator.NOT_NULL), ()


def _parse_text(text: str) -> str:
    if not text:
        raise _Fault("must not be empty; to find what is absent say [is_null]=true")
    if len(text) > MAX_TEXT:
        raise _Fault(f"must be at most {MAX_TEXT} characters")
    if _CONTROL.search(text):
        raise _Fault("must not contain control characters")
    return text


def _parse_number(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise _Fault("must be a number in plain notation, such as 1000000 or 0.25")
    return Decimal(text)


def _parse_instant(text: str) -> datetime:
    if not _INSTANT.fullmatch(text):
        hint = "; send the + of an offset as %2B" if " " in text else ""
        raise _Fault(f"must be an instant such as 2026-01-31T09:30:00Z{hint}")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _Fault(f"is no such instant: {error}") from None


def _parse_date(text: str) -> date:
    if not _DATE.fullmatch(text):
        raise _Fault("must be a day such as 2026-01-31")
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise _Fault(f"is no such day: {error}") from None


def _parse_limit(text: str) -> int:
    if not _LIMIT.fullmatch(text) or not 1 <= int(text) <= MAX_PAGE_SIZE:
        raise _Fault(f"must be a whole number from 1 to {MAX_PAGE_SIZE}")
    return int(text)


def _parse_cursor(text: str) -> str:
    if not text or len(text) > MAX_CURSOR or not text.isascii() or _CONTROL.search(text):
        raise _Fault("is not a cursor; take next_cursor of the page before, unchanged")
    return text


_PARSERS: Mapping[FieldKind, Callable[[str], Any]] = {
    FieldKind.TEXT: _parse_text,
    FieldKind.NUMBER: _parse_number,
    FieldKind.INSTANT: _parse_instant,
    FieldKind.DATE: _parse_date,
}


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


def _suggestion(word: str, known: Collection[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _shown(name: str) -> str:
    """Cut a parameter's name to what fits into an answer."""
    return "".join(c if c.isprintable() else "?" for c in name[:64])
