"""The catalogue as a fake: a dict."""

from de_platform.services.ingest_batch_store.interface import IngestBatch, IngestBatchStore


class MemoryIngestBatchStore(IngestBatchStore):
    """Forgets everything with the object. Whatever `unavailable` is set to is raised by the next calls."""

    def __init__(self) -> None:
        self._batches: dict[str, IngestBatch] = {}
        self.unavailable: Exception | None = None

    async def add(self, batch: IngestBatch) -> bool:
        self._check()
        return self._batches.setdefault(batch.batch_id, batch) is batch

    async def of_topic(self, topic: str, *, limit: int = 1000) -> list[IngestBatch]:
        self._check()
        found = [batch for batch in self._batches.values() if batch.topic == topic]
        return sorted(found, key=lambda batch: (batch.partition, batch.first_offset, batch.path))[:limit]

    def _check(self) -> None:
        if self.unavailable is not None:
            raise self.unavailable
