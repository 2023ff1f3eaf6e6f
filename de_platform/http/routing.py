"""Endpoints as data: what a module serves, with the documentation that belongs to it.

An endpoint cannot exist without its operation, so the OpenAPI document is complete by construction.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from http import HTTPMethod
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qsl

import litestar
import msgspec
from litestar.enums import HttpMethod
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import ASGIRouteHandler, HTTPRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from de_platform.http.responses import Response
from de_platform.pipeline.errors import FieldError, InvalidInput

Request: TypeAlias = litestar.Request[Any, Any, Any]
Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
RouteHandler: TypeAlias = ASGIRouteHandler | HTTPRouteHandler

MAX_QUERY_PARAMETERS = 200


class MediaType(StrEnum):
    """What bodies are made of."""

    JSON = "application/json"
    NDJSON = "application/x-ndjson"
    CSV = "text/csv"
    HTML = "text/html"
    CSS = "text/css"
    PROBLEM = "application/problem+json"


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter of an operation. `schema` is JSON Schema; `deep` ones are sent as `name[key]=value`."""

    name: str
    place: Literal["query", "path", "header"]
    description: str
    schema: Mapping[str, Any]
    required: bool = False
    deep: bool = False


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """A request or response body. `shape` is the type that JSON is generated from, None for opaque text."""

    shape: Any
    description: str
    example: Any = None
    media_types: tuple[MediaType, ...] = (MediaType.JSON,)


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """What a client may know of an endpoint; `problems` are the statuses of its error answers."""

    method: HTTPMethod
    path: str
    operation_id: str
    summary: str
    description: str = ""
    tag: str
    parameters: tuple[Parameter, ...] = ()
    request: Body | None = None
    responses: Mapping[int, Body]
    problems: tuple[int, ...] = ()


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An operation and the function that carries it out. `operation` is None only for pages and assets."""

    method: HTTPMethod
    path: str
    handle: Handler
    operation: Operation | None = None

    @classmethod
    def of(cls, operation: Operation, handle: Handler) -> "Endpoint":
        """Serve a documented operation."""
        return cls(method=operation.method, path=operation.path, handle=handle, operation=operation)


def query_pairs(request: Request) -> list[tuple[str, str]]:
    """Return the query string's parameters in order, decoded. Raises InvalidInput for what is not UTF-8 or too much."""
    text = request.scope["query_string"].decode("latin-1")
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_PARAMETERS)
    except UnicodeDecodeError as error:
        raise InvalidInput.single("", "the query string is not UTF-8") from error
    except ValueError as error:
        raise InvalidInput.single("", f"more than {MAX_QUERY_PARAMETERS} query parameters") from error


def refuse_parameters(pairs: Sequence[tuple[str, str]]) -> None:
    """Raise InvalidInput naming every parameter: for operations that take none (any more)."""
    if pairs:
        raise InvalidInput([FieldError(name, "unknown parameter") for name, _ in pairs])


class Routes:
    """Finds the endpoint of a request: at once where the path is one that has no parameters, else by the framework.

    The framework knows all paths, in all the spellings that it allows. It hands no path parameters to plain ASGI
    handlers, so paths with parameters get its ordinary ones.
    """

    def __init__(self, endpoints: Iterable[Endpoint], framework: Callable[[Sequence[RouteHandler]], ASGIApp]) -> None:
        by_path = _by_path(endpoints)
        self._plain = {path: _plain_app(path, methods) for path, methods in by_path.items() if "{" not in path}
        plain = [ASGIRouteHandler(path, copy_scope=False)(app) for path, app in self._plain.items()]
        others = [_framework_handler(path, methods) for path, methods in by_path.items() if "{" in path]
        self._framework = framework([*plain, *others])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Raises whatever its handler raises, and the framework's exceptions for 404 and 405."""
        await self._plain.get(scope["path"], self._framework)(scope, receive, send)


def _by_path(endpoints: Iterable[Endpoint]) -> dict[str, dict[str, Handler]]:
    by_path: dict[str, dict[str, Handler]] = {}
    for endpoint in endpoints:
        methods = by_path.setdefault(endpoint.path, {})
        assert endpoint.method not in methods, f"{endpoint.method} {endpoint.path} is served twice"
        methods[endpoint.method] = endpoint.handle
    for methods in by_path.values():
        methods["OPTIONS"] = _options({"allow": allowed_methods(methods)})
    return by_path


def allowed_methods(served: Iterable[str]) -> str:
    """Write an Allow header: whatever is served by GET answers HEAD, too."""
    methods = {method.upper() for method in served} | {"OPTIONS"}
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))


def _options(headers: Mapping[str, str]) -> Handler:
    async def answer(_: Request) -> Response:
        return Response(status=204, headers=headers)

    return answer


def _plain_app(path: str, methods: Mapping[str, Handler]) -> ASGIApp:
    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        scope["path_template"], scope["path_params"] = path, {}
        handle = methods.get(str(scope.get("method")))
        if handle is None:
            raise MethodNotAllowedException(headers={"allow": allowed_methods(methods)})
        response = await handle(litestar.Request(scope, receive, send))  # pyright: ignore[reportArgumentType]
        await response.send(send)

    return dispatch


def _framework_handler(path: str, methods: Mapping[str, Handler]) -> HTTPRouteHandler:
    async def dispatch(request: litestar.Request[Any, Any, Any]) -> litestar.Response[bytes]:
        response = await methods[request.method](request)
        return litestar.Response(
            content=response.body,
            status_code=response.status,
            headers={**response.headers, "content-type": response.media_type},
        )

    framework_path = path.replace("...}", ":path}") if "...}" in path else path.replace("}", ":str}")
    return HTTPRouteHandler(framework_path, http_method=[HttpMethod(method) for method in methods])(dispatch)
