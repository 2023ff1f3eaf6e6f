"""What a member has fetched and not handed out yet, and which offset stands for what it has done. Pure."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from de_platform.pipeline.errors import PlatformError
from de_platform.pipeline.messages import Batch, Record, TopicPartition


class Fetched(NamedTuple):
    """What one look at the log brought."""

    records: Mapping[TopicPartition, Sequence[Record]]
    ends: Mapping[TopicPartition, int]
    """Where a partition ended, if all before that was fetched. It is more than one past the last record where the
    log keeps marks of its transactions behind it."""
    failure: PlatformError | None = None
    """What kept it from bringing more."""


class _Feed:
    def __init__(self, start: int | None) -> None:
        self.records: list[Record] = []
        self.bytes = 0
        self.next_offset = start
        """One past the last record that was handed out; before one was, where reading began, if anybody said."""
        self.committed = start
        """Everything before it is done with, as far as known here."""
        self.end: int | None = None

    def stretched(self, offset: int) -> int:
        """Move an offset over the gap that it stands before, if there is one."""
        if self.records or self.end is None or not (self.next_offset or 0) <= offset <= self.end:
            return offset
        return self.end

    def to_stretch(self) -> int | None:
        """Return what should be committed because a gap has been seen, or None."""
        if self.committed is not None:
            moved = self.stretched(self.committed)
            return moved if moved > self.committed else None
        is_untouched = self.next_offset is None and not self.records
        return self.end or None if is_untouched else None


class Feeds:
    """One feed for each owned partition, served in turn."""

    def __init__(self) -> None:
        self._feeds: dict[TopicPartition, _Feed] = {}
        self._turns: deque[TopicPartition] = deque()
        self._paused: set[TopicPartition] = set()

    @property
    def partitions(self) -> frozenset[TopicPartition]:
        """What is owned."""
        return frozenset(self._feeds)

    @property
    def paused(self) -> frozenset[TopicPartition]:
        """What is owned and not to be handed out."""
        return frozenset(self._paused)

    def open(self, starts: Mapping[TopicPartition, int | None]) -> None:
        """Take partitions in, with where reading begins (None: at the first record held)."""
        for partition in sorted(starts):
            self._feeds[partition] = _Feed(starts[partition])
            self._turns.append(partition)

    def close(self, partitions: Iterable[TopicPartition]) -> None:
        """Forget partitions and what was fetched of them."""
        for partition in list(partitions):
            if self._feeds.pop(partition, None) is not None:
                self._turns.remove(partition)
                self._paused.discard(partition)

    def take_in(self, fetched: Fetched) -> None:
        """Add what was fetched; what is of partitions that are no longer owned is dropped."""
        for partition, records in fetched.records.items():
            if (feed := self._feeds.get(partition)) is not None:
                feed.records.extend(records)
                feed.bytes += _bytes(records)
                feed.end = None
        for partition, end in fetched.ends.items():
            if (feed := self._feeds.get(partition)) is not None:
                feed.end = end

    @property
    def waiting_records(self) -> int:
        """How many records could be handed out."""
        return sum(len(feed.records) for feed in self._served())

    @property
    def waiting_bytes(self) -> int:
        """How long the values of these records are, all together."""
        return sum(feed.bytes for feed in self._served())

    def next_batch(self, max_records: int) -> Batch | None:
        """Hand out the first records of the next partition in turn that has some and is not paused."""
        for partition in list(self._turns):
            feed = self._feeds[partition]
            if partition in self._paused or not feed.records:
                continue
            self._turns.remove(partition)
            self._turns.append(partition)
            records = feed.records[:max_records]
            del feed.records[:max_records]
            feed.bytes -= _bytes(records)
            feed.next_offset = records[-1].offset + 1
            return Batch(partition.topic, partition.partition, records)
        return None

    def rewind(self, partition: TopicPartition, offset: int) -> None:
        """Forget what was fetched of a partition: it is read from `offset` now."""
        feed = self._feeds[partition]
        feed.records.clear()
        feed.bytes = 0
        feed.next_offset = offset
        feed.end = None

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Hand out nothing of these, as far as they are owned."""
        self._paused.update(p for p in partitions if p in self._feeds)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Undo `pause`."""
        self._paused.difference_update(partitions)

    def stretched(self, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Move owned partitions' offsets over gaps: no record is between them and what comes out.

        Without this a group at rest would seem to lag by the marks behind the last transaction.
        """
        return {partition: self._feeds[partition].stretched(offset) for partition, offset in offsets.items()}

    def note_committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Remember what the group has stored."""
        for partition, offset in offsets.items():
            if partition in self._feeds:
                self._feeds[partition].committed = offset

    def to_stretch(self) -> dict[TopicPartition, int]:
        """Return committed offsets that turned out to stand before a gap, moved over it."""
        moved = {partition: feed.to_stretch() for partition, feed in self._feeds.items()}
        return {partition: offset for partition, offset in moved.items() if offset is not None}

    def _served(self) -> Iterable[_Feed]:
        return (feed for partition, feed in self._feeds.items() if partition not in self._paused)


def _bytes(records: Sequence[Record]) -> int:
    return sum(len(record.value) for record in records)
