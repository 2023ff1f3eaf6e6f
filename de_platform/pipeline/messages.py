"""What travels through the log: messages on their way in, records and batches on their way out."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec


class TopicPartition(NamedTuple):
    """One ordered log."""

    topic: str
    partition: int


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a producer hands over. The partition is chosen from the key unless it is given.

    Not seen by the cycle collector (nor is Record): there are too many, and they are never part of a cycle.
    """

    topic: str
    key: str
    value: bytes
    headers: Mapping[str, str] = {}
    partition: int | None = None


class Record(msgspec.Struct, frozen=True, gc=False):
    """A message at its place in a partition."""

    offset: int
    key: str
    value: bytes
    headers: Mapping[str, str]


class Batch(msgspec.Struct, frozen=True):
    """Records of one partition in offset order, never empty; offsets ascend but may have gaps."""

    topic: str
    partition: int
    records: Sequence[Record]

    @property
    def next_offset(self) -> int:
        """Where the next poll would go on: one past the last record."""
        return self.records[-1].offset + 1
