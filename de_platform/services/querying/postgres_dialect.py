"""PostgreSQL's side of plans as SQL."""

from collections.abc import Sequence
from typing import Any

from de_platform.pipeline.query import FieldKind
from de_platform.services.querying.sql import Dialect

_TYPES = {
    FieldKind.TEXT: "text",
    FieldKind.NUMBER: "numeric",
    FieldKind.INSTANT: "timestamptz",
    FieldKind.DATE: "date",
}


class PostgresDialect(Dialect):
    """Parameters are `%(name)s`; text is compared and ordered by the C collation, that is by code points."""

    def placeholder(self, name: str, kind: FieldKind, *, many: bool = False) -> str:
        return f"%({name})s::{_TYPES[kind]}{'[]' if many else ''}"

    def bound(self, kind: FieldKind, value: Any) -> Any:  # noqa: ARG002 - psycopg knows all of them
        return value

    def member(self, column: str, values: str, kind: FieldKind) -> str:  # noqa: ARG002 - one form for all
        return f"({column} = ANY({values}))"

    def contains(self, column: str, value: str) -> str:
        return f"strpos({column}, {value}) > 0"

    def prefixed(self, column: str, value: str) -> str:
        return f"starts_with({column}, {value})"

    def ordered_text(self, operand: str) -> str:
        return f'{operand} COLLATE "C"'

    def rank(self, operand: str, ranks: Sequence[str]) -> str:
        listed = ", ".join(f"'{rank}'" for rank in ranks)
        return f"coalesce(array_position(ARRAY[{listed}], {operand}), 0)"
