"""Pages of rows as a client wants them: JSON with a cursor, CSV for spreadsheets, NDJSON for programs."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from de_platform.http.problems import HttpError
from de_platform.http.responses import Response
from de_platform.http.routing import MediaType, Parameter, Request
from de_platform.pipeline.query import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, FieldKind
from de_platform.pipeline.query_parsing import OPERATORS, Vocabulary

PAGE_MEDIA_TYPES = (MediaType.JSON, MediaType.CSV, MediaType.NDJSON)

_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def wanted_media_type(request: Request) -> MediaType:
    """Choose by the Accept header; JSON when it does not matter. Raises HttpError 406."""
    accept = request.headers.get("accept")
    if not accept or accept == "*/*":
        return MediaType.JSON
    chosen = request.accept.best_match([str(media_type) for media_type in PAGE_MEDIA_TYPES])
    if chosen is None:
        raise HttpError(406, f"can be had as {', '.join(PAGE_MEDIA_TYPES)}")
    return MediaType(chosen)


def page_response(
    request: Request,
    pairs: Sequence[tuple[str, str]],
    items: Sequence[msgspec.Struct],
    next_cursor: str | None,
    *,
    row_type: type[msgspec.Struct],
) -> Response:
    """Answer with a page in the wanted media type; the next page's address is in the Link header, too.

    `pairs` are the query parameters of this page. Raises HttpError 406.
    """
    headers = {"vary": "accept"}
    if next_cursor is not None:
        following = [(name, value) for name, value in pairs if name != "cursor"] + [("cursor", next_cursor)]
        headers["link"] = f'<{quote(request.scope["path"])}?{urlencode(following)}>; rel="next"'
    match wanted_media_type(request):
        case MediaType.CSV:
            return Response(body=csv_of(items, row_type), media_type="text/csv; charset=utf-8", headers=headers)
        case MediaType.NDJSON:
            lines = b"".join(msgspec.json.encode(item) + b"\n" for item in items)
            return Response(body=lines, media_type=MediaType.NDJSON, headers=headers)
        case _:
            body = msgspec.json.encode({"items": items, "next_cursor": next_cursor})
            return Response(body=body, headers=headers)


def csv_of(items: Sequence[msgspec.Struct], row_type: type[msgspec.Struct]) -> bytes:
    """Write rows under a header line. Text that a spreadsheet would run as a formula is quoted with an apostrophe."""
    names = row_type.__struct_fields__
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(names)
    writer.writerows([[_cell(getattr(item, name)) for name in names] for item in items])
    return text.getvalue().encode("utf-8", errors="replace")


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return _defused(value)
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case dict() | list() | tuple():
            return _defused(msgspec.json.encode(value).decode())
        case _:
            return format(value, "f") if hasattr(value, "as_tuple") else str(value)


def _defused(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA_STARTS) and not _NUMBER.fullmatch(text) else text


def query_parameters(vocabulary: Vocabulary) -> tuple[Parameter, ...]:
    """Document what `parse_query` understands."""
    filters = [
        _filter_parameter(field, kind, tuple(vocabulary.choices.get(field, ())))
        for field, kind in vocabulary.fields.items()
        if field != "tenant_id"
    ]
    day = {"type": "string", "format": "date"}
    fields = [sign + field for field in vocabulary.fields for sign in ("", "-")]
    return (
        *filters,
        _plain("start_date", f"First UTC day of {vocabulary.dated_by}.", day),
        _plain("end_date", f"Last UTC day of {vocabulary.dated_by}, included.", day),
        _plain("date", f"The one UTC day of {vocabulary.dated_by}.", day),
        _plain("sort", "Field to sort by, with - in front for descending.", {"type": "string", "enum": fields}),
        _plain(
            "limit",
            "Rows of a page.",
            {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": DEFAULT_PAGE_SIZE},
        ),
        _plain("cursor", "next_cursor of the page before; the other parameters unchanged.", {"type": "string"}),
    )


def _plain(name: str, description: str, schema: Mapping[str, Any]) -> Parameter:
    return Parameter(name=name, place="query", description=description, schema=schema)


def _filter_parameter(field: str, kind: FieldKind, choices: tuple[str, ...]) -> Parameter:
    value = _VALUE_SCHEMAS[kind] | ({"enum": sorted(choices)} if choices else {})
    several = {"type": "string", "description": "Values separated by commas."}
    flag = {"type": "string", "enum": ["true", "false"]}
    special = {"in": several, "not_in": several, "is_null": flag, "not_null": flag}
    return Parameter(
        name=field,
        place="query",
        description=f"A {kind} field; {field}=x is short for {field}[eq]=x.",
        schema={
            "type": "object",
            "properties": {str(operator): special.get(operator, value) for operator in OPERATORS[kind]},
            "additionalProperties": False,
        },
        deep=True,
    )


_VALUE_SCHEMAS: Mapping[FieldKind, dict[str, Any]] = {
    FieldKind.TEXT: {"type": "string", "minLength": 1, "maxLength": 256},
    FieldKind.NUMBER: {"type": "string", "pattern": r"^-?[0-9]{1,38}(\.[0-9]{1,38})?$"},
    FieldKind.INSTANT: {"type": "string", "format": "date-time"},
    FieldKind.DATE: {"type": "string", "format": "date"},
}
