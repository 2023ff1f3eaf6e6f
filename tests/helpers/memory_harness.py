"""All modules in this process, on fakes that the contract suites hold equal to the real thing."""

from contextlib import AsyncExitStack

from de_platform.config.container import Container
from de_platform.services.alert_store.interface import AlertStore
from de_platform.services.alert_store.memory_alert_store import MemoryAlertStore
from de_platform.services.cache.interface import CacheInterface
from de_platform.services.cache.memory_cache import MemoryCache
from de_platform.services.checkpoint_store.interface import CheckpointStore
from de_platform.services.checkpoint_store.memory_checkpoint_store import MemoryCheckpointStore
from de_platform.services.clock.interface import Clock
from de_platform.services.clock.system_clock import SystemClock
from de_platform.services.event_store.interface import EventStore
from de_platform.services.event_store.memory_event_store import MemoryEventStore
from de_platform.services.filesystem.interface import FileSystemInterface
from de_platform.services.filesystem.memory_filesystem import MemoryFileSystem
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.message_queue.interface import MessageQueueInterface
from de_platform.services.message_queue.memory_queue import MemoryQueue
from de_platform.services.metrics.interface import MetricsInterface
from de_platform.services.metrics.memory_metrics import MemoryMetrics
from de_platform.services.rate_store.interface import RateStore
from de_platform.services.rate_store.memory_rate_store import MemoryRateStore
from de_platform.services.secrets.env_secrets import EnvSecrets
from de_platform.services.secrets.interface import SecretsInterface
from tests.helpers.in_process_harness import InProcessPipeline


class MemoryPipeline(InProcessPipeline):
    """A `RunningPipeline` without any engine."""

    async def open_services(self, stack: AsyncExitStack) -> Container:
        clock = SystemClock()
        queue, cache = MemoryQueue(clock), MemoryCache(clock)
        for service in (queue, cache):
            await service.connect()
            stack.push_async_callback(service.disconnect)
        container = Container()
        container.register_instance(Clock, clock)
        container.register_instance(MessageQueueInterface, queue)
        container.register_instance(LoggingInterface, self.log)
        container.register_instance(MetricsInterface, MemoryMetrics())
        container.register_instance(SecretsInterface, EnvSecrets({}))
        container.register_instance(LifecycleManager, self._lifecycle)
        container.register_instance(CheckpointStore, MemoryCheckpointStore())
        container.register_instance(FileSystemInterface, MemoryFileSystem())
        container.register_instance(CacheInterface, cache)
        container.register_instance(EventStore, MemoryEventStore())
        container.register_instance(AlertStore, MemoryAlertStore())
        container.register_instance(RateStore, MemoryRateStore())
        return container
