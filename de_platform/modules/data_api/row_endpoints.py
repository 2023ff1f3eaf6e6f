"""The two shapes of every endpoint of this module: a page of rows, and one row."""

from collections.abc import Awaitable, Callable
from http import HTTPMethod
from typing import Any, get_origin, get_type_hints

import msgspec

from de_platform.http.paging import PAGE_MEDIA_TYPES, page_response, query_parameters, wanted_media_type
from de_platform.http.problems import HttpError
from de_platform.http.responses import Response, json_response
from de_platform.http.routing import Body, Endpoint, Operation, Parameter, Request, query_pairs, refuse_parameters
from de_platform.http.tenancy import TENANT_PARAMETER, tenant_scope
from de_platform.pipeline.query import Page, Query
from de_platform.pipeline.query_parsing import Vocabulary, parse_query
from de_platform.pipeline.tenancy import TenantScope

Find = Callable[[TenantScope, Query], Awaitable[Page]]
Get = Callable[[TenantScope, str], Awaitable[Any]]


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of one type under one path. `noun` is one of them in words, `plural` several."""

    path: str
    noun: str
    plural: str
    tag: str
    row_type: type[msgspec.Struct]
    example: msgspec.Struct
    vocabulary: Vocabulary
    identified_by: str
    """Field that names a single row in the path."""


def collection_endpoints(collection: Collection, find: Find, get: Get) -> list[Endpoint]:
    """Serve a collection: GET on its path, and on one row's path below it."""
    return [
        Endpoint.of(_list_operation(collection), _lister(collection, find)),
        Endpoint.of(_get_operation(collection), _getter(collection, get)),
    ]


def _lister(collection: Collection, find: Find) -> Callable[[Request], Awaitable[Response]]:
    to_wire = _wire_converter(collection.row_type)

    async def list_rows(request: Request) -> Response:
        wanted_media_type(request)
        pairs = query_pairs(request)
        scope, filters = tenant_scope(pairs)
        page = await find(scope, parse_query(filters, collection.vocabulary))
        items = [to_wire(row) for row in page.items]
        return page_response(request, pairs, items, page.next_cursor, row_type=collection.row_type)

    return list_rows


def _getter(collection: Collection, get: Get) -> Callable[[Request], Awaitable[Response]]:
    to_wire = _wire_converter(collection.row_type)

    async def get_row(request: Request) -> Response:
        scope, rest = tenant_scope(query_pairs(request))
        refuse_parameters(rest)
        identity = str(request.path_params[collection.identified_by])
        row = await get(scope, identity)
        if row is None:
            raise HttpError(404, f"there is no {collection.noun} with this {collection.identified_by}")
        return json_response(to_wire(row))

    return get_row


def _wire_converter(row_type: type[msgspec.Struct]) -> Callable[[Any], msgspec.Struct]:
    """Return what makes a row's wire type of a store's columns, where integers may be decimals and lists JSON text."""
    hints = get_type_hints(row_type)
    whole = [name for name, hint in hints.items() if hint is int]
    listed = [name for name, hint in hints.items() if get_origin(hint) is tuple]

    def convert(row: Any) -> msgspec.Struct:
        if isinstance(row, row_type):
            return row
        columns = {
            **row,
            **{name: int(row[name]) for name in whole},
            **{name: msgspec.json.decode(row[name]) for name in listed},
        }
        return msgspec.convert(columns, row_type, strict=False)

    return convert


def _list_operation(collection: Collection) -> Operation:
    page_type = msgspec.defstruct(
        f"{collection.row_type.__name__}Page",
        [("items", list[collection.row_type]), ("next_cursor", str | None)],
        frozen=True,
        module=__name__,
    )
    return Operation(
        method=HTTPMethod.GET,
        path=collection.path,
        operation_id=f"list_{collection.plural.replace(' ', '_')}",
        summary=f"List {collection.plural}",
        description=f"Newest `{collection.vocabulary.dated_by}` first unless `sort` says otherwise.",
        tag=collection.tag,
        parameters=(TENANT_PARAMETER, *query_parameters(collection.vocabulary)),
        responses={
            200: Body(
                shape=page_type,
                description=f"A page of {collection.plural}; `next_cursor` is null on the last one.",
                example={"items": [collection.example], "next_cursor": None},
                media_types=PAGE_MEDIA_TYPES,
            )
        },
        problems=(400, 406, 503),
    )


def _get_operation(collection: Collection) -> Operation:
    identity = Parameter(
        name=collection.identified_by,
        place="path",
        description=f"Identity of the {collection.noun}.",
        schema={"type": "string", "minLength": 1, "maxLength": 256},
    )
    return Operation(
        method=HTTPMethod.GET,
        path=f"{collection.path}/{{{collection.identified_by}}}",
        operation_id=f"get_{collection.noun.replace(' ', '_')}",
        summary=f"Get one {collection.noun}",
        tag=collection.tag,
        parameters=(identity, TENANT_PARAMETER),
        responses={
            200: Body(shape=collection.row_type, description=f"The {collection.noun}.", example=collection.example)
        },
        problems=(400, 404, 503),
    )
