"""What every request passes first and every answer last: request id, plausibility, headers, metrics, the last catch."""

import re
import secrets
from collections.abc import Awaitable, Callable
from http import HTTPMethod
from typing import Any

import msgspec
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from de_platform.http.limits import ClientGone
from de_platform.http.problems import RETRY_AFTER_SECONDS, HttpError, problem_response
from de_platform.services.clock.interface import Clock
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.metrics.interface import MetricsInterface

UNMATCHED = "unmatched"
_METHODS = frozenset(HTTPMethod)
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_BAD_PATH = re.compile(r"//|/\.{1,2}(?:/|$)|[\x00-\x1f\x7f\\\ufffd]")

_CONTENT_SECURITY_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    b"connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", _CONTENT_SECURITY_POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=31536000"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""On every answer, whatever its status."""


class FrontDoorOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one server."""

    max_running_requests: int = 512
    max_address_bytes: int = 16 * 1024
    """Path and query string together."""


class FrontDoor:
    """Wraps the application. Never lets an exception through; an answer that has begun is cut off instead."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: str,
        log: LoggingInterface,
        metrics: MetricsInterface,
        clock: Clock,
        options: FrontDoorOptions | None = None,
        new_id: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._app = app
        self._service = service
        self._log = log
        self._metrics = metrics
        self._clock = clock
        self._options = options or FrontDoorOptions()
        self._new_id = new_id
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Other kinds of connections are refused by doing nothing."""
        if scope["type"] != "http":
            return
        started = self._clock.monotonic_seconds()
        request_id = self._request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(send, request_id, head_only=scope["method"] == "HEAD")
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}  # pyright: ignore[reportAssignmentType]
        self._running += 1
        try:
            self._check(scope)
            await self._app(scope, receive, answer.send)
        except Exception as error:  # noqa: BLE001 - the request boundary
            await self.answer_error(error, scope, answer.send, begun=answer.status is not None)
        finally:
            self._running -= 1
            self._count(scope, answer, self._clock.monotonic_seconds() - started)

    async def answer_error(self, error: Exception, scope: Scope, send: Send, *, begun: bool = False) -> None:
        """Log an error as it deserves and send its problem, unless an answer has already begun."""
        request_id = request_id_of(scope)
        method, path = str(scope.get("method")), scope["path"]
        response = problem_response(error, method=method, path=path, request_id=request_id)
        fields = {"request_id": request_id, "method": method, "path": path[:256], "status": response.status}
        if isinstance(error, ClientGone):
            self._log.debug("client hung up", **fields)
        elif response.status >= 500 and not isinstance(error, HttpError):
            write = self._log.warn if response.status == 503 else self._log.error
            write("request failed", error=repr(error), **fields)
        if begun:
            raise error
        await response.send(send)

    def _check(self, scope: Scope) -> None:
        if self._running > self._options.max_running_requests:
            raise HttpError(503, "too many requests at once", headers={"retry-after": str(RETRY_AFTER_SECONDS)})
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) > 1 or (hosts and not _HOST.fullmatch(hosts[0])):
            raise HttpError(400, "the Host header is malformed")
        if not hosts and scope.get("http_version") != "1.0":
            raise HttpError(400, "the Host header is missing")
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > self._options.max_address_bytes:
            raise HttpError(414, f"path and query are longer than {self._options.max_address_bytes} bytes")
        if _BAD_PATH.search(scope["path"]):
            raise HttpError(400, "the path has empty, dotted or unprintable segments")

    def _request_id(self, scope: Scope) -> str:
        for name, value in scope["headers"]:
            if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
                return value.decode("ascii")
        return self._new_id()

    def _count(self, scope: Scope, answer: "_Answer", seconds: float) -> None:
        endpoint: str = scope.get("path_template") or UNMATCHED  # pyright: ignore[reportAssignmentType]
        method = answer.method_of(scope)
        status = str(answer.status or 499)
        self._metrics.counter(
            "http_requests_total", service=self._service, endpoint=endpoint, method=method, status_code=status
        )
        self._metrics.histogram(
            "http_request_duration_seconds", seconds, service=self._service, endpoint=endpoint, method=method
        )


def request_id_of(scope: Scope) -> str:
    """Return the id that the front door gave this request."""
    state: dict[str, Any] = scope["state"]  # pyright: ignore[reportAssignmentType]
    return str(state["request_id"])


class _Answer:
    """Sends an answer with the headers that every answer has."""

    def __init__(self, send: Send, request_id: str, *, head_only: bool) -> None:
        self._send: Callable[[Message], Awaitable[None]] = send
        self._request_id = request_id
        self._head_only = head_only
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = list(message["headers"])
            if not any(name == b"cache-control" for name, _ in own):
                own.append((b"cache-control", b"no-store"))
            message["headers"] = [*own, *SECURITY_HEADERS, (b"x-request-id", self._request_id.encode("ascii"))]
        elif self._head_only and message["type"] == "http.response.body":
            message["body"] = b""
        await self._send(message)

    def method_of(self, scope: Scope) -> str:
        """Return the method as a label: from a closed set, whatever clients make up."""
        if self._head_only:
            return "HEAD"
        method = str(scope.get("method"))
        return method if method in _METHODS else "other"
