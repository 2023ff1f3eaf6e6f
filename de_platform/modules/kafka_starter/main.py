"""Take events in from a client's topics.

**Consumes** the client's topics of orders, executions and transactions. **Produces** events for the normaliser,
error records, the same errors on the client's error topic, receipts.
**Effects in order**: 1. all of these are appended together, 2. counts are checkpointed with the offsets, 3. the
offsets are committed. **On crash** after 1 the same records are taken in again under the same message ids and
origins; whoever reads them drops what it has.
"""

from collections.abc import Mapping

from de_platform.modules.base import HealthCheck, Module, ModuleSettings
from de_platform.modules.kafka_starter.kafka_step import Binding, KafkaStep
from de_platform.modules.kafka_starter.receipt_blocks import Blocks
from de_platform.pipeline.errors import FieldError, InvalidInput
from de_platform.pipeline.events import EventType
from de_platform.pipeline.ids import digest
from de_platform.pipeline.tenancy import TenantScope
from de_platform.pipeline.topics import CLIENT_ERRORS, CLIENT_EXECUTIONS, CLIENT_ORDERS, CLIENT_TRANSACTIONS, TOPICS
from de_platform.services.checkpoint_store.interface import CheckpointStore
from de_platform.services.clock.interface import Clock
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.message_queue.interface import MessageQueueInterface
from de_platform.services.metrics.interface import MetricsInterface
from de_platform.streaming.loop import ConsumerLoop

GROUP = "kafka_starter"

_CLIENT_TOPICS = frozenset((CLIENT_ORDERS, CLIENT_EXECUTIONS, CLIENT_TRANSACTIONS, CLIENT_ERRORS))
_INTERNAL_TOPICS = frozenset(topic.name for topic in TOPICS) - _CLIENT_TOPICS


class KafkaStarterSettings(ModuleSettings, frozen=True, kw_only=True):
    """Which topics, and whose. An empty `tenant_id` means: not bound."""

    client_orders_topic: str
    client_executions_topic: str
    client_transactions_topic: str
    client_errors_topic: str
    tenant_id: str
    shared_topics: bool


class KafkaStarterModule(Module):
    """Consumes until shutdown; idles where neither a tenant is bound nor sharing is switched on."""

    def __init__(
        self,
        settings: KafkaStarterSettings,
        queue: MessageQueueInterface,
        checkpoints: CheckpointStore,
        log: LoggingInterface,
        metrics: MetricsInterface,
        clock: Clock,
        lifecycle: LifecycleManager,
    ) -> None:
        self.log = log
        self._settings = settings
        self._lifecycle = lifecycle
        self._is_on = bool(settings.tenant_id) or settings.shared_topics
        step = KafkaStep(group_of(settings), binding_of(settings), clock, metrics)
        self._loop: ConsumerLoop[Blocks] = ConsumerLoop(queue, checkpoints, log, metrics, clock, lifecycle, step)

    def health_checks(self) -> Mapping[str, HealthCheck]:
        """The loop is a member of its group and waits for nothing."""
        return {"consumer": self._loop.check_ready} if self._is_on else {}

    async def validate(self) -> None:
        """Check the binding. Raises InvalidInput with every fault."""
        check(self._settings)

    async def execute(self) -> int:
        """Take in until shutdown."""
        if not self._is_on:
            self.log.info(
                "client topics are not read: they belong to no tenant; give tenant-id, or shared-topics to trust "
                "whoever writes to them"
            )
            await self._lifecycle.wait_for_shutdown()
            return 0
        return await self._loop.run()


def binding_of(settings: KafkaStarterSettings) -> Binding:
    """Return what the settings say about topics."""
    return Binding(
        event_types={
            settings.client_orders_topic: EventType.ORDER,
            settings.client_executions_topic: EventType.EXECUTION,
            settings.client_transactions_topic: EventType.TRANSACTION,
        },
        errors_topic=settings.client_errors_topic,
        tenant_id=settings.tenant_id or None,
    )


def group_of(settings: KafkaStarterSettings) -> str:
    """Return the consumer group: one for the shared default topics, else one for each binding."""
    topics = (settings.client_orders_topic, settings.client_executions_topic, settings.client_transactions_topic)
    if not settings.tenant_id and topics == (CLIENT_ORDERS, CLIENT_EXECUTIONS, CLIENT_TRANSACTIONS):
        return GROUP
    return f"{GROUP}-{digest(settings.tenant_id, *topics)[:16]}"


def check(settings: KafkaStarterSettings) -> None:
    """Raise InvalidInput with everything that is wrong about the binding."""
    faults: list[FieldError] = []
    named = {
        "--client-orders-topic": settings.client_orders_topic,
        "--client-executions-topic": settings.client_executions_topic,
        "--client-transactions-topic": settings.client_transactions_topic,
        "--client-errors-topic": settings.client_errors_topic,
    }
    for argument, topic in named.items():
        if not topic:
            faults.append(FieldError(argument, "must not be empty"))
        elif topic in _INTERNAL_TOPICS:
            faults.append(FieldError(argument, f"{topic} is a topic of the platform itself"))
        elif list(named.values()).count(topic) > 1:
            faults.append(FieldError(argument, f"{topic} is named for two purposes"))
    if settings.tenant_id:
        try:
            TenantScope.of(settings.tenant_id)
        except InvalidInput as error:
            faults += [FieldError("--tenant-id", fault.message) for fault in error.errors]
        if settings.shared_topics:
            faults.append(FieldError("--shared-topics", "contradicts tenant-id: topics belong to one tenant or to all"))
    if faults:
        raise InvalidInput(faults)


module_class = KafkaStarterModule
