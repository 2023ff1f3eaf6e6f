"""Probes tell the truth about named checks, at once and without running them."""

import asyncio
import json

import pytest

from de_platform.http.health import HealthMonitor, HealthServer, HealthStatus
from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.services.clock.system_clock import SystemClock


class Process:
    started = True
    stopping = False


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.fixture
def monitor(process: Process) -> HealthMonitor:
    return HealthMonitor(
        SystemClock(),
        is_started=lambda: process.started,
        is_stopping=lambda: process.stopping,
        interval_seconds=0.01,
        timeout_seconds=0.02,
    )


async def well() -> None: ...


async def ill() -> None:
    raise Unavailable("clickhouse", "connection refused")


async def hanging() -> None:
    await asyncio.sleep(60)


async def test_ready_when_every_check_answers(monitor: HealthMonitor) -> None:
    monitor.add("queue", well)
    await monitor.refresh()
    assert monitor.report.status is HealthStatus.READY


async def test_not_ready_before_the_first_answer(monitor: HealthMonitor) -> None:
    monitor.add("queue", well)
    assert monitor.report.status is HealthStatus.NOT_READY
    assert monitor.report.checks["queue"].error == "not checked yet"


async def test_failing_check_is_named_with_its_reason(monitor: HealthMonitor) -> None:
    monitor.add("queue", well)
    monitor.add("events", ill)
    await monitor.refresh()
    report = monitor.report
    assert report.status is HealthStatus.NOT_READY
    assert report.checks["queue"].ok
    assert report.checks["events"].error == "clickhouse is unavailable: connection refused"


async def test_check_without_an_answer_in_time_has_failed(monitor: HealthMonitor) -> None:
    monitor.add("events", hanging)
    await monitor.refresh()
    assert monitor.report.checks["events"].error == "no answer within 0.02 s"


async def test_process_that_has_not_started_is_starting(monitor: HealthMonitor, process: Process) -> None:
    process.started = False
    assert monitor.report.status is HealthStatus.STARTING


async def test_process_that_stops_is_not_ready(monitor: HealthMonitor, process: Process) -> None:
    process.stopping = True
    assert monitor.report.status is HealthStatus.STOPPING


async def test_watching_notices_recovery(monitor: HealthMonitor) -> None:
    asked_again = asyncio.Event()
    answers = iter([ill, well])

    async def mended_later() -> None:
        if monitor.report.checks["events"].ok:
            asked_again.set()
        else:
            await next(answers)()

    monitor.add("events", mended_later)
    watching = asyncio.create_task(monitor.watch())
    async with asyncio.timeout(2):
        await asked_again.wait()
    watching.cancel()
    assert monitor.report.status is HealthStatus.READY


async def ask(port: int, request: bytes) -> tuple[str, str, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        answer = await reader.read()
    except ConnectionError:
        answer = b""
    finally:
        writer.transport.abort()
    head, _, body = answer.partition(b"\r\n\r\n")
    status, _, headers = head.decode().partition("\r\n")
    return status, headers, body


async def metrics() -> bytes:
    return b"rows_flushed_total 3\n"


@pytest.fixture
async def port(monitor: HealthMonitor):
    server = HealthServer(monitor, metrics, host="127.0.0.1", port=0, flag="--health-port")
    await server.start()
    yield server.port
    await server.stop()


async def test_readiness_is_503_with_the_report_while_a_check_fails(monitor: HealthMonitor, port: int) -> None:
    monitor.add("events", ill)
    await monitor.refresh()
    status, _, body = await ask(port, b"GET /health/ready HTTP/1.1\r\nhost: x\r\n\r\n")
    assert " 503 " in status
    assert json.loads(body)["checks"]["events"]["ok"] is False


@pytest.mark.parametrize(
    "path", ["/health/startup", "/health/live", "/health/ready", "/health/ready?verbose", "/metrics"]
)
async def test_healthy_process_answers_200(port: int, path: str) -> None:
    status, _, _ = await ask(port, f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    assert " 200 " in status


async def test_startup_is_503_until_started(port: int, process: Process) -> None:
    process.started = False
    status, _, _ = await ask(port, b"GET /health/startup HTTP/1.1\r\nhost: x\r\n\r\n")
    assert " 503 " in status


async def test_liveness_does_not_depend_on_checks(port: int, monitor: HealthMonitor) -> None:
    monitor.add("events", ill)
    await monitor.refresh()
    status, _, _ = await ask(port, b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
    assert " 200 " in status


async def test_metrics_are_plain_text(port: int) -> None:
    _, headers, body = await ask(port, b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
    assert "text/plain" in headers
    assert body == b"rows_flushed_total 3\n"


async def test_head_has_no_body(port: int) -> None:
    status, headers, body = await ask(port, b"HEAD /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
    assert " 200 " in status
    assert "content-length: 21" in headers
    assert body == b""


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [(b"GET / HTTP/1.1", " 404 "), (b"POST /metrics HTTP/1.1", " 405 "), (b"\xff\xfe", " 405 ")],
)
async def test_other_requests_are_refused(port: int, request_line: bytes, expected: str) -> None:
    status, _, _ = await ask(port, request_line + b"\r\nhost: x\r\n\r\n")
    assert expected in status


async def test_endless_request_is_cut_off(port: int) -> None:
    status, _, _ = await ask(port, b"GET /" + b"x" * 100_000)
    assert status == ""


async def test_port_in_use_names_the_flag(monitor: HealthMonitor, port: int) -> None:
    server = HealthServer(monitor, metrics, host="127.0.0.1", port=port, flag="--health-port")
    with pytest.raises(InvalidInput) as caught:
        await server.start()
    assert caught.value.errors[0].field == "--health-port"
    assert str(port) in caught.value.errors[0].message
