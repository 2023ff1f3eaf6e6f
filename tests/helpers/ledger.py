"""The ledger's equation, by sets of ids: taken in = processed + errors + duplicates + redeliveries."""

from collections import Counter
from collections.abc import Sequence

import httpx
import msgspec

from de_platform.pipeline import topics
from de_platform.pipeline.events import EventType, Header
from de_platform.services.message_queue.interface import MessageQueueInterface
from tests.helpers.harness import records

PAGE = 1000


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


async def read_ledger(queue: MessageQueueInterface, api_url: str, tenant_id: str) -> Ledger:
    """Read a tenant's ledger from the log and, by the API, from the stores. The pipeline must be at rest."""
    taken_in: Counter[str] = Counter()
    for topic in (topics.TRADE_NORMALIZATION, topics.TX_NORMALIZATION):
        taken_in.update(await _message_ids(queue, topic, tenant_id))
    event_rows = [row for kind in EventType for row in await export(api_url, f"events/{kind.plural}", tenant_id)]
    errors = await export(api_url, "events/errors", tenant_id)
    duplicates = await export(api_url, "events/duplicates", tenant_id)
    return Ledger(
        taken_in=taken_in,
        processed=Counter(row["message_id"] for row in event_rows),
        errors=Counter(row["message_id"] for row in errors),
        duplicates=Counter(row["message_id"] for row in duplicates),
        rejected_at_the_door={row["message_id"] for row in errors if row["stage"] == "intake"},
    )


async def _message_ids(queue: MessageQueueInterface, topic: str, tenant_id: str) -> list[str]:
    return [
        record.headers[Header.MESSAGE_ID]
        for record in await records(queue, topic)
        if record.headers.get(Header.TENANT_ID) == tenant_id
    ]


async def export(api_url: str, what: str, tenant_id: str) -> Sequence[dict[str, str]]:
    """Return all rows of a kind as the API exports them, page after page."""
    rows: list[dict[str, str]] = []
    cursor: str | None = None
    async with httpx.AsyncClient(base_url=api_url, timeout=60) as client:
        while True:
            params = {"tenant_id": tenant_id, "limit": str(PAGE)} | ({"cursor": cursor} if cursor else {})
            answer = await client.get(f"/api/v1/{what}", params=params)
            assert answer.status_code == 200, answer.text
            page = msgspec.json.decode(answer.content)
            rows.extend(page["items"])
            cursor = page["next_cursor"]
            if cursor is None:
                return rows
