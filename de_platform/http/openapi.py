"""The OpenAPI 3.1 document of an application, generated from its operations and the types of their bodies."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from de_platform.http.problems import Problem
from de_platform.http.routing import Body, MediaType, Operation, Parameter

Json = dict[str, Any]

_PROBLEM_WORDS: Mapping[int, str] = {
    400: "The address, the query or the encoding of the body is malformed.",
    404: "There is no such thing, or not for this tenant.",
    406: "None of the media types of the Accept header can be served.",
    408: "The body came too slowly.",
    413: "The body is too large, as sent or decompressed.",
    415: "The body's media type, charset or encoding is not understood.",
    422: "The body was understood, and something in it is wrong.",
    503: "A dependency does not answer; Retry-After says when to ask again.",
}


class ApiInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Head of the document. `tags` maps each tag's name to its description."""

    title: str
    version: str
    description: str
    tags: Mapping[str, str]


def openapi_document(operations: Sequence[Operation], info: ApiInfo) -> Json:
    """Return the document as JSON-compatible values; the same input gives the same document."""
    bodies = [body for operation in operations for body in _bodies(operation)]
    shapes: list[Any] = [body.shape for body in bodies if body.shape is not None]
    schemas, components = msgspec.json.schema_components([*shapes, Problem], ref_template="#/components/schemas/{name}")
    schema_of = dict(zip(map(repr, [*shapes, Problem]), schemas, strict=True))
    paths: dict[str, Json] = {}
    for operation in operations:
        paths.setdefault(_documented_path(operation.path), {})[operation.method.lower()] = _operation(
            operation, schema_of
        )
    return {
        "openapi": "3.1.0",
        "info": {"title": info.title, "version": info.version, "description": info.description},
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in info.tags.items()],
        "paths": paths,
        "components": {"schemas": dict(sorted(components.items()))},
    }


def _bodies(operation: Operation) -> Iterable[Body]:
    if operation.request is not None:
        yield operation.request
    yield from operation.responses.values()


def _documented_path(path: str) -> str:
    return path.replace("...}", "}")


def _operation(operation: Operation, schema_of: Mapping[str, Json]) -> Json:
    documented: Json = {
        "operationId": operation.operation_id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [_parameter(parameter) for parameter in operation.parameters],
        "responses": {
            **{str(status): _response(body, schema_of) for status, body in operation.responses.items()},
            **{str(status): _problem(status) for status in operation.problems},
            "default": _problem(500),
        },
    }
    if operation.description:
        documented["description"] = operation.description
    if operation.request is not None:
        documented["requestBody"] = {
            "required": True,
            "description": operation.request.description,
            "content": _content(operation.request, schema_of),
        }
    return documented


def _parameter(parameter: Parameter) -> Json:
    documented: Json = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "required": parameter.required or parameter.place == "path",
        "schema": dict(parameter.schema),
    }
    if parameter.deep:
        documented |= {"style": "deepObject", "explode": True}
    return documented


def _response(body: Body, schema_of: Mapping[str, Json]) -> Json:
    return {"description": body.description, "content": _content(body, schema_of)}


def _content(body: Body, schema_of: Mapping[str, Json]) -> Json:
    return {str(media_type): _media(body, media_type, schema_of) for media_type in body.media_types}


def _media(body: Body, media_type: MediaType, schema_of: Mapping[str, Json]) -> Json:
    if media_type is not MediaType.JSON or body.shape is None:
        return {"schema": {"type": "string"}}
    media: Json = {"schema": schema_of[repr(body.shape)]}
    if body.example is not None:
        media["example"] = msgspec.to_builtins(body.example)
    return media


def _problem(status: int) -> Json:
    example = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=_PROBLEM_WORDS.get(status, "Something went wrong on our side."),
        instance="/api/v1/…",
        request_id="4bf92f3577b34da6a3ce929d0e0e4736",
    )
    return {
        "description": _PROBLEM_WORDS.get(status, "Any other error."),
        "content": {
            str(MediaType.PROBLEM): {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": msgspec.to_builtins(example),
            }
        },
    }
