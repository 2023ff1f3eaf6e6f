"""The intake over loopback HTTP, in batches of 100, against a bare ASGI application that only decodes the same bodies.

Each server is a process of its own whose CPU-seconds are counted; this process sends. Rounds alternate between the
servers and medians are compared, so that what else the machine does cancels out.
"""

import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec

from benchmarks.poster import Answer, Poster

BATCH_EVENTS = 100
CONNECTIONS = 8
BODIES = 50
_REPOSITORY = Path(__file__).resolve().parent.parent

Kind = Literal["bare", "memory", "local"]


class Order(msgspec.Struct):
    """What the bare application decodes: the narrow struct that the normaliser would want."""

    id: str
    tenant_id: str
    status: str
    transact_time: str
    symbol: str
    side: str
    quantity: msgspec.Raw
    price: msgspec.Raw
    order_type: str
    currency: str


class Orders(msgspec.Struct):
    """A batch."""

    events: list[Order]


def run(*, quick: bool) -> dict[str, float]:
    """Return events per CPU-second of each server, and the intake's fraction of the bare application."""
    return asyncio.run(_measure(rounds=3 if quick else 9, requests=150 if quick else 600))


async def _measure(*, rounds: int, requests: int) -> dict[str, float]:
    bodies = [_body(seed) for seed in range(BODIES)]
    kinds: tuple[Kind, ...] = ("bare", "memory", "local")
    costs: dict[Kind, list[float]] = {kind: [] for kind in kinds}
    async with contextlib.AsyncExitStack() as stack:
        servers = {kind: await stack.enter_async_context(_serving(kind)) for kind in kinds}
        for server in servers.values():
            await server.send(bodies, 2 * BODIES)
        for _ in range(rounds):
            for kind, server in servers.items():
                before = await server.cpu_seconds()
                await server.send(bodies, requests)
                costs[kind].append(((await server.cpu_seconds()) - before) / (requests * BATCH_EVENTS))
    rates = {kind: 1 / statistics.median(each) for kind, each in costs.items()}
    return {
        "bare_echo_events_per_cpu_second": rates["bare"],
        "intake_events_per_cpu_second": rates["memory"],
        "intake_fraction_of_bare_echo": rates["memory"] / rates["bare"],
        "intake_local_queue_events_per_cpu_second": rates["local"],
        "intake_local_queue_fraction_of_bare_echo": rates["local"] / rates["bare"],
    }


def _body(seed: int) -> bytes:
    at = datetime.now(UTC) - timedelta(minutes=10)
    events = [
        {
            "id": str(uuid.UUID(int=seed * BATCH_EVENTS + index)),
            "tenant_id": f"tenant-{index % 3}",
            "status": "new",
            "transact_time": (at + timedelta(milliseconds=index)).isoformat(timespec="milliseconds")[:-6] + "Z",
            "symbol": f"SYM{index % 50}",
            "side": ("buy", "sell")[index % 2],
            "quantity": 100 + index,
            "price": 150.25,
            "order_type": "limit",
            "currency": "USD",
            "client_id": f"trader-{index % 20}",
        }
        for index in range(BATCH_EVENTS)
    ]
    return msgspec.json.encode({"events": events})


class _Server:
    """A server process: requests go over HTTP, questions about its CPU time over its standard input and output."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self._port = port

    async def cpu_seconds(self) -> float:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"?\n")
        return float(await self._process.stdout.readline())

    async def send(self, bodies: Sequence[bytes], requests: int) -> None:
        """Send requests over several connections and check that every event of each was accepted."""
        todo = iter(range(requests))
        await asyncio.gather(*(self._send(bodies, todo) for _ in range(CONNECTIONS)))

    async def _send(self, bodies: Sequence[bytes], todo: Iterator[int]) -> None:
        async with Poster(self._port, "/api/v1/orders") as poster:
            for number in todo:
                await poster.post(bodies[number % len(bodies)], BATCH_EVENTS)


@contextlib.asynccontextmanager
async def _serving(kind: Kind) -> AsyncIterator[_Server]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.intake",
        kind,
        cwd=_REPOSITORY,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield _Server(process, int(await process.stdout.readline()))
    finally:
        process.stdin.close()
        await process.wait()


async def _bare(scope: Any, receive: Any, send: Any) -> None:
    """Read the body, decode it, answer; nothing else."""
    assert scope["type"] == "http"
    body = b""
    more = True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    answer = msgspec.json.encode(Answer(len(_DECODER.decode(body).events), 0))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


_DECODER = msgspec.json.Decoder(Orders)


async def _serve(kind: Kind, directory: str) -> None:
    from de_platform.cli.runner import collect_garbage_rarely  # noqa: PLC0415 - the sending process needs none of it
    from de_platform.http.server import HttpServer  # noqa: PLC0415

    server = HttpServer(_bare if kind == "bare" else await _intake(kind, directory), "127.0.0.1", 0)
    await server.start()
    collect_garbage_rarely()
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    questions = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)
    while await questions.readline():
        sys.stdout.write(f"{time.process_time()}\n")
        sys.stdout.flush()
    await server.stop()


async def _intake(kind: Kind, directory: str) -> Any:
    from de_platform.modules.rest_starter.main import RestStarter, RestStarterSettings  # noqa: PLC0415
    from de_platform.services.cache.memory_cache import MemoryCache  # noqa: PLC0415
    from de_platform.services.clock.system_clock import SystemClock  # noqa: PLC0415
    from de_platform.services.lifecycle import LifecycleManager  # noqa: PLC0415
    from de_platform.services.logger.memory_logger import MemoryLogger  # noqa: PLC0415
    from de_platform.services.message_queue.local_queue import LocalQueue  # noqa: PLC0415
    from de_platform.services.message_queue.memory_queue import MemoryQueue  # noqa: PLC0415
    from de_platform.services.metrics.noop_metrics import NoopMetrics  # noqa: PLC0415
    from de_platform.services.secrets.env_secrets import EnvSecrets  # noqa: PLC0415

    clock, log = SystemClock(), MemoryLogger()
    queue = MemoryQueue(clock) if kind == "memory" else LocalQueue(Path(directory) / "queue.db", clock)
    await queue.connect()
    module = RestStarter(
        RestStarterSettings(port=0),
        queue,
        MemoryCache(clock),
        EnvSecrets({}),
        log,
        NoopMetrics(),
        clock,
        LifecycleManager(log),
    )
    return module.app()


def _main() -> None:
    import uvloop  # noqa: PLC0415 - only a server runs on it

    with tempfile.TemporaryDirectory() as directory:
        uvloop.run(_serve(sys.argv[1], directory))  # pyright: ignore[reportArgumentType]


if __name__ == "__main__":
    _main()
