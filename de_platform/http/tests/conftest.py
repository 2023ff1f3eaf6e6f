"""An application around any endpoint, and a client that needs no socket."""

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPMethod
from typing import Any

import httpx
import pytest

from de_platform.http.app import build_app
from de_platform.http.front_door import FrontDoorOptions
from de_platform.http.openapi import ApiInfo
from de_platform.http.responses import Response
from de_platform.http.routing import Endpoint, Request
from de_platform.services.clock.memory_clock import MemoryClock
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.metrics.memory_metrics import MemoryMetrics

Handle = Callable[[Request], Awaitable[Response]]


@pytest.fixture
def clock() -> MemoryClock:
    return MemoryClock()


@pytest.fixture
def log() -> MemoryLogger:
    return MemoryLogger()


@pytest.fixture
def metrics() -> MemoryMetrics:
    return MemoryMetrics()


@pytest.fixture
def make_app(clock: MemoryClock, log: MemoryLogger, metrics: MemoryMetrics) -> Callable[..., Any]:
    def make(endpoints: Sequence[Endpoint], **options: int) -> Any:
        info = ApiInfo(title="Test", version="0", description="", tags={"things": "Things."})
        return build_app(
            endpoints,
            info=info,
            service="test",
            log=log,
            metrics=metrics,
            clock=clock,
            options=FrontDoorOptions(**options),
        )

    return make


@pytest.fixture
def make_client(make_app: Callable[..., Any]) -> Callable[..., httpx.AsyncClient]:
    """Serve one handler at /api/thing (GET and POST) and at /api/things/{name} (GET)."""

    def make(handle: Handle, **options: int) -> httpx.AsyncClient:
        routes = [
            (HTTPMethod.GET, "/api/thing"),
            (HTTPMethod.POST, "/api/thing"),
            (HTTPMethod.GET, "/api/things/{name}"),
        ]
        app = make_app([Endpoint(method=m, path=p, handle=handle) for m, p in routes], **options)
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")

    return make
