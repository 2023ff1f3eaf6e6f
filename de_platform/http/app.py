"""Composes an HTTP application: endpoints, their documentation, and the front door around them."""

from collections.abc import Sequence
from typing import NoReturn

import litestar
from litestar.types import ASGIApp

from de_platform.http.docs import docs_endpoints
from de_platform.http.front_door import FrontDoor, FrontDoorOptions
from de_platform.http.openapi import ApiInfo, openapi_document
from de_platform.http.routing import Endpoint, Request, RouteHandler, Routes
from de_platform.services.clock.interface import Clock
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.metrics.interface import MetricsInterface


def build_app(
    endpoints: Sequence[Endpoint],
    *,
    info: ApiInfo,
    service: str,
    log: LoggingInterface,
    metrics: MetricsInterface,
    clock: Clock,
    options: FrontDoorOptions | None = None,
) -> ASGIApp:
    """Return the ASGI application that serves `endpoints`, `/api/docs` and `/api/openapi.json`.

    `service` is the module's name in metrics. Two endpoints of one method and path are a defect.
    """
    document = openapi_document([e.operation for e in endpoints if e.operation is not None], info)
    routes = Routes([*endpoints, *docs_endpoints(document)], _framework)
    return FrontDoor(routes, service=service, log=log, metrics=metrics, clock=clock, options=options)


def _framework(handlers: Sequence[RouteHandler]) -> ASGIApp:
    return litestar.Litestar(
        route_handlers=handlers,
        openapi_config=None,
        logging_config=None,
        debug=False,
        exception_handlers={Exception: _leave_to_the_front_door},
    )


def _leave_to_the_front_door(_: Request, error: Exception) -> NoReturn:
    """Keep the framework from answering errors, so that one place does."""
    raise error
