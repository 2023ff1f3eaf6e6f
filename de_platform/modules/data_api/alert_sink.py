"""Stores alerts.

**Consumes** `alerts`. **Produces** nothing.
**Effects in order**: 1. the alerts of a batch are stored in one transaction, 2. the loop checkpoints and commits.
**On crash** between them the batch comes again, and alerts that are there already are left alone.
"""

from collections.abc import Sequence

import msgspec

from de_platform.pipeline.alerts import Alert
from de_platform.pipeline.messages import Batch, Message, Record
from de_platform.pipeline.topics import ALERTS
from de_platform.services.alert_store.interface import AlertStore
from de_platform.streaming.step import PoisonRecord, Step


class AlertSinkStep(Step[None]):
    """Decodes alerts and adds each to the store once."""

    group = "data_api"
    topics = (ALERTS,)
    skips_replays = False
    """One event may raise several alerts; the store tells them apart by `alert_id`."""

    def __init__(self, store: AlertStore) -> None:
        self._store = store
        self._decoder = msgspec.json.Decoder(Alert)

    def new_state(self, partition: int) -> None:  # noqa: ARG002 - it keeps none
        return None

    async def process(self, batch: Batch, state: None) -> Sequence[Message]:  # noqa: ARG002
        """Store the batch. Raises Unavailable, and PoisonRecord for a record that is no alert."""
        await self._store.add([self._decode(batch, record) for record in batch.records])
        return ()

    def _decode(self, batch: Batch, record: Record) -> Alert:
        try:
            return self._decoder.decode(record.value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise PoisonRecord(
                topic=batch.topic, partition=batch.partition, offset=record.offset, reason=f"not an alert: {error}"
            ) from error
