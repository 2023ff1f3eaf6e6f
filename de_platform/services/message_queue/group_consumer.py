"""One member of a consumer group over any log that can say who owns what.

The group protocol is cooperative. A member owns the partitions that it has *claimed* in the log's
group state. When the members change, each one's share changes; a member gives up what is no longer in
its share (listener first, so that commits still work, then the claim), and claims what is free of its
share. A partition therefore never has two owners, and only what must move moves.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from de_platform.pipeline.messages import Batch, Record, TopicPartition
from de_platform.services.clock.interface import Clock
from de_platform.services.message_queue.interface import Consumer, PartitionsLost, RebalanceListener


class Standing(NamedTuple):
    """What one member of a group has, at one moment."""

    claimed: Mapping[TopicPartition, int]
    """Its partitions, and where the group goes on in each."""
    surplus: frozenset[TopicPartition]
    """Claimed partitions that should go to another member."""
    was_expelled: bool
    """The group had given up this member since its last standing: whatever it owned then was lost."""


class Membership(ABC):
    """What a log keeps about one member, and the log as this member sees it. Raises Unavailable."""

    @abstractmethod
    def is_standing_due(self) -> bool:
        """Say whether `renew` should be called now: the group has changed, or the heartbeat is due."""

    @abstractmethod
    async def renew(self) -> Standing:
        """Give a sign of life, expel members that gave none, and claim what is free of this member's share."""

    @abstractmethod
    async def release(self, partitions: frozenset[TopicPartition]) -> None:
        """Give up claims."""

    @abstractmethod
    async def leave(self) -> None:
        """Give up everything; the member is gone."""

    @abstractmethod
    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Store offsets, all or none. Raises PartitionsLost when one is not claimed."""

    @abstractmethod
    def end(self, partition: TopicPartition) -> int:
        """Return the offset after the last record, as far as known here."""

    @abstractmethod
    async def refresh(self) -> None:
        """Learn what other processes have appended or changed."""

    @abstractmethod
    async def read(self, partition: TopicPartition, offset: int, max_records: int) -> Sequence[Record]:
        """Return the first records at or after `offset`; empty if retention removed all below the known end."""

    @abstractmethod
    async def wait(self, seconds: float) -> None:
        """Return when something was appended or the group changed since the last `refresh`, or when time is over."""


class GroupConsumer(Consumer):
    """Assignment, positions, fairness, pausing and the listener; storage is the membership's."""

    def __init__(self, membership: Membership, clock: Clock, listener: RebalanceListener | None) -> None:
        self._membership = membership
        self._clock = clock
        self._listener = listener
        self._positions: dict[TopicPartition, int] = {}
        self._turns: deque[TopicPartition] = deque()
        self._paused: set[TopicPartition] = set()
        self._is_settled = False
        self._closed = False

    async def poll(self, *, max_records: int, timeout_seconds: float) -> Batch | None:
        assert not self._closed, "the consumer is closed"
        deadline = self._clock.monotonic_seconds() + timeout_seconds
        while True:
            if not self._is_settled or self._membership.is_standing_due():
                await self._settle()
            batch = await self._next_batch(max_records)
            if batch is None:
                await self._membership.refresh()
                batch = await self._next_batch(max_records)
            if batch is not None:
                return batch
            left = deadline - self._clock.monotonic_seconds()
            if left <= 0:
                return None
            await self._membership.wait(left)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        foreign = [p for p in offsets if p not in self._positions]
        if foreign:
            raise PartitionsLost(foreign)
        await self._membership.commit(offsets)

    async def seek(self, partition: TopicPartition, offset: int) -> None:
        if partition not in self._positions:
            raise PartitionsLost([partition])
        self._positions[partition] = offset

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        self._paused.update(p for p in partitions if p in self._positions)

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        self._paused.difference_update(partitions)

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self._positions)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            if self._listener is not None and self._positions:
                await self._listener.on_revoked(self.assignment)
        finally:
            self._forget(self.assignment)
            await self._membership.leave()

    async def _settle(self) -> None:
        """Make the assignment equal to the standing. Done again from the start if the listener or the log fails.

        Effects in order: 1. lost partitions dropped, 2. surplus ones handed over by the listener and only
        then released, 3. new ones taken over.
        """
        self._is_settled = False
        standing = await self._membership.renew()
        owned = self.assignment
        lost = owned if standing.was_expelled else owned - standing.claimed.keys()
        if lost:
            self._forget(lost)
            if self._listener is not None:
                await self._listener.on_lost(lost)
        if standing.surplus:
            await self._hand_over(standing.surplus)
        await self._take_over({p: o for p, o in standing.claimed.items() if p not in standing.surplus})
        self._is_settled = True

    async def _hand_over(self, surplus: frozenset[TopicPartition]) -> None:
        served = surplus & self.assignment
        if served and self._listener is not None:
            await self._listener.on_revoked(served)
        self._forget(served)
        await self._membership.release(surplus)

    async def _take_over(self, claimed: Mapping[TopicPartition, int]) -> None:
        fresh = {p: offset for p, offset in claimed.items() if p not in self._positions}
        if not fresh:
            return
        starts: Mapping[TopicPartition, int] = {}
        if self._listener is not None:
            starts = await self._listener.on_assigned(frozenset(fresh))
        for partition in sorted(fresh):
            self._positions[partition] = starts.get(partition, fresh[partition])
            self._turns.append(partition)

    def _forget(self, partitions: frozenset[TopicPartition]) -> None:
        for partition in partitions:
            del self._positions[partition]
            self._turns.remove(partition)
        self._paused -= partitions

    async def _next_batch(self, max_records: int) -> Batch | None:
        """Read from the next partition in turn that has something."""
        for partition in list(self._turns):
            end = self._membership.end(partition)
            if partition in self._paused or self._positions[partition] >= end:
                continue
            self._turns.remove(partition)
            self._turns.append(partition)
            records = await self._membership.read(partition, self._positions[partition], max_records)
            if records:
                self._positions[partition] = records[-1].offset + 1
                return Batch(partition.topic, partition.partition, records)
            self._positions[partition] = end
        return None
