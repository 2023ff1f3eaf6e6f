"""Cursors of keyset paging: the place of a row in an order, as opaque text.

A cursor names its table and sort, so that it is refused with any other; what it holds is parsed as
strictly as a filter, so that a made-up one is bad input at worst.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import msgspec

from de_platform.pipeline.query import Sort
from de_platform.services.querying.shape import TableShape
from de_platform.services.querying.values import from_text, to_text

_MAX_CURSOR_CHARACTERS = 8192


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The row that a page ended with: its sort value (None if null) and its tie breakers."""

    value: Any
    ties: tuple[Any, ...]


class _Wire(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    table: str
    field: str
    descending: bool
    value: str | None
    ties: tuple[str, ...]


def _tie_breakers(shape: TableShape, sort: Sort) -> tuple[str, ...]:
    return tuple(field for field in shape.identity if field != sort.field)


def encode_cursor(shape: TableShape, sort: Sort, row: Mapping[str, Any]) -> str:
    """Return the cursor of the page that begins after `row`."""
    value = row[sort.field]
    wire = _Wire(
        table=shape.name,
        field=sort.field,
        descending=sort.descending,
        value=None if value is None else to_text(shape.fields[sort.field], value),
        ties=tuple(to_text(shape.fields[field], row[field]) for field in _tie_breakers(shape, sort)),
    )
    return base64.urlsafe_b64encode(msgspec.json.encode(wire)).decode("ascii").rstrip("=")


def decode_cursor(shape: TableShape, sort: Sort, cursor: str) -> Place | None:
    """Return the place that a cursor of this table and sort names, or None if it is not one."""
    if len(cursor) > _MAX_CURSOR_CHARACTERS:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        wire = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=_Wire)
        return _place(shape, sort, wire)
    except (ValueError, binascii.Error, msgspec.DecodeError):
        return None


def _place(shape: TableShape, sort: Sort, wire: _Wire) -> Place:
    """Raises ValueError for a cursor of another table or sort, or with values that its fields cannot have."""
    ties = _tie_breakers(shape, sort)
    if (wire.table, wire.field, wire.descending) != (shape.name, sort.field, sort.descending):
        raise ValueError("another order")
    if len(wire.ties) != len(ties):
        raise ValueError("another identity")
    if wire.value is None and sort.field not in shape.nullable:
        raise ValueError("never null")
    return Place(
        value=None if wire.value is None else from_text(shape.fields[sort.field], wire.value),
        ties=tuple(from_text(shape.fields[field], text) for field, text in zip(ties, wire.ties, strict=True)),
    )
