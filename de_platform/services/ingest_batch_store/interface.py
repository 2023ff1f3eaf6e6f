"""The catalogue of the data lake: a row for each file that `stream_ingest` wrote."""

from abc import ABC, abstractmethod
from datetime import datetime

import msgspec


class IngestBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A file that holds consecutive records of one topic partition."""

    batch_id: str
    """A digest of the path."""
    topic: str
    partition: int
    first_offset: int
    last_offset: int
    record_count: int
    byte_count: int
    path: str
    created_at: datetime


class IngestBatchStore(ABC):
    """Raises Unavailable."""

    @abstractmethod
    async def add(self, batch: IngestBatch) -> bool:
        """Store a row unless there is one with its `batch_id`; the first one stays. Returns whether it was new."""

    @abstractmethod
    async def of_topic(self, topic: str, *, limit: int = 1000) -> list[IngestBatch]:
        """Return rows of a topic by partition and first offset."""
