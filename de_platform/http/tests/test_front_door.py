from collections.abc import Callable
from typing import Any

import httpx
import pytest

from de_platform.http.front_door import SECURITY_HEADERS
from de_platform.http.responses import Response, json_response
from de_platform.http.routing import Request
from de_platform.pipeline.errors import FieldError, InvalidInput, Unavailable
from de_platform.services.logger.level import Level
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.metrics.memory_metrics import MemoryMetrics

MakeClient = Callable[..., httpx.AsyncClient]


async def fine(_: Request) -> Response:
    return json_response({"ok": True})


def failing(error: Exception) -> Callable[[Request], Any]:
    async def handle(_: Request) -> Response:
        raise error

    return handle


async def test_answers_carry_every_security_header(make_client: MakeClient) -> None:
    response = await make_client(fine).get("/api/thing")
    assert all(response.headers[name.decode()] == value.decode() for name, value in SECURITY_HEADERS)
    assert response.headers["cache-control"] == "no-store"
    assert "unsafe-inline" not in response.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in response.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/nope", "/api/thing%00", "/api/things/x"])
async def test_problems_carry_every_security_header(make_client: MakeClient, path: str) -> None:
    response = await make_client(failing(ValueError())).get(path)
    assert response.status_code >= 400
    assert all(response.headers[name.decode()] == value.decode() for name, value in SECURITY_HEADERS)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["request_id"] == response.headers["x-request-id"]


async def test_a_sent_request_id_is_kept(make_client: MakeClient) -> None:
    response = await make_client(fine).get("/api/thing", headers={"x-request-id": "trace-1"})
    assert response.headers["x-request-id"] == "trace-1"


@pytest.mark.parametrize("sent", ["a b", "x" * 65, "<script>"])
async def test_an_implausible_request_id_is_replaced(make_client: MakeClient, sent: str) -> None:
    response = await make_client(fine).get("/api/thing", headers={"x-request-id": sent})
    assert len(response.headers["x-request-id"]) == 32


async def test_a_defect_is_a_500_that_gives_nothing_away(make_client: MakeClient, log: MemoryLogger) -> None:
    response = await make_client(failing(ValueError("secret detail"))).get("/api/thing")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    [entry] = [entry for entry in log.entries if entry.level is Level.ERROR]
    assert entry.fields["request_id"] == response.json()["request_id"]
    assert "secret detail" in str(entry.fields["error"])


async def test_invalid_input_names_all_fields(make_client: MakeClient) -> None:
    error = InvalidInput([FieldError("a", "is wrong"), FieldError("b", "is worse")])
    response = await make_client(failing(error)).post("/api/thing")
    assert response.status_code == 422
    assert response.json()["errors"] == [
        {"field": "a", "message": "is wrong"},
        {"field": "b", "message": "is worse"},
    ]
    assert response.json()["title"] == "Unprocessable Entity"
    assert response.json()["instance"] == "/api/thing"


async def test_invalid_input_without_a_body_is_a_bad_request(make_client: MakeClient) -> None:
    response = await make_client(failing(InvalidInput.single("limit", "is wrong"))).get("/api/thing")
    assert response.status_code == 400


async def test_an_unavailable_dependency_is_a_503_to_retry(make_client: MakeClient) -> None:
    response = await make_client(failing(Unavailable("message queue", "10.0.0.7 refused"))).get("/api/thing")
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert "message queue" in response.json()["detail"]
    assert "10.0.0.7" not in response.text


async def test_an_unknown_path_is_a_404(make_client: MakeClient) -> None:
    response = await make_client(fine).get("/api/other")
    assert response.status_code == 404


@pytest.mark.parametrize(
    ("path", "allow"),
    [("/api/thing", "GET, HEAD, OPTIONS, POST"), ("/api/things/x", "GET, HEAD, OPTIONS")],
)
@pytest.mark.parametrize("method", ["DELETE", "PURGE", "TRACE"])
async def test_another_method_is_a_405_that_says_which(
    make_client: MakeClient, path: str, allow: str, method: str
) -> None:
    response = await make_client(fine).request(method, path)
    assert response.status_code == 405
    assert response.headers["allow"] == allow


