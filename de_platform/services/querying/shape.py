"""What of a table can be asked for."""

from collections.abc import Mapping

import msgspec

from de_platform.pipeline.query import FieldKind, Sort


class TableShape(msgspec.Struct, frozen=True, kw_only=True):
    """The allow-list of a table: no other identifier ever reaches a statement."""

    name: str
    fields: Mapping[str, FieldKind]
    default_sort: Sort
    identity: tuple[str, ...]
    """Fields that together name a row; never null. They break the ties of every order."""
    nullable: frozenset[str] = frozenset()
    ranked: Mapping[str, tuple[str, ...]] = {}
    """Text fields whose values have an order of their own, ascending."""
    tenant_field: str = "tenant_id"
