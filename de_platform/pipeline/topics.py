"""Every topic of the platform: its name, and what flows where.

All topics are keyed by tenant and have the same number of partitions, so that partition p of a
stage feeds partition p of the next and all events of a tenant stay in order.
"""

import msgspec

from de_platform.pipeline.events import EventType

CLIENT_ORDERS = "client_orders"
CLIENT_EXECUTIONS = "client_executions"
CLIENT_TRANSACTIONS = "client_transactions"
CLIENT_ERRORS = "client_errors"

TRADE_NORMALIZATION = "trade_normalization"
TX_NORMALIZATION = "tx_normalization"
NORMALIZATION_ERRORS = "normalization_errors"
DUPLICATES = "duplicates"

ORDERS_PERSISTENCE = "orders_persistence"
EXECUTIONS_PERSISTENCE = "executions_persistence"
TRANSACTIONS_PERSISTENCE = "transactions_persistence"

TRADES_ALGOS = "trades_algos"
TRANSACTIONS_ALGOS = "transactions_algos"
ALERTS = "alerts"

INGESTION_AUDIT = "ingestion_audit"
DEAD_LETTERS = "dead_letters"


class TopicSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a topic promises: who writes, who reads, how long records stay (`None` = forever)."""

    name: str
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    retention_hours: int | None = 7 * 24


_STARTERS = ("rest_starter", "kafka_starter", "file_processor")

TOPICS: tuple[TopicSpec, ...] = (
    TopicSpec(name=CLIENT_ORDERS, producers=("tenant",), consumers=("kafka_starter",)),
    TopicSpec(name=CLIENT_EXECUTIONS, producers=("tenant",), consumers=("kafka_starter",)),
    TopicSpec(name=CLIENT_TRANSACTIONS, producers=("tenant",), consumers=("kafka_starter",)),
    TopicSpec(name=CLIENT_ERRORS, producers=("kafka_starter",), consumers=("tenant",)),
    TopicSpec(name=TRADE_NORMALIZATION, producers=_STARTERS, consumers=("normalizer", "data_audit")),
    TopicSpec(name=TX_NORMALIZATION, producers=_STARTERS, consumers=("normalizer", "data_audit")),
    TopicSpec(
        name=NORMALIZATION_ERRORS,
        producers=(*_STARTERS, "normalizer"),
        consumers=("persistence", "data_audit"),
    ),
    TopicSpec(name=DUPLICATES, producers=("normalizer",), consumers=("persistence", "data_audit")),
    TopicSpec(name=ORDERS_PERSISTENCE, producers=("normalizer",), consumers=("persistence", "data_audit")),
    TopicSpec(name=EXECUTIONS_PERSISTENCE, producers=("normalizer",), consumers=("persistence", "data_audit")),
    TopicSpec(name=TRANSACTIONS_PERSISTENCE, producers=("normalizer",), consumers=("persistence", "data_audit")),
    TopicSpec(name=TRADES_ALGOS, producers=("normalizer",), consumers=("algos",)),
    TopicSpec(name=TRANSACTIONS_ALGOS, producers=("normalizer",), consumers=("algos",)),
    TopicSpec(name=ALERTS, producers=("algos", "batch_algos"), consumers=("data_api",)),
    TopicSpec(name=INGESTION_AUDIT, producers=_STARTERS, consumers=("data_audit",)),
    TopicSpec(name=DEAD_LETTERS, producers=("every consumer",), consumers=("operators",), retention_hours=None),
)

NORMALIZATION_TOPIC: dict[EventType, str] = {
    EventType.ORDER: TRADE_NORMALIZATION,
    EventType.EXECUTION: TRADE_NORMALIZATION,
    EventType.TRANSACTION: TX_NORMALIZATION,
}
PERSISTENCE_TOPIC: dict[EventType, str] = {
    EventType.ORDER: ORDERS_PERSISTENCE,
    EventType.EXECUTION: EXECUTIONS_PERSISTENCE,
    EventType.TRANSACTION: TRANSACTIONS_PERSISTENCE,
}
ALGOS_TOPIC: dict[EventType, str] = {
    EventType.ORDER: TRADES_ALGOS,
    EventType.EXECUTION: TRADES_ALGOS,
    EventType.TRANSACTION: TRANSACTIONS_ALGOS,
}
