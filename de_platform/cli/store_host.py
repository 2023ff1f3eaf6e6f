"""The process of `up` that owns the databases: a private PostgreSQL, and the ClickHouse engine served on loopback."""

import asyncio
import secrets
import socket
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from de_platform.cli.choices import Choices, parse_databases
from de_platform.cli.global_flags import Surroundings
from de_platform.cli.instance import process_lock, run_dir, write_private
from de_platform.cli.wiring import compose, make_metrics
from de_platform.config.settings import Origin, Settings, Source
from de_platform.modules.base import HealthCheck, Module
from de_platform.pipeline.errors import Unavailable
from de_platform.services.database.chdb_server import HOST, USER, StoreServer
from de_platform.services.database.embedded_postgres import EmbeddedPostgres
from de_platform.services.database.factory import CHDB_DIRECTORY, POSTGRES_DIRECTORY
from de_platform.services.database.interface import DatabaseFactory
from de_platform.services.database.migrations import migrate_all
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.interface import LoggingInterface

OnServed = Callable[[Mapping[str, str]], None]
"""Told the environment by which other processes reach the databases."""

SERVED_DATABASES = ("postgres", "clickhouse")
"""The embedded engines are served as what they are, so all other processes use them like any server."""
_CLIENTS = ("edge", "pipeline")
_WAIT_FOR_CLIENTS_SECONDS = 20.0


class StoreHost(Module):
    """Starts both engines, migrates, and serves until its clients are gone."""

    def __init__(
        self,
        data_dir: Path,
        settings: Settings,
        log: LoggingInterface,
        lifecycle: LifecycleManager,
        on_served: OnServed,
    ) -> None:
        self.log = log
        self._data_dir = data_dir
        self._settings = settings
        self._lifecycle = lifecycle
        self._on_served = on_served
        self._postgres: EmbeddedPostgres | None = None
        self._server: StoreServer | None = None
        self._databases: DatabaseFactory | None = None
        self._stack = AsyncExitStack()

    def health_checks(self) -> Mapping[str, HealthCheck]:
        return {"postgres": self._check_postgres, "clickhouse": self._check_clickhouse}

    async def initialize(self) -> None:
        """Effects in order: 1. PostgreSQL, 2. the ClickHouse endpoint, 3. migrations, 4. the supervisor is told."""
        environment = await self._start_engines()
        served = Source(origin=Origin.INSTANCE, values=environment)
        settings = Settings.resolve(Source(origin=Origin.ENVIRONMENT, values=self._settings.as_environ()), served)
        around = Surroundings(choices=Choices(db=parse_databases(SERVED_DATABASES)), settings=settings)
        container = compose(around, log=self.log, lifecycle=self._lifecycle, metrics=make_metrics(around))
        await self._stack.enter_async_context(container)
        self._databases = await container.resolve(DatabaseFactory)
        await migrate_all(self._databases)
        self._on_served(environment)

    async def execute(self) -> int:
        """Serve until shutdown, and then until the processes that write here have ended, too."""
        await self._lifecycle.wait_for_shutdown()
        deadline = asyncio.get_running_loop().time() + _WAIT_FOR_CLIENTS_SECONDS
        locks = [process_lock(self._data_dir, name) for name in _CLIENTS]
        while any(lock.holder() for lock in locks) and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - kernel locks
            await asyncio.sleep(0.05)
        return 0

    async def teardown(self) -> None:
        self._databases = None
        await self._stack.aclose()
        if self._server is not None:
            await self._server.stop()
        if self._postgres is not None:
            self._postgres.stop()

    async def _start_engines(self) -> dict[str, str]:
        secret = store_secret(self._data_dir)
        self._server = StoreServer(self._data_dir / CHDB_DIRECTORY, secret, usual_port(self._data_dir))
        serving = asyncio.create_task(self._server.start())
        await asyncio.sleep(0)
        self._postgres = EmbeddedPostgres(self._data_dir / POSTGRES_DIRECTORY)
        postgres = self._postgres.start()
        port = await serving
        write_private(_port_file(self._data_dir), str(port).encode())
        return {
            "DB_POSTGRES_HOST": postgres.host,
            "DB_POSTGRES_PORT": str(postgres.port),
            "DB_POSTGRES_USER": postgres.user,
            "DB_POSTGRES_PASSWORD": postgres.password,
            "DB_POSTGRES_DATABASE": postgres.database,
            "DB_CLICKHOUSE_HOST": HOST,
            "DB_CLICKHOUSE_PORT": str(port),
            "DB_CLICKHOUSE_USER": USER,
            "DB_CLICKHOUSE_PASSWORD": secret,
            "DB_CLICKHOUSE_DATABASE": "fraud_pipeline",
        }

    async def _check_postgres(self) -> None:
        await self._served().get("warehouse").health_check()

    async def _check_clickhouse(self) -> None:
        await self._served().get("events").health_check()

    def _served(self) -> DatabaseFactory:
        if self._databases is None:
            raise Unavailable("store", "is starting")
        return self._databases


def store_secret(data_dir: Path) -> str:
    """Return the password of the ClickHouse endpoint: random, made once for a data directory, its owner's only."""
    path = data_dir / "store.secret"
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32).encode())
    return path.read_text(encoding="ascii")


def usual_port(data_dir: Path) -> int:
    """Return the port of the last start if it can be had, so that a restart goes unnoticed by clients; else 0."""
    file = _port_file(data_dir)
    if not file.exists():
        return 0
    port = int(file.read_text(encoding="ascii"))
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return 0
    return port


def _port_file(data_dir: Path) -> Path:
    return run_dir(data_dir) / "store.port"
