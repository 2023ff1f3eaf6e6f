"""The catalogue in PostgreSQL, table `ingest_batches` of the warehouse: all of its SQL."""

import msgspec

from de_platform.services.database.interface import RelationalDatabase
from de_platform.services.ingest_batch_store.interface import IngestBatch, IngestBatchStore

_NAMES = IngestBatch.__struct_fields__
_COLUMNS = ", ".join(_NAMES)

_INSERT = f"""
INSERT INTO ingest_batches ({_COLUMNS}) VALUES ({", ".join(f"%({name})s" for name in _NAMES)})
ON CONFLICT DO NOTHING
"""

_SELECT = f"""
SELECT {_COLUMNS} FROM ingest_batches WHERE topic = %(topic)s
ORDER BY partition, first_offset, path COLLATE "C" LIMIT %(limit)s
"""


class PostgresIngestBatchStore(IngestBatchStore):
    """One table, keyed by batch_id."""

    def __init__(self, db: RelationalDatabase) -> None:
        self._db = db

    async def add(self, batch: IngestBatch) -> bool:
        return await self._db.execute(_INSERT, msgspec.structs.asdict(batch)) == 1

    async def of_topic(self, topic: str, *, limit: int = 1000) -> list[IngestBatch]:
        rows = await self._db.fetch_all(_SELECT, {"topic": topic, "limit": limit})
        return [msgspec.convert(row, IngestBatch) for row in rows]
