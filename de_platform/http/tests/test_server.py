import asyncio
import signal
from typing import Any

import httpx
import pytest

from de_platform.http.responses import Response
from de_platform.http.server import HttpServer
from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.memory_logger import MemoryLogger


class Slow:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.set()
        await self.go.wait()
        await Response(body=b'"done"').send(send)


async def test_a_running_request_is_finished_and_no_signal_handler_is_touched() -> None:
    handlers = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    app = Slow()
    lifecycle = LifecycleManager(MemoryLogger())
    server = HttpServer(app, "127.0.0.1", 0)
    await server.start()
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == handlers
    serving = asyncio.create_task(server.serve(lifecycle))
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        request = asyncio.create_task(client.get("/"))
        await app.asked.wait()
        lifecycle.request_shutdown()
        app.go.set()
        assert (await request).text == '"done"'
        await serving
        with pytest.raises(httpx.ConnectError):
            await client.get("/")
    await server.stop()


async def test_a_port_in_use_is_invalid_input_that_names_it() -> None:
    first = HttpServer(Slow(), "127.0.0.1", 0)
    await first.start()
    try:
        with pytest.raises(InvalidInput, match=f"127.0.0.1:{first.port}"):
            await HttpServer(Slow(), "127.0.0.1", first.port).start()
    finally:
        await first.stop()


@pytest.mark.parametrize("port", [-1, 65536])
async def test_an_impossible_port_is_invalid_input(port: int) -> None:
    with pytest.raises(InvalidInput):
        await HttpServer(Slow(), "127.0.0.1", port).start()


async def test_health_says_whether_it_listens() -> None:
    server = HttpServer(Slow(), "127.0.0.1", 0)
    with pytest.raises(Unavailable):
        server.check_running()
    await server.start()
    server.check_running()
    await server.stop()
    with pytest.raises(Unavailable):
        server.check_running()
