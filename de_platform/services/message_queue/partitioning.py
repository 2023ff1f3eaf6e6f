"""Which partition a key goes to, and which member of a group reads a partition. Pure."""

from collections.abc import Mapping
from functools import lru_cache

import xxhash

from de_platform.pipeline.errors import InvalidInput
from de_platform.pipeline.messages import TopicPartition


@lru_cache(maxsize=65_536)
def partition_of(key: str, partitions: int) -> int:
    """Map a key to a partition number; the same everywhere and for ever, as long as the count stays."""
    return xxhash.xxh32_intdigest(key.encode()) % partitions


def chosen_partition(topic: str, key: str, explicit: int | None, partitions: int) -> int:
    """Return the partition of a message. Raises InvalidInput when an explicit one does not exist."""
    if explicit is None:
        return partition_of(key, partitions)
    if 0 <= explicit < partitions:
        return explicit
    raise InvalidInput.single("partition", f"{topic} has partitions 0 to {partitions - 1}, was {explicit}")


def share_of(
    member: str, subscriptions: Mapping[str, frozenset[str]], partition_counts: Mapping[str, int]
) -> frozenset[TopicPartition]:
    """Return what `member` should own: of each topic the partitions p with p mod n = its rank among the n subscribers.

    Members with equal subscriptions so own the same partition numbers of all their topics.
    """
    share: set[TopicPartition] = set()
    for topic in subscriptions[member]:
        subscribers = sorted(m for m, topics in subscriptions.items() if topic in topics)
        rank = subscribers.index(member)
        share.update(TopicPartition(topic, p) for p in range(rank, partition_counts[topic], len(subscribers)))
    return frozenset(share)


def claimable(
    share: frozenset[TopicPartition], taken_by_others: frozenset[TopicPartition]
) -> frozenset[TopicPartition]:
    """Return the part of a share that may be claimed now: partition numbers of which no topic is still taken."""
    blocked = {p.partition for p in share & taken_by_others}
    return frozenset(p for p in share if p.partition not in blocked)
