"""Probes and metrics of a process, on a port of their own: whether it has started, lives and is ready, and why not."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import StrEnum

import msgspec

from de_platform.pipeline.errors import InvalidInput
from de_platform.services.clock.interface import Clock

Check = Callable[[], Awaitable[None]]
"""Returns when all is well; raises what is wrong."""
MetricsSource = Callable[[], Awaitable[bytes]]
"""Returns the Prometheus text format."""

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_JSON_TYPE = "application/json"
_MAX_HEAD_BYTES = 8 * 1024
_MAX_CONNECTIONS = 64
_REQUEST_TIMEOUT_SECONDS = 5.0


class HealthStatus(StrEnum):
    """What a process says about itself."""

    STARTING = "starting"
    READY = "ready"
    NOT_READY = "not ready"
    STOPPING = "stopping"


class CheckResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The last answer of one check."""

    ok: bool
    error: str = ""


class HealthReport(msgspec.Struct, frozen=True, kw_only=True):
    """The body of an answer about readiness."""

    status: HealthStatus
    checks: dict[str, CheckResult] = {}


class HealthMonitor:
    """Runs named checks in the background, all at once, so that a probe only reads what is known.

    A check that takes longer than the timeout has failed. Answers are at most one interval (plus the
    timeout) old; while something is wrong the interval is shorter, so that readiness is noticed at once.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        is_started: Callable[[], bool],
        is_stopping: Callable[[], bool],
        interval_seconds: float = 1.0,
        hurried_interval_seconds: float = 0.1,
        timeout_seconds: float = 2.0,
    ) -> None:
        self._clock = clock
        self._is_started = is_started
        self._is_stopping = is_stopping
        self._interval_seconds = interval_seconds
        self._hurried_interval_seconds = hurried_interval_seconds
        self._timeout_seconds = timeout_seconds
        self._checks: dict[str, Check] = {}
        self._results: dict[str, CheckResult] = {}
        self._has_been_ready = asyncio.Event()

    def add(self, name: str, check: Check) -> None:
        """Ask this from now on; not ready until it was answered well."""
        self._checks[name] = check
        self._results[name] = CheckResult(ok=False, error="not checked yet")

    @property
    def is_started(self) -> bool:
        """Whether everything has been opened."""
        return self._is_started()

    @property
    def report(self) -> HealthReport:
        """What is known now."""
        if self._is_stopping():
            status = HealthStatus.STOPPING
        elif not self._is_started():
            status = HealthStatus.STARTING
        elif all(result.ok for result in self._results.values()):
            status = HealthStatus.READY
        else:
            status = HealthStatus.NOT_READY
        return HealthReport(status=status, checks=dict(self._results))

    async def refresh(self) -> None:
        """Run every check once."""
        names = list(self._checks)
        answers = await asyncio.gather(*(self._run(self._checks[name]) for name in names))
        self._results.update(zip(names, answers, strict=True))

    async def first_readiness(self) -> None:
        """Return once everything was well for the first time."""
        await self._has_been_ready.wait()

    async def watch(self) -> None:
        """Refresh until the process stops, whose services may close then."""
        while not self._is_stopping():
            await self.refresh()
            is_ready = self.report.status is HealthStatus.READY
            if is_ready:
                self._has_been_ready.set()
            await self._clock.sleep(self._interval_seconds if is_ready else self._hurried_interval_seconds)

    async def _run(self, check: Check) -> CheckResult:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await check()
        except TimeoutError:
            return CheckResult(ok=False, error=f"no answer within {self._timeout_seconds:g} s")
        except Exception as error:  # noqa: BLE001 - a check may fail in any way, and each way means: not ready
            return CheckResult(ok=False, error=str(error) or type(error).__name__)
        return CheckResult(ok=True)


class HealthServer:
    """Answers `GET /health/startup`, `/health/live`, `/health/ready` and `/metrics`, and nothing else.

    Deliberately no web framework: it starts in no time and answers while everything else is broken.
    """

    def __init__(self, monitor: HealthMonitor, metrics: MetricsSource, *, host: str, port: int, flag: str) -> None:
        self._monitor = monitor
        self._metrics = metrics
        self._host = host
        self._port = port
        self._flag = flag
        self._connections = 0
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; with port 0 known only after `start`."""
        return self._port

    async def start(self) -> None:
        """Listen. Raises InvalidInput that names the flag when the port cannot be had."""
        try:
            self._server = await asyncio.start_server(
                self._serve, self._host, self._port, limit=_MAX_HEAD_BYTES, family=socket.AF_UNSPEC
            )
        except (OSError, OverflowError) as error:
            raise InvalidInput.single(self._flag, f"cannot listen on {self._host}:{self._port}: {error}") from error
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening; requests being answered are finished. Idempotent."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= _MAX_CONNECTIONS:
                async with asyncio.timeout(_REQUEST_TIMEOUT_SECONDS):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(await self._answer(head))
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()
        finally:
            self._connections -= 1
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if method not in ("GET", "HEAD"):
            return _response(405, b'{"status": "only GET"}', _JSON_TYPE, head_only=False)
        status, body, content_type = await self._resource(path)
        return _response(status, body, content_type, head_only=method == "HEAD")

    async def _resource(self, path: str) -> tuple[int, bytes, str]:
        match path:
            case "/health/live":
                return 200, b'{"status":"live"}', _JSON_TYPE
            case "/health/startup":
                report = self._monitor.report
                return 200 if self._monitor.is_started else 503, msgspec.json.encode(report), _JSON_TYPE
            case "/health/ready":
                report = self._monitor.report
                return 200 if report.status is HealthStatus.READY else 503, msgspec.json.encode(report), _JSON_TYPE
            case "/metrics":
                return 200, await self._metrics(), METRICS_TYPE
            case _:
                return 404, b'{"status":"not found"}', _JSON_TYPE


_REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


def _response(status: int, body: bytes, content_type: str, *, head_only: bool) -> bytes:
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n"
        "cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (b"" if head_only else body)
