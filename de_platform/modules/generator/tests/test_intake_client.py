"""The feed's HTTP, against a server on this machine."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from de_platform.modules.generator.intake_client import EventBatch, IntakeClient, Receipt
from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.pipeline.events import EventType

BATCH = EventBatch("key-1", "acme", EventType.ORDER, [b'{"id":"1"}', b'{"id":"2"}'])


class Server(HTTPServer):
    """Answers with `status`; keeps the last request."""

    status = 200
    request_line = ""
    key = ""
    body = b""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        server = self.server
        server.request_line, server.key = self.requestline, self.headers["Idempotency-Key"]
        server.body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = b'{"accepted":1,"rejected":1,"errors":[]}'
        self.send_response(server.status)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


async def send(server: Server) -> Receipt:
    client = IntakeClient(f"http://127.0.0.1:{server.server_port}")
    try:
        return await client.send(BATCH)
    finally:
        await client.close()


async def test_a_batch_is_one_request_with_its_key(server: Server):
    assert await send(server) == Receipt(accepted=1, rejected=1)
    assert server.request_line == "POST /api/v1/orders?tenant_id=acme HTTP/1.1"
    assert server.key == "key-1"
    assert server.body == b'{"events":[{"id":"1"},{"id":"2"}]}'


@pytest.mark.parametrize("status", [429, 500, 503, 507])
async def test_what_may_pass_later_is_unavailable(server: Server, status: int):
    server.status = status
    with pytest.raises(Unavailable):
        await send(server)


async def test_a_refused_batch_is_the_senders_fault(server: Server):
    server.status = 422
    with pytest.raises(InvalidInput, match="answered 422"):
        await send(server)


async def test_a_target_that_is_not_there_is_unavailable():
    with pytest.raises(Unavailable):
        await IntakeClient("http://127.0.0.1:1").send(BATCH)
