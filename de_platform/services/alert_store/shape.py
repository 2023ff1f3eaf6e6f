"""Alerts as readers can ask for them, and as both implementations keep them."""

import re
from typing import Any

import msgspec

from de_platform.pipeline.alerts import Alert, Severity
from de_platform.pipeline.query import Sort
from de_platform.services.alert_store.interface import ALERT_FIELDS
from de_platform.services.querying.shape import TableShape

ALERT_SHAPE = TableShape(
    name="alerts",
    fields=ALERT_FIELDS,
    default_sort=Sort("created_at"),
    identity=("alert_id",),
    ranked={"severity": tuple(severity.value for severity in Severity)},
)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
ALERT_COLUMNS = (*ALERT_FIELDS, "details")


def storable(alert: Alert) -> Alert:
    """Return the alert as JSONB can hold it: NUL and unpaired surrogates become U+FFFD, details are plain JSON."""
    fields: dict[str, Any] = {name: _clean(getattr(alert, name)) for name in Alert.__struct_fields__}
    fields["details"] = msgspec.json.decode(msgspec.json.encode(fields["details"]))
    return Alert(**fields)


def storable_text(text: str) -> str:
    """Replace what neither JSONB nor UTF-8 can hold by U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def row_of(alert: Alert) -> dict[str, Any]:
    """Return a stored alert as an item of a page."""
    row = {name: getattr(alert, name) for name in ALERT_COLUMNS}
    row["severity"] = alert.severity.value
    return row


def _clean(value: Any) -> Any:
    match value:
        case Severity():
            return value
        case str():
            return storable_text(value)
        case dict():
            return {_clean(key): _clean(member) for key, member in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_clean(member) for member in value]
        case _:
            return value
