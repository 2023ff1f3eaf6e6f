"""The intake as an application without a socket, over a queue that keeps what was appended."""

import itertools
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import msgspec
import pytest

from de_platform.modules.rest_starter.main import RestStarter, RestStarterSettings
from de_platform.pipeline.errors import Unavailable
from de_platform.pipeline.messages import Message
from de_platform.services.cache.interface import CacheInterface
from de_platform.services.clock.memory_clock import MemoryClock
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.message_queue.memory_queue import MemoryQueue
from de_platform.services.metrics.memory_metrics import MemoryMetrics
from de_platform.services.secrets.env_secrets import EnvSecrets

Event = dict[str, Any]

ORDER: Event = {
    "id": "ord-1",
    "tenant_id": "acme",
    "status": "new",
    "transact_time": "2026-01-15T11:59:00Z",
    "symbol": "AAPL",
    "side": "buy",
    "quantity": 100,
    "price": 150.25,
    "order_type": "limit",
    "currency": "USD",
}


class ObservedQueue(MemoryQueue):
    """Keeps every append whole; refuses while it is down."""

    def __init__(self, clock: MemoryClock) -> None:
        super().__init__(clock)
        self.appends: list[list[Message]] = []
        self.is_down = False

    async def publish(self, messages: Sequence[Message]) -> None:
        await self.health_check()
        await super().publish(messages)
        self.appends.append(list(messages))

    async def health_check(self) -> None:
        if self.is_down:
            raise Unavailable("message queue", "down for a test")

    def values(self, topic: str) -> list[dict[str, Any]]:
        return [msgspec.json.decode(m.value) for append in self.appends for m in append if m.topic == topic]


class DictCache(CacheInterface):
    """Keys and values, or nothing at all while it is down; expiry and channels are not needed here."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.is_down = False

    async def connect(self) -> None: ...
    async def disconnect(self) -> None: ...
    async def health_check(self) -> None: ...

    async def get(self, key: str) -> str | None:
        if self.is_down:
            raise Unavailable("cache", "down for a test")
        return self.kept.get(key)

    async def set(self, key: str, value: str, *, ttl_seconds: float | None = None) -> None:
        if self.is_down:
            raise Unavailable("cache", "down for a test")
        self.kept[key] = value

    async def delete(self, key: str) -> bool:
        return self.kept.pop(key, None) is not None

    async def exists(self, key: str) -> bool:
        return key in self.kept

    async def flush(self) -> None:
        self.kept.clear()

    async def publish(self, channel: str, message: str) -> None:
        raise NotImplementedError

    def subscribe(self, channel: str) -> AsyncIterator[str]:
        raise NotImplementedError


class Door:
    """A rest starter and everything around it."""

    def __init__(self) -> None:
        self.clock = MemoryClock()
        self.queue = ObservedQueue(self.clock)
        self.cache = DictCache()
        self.log = MemoryLogger()
        self.metrics = MemoryMetrics()
        self.lifecycle = LifecycleManager(self.log)
        self.module = RestStarter(
            RestStarterSettings(port=0),
            self.queue,
            self.cache,
            EnvSecrets({}),
            self.log,
            self.metrics,
            self.clock,
            self.lifecycle,
        )
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.module.app()), base_url="http://test")

    async def post(self, body: Any, path: str = "orders", **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        named = {"content-type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
        return await self.client.post(f"/api/v1/{path}", content=content, headers=named)


@pytest.fixture
async def door() -> Door:
    door = Door()
    await door.queue.connect()
    return door


@pytest.fixture
def make_order() -> Any:
    serial = itertools.count(1)

    def make(**overrides: Any) -> Event:
        return ORDER | {"id": f"ord-{next(serial)}"} | overrides

    return make
