"""Data on standard output, in the form that was asked for."""

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated

from cyclopts import Parameter


class OutputFormat(StrEnum):
    """Forms of tabular data."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


OutputFlag = Annotated[OutputFormat, Parameter(name=["--output", "-o"], help="form of the data")]
Row = Mapping[str, object]


def print_rows(rows: Iterable[Row], columns: Sequence[str], output: OutputFormat) -> None:
    """Write rows to standard output; ndjson and csv as they come, the others when all are there.

    Text cells that a spreadsheet would take for a formula get an apostrophe before them in csv.
    """
    match output:
        case OutputFormat.TABLE:
            _print_table(list(rows), columns)
        case OutputFormat.JSON:
            sys.stdout.write(json.dumps([_chosen(row, columns) for row in rows], indent=2, default=str) + "\n")
        case OutputFormat.NDJSON:
            for row in rows:
                sys.stdout.write(json.dumps(_chosen(row, columns), default=str) + "\n")
        case OutputFormat.CSV:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(columns)
            for row in rows:
                writer.writerow([_cell(row.get(column)) for column in columns])


def _chosen(row: Row, columns: Sequence[str]) -> dict[str, object]:
    return {column: row.get(column) for column in columns}


def _cell(value: object) -> object:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return "" if value is None else value


def _print_table(rows: Sequence[Row], columns: Sequence[str]) -> None:
    from rich import box  # noqa: PLC0415 - slow to import, and other forms do without
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        value_of = [row.get(column) for column in columns]
        table.add_row(*(Text("" if value is None else str(value)) for value in value_of))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200).print(table)
