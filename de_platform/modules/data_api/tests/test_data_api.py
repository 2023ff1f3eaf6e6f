import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import msgspec
import pytest

from de_platform.config.descriptor import parse_descriptor
from de_platform.modules.data_api import main
from de_platform.modules.data_api.main import DataApiSettings
from de_platform.modules.data_api.operations import ALERT_EXAMPLE, ROW_EXAMPLES
from de_platform.modules.data_api.rows import ROW_TYPES
from de_platform.modules.data_api.tests.conftest import Served
from de_platform.modules.data_api.tests.rows import alert
from de_platform.pipeline.errors import Unavailable
from de_platform.pipeline.messages import Message
from de_platform.pipeline.topics import ALERTS, DEAD_LETTERS

PATHS = [
    "/api/v1/alerts",
    "/api/v1/alerts/{alert_id}",
    *[
        f"/api/v1/events/{name}{identity}"
        for name in ("orders", "executions", "transactions", "duplicates", "errors")
        for identity in ("", "/{message_id}")
    ],
    "/health/ready",
    "/health/live",
]


def test_the_descriptor_is_valid_and_fits_the_settings() -> None:
    descriptor = parse_descriptor(Path(main.__file__).with_name("module.json").read_bytes())
    defaults = {argument.name: argument.default for argument in descriptor.args}
    assert msgspec.convert(defaults, DataApiSettings) == DataApiSettings(port=8002)


async def test_every_operation_is_documented_with_an_example(served) -> None:
    document = (await served.get("/api/openapi.json")).json()
    assert set(document["paths"]) == set(PATHS)
    for path in PATHS:
        operation = document["paths"][path]["get"]
        assert operation["responses"]["200"]["content"]["application/json"]["example"]
        assert operation["summary"]


def test_examples_are_valid_rows() -> None:
    for table, example in ROW_EXAMPLES.items():
        assert msgspec.json.decode(msgspec.json.encode(example), type=ROW_TYPES[table]) == example
    assert msgspec.json.decode(msgspec.json.encode(ALERT_EXAMPLE), type=type(ALERT_EXAMPLE)) == ALERT_EXAMPLE


async def test_the_documentation_page_lists_every_path(served) -> None:
    page = (await served.get("/api/docs")).text
    assert all(path in page for path in PATHS)


async def test_the_root_of_the_ui_says_that_it_is_not_built_or_is_the_application(served) -> None:
    response = await served.get("/ui/")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")


async def test_it_lives_whatever_is_down(served) -> None:
    served.events.unavailable = Unavailable("events", "down")
    assert (await served.get("/health/live")).json() == {"status": "alive"}


async def test_it_is_not_ready_before_its_consumer_has_joined(served) -> None:
    assert (await served.get("/health/ready")).status_code == 503


class _Platform(BaseHTTPRequestHandler):
    """Answers as a health server would: ready, or not, by its path."""

    def do_GET(self) -> None:
        body = (
            b'{"status":"ready"}' if self.path == "/health/ready" else b'{"status":"not ready","checks":"normalizer"}'
        )
        self.send_response(200 if self.path == "/health/ready" else 503)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def platform_url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Platform)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


async def test_readiness_is_the_whole_platforms_where_that_is_known(platform_url: str) -> None:
    ready = await Served({"DE_PLATFORM_HEALTH_URL": platform_url}).get("/health/ready")
    not_ready = await Served({"DE_PLATFORM_HEALTH_URL": f"{platform_url}/other"}).get("/health/ready")
    assert (ready.status_code, not_ready.status_code) == (200, 503)
    assert "normalizer" in not_ready.json()["detail"]


async def test_nobody_answering_for_the_platform_is_not_ready() -> None:
    response = await Served({"DE_PLATFORM_HEALTH_URL": "http://127.0.0.1:9"}).get("/health/ready")
    assert response.status_code == 503


async def until_started(served: Served) -> None:
    async with asyncio.timeout(5):
        while not served.module.has_started:
            await asyncio.sleep(0)


async def test_published_alerts_are_served_and_undecodable_ones_are_dead_letters(served) -> None:
    running = asyncio.create_task(served.module.run())
    await until_started(served)
    good = Message(topic=ALERTS, key="acme", value=msgspec.json.encode(alert(1)))
    await served.queue.publish([Message(topic=ALERTS, key="acme", value=b"nonsense"), good])
    async with httpx.AsyncClient(base_url=served.module.url, trust_env=False) as client, asyncio.timeout(5):
        while (await client.get("/api/v1/alerts/alert-1")).status_code != 200:
            await asyncio.sleep(0.01)
        assert (await client.get("/health/ready")).status_code == 200
    for check in served.module.health_checks().values():
        await check()
    served.lifecycle.request_shutdown()
    assert await running == 0
    await served.queue.connect()
    letter = await served.queue.consume_one(DEAD_LETTERS, "test")
    assert letter is not None
    assert letter.value == b"nonsense"


async def test_a_broken_consumer_ends_the_module(served) -> None:
    class Broken(Exception):
        pass

    async def refuse(*_: object, **__: object) -> None:
        raise Broken

    served.queue.consumer = refuse
    with pytest.raises(Broken):
        await served.module.run()
    assert served.lifecycle.is_shutting_down
