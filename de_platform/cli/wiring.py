"""Composes the services of a process: one container, each service opened when something first asks for it."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path

from de_platform.cli.choices import Choices, needed
from de_platform.cli.global_flags import Surroundings
from de_platform.config.container import Container
from de_platform.config.settings import Settings
from de_platform.pipeline.errors import InvalidInput
from de_platform.pipeline.topics import TOPICS
from de_platform.services.alert_store.interface import AlertStore
from de_platform.services.cache.interface import CacheInterface
from de_platform.services.checkpoint_store.interface import CheckpointStore
from de_platform.services.clock.interface import Clock
from de_platform.services.clock.system_clock import SystemClock
from de_platform.services.database.interface import DatabaseFactory, RelationalDatabase
from de_platform.services.event_store.interface import EventStore
from de_platform.services.filesystem.interface import FileSystemInterface
from de_platform.services.ingest_batch_store.interface import IngestBatchStore
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.logger.level import Level
from de_platform.services.message_queue.interface import DEFAULT_PARTITIONS, MessageQueueInterface
from de_platform.services.metrics.interface import MetricsInterface
from de_platform.services.rate_store.interface import RateStore
from de_platform.services.registry import ServiceFlag, implementation, load
from de_platform.services.secrets.env_secrets import EnvSecrets
from de_platform.services.secrets.interface import SecretsInterface

OnOpen = Callable[[str, Callable[[], Awaitable[None]]], None]
"""Told the name and health check of every service that was opened."""

DEFAULT_LOG = "pretty"
DEFAULT_METRICS = "noop"

_EVENT_STORE = "de_platform.services.event_store.clickhouse_event_store.ClickHouseEventStore"
_ALERT_STORE = "de_platform.services.alert_store.postgres_alert_store.PostgresAlertStore"
_RATE_STORE = "de_platform.services.rate_store.postgres_rate_store.PostgresRateStore"
_INGEST_BATCH_STORE = "de_platform.services.ingest_batch_store.postgres_ingest_batch_store.PostgresIngestBatchStore"
_CHECKPOINT_STORE = "de_platform.services.checkpoint_store.file_checkpoint_store.FileCheckpointStore"


def make_logger(around: Surroundings) -> LoggingInterface:
    """Return the chosen logger, which knows the secrets it must not write."""
    chosen = around.choices.log or DEFAULT_LOG
    logger = implementation(ServiceFlag.LOG, chosen)
    if chosen != DEFAULT_LOG:
        return logger()
    log_format = load("de_platform.services.logger.pretty_logger.LogFormat")
    return logger(
        log_format=log_format(around.settings["DE_PLATFORM_LOG_FORMAT"]),
        level=Level[around.settings["DE_PLATFORM_LOG_LEVEL"].upper()],
        secret_values=around.settings.secret_values(),
    )


def make_metrics(around: Surroundings) -> MetricsInterface:
    """Return the chosen metrics."""
    return implementation(ServiceFlag.METRICS, around.choices.metrics or DEFAULT_METRICS)()


def preload(choices: Choices) -> None:
    """Import the chosen implementations and the stores, which opening them would do otherwise."""
    for flag, name in ((ServiceFlag.MQ, choices.mq), (ServiceFlag.FS, choices.fs), (ServiceFlag.CACHE, choices.cache)):
        if name is not None:
            implementation(flag, name)
    for name in set(choices.db.values()):
        import_module(f"de_platform.services.database.{name}")
    for path in (_EVENT_STORE, _ALERT_STORE, _RATE_STORE, _INGEST_BATCH_STORE, _CHECKPOINT_STORE):
        load(path)


def compose(
    around: Surroundings,
    *,
    log: LoggingInterface,
    lifecycle: LifecycleManager,
    metrics: MetricsInterface,
    clock: Clock | None = None,
    on_open: OnOpen = lambda _name, _check: None,
) -> Container:
    """Return a container that offers every service to modules. Nothing is opened yet; leaving it closes what was.

    A service that was not chosen raises InvalidInput when a module asks for it.
    """
    container = Container()
    container.register_instance(Clock, clock or SystemClock())
    container.register_instance(LoggingInterface, log)
    container.register_instance(LifecycleManager, lifecycle)
    container.register_instance(MetricsInterface, metrics)
    container.register_instance(SecretsInterface, EnvSecrets(around.settings.as_environ()))
    opening = _Opening(around, on_open)
    container.register_factory(MessageQueueInterface, opening.queue)
    container.register_factory(FileSystemInterface, opening.files)
    container.register_factory(CacheInterface, opening.cache)
    container.register_factory(DatabaseFactory, opening.databases)
    container.register_factory(CheckpointStore, opening.checkpoints)
    container.register_factory(EventStore, opening.events)
    container.register_factory(AlertStore, opening.alerts)
    container.register_factory(RateStore, opening.rates)
    container.register_factory(IngestBatchStore, opening.ingest_batches)
    return container


def local_path(settings: Settings, name: str, below_data_dir: str) -> Path:
    """Return a path setting, by default a place in the data directory. Raises InvalidInput when neither is set."""
    value, data_dir = settings.get(name), settings.get("DE_PLATFORM_DATA_DIR")
    if value is not None:
        return Path(value)
    if data_dir is None:
        raise InvalidInput.single(name, "is not set, and neither is DE_PLATFORM_DATA_DIR")
    return Path(data_dir) / below_data_dir


class _Opening:
    """How each service is opened and closed."""

    def __init__(self, around: Surroundings, on_open: OnOpen) -> None:
        self._choices = around.choices
        self._settings = around.settings
        self._on_open = on_open

    @asynccontextmanager
    async def queue(self, container: Container) -> AsyncGenerator[MessageQueueInterface]:
        chosen = needed(ServiceFlag.MQ, self._choices.mq)
        kind, clock = implementation(ServiceFlag.MQ, chosen), await container.resolve(Clock)
        queue: MessageQueueInterface = kind(*self._queue_place(chosen), clock)
        try:
            await queue.connect()
            await queue.create_topics(
                {topic.name: DEFAULT_PARTITIONS for topic in TOPICS},
                retention_hours={topic.name: topic.retention_hours for topic in TOPICS},
            )
            self._on_open("message_queue", queue.health_check)
            yield queue
        finally:
            await queue.disconnect()

    @asynccontextmanager
    async def files(self, _container: Container) -> AsyncGenerator[FileSystemInterface]:
        chosen = needed(ServiceFlag.FS, self._choices.fs)
        kind = implementation(ServiceFlag.FS, chosen)
        files: FileSystemInterface = kind(*self._file_place(chosen))
        self._on_open("file_system", files.health_check)
        yield files

    @asynccontextmanager
    async def cache(self, container: Container) -> AsyncGenerator[CacheInterface]:
        chosen = needed(ServiceFlag.CACHE, self._choices.cache)
        kind = implementation(ServiceFlag.CACHE, chosen)
        place = await self._cache_place(container, chosen)
        cache: CacheInterface = kind(*place, await container.resolve(Clock))
        try:
            await cache.connect()
            self._on_open("cache", cache.health_check)
            yield cache
        finally:
            await cache.disconnect()

    @asynccontextmanager
    async def databases(self, container: Container) -> AsyncGenerator[DatabaseFactory]:
        if not self._choices.db:
            needed(ServiceFlag.DB, None)
        kind = load("de_platform.services.database.factory.NamedDatabaseFactory")
        factory = kind(self._choices.db, await container.resolve(SecretsInterface))
        try:
            yield factory
        finally:
            await factory.disconnect_all()

    @asynccontextmanager
    async def checkpoints(self, container: Container) -> AsyncGenerator[CheckpointStore]:
        yield load(_CHECKPOINT_STORE)(await container.resolve(FileSystemInterface))

    @asynccontextmanager
    async def events(self, container: Container) -> AsyncGenerator[EventStore]:
        database = (await container.resolve(DatabaseFactory)).analytical("events")
        await database.connect()
        store: EventStore = load(_EVENT_STORE)(database)
        self._on_open("event_store", store.health_check)
        yield store

    @asynccontextmanager
    async def alerts(self, container: Container) -> AsyncGenerator[AlertStore]:
        store: AlertStore = load(_ALERT_STORE)(await self._relational(container, "alerts"))
        self._on_open("alert_store", store.health_check)
        yield store

    @asynccontextmanager
    async def rates(self, container: Container) -> AsyncGenerator[RateStore]:
        yield load(_RATE_STORE)(await self._relational(container, "warehouse"))

    @asynccontextmanager
    async def ingest_batches(self, container: Container) -> AsyncGenerator[IngestBatchStore]:
        yield load(_INGEST_BATCH_STORE)(await self._relational(container, "warehouse"))

    def _queue_place(self, chosen: str) -> Sequence[object]:
        """Return what an implementation is told about where the log is."""
        match chosen:
            case "local":
                return [local_path(self._settings, "MQ_LOCAL_PATH", "log/queue.db")]
            case "kafka":
                kind = load("de_platform.services.message_queue.kafka_settings.KafkaSettings")
                return [kind.from_secrets(EnvSecrets(self._settings.as_environ()))]
            case _:
                return []

    def _file_place(self, chosen: str) -> Sequence[object]:
        """Return what an implementation is told about where files are."""
        match chosen:
            case "local":
                return [local_path(self._settings, "FS_LOCAL_ROOT", "files")]
            case "s3" | "minio":
                kind = load("de_platform.services.filesystem.s3_settings.S3Settings")
                return [kind.from_secrets(EnvSecrets(self._settings.as_environ()))]
            case _:
                return []

    async def _cache_place(self, container: Container, chosen: str) -> Sequence[object]:
        """Return what an implementation is told about where the cache is."""
        match chosen:
            case "embedded":
                return [await self._relational(container, "warehouse")]
            case "redis":
                kind = load("de_platform.services.cache.redis_settings.RedisSettings")
                return [kind.from_secrets(EnvSecrets(self._settings.as_environ()))]
            case _:
                return []

    async def _relational(self, container: Container, name: str) -> RelationalDatabase:
        database = (await container.resolve(DatabaseFactory)).relational(name)
        await database.connect()
        self._on_open(f"database.{name}", database.health_check)
        return database
