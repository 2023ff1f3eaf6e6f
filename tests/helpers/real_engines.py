"""The five engines that a deployment stands on, all of a test's own."""

import asyncio
import os
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from de_platform.cli.choices import Choices, parse_databases
from de_platform.cli.global_flags import Surroundings
from de_platform.config.settings import Origin, Settings, Source
from scripts.infra_servers.kafka import Kafka
from scripts.infra_servers.server import Server
from tests.helpers.fault_proxy import FaultProxy
from tests.helpers.real_servers import RealServers

ENGINES = ("kafka", "clickhouse", "postgres", "redis", "s3")
SERVICE_FLAGS = (
    *("--mq", "kafka", "--db", "clickhouse", "--db", "postgres", "--cache", "redis", "--fs", "s3"),
    *("--metrics", "prometheus"),
)


class RealEngines:
    """Running servers by name, each behind a fault proxy, and the environment by which the platform finds them."""

    def __init__(self, servers: Mapping[str, Server], proxies: Mapping[str, FaultProxy]) -> None:
        self.servers = servers
        self.proxies = proxies

    @property
    def settings(self) -> dict[str, str]:
        """Return what names the servers by way of their proxies, without anything of this process's environment."""
        found = {"MQ_KAFKA_SESSION_TIMEOUT_SECONDS": "6"}
        for name, server in self.servers.items():
            port, door = str(server.port), str(self.proxies[name].port)
            found |= {key: _through(value, port, door) for key, value in server.env().items()}
        return found

    @property
    def surroundings(self) -> Surroundings:
        """Return the same as a process of the platform works it out."""
        databases = parse_databases(["clickhouse", "postgres"])
        return Surroundings(
            choices=Choices(mq="kafka", db=databases, cache="redis", fs="s3", metrics="memory", log="memory"),
            settings=Settings.resolve(Source(origin=Origin.ENVIRONMENT, values={**os.environ, **self.settings})),
        )


@asynccontextmanager
async def real_engines(infra: RealServers, directory: Path) -> AsyncGenerator[RealEngines]:
    """Start all engines side by side; skip, or fail where they are required, if one cannot be had."""
    async with AsyncExitStack() as stack:
        starting = [asyncio.to_thread(infra.private, name, directory / name) for name in ENGINES]
        outcomes = await asyncio.gather(*starting, return_exceptions=True)
        servers = {name: found for name, found in zip(ENGINES, outcomes, strict=True) if isinstance(found, Server)}
        for server in servers.values():
            stack.push_async_callback(asyncio.to_thread, server.kill)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        proxies = {name: stack.enter_context(_proxy(server)) for name, server in servers.items()}
        yield RealEngines(servers, proxies)


def _proxy(server: Server) -> FaultProxy:
    if isinstance(server, Kafka):
        return FaultProxy(server.port_of("proxied"), server.port_of("proxy"))
    return FaultProxy(server.port)


def _through(value: str, port: str, door: str) -> str:
    """Put a proxy's port in the place of a server's, where the value is that port or an address that names it."""
    return re.sub(rf"(^|:){port}(?=/|$)", rf"\g<1>{door}", value)