@pytest.mark.parametrize("path", ["/api/thing", "/api/things/x"])
async def test_head_answers_as_get_without_a_body(make_client: MakeClient, path: str) -> None:
    client = make_client(fine)
    head, get = await client.head(path), await client.get(path)
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == get.headers["content-length"]


@pytest.mark.parametrize("path", ["/api/thing", "/api/things/x"])
async def test_options_says_what_is_allowed(make_client: MakeClient, path: str) -> None:
    response = await make_client(fine).options(path)
    assert response.status_code == 204
    assert "GET" in response.headers["allow"]


@pytest.mark.parametrize("host", ["evil.example/path", "a b", "a,b", "", "[::1", "ex\tample", "x" * 300, "host:port"])
async def test_a_malformed_host_is_a_400(make_client: MakeClient, host: str) -> None:
    response = await make_client(fine).get("/api/thing", headers={"host": host})
    assert response.status_code == 400


@pytest.mark.parametrize("host", ["localhost", "localhost:8001", "127.0.0.1:1", "[::1]:8001", "a-b.example"])
async def test_a_plausible_host_is_served(make_client: MakeClient, host: str) -> None:
    assert (await make_client(fine).get("/api/thing", headers={"host": host})).status_code == 200


async def test_two_hosts_are_a_400(make_client: MakeClient) -> None:
    response = await make_client(fine).get("/api/thing", headers=[("host", "a"), ("host", "b")])
    assert response.status_code == 400


@pytest.mark.parametrize(
    "path",
    ["/api//thing", "/api/%2e%2e/thing", "/%2e/api", "/api/thing%00", "/api/thing%0d%0ax:y", "/api%5cthing", "/%ff"],
)
async def test_path_games_are_refused(make_client: MakeClient, path: str) -> None:
    response = await make_client(fine).get(f"http://test{path}")
    assert response.status_code == 400


async def test_an_endless_address_is_a_414(make_client: MakeClient) -> None:
    response = await make_client(fine).get("/api/thing", params={"q": "x" * 20_000})
    assert response.status_code == 414


async def test_too_many_requests_at_once_are_told_to_come_back(make_client: MakeClient) -> None:
    client = make_client(fine, max_running_requests=0)
    response = await client.get("/api/thing")
    assert response.status_code == 503
    assert response.headers["retry-after"]


async def test_requests_are_counted_by_template_not_by_path(make_client: MakeClient, metrics: MemoryMetrics) -> None:
    client = make_client(fine)
    for name in ("a", "b"):
        await client.get(f"/api/things/{name}")
    assert (
        metrics.value(
            "http_requests_total",
            service="test",
            endpoint="/api/things/{name}",
            method="GET",
            status_code="200",
        )
        == 2
    )


async def test_made_up_methods_and_paths_make_no_new_series(make_client: MakeClient, metrics: MemoryMetrics) -> None:
    await make_client(fine).request("MADEUP", "/made/up")
    assert (
        metrics.value(
            "http_requests_total",
            service="test",
            endpoint="unmatched",
            method="other",
            status_code="404",
        )
        == 1
    )


async def test_other_connections_are_not_served(make_app: Callable[..., Any]) -> None:
    async def never(*_: Any) -> Any:
        raise AssertionError("nothing to receive or send")

    await make_app([])({"type": "websocket"}, never, never)


async def test_an_answer_that_has_begun_is_cut_off(make_app: Callable[..., Any], make_client: MakeClient) -> None:
    class Breaking(Response, frozen=True, kw_only=True):
        async def send(self, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            raise ValueError("half way")

    async def handle(_: Request) -> Response:
        return Breaking()

    with pytest.raises(Exception, match=r"half way|started"):
        await make_client(handle).get("/api/thing")
