"""ClickHouse's side of plans as SQL."""

from collections.abc import Sequence
from datetime import UTC
from decimal import Decimal
from typing import Any

from de_platform.pipeline.query import FieldKind
from de_platform.services.querying.sql import Dialect

_TYPES = {
    FieldKind.TEXT: "String",
    FieldKind.NUMBER: "Decimal(76, 36)",
    FieldKind.INSTANT: "DateTime64(6, 'UTC')",
    FieldKind.DATE: "Date",
}


class ClickHouseDialect(Dialect):
    """Parameters are `{name:Type}`; strings are bytes, so they compare by code points as they are."""

    def placeholder(self, name: str, kind: FieldKind, *, many: bool = False) -> str:
        if not many:
            return f"{{{name}:{_TYPES[kind]}}}"
        texts = f"{{{name}:Array(String)}}"
        return texts if kind is FieldKind.TEXT else f"CAST({texts}, 'Array({_escaped(_TYPES[kind])})')"

    def bound(self, kind: FieldKind, value: Any) -> Any:
        match kind:
            case FieldKind.TEXT:
                return value
            case FieldKind.NUMBER:
                return format(Decimal(value), "f")
            case FieldKind.INSTANT:
                return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
            case FieldKind.DATE:
                return value.isoformat()

    def member(self, column: str, values: str, kind: FieldKind) -> str:
        if kind is FieldKind.NUMBER:
            # IN converts the list to the column's type, which a larger number overflows
            column = f"CAST({column}, 'Nullable({_TYPES[kind]})')"
        return f"{column} IN {values}"

    def contains(self, column: str, value: str) -> str:
        return f"position({column}, {value}) > 0"

    def prefixed(self, column: str, value: str) -> str:
        return f"startsWith({column}, {value})"

    def ordered_text(self, operand: str) -> str:
        return operand

    def rank(self, operand: str, ranks: Sequence[str]) -> str:
        listed = ", ".join(f"'{rank}'" for rank in ranks)
        return f"indexOf([{listed}], {operand})"


def _escaped(type_name: str) -> str:
    """Return a type as it stands inside of a quoted literal."""
    return type_name.replace("'", "\\'")
