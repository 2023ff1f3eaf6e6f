"""A member of a group in the local log, and what a process knows of the log between two looks at it."""

import asyncio
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from de_platform.pipeline.messages import Record, TopicPartition
from de_platform.services.clock.interface import Clock
from de_platform.services.message_queue import local_groups
from de_platform.services.message_queue.group_consumer import Membership, Standing
from de_platform.services.message_queue.local_groups import Member
from de_platform.services.message_queue.local_log import Snapshot
from de_platform.services.message_queue.local_reader import LogReader
from de_platform.services.message_queue.local_sessions import Session
from de_platform.services.message_queue.local_watcher import Watcher
from de_platform.services.message_queue.local_writer import GroupCommitWriter
from de_platform.services.message_queue.waiting import wait_for_event


class Interest(NamedTuple):
    """What wakes a consumer."""

    group: str
    partition_ids: frozenset[int]
    news: asyncio.Event


class LogView:
    """Ends and generations as last seen by anyone in this process. Lives on the event loop, without locks."""

    def __init__(self) -> None:
        self.ends: dict[int, int] = {}
        self.generations: dict[str, int] = {}
        self.ended_sessions = 0
        self._interests: set[Interest] = set()

    @contextmanager
    def interested(self, interest: Interest) -> Generator[None]:
        """Have the event of `interest` set by what concerns it, for as long as the context is open."""
        self._interests.add(interest)
        try:
            yield
        finally:
            self._interests.discard(interest)

    def merge(self, snapshot: Snapshot) -> None:
        """Take in what was seen somewhere; older sights change nothing. Wakes whom it concerns."""
        grown = {p for p, end in snapshot.ends.items() if end > self.ends.get(p, 0)}
        turned = {g for g, generation in snapshot.generations.items() if generation > self.generations.get(g, 0)}
        self.ends.update({p: snapshot.ends[p] for p in grown})
        self.generations.update({g: snapshot.generations[g] for g in turned})
        for interest in self._interests:
            if interest.group in turned or not grown.isdisjoint(interest.partition_ids):
                interest.news.set()

    def note_ended_session(self) -> None:
        """Have every member look for dead ones: one process is gone."""
        self.ended_sessions += 1
        for interest in self._interests:
            interest.news.set()


class LocalLog(NamedTuple):
    """The working parts of an open queue."""

    view: LogView
    writer: GroupCommitWriter
    reader: LogReader
    watcher: Watcher
    session: Session
    clock: Clock
    session_seconds: float


class LocalMembership(Membership):
    """SQL behind a group consumer: changes go through the writer thread, reads through the reader thread."""

    def __init__(self, log: LocalLog, member: Member, partition_ids: Mapping[TopicPartition, int]) -> None:
        self._log = log
        self._member = member
        self._partition_ids = partition_ids
        self._generation = -1
        self._ended_sessions = 0
        self._renewed_at_seconds = 0.0
        self._has_joined = False
        self._interest = Interest(member.group, frozenset(partition_ids.values()), asyncio.Event())

    def is_standing_due(self) -> bool:
        view = self._log.view
        silent = self._log.clock.monotonic_seconds() - self._renewed_at_seconds
        return (
            view.generations.get(self._member.group, 0) > self._generation
            or view.ended_sessions > self._ended_sessions
            or silent >= self._log.session_seconds / 3
        )

    async def renew(self) -> Standing:
        log = self._log
        now = log.clock.monotonic_seconds()
        ended_sessions = log.view.ended_sessions
        renewed = await asyncio.wrap_future(
            log.writer.submit(
                lambda c: local_groups.renew(
                    c,
                    self._member,
                    now_seconds=now,
                    session_seconds=log.session_seconds,
                    has_ended=log.session.has_ended,
                )
            )
        )
        self._renewed_at_seconds = now
        self._ended_sessions = ended_sessions
        self._turn_to(renewed.generation)
        was_expelled = renewed.standing.was_expelled and self._has_joined
        self._has_joined = True
        return renewed.standing._replace(was_expelled=was_expelled)

    async def release(self, partitions: frozenset[TopicPartition]) -> None:
        generation = await asyncio.wrap_future(
            self._log.writer.submit(lambda c: local_groups.release(c, self._member, partitions))
        )
        self._log.view.merge(Snapshot({}, {self._member.group: generation}))

    async def leave(self) -> None:
        generation = await asyncio.wrap_future(self._log.writer.submit(lambda c: local_groups.leave(c, self._member)))
        self._log.view.merge(Snapshot({}, {self._member.group: generation}))

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        stored = dict(offsets)
        await asyncio.wrap_future(self._log.writer.submit(lambda c: local_groups.commit(c, self._member, stored)))

    def end(self, partition: TopicPartition) -> int:
        return self._log.view.ends.get(self._partition_ids[partition], 0)

    async def refresh(self) -> None:
        self._interest.news.clear()
        if not self._log.watcher.is_current:
            self._merge(await asyncio.wrap_future(self._log.reader.news()))

    async def read(self, partition: TopicPartition, offset: int, max_records: int) -> Sequence[Record]:
        reading = self._log.reader.read(self._partition_ids[partition], offset, max_records)
        records, news = await asyncio.wrap_future(reading)
        self._merge(news)
        return records

    async def wait(self, seconds: float) -> None:
        self._log.watcher.begin_wait()
        try:
            with self._log.view.interested(self._interest):
                await wait_for_event(self._interest.news, self._log.clock, seconds)
        finally:
            self._log.watcher.end_wait()

    def _merge(self, news: Snapshot | None) -> None:
        if news is not None:
            self._log.view.merge(news)

    def _turn_to(self, generation: int) -> None:
        self._generation = generation
        self._log.view.merge(Snapshot({}, {self._member.group: generation}))
