"""Takes in events by HTTP.

**Consumes** requests. **Produces** `trade_normalization`, `tx_normalization`, `normalization_errors`,
`ingestion_audit`. **Effects in order**: 1. events, error records and receipts are appended together, 2. the answer.
**On crash** before 2 the client asks again under its key: message ids are the same, the repetition is dropped.
"""

from collections.abc import Mapping

from litestar.types import ASGIApp

from de_platform.http.app import build_app
from de_platform.http.server import BIND_HOST, DEFAULT_BIND_HOST, HttpServer
from de_platform.modules.base import HealthCheck, Module, ModuleSettings
from de_platform.modules.rest_starter.intake_api import IntakeApi
from de_platform.modules.rest_starter.operations import API_INFO
from de_platform.services.cache.interface import CacheInterface
from de_platform.services.clock.interface import Clock
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.message_queue.interface import MessageQueueInterface
from de_platform.services.metrics.interface import MetricsInterface
from de_platform.services.secrets.interface import SecretsInterface


class RestStarterSettings(ModuleSettings, frozen=True, kw_only=True):
    """Arguments of the module."""

    port: int


class RestStarter(Module):
    """Serves the intake until shutdown; requests that are being answered are finished first."""

    def __init__(
        self,
        settings: RestStarterSettings,
        queue: MessageQueueInterface,
        cache: CacheInterface,
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
        self._api = IntakeApi(queue, cache, log, metrics, clock)
        self._server: HttpServer | None = None

    @property
    def url(self) -> str:
        """Where it listens, once initialised."""
        return self._listening().url

    def app(self) -> ASGIApp:
        """Compose what is served."""
        return build_app(
            self._api.endpoints(),
            info=API_INFO,
            service="rest_starter",
            log=self.log,
            metrics=self._metrics,
            clock=self._clock,
        )

    def health_checks(self) -> Mapping[str, HealthCheck]:
        """Requests are being answered."""
        return {"http": self._check_listening}

    async def initialize(self) -> None:
        """Begin to answer. Raises InvalidInput for a port that cannot be had."""
        host = self._secrets.get_or_default(BIND_HOST, DEFAULT_BIND_HOST)
        self._server = HttpServer(self.app(), host, self._settings.port)
        await self._server.start()
        self.log.info("intake listens", url=self._server.url)

    async def execute(self) -> int:
        """Serve until shutdown."""
        await self._listening().serve(self._lifecycle)
        return 0

    async def teardown(self) -> None:
        """Stop answering."""
        if self._server is not None:
            await self._server.stop()

    async def _check_listening(self) -> None:
        self._listening().check_running()

    def _listening(self) -> HttpServer:
        assert self._server is not None, "initialize comes first"
        return self._server


module_class = RestStarter
