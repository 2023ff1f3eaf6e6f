"""One pipeline, however it is run: what the scenarios ask of it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from de_platform.pipeline import topics
from de_platform.pipeline.events import EventType, IngestionMethod
from de_platform.services.message_queue.interface import MessageQueueInterface
from tests.helpers.events import Event

SUSPICIOUS_COUNTERPARTY = "cp-listed-1"
"""Every harness runs the algorithms with this counterparty on the list."""

CONSUMERS: Mapping[str, Sequence[str]] = {
    "kafka_starter": (topics.CLIENT_ORDERS, topics.CLIENT_EXECUTIONS, topics.CLIENT_TRANSACTIONS),
    "normalizer": (topics.TRADE_NORMALIZATION, topics.TX_NORMALIZATION),
    "persistence": (
        topics.ORDERS_PERSISTENCE,
        topics.EXECUTIONS_PERSISTENCE,
        topics.TRANSACTIONS_PERSISTENCE,
        topics.DUPLICATES,
        topics.NORMALIZATION_ERRORS,
    ),
    "algos": (topics.TRADES_ALGOS, topics.TRANSACTIONS_ALGOS),
    "data_api": (topics.ALERTS,),
}
"""Consumer groups in the order of the flow, with what each must have read when the pipeline rests."""


class PipelineHarness(Protocol):
    """A running pipeline and one tenant in it that nobody else uses."""

    tenant_id: str

    async def ingest(self, method: IngestionMethod, event_type: EventType, events: Sequence[Event]) -> None:
        """Bring events in through one of the doors; returns when they are acknowledged."""

    async def redeliver(self, event_type: EventType) -> None:
        """Append this tenant's last message of the normalisation topic once more, unchanged."""

    async def settled(self) -> None:
        """Return when every stage has dealt with all that came in. Raises TimeoutError that says who lags."""

    async def rows(self, what: str) -> list[dict[str, Any]]:
        """Return all of the tenant's orders, executions, transactions, errors or duplicates, read by the API."""

    async def alerts(self, algorithm: str) -> list[dict[str, Any]]:
        """Return the tenant's alerts of one algorithm, read by the API."""


async def lagging(queue: MessageQueueInterface) -> dict[str, int]:
    """Say which consumer groups have not committed everything yet, and how many records each is behind.

    Groups are asked in the order of the flow: a stage commits after its outputs are in the queue, so an
    empty answer means that nothing is in flight anywhere.
    """
    behind: dict[str, int] = {}
    for group, names in CONSUMERS.items():
        marks = await queue.watermarks(names)
        committed = await queue.committed(group, names)
        lag = sum(mark.high - committed.get(partition, mark.low) for partition, mark in marks.items())
        if lag:
            behind[group] = lag
    return behind
