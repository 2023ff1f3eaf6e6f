"""Error records as the command line asks for them: filters into a query, rows back into records."""

import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from de_platform.pipeline.error_records import ErrorRecord, Stage
from de_platform.pipeline.errors import FieldError, InvalidInput
from de_platform.pipeline.events import EventType
from de_platform.pipeline.instants import format_instant, parse_instant
from de_platform.pipeline.query import MAX_PAGE_SIZE, Filter, Operator, Query, Sort
from de_platform.pipeline.tenancy import TenantScope
from de_platform.services.event_store.interface import EventStore, StoredTable

_AGO = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

_decode_errors = msgspec.json.Decoder(tuple[FieldError, ...]).decode


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ErrorFilters:
    """Which error records; all that are given must hold."""

    tenant: Annotated[str | None, Parameter(help="of this tenant")] = None
    field: Annotated[str | None, Parameter(help="with a fault of this field")] = None
    text: Annotated[str | None, Parameter(help="whose faults contain this text")] = None
    raw: Annotated[str | None, Parameter(help="whose raw event contains this text")] = None
    since: Annotated[str | None, Parameter(help="not older than: 30m, 24h, 7d, a date or an RFC 3339 time")] = None
    event_type: Annotated[EventType | None, Parameter(name="--type", help="of this type of event")] = None
    stage: Annotated[Stage | None, Parameter(help="refused at the door (intake) or by the normalizer")] = None

    def scope(self) -> TenantScope:
        """Return whose records may be seen. Raises InvalidInput."""
        return TenantScope.of(self.tenant) if self.tenant is not None else TenantScope.all_tenants()

    def conditions(self, now: datetime) -> tuple[Filter, ...]:
        """Return the filters of the query. Raises InvalidInput."""
        given = [
            _filter("errors", Operator.CONTAINS, f'"field":{_quoted(self.field)}' if self.field is not None else None),
            _filter("errors", Operator.CONTAINS, self.text),
            _filter("raw_data", Operator.CONTAINS, self.raw),
            _filter("created_at", Operator.GTE, parse_since(self.since, now) if self.since is not None else None),
            _filter("event_type", Operator.EQ, self.event_type.value if self.event_type is not None else None),
            _filter("stage", Operator.EQ, self.stage.value if self.stage is not None else None),
        ]
        return tuple(each for each in given if each is not None)


def parse_since(text: str, now: datetime) -> datetime:
    """Read `30m`, `24h`, `7d`, a date (its midnight UTC) or an RFC 3339 time. Raises InvalidInput."""
    ago = _AGO.fullmatch(text)
    try:
        if ago is not None:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        if len(text) == len("2026-01-31"):
            return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        return parse_instant(text)
    except (ValueError, OverflowError) as error:
        raise InvalidInput.single("--since", f"must be like 30m, 24h, 7d, 2026-01-31 or a time: {error}") from error


async def find_errors(
    store: EventStore, filters: ErrorFilters, *, now: datetime, descending: bool, limit: int | None = None
) -> AsyncGenerator[ErrorRecord, None]:
    """Yield records by time of their creation, none of them created after `now`, page by page."""
    conditions = (*filters.conditions(now), Filter("created_at", Operator.LTE, (now,)))
    cursor: str | None = None
    left = limit
    while left is None or left > 0:
        size = MAX_PAGE_SIZE if left is None else min(left, MAX_PAGE_SIZE)
        query = Query(filters=conditions, sort=Sort("created_at", descending=descending), limit=size, cursor=cursor)
        page = await store.find(StoredTable.NORMALIZATION_ERRORS, filters.scope(), query)
        for row in page.items:
            yield record_of(row)
        left = None if left is None else left - len(page.items)
        cursor = page.next_cursor
        if cursor is None:
            return


def record_of(row: Mapping[str, Any]) -> ErrorRecord:
    """Read a stored row back into the record that it was made from."""
    values = {
        **row,
        "errors": _decode_errors(row["errors"]),
        "created_at": format_instant(row["created_at"]),
        "position": int(row["position"]),
    }
    return msgspec.convert(values, ErrorRecord)


def _filter(field: str, operator: Operator, value: str | datetime | None) -> Filter | None:
    return None if value is None else Filter(field, operator, (value,))


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()
