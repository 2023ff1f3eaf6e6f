"""The ledger's equation, by sets of ids: taken in = processed + errors + duplicates + redeliveries."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from de_platform.pipeline import topics
from de_platform.pipeline.events import Header
from de_platform.services.database.interface import Row
from de_platform.services.event_store.interface import TABLE_OF, StoredTable
from de_platform.services.message_queue.interface import MessageQueueInterface
from tests.helpers.harness import RunningPipeline, records


class AuditablePipeline(RunningPipeline, Protocol):
    """A pipeline whose event store can be asked directly, past the API."""

    async def fetch(self, query: str, params: Mapping[str, Any]) -> list[Row]:
        """Ask ClickHouse."""


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """Message ids by where they are. Lists, not sets: what is there twice shows."""

    taken_in: Counter[str]
    """Records of the normalisation topics; more than once = redeliveries."""
    processed: Counter[str]
    errors: Counter[str]
    duplicates: Counter[str]
    rejected_at_the_door: set[str]

    def faults(self) -> list[str]:
        """Say everything that keeps it from balancing."""
        found: list[str] = []
        stored = self.processed + self.errors + self.duplicates
        for name, ids in (("processed", self.processed), ("errors", self.errors), ("duplicates", self.duplicates)):
            twice = [i for i, count in ids.items() if count > 1]
            if twice:
                found.append(f"{len(twice)} {name} are there twice, {twice[0]} for one")
        several = [i for i, count in stored.items() if count > 1]
        if several:
            found.append(f"{len(several)} messages have two outcomes, {several[0]} for one")
        claimed = set(self.taken_in) | self.rejected_at_the_door
        if lost := claimed - set(stored):
            found.append(f"{len(lost)} messages are lost, {min(lost)} for one")
        if strange := set(stored) - claimed:
            found.append(f"{len(strange)} rows come from nowhere, {min(strange)} for one")
        return found


async def read_ledger(pipeline: AuditablePipeline, tenant_id: str) -> Ledger:
    """Read a tenant's ledger from the log and from the store. The pipeline must be at rest."""
    taken_in: Counter[str] = Counter()
    for topic in (topics.TRADE_NORMALIZATION, topics.TX_NORMALIZATION):
        taken_in.update(await _message_ids(pipeline.queue, topic, tenant_id))
    processed: Counter[str] = Counter()
    for table in TABLE_OF.values():
        processed.update(row["message_id"] for row in await _rows(pipeline, table, "message_id", tenant_id))
    errors = await _rows(pipeline, StoredTable.NORMALIZATION_ERRORS, "message_id, stage", tenant_id)
    duplicates = await _rows(pipeline, StoredTable.DUPLICATES, "message_id", tenant_id)
    return Ledger(
        taken_in=taken_in,
        processed=processed,
        errors=Counter(row["message_id"] for row in errors),
        duplicates=Counter(row["message_id"] for row in duplicates),
        rejected_at_the_door={row["message_id"] for row in errors if row["stage"] == "intake"},
    )


async def stored_ids(pipeline: AuditablePipeline, table: StoredTable, tenant_id: str) -> list[str]:
    """Return the clients' ids of all stored events of a type."""
    return [row["id"] for row in await _rows(pipeline, table, "id", tenant_id)]


async def _rows(pipeline: AuditablePipeline, table: StoredTable, columns: str, tenant_id: str) -> list[Row]:
    query = f"SELECT {columns} FROM {table} FINAL WHERE tenant_id = {{tenant_id:String}}"
    return await pipeline.fetch(query, {"tenant_id": tenant_id})


async def _message_ids(queue: MessageQueueInterface, topic: str, tenant_id: str) -> list[str]:
    return [
        record.headers[Header.MESSAGE_ID]
        for record in await records(queue, topic)
        if record.headers.get(Header.TENANT_ID) == tenant_id
    ]
