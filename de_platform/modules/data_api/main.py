"""Serves what the platform knows.

**Consumes** `alerts` (group `data_api`). **Produces** nothing; answers HTTP on its port.
**Effects in order**: see `alert_sink`. Requests only read.
**On crash** nothing is lost: alerts come again from the log, clients ask again.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from litestar.types import ASGIApp

from de_platform.http.app import build_app
from de_platform.http.server import BIND_HOST, DEFAULT_BIND_HOST, HttpServer
from de_platform.http.static_files import application_endpoints
from de_platform.modules.base import HealthCheck, Module, ModuleSettings
from de_platform.modules.data_api.alert_sink import AlertSinkStep
from de_platform.modules.data_api.alerts_api import alert_endpoints
from de_platform.modules.data_api.events_api import event_endpoints
from de_platform.modules.data_api.operations import API_INFO
from de_platform.modules.data_api.readiness import Readiness, health_endpoints
from de_platform.services.alert_store.interface import AlertStore
from de_platform.services.checkpoint_store.interface import CheckpointStore
from de_platform.services.clock.interface import Clock
from de_platform.services.event_store.interface import EventStore
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.message_queue.interface import MessageQueueInterface
from de_platform.services.metrics.interface import MetricsInterface
from de_platform.services.secrets.interface import SecretsInterface
from de_platform.streaming.loop import ConsumerLoop

UI_DIRECTORY = Path(__file__).parent / "static"
UI_NOT_BUILT = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>DE Platform</title>'
    "<h1>The user interface is not built</h1>"
    '<p>The platform works without it: see the <a href="/api/docs">API</a>.</p></html>'
)


class DataApiSettings(ModuleSettings, frozen=True, kw_only=True):
    """Arguments of the module."""

    port: int


class DataApi(Module):
    """Answers requests and stores alerts, side by side; if one breaks the other ends, too."""

    def __init__(
        self,
        settings: DataApiSettings,
        queue: MessageQueueInterface,
        checkpoints: CheckpointStore,
        events: EventStore,
        alerts: AlertStore,
        secrets: SecretsInterface,
        log: LoggingInterface,
        metrics: MetricsInterface,
        clock: Clock,
        lifecycle: LifecycleManager,
    ) -> None:
        self.log = log
        self._settings = settings
        self._secrets = secrets
        self._metrics = metrics
        self._clock = clock
        self._lifecycle = lifecycle
        self._events = events
        self._alerts = alerts
        self._loop = ConsumerLoop(queue, checkpoints, log, metrics, clock, lifecycle, AlertSinkStep(alerts))
        self._readiness = Readiness(events, alerts, self._loop, secrets)
        self._server: HttpServer | None = None

    @property
    def url(self) -> str:
        """Where it listens, once initialised."""
        return self._listening().url

    def app(self) -> ASGIApp:
        """Compose what is served."""
        return build_app(
            [
                *alert_endpoints(self._alerts),
                *event_endpoints(self._events),
                *health_endpoints(self._readiness),
                *application_endpoints("/ui", UI_DIRECTORY, UI_NOT_BUILT),
            ],
            info=API_INFO,
            service="data_api",
            log=self.log,
            metrics=self._metrics,
            clock=self._clock,
        )

    def health_checks(self) -> Mapping[str, HealthCheck]:
        """Alerts are being stored, and requests answered."""
        return {"alert_sink": self._loop.check_ready, "http": self._check_listening}

    async def _check_listening(self) -> None:
        self._listening().check_running()

    async def initialize(self) -> None:
        """Begin to answer. Raises InvalidInput for a port that cannot be had."""
        host = self._secrets.get_or_default(BIND_HOST, DEFAULT_BIND_HOST)
        self._server = HttpServer(self.app(), host, self._settings.port)
        await self._server.start()
        self.log.info("data api listens", url=self._server.url)

    async def execute(self) -> int:
        """Serve and consume until shutdown. Returns the consumer's exit code; raises what broke either."""
        serving = asyncio.create_task(self._listening().serve(self._lifecycle))
        consuming = asyncio.create_task(self._loop.run())
        try:
            await asyncio.wait({serving, consuming}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._lifecycle.request_shutdown()
            await asyncio.wait({serving, consuming})
        serving.result()
        return consuming.result()

    async def teardown(self) -> None:
        """Stop answering."""
        if self._server is not None:
            await self._server.stop()

    def _listening(self) -> HttpServer:
        assert self._server is not None, "initialize comes first"
        return self._server


module_class = DataApi
