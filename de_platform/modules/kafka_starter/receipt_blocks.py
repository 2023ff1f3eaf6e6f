"""Receipts that are a function of the log: counts of fixed blocks of offsets, growing until a block is over.

A receipt for what one poll happened to return would be cut differently after a restart. Instead every poll
restates the counts of the block it is in, from the block's first offset on; of receipts with the same id the
one that claims more supersedes.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

BLOCK_OFFSETS = 1000


class Count(msgspec.Struct):
    """Events of one tenant in a block so far."""

    accepted: int = 0
    rejected: int = 0


class Block(msgspec.Struct):
    """Offsets `first_offset` to `first_offset + BLOCK_OFFSETS - 1` of one topic partition."""

    first_offset: int
    by_tenant: dict[str, Count] = {}


class Restated(NamedTuple):
    """What a receipt says."""

    first_offset: int
    tenant_id: str
    so_far: Count


class Blocks(msgspec.Struct):
    """The block in progress of each topic: the whole state of a partition."""

    by_topic: dict[str, Block] = {}

    def count(self, topic: str, events: Iterator[tuple[int, str, bool]]) -> list[Restated]:
        """Count events (offset, tenant, accepted) in offset order; return the counts that changed, restated."""
        changed: dict[tuple[int, str], Count] = {}
        for offset, tenant_id, accepted in events:
            block = self._block(topic, offset - offset % BLOCK_OFFSETS)
            count = block.by_tenant.setdefault(tenant_id, Count())
            if accepted:
                count.accepted += 1
            else:
                count.rejected += 1
            changed[block.first_offset, tenant_id] = count
        return [Restated(first_offset, tenant_id, count) for (first_offset, tenant_id), count in changed.items()]

    def _block(self, topic: str, first_offset: int) -> Block:
        block = self.by_topic.get(topic)
        if block is None or block.first_offset != first_offset:
            block = self.by_topic[topic] = Block(first_offset=first_offset)
        return block
