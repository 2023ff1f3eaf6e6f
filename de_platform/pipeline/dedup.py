"""Tell new events from redelivered messages and from duplicates, exactly and for good.

An event's identity is (tenant, type, id, UTC day of its transact_time); a message is one delivery of it. Where keys are
kept, relative to the highest arrival that the partition has seen:

- Events dated today or yesterday: in the generation of their day, kept an hour longer than that.
- Events dated earlier: for at least an hour after they arrived, in the generation of that hour. What those do not
  know is looked up in the event store, once a batch.

The answers depend only on the log so far and on the store, and a stored row that came from this very record or a later
one counts as not there: so a replay after a crash answers the same.
"""

from collections.abc import Mapping, Sequence, Set
from datetime import date, datetime, timedelta
from enum import IntEnum

import msgspec
import numpy as np
import xxhash

from de_platform.pipeline.generation import Generation
from de_platform.pipeline.key_table import Numbers, Uint64s

_VARIANT_SHIFT = 32
_HOUR_CHARS = len("2026-01-31T09")
_DAY_CHARS = len("2026-01-31")
_LINGER = timedelta(hours=1)


class Verdict(IntEnum):
    """What a message is."""

    NEW = 0
    """The first message of its event."""
    REDELIVERY = 1
    """A message that was taken in before."""
    DUPLICATE = 2
    """Another message of an event that was taken in before."""


class Arrivals(msgspec.Struct, frozen=True, kw_only=True):
    """Messages of a batch in log order, as columns of equal length."""

    keys: Uint64s
    """Shape (n, 2): the digests of identities, from `keys`."""
    days: Sequence[str]
    """UTC day of transact_time, `YYYY-MM-DD`."""
    message_ids: Sequence[str]
    latest_at: str
    """The highest ingested_at of the batch, written by `format_instant`."""


class Verdicts(msgspec.Struct, frozen=True):
    """One verdict a message, and for each duplicate the message that was first."""

    verdicts: list[Verdict]
    originals: dict[int, str]


class Deduplicator:
    """The dedup state of one partition. Not safe for concurrent use.

    `salt` keeps a tenant from constructing ids whose digest is that of another tenant's event.
    """

    def __init__(self, *, salt: int) -> None:
        self.salt = salt
        self.sources: frozenset[str] = frozenset()
        """Topics that it has seen records of."""
        self.complete_from = ""
        """The first day whose events it has surely all seen; those of earlier days are looked up in the store."""
        self.latest_at = ""
        """The highest ingested_at that it has seen."""
        self.generations: dict[str, Generation] = {}

    def begin(self, source: str, *, from_the_start: bool, latest_at: str) -> None:
        """Learn where reading a topic begins, before its first batch; later calls change nothing.

        If it is not the start of the log, earlier events may be missing here, dated up to the day after
        `latest_at`.
        """
        if source in self.sources or not latest_at:
            return
        self.sources |= {source}
        if not from_the_start:
            self.complete_from = (date.fromisoformat(latest_at[:_DAY_CHARS]) + timedelta(days=2)).isoformat()

    def keys(self, texts: Sequence[str], variants: Sequence[int]) -> Uint64s:
        """Return the keys of identities; equal only where text and variant (a small number) are equal."""
        salts = [self.salt ^ variant << _VARIANT_SHIFT for variant in variants]
        return _to_keys(list(map(xxhash.xxh3_128_digest, map(str.encode, texts), salts)))

    def undecided(self, arrivals: Arrivals) -> list[int]:
        """Return the messages that only the event store can decide. Changes nothing."""
        if not arrivals.days:
            return []
        latest_at = max(self.latest_at, arrivals.latest_at)
        first_hot_day = self._first_hot_day(latest_at)
        late = np.array([i for i, day in enumerate(arrivals.days) if day < first_hot_day], np.int64)
        for generation in self._generations_of_late(latest_at):
            if late.size:
                late = late[generation.find(arrivals.keys[late]) < 0]
        return late.tolist()

    def decide(self, arrivals: Arrivals, stored: Mapping[int, str]) -> Verdicts:
        """Give each message its verdict, and remember it.

        `stored` has, for those of `undecided` whose event is in the store, the message that is there.
        """
        if not arrivals.days:
            return Verdicts([], {})
        self.latest_at = max(self.latest_at, arrivals.latest_at)
        self.generations = {name: kept for name, kept in self.generations.items() if _is_kept(name, self.latest_at)}
        first_hot_day = self._first_hot_day(self.latest_at)
        result = Verdicts([Verdict.NEW] * len(arrivals.days), {})
        days = set(arrivals.days)
        for day in sorted(days):
            if day >= first_hot_day:
                rows = _rows_of(arrivals.days, {day}) if len(days) > 1 else np.arange(len(arrivals.days))
                self._decide_hot(self._generation(day), rows, arrivals, result)
        late_days = {day for day in days if day < first_hot_day}
        if late_days:
            self._decide_late(_rows_of(arrivals.days, late_days), arrivals, stored, result)
        return result

    def _decide_hot(self, generation: Generation, rows: Numbers, arrivals: Arrivals, result: Verdicts) -> None:
        """Decide events of a day whose generation knows all there is to know."""
        order: list[int] = rows.tolist()
        added = generation.add(arrivals.keys[rows], [arrivals.message_ids[row] for row in order])
        known = np.flatnonzero(~added.is_new)
        firsts = {
            row: generation.message_id(number)
            for row, number in zip(rows[known].tolist(), added.numbers[known].tolist(), strict=True)
        }
        self._tell_apart(firsts, arrivals, [generation], generation, result)

    def _decide_late(self, rows: Numbers, arrivals: Arrivals, stored: Mapping[int, str], result: Verdicts) -> None:
        """Decide events by what arrived lately, then by what the store said, and remember both for this hour."""
        lately = self._generations_of_late(self.latest_at)
        firsts: dict[int, str] = {}
        for generation in lately:
            numbers = generation.find(arrivals.keys[rows])
            known = numbers >= 0
            for row, number in zip(rows[known].tolist(), numbers[known].tolist(), strict=True):
                firsts[row] = generation.message_id(number)
            rows = rows[~known]
        hour = self._generation(self.latest_at[:_HOUR_CHARS])
        order: list[int] = rows.tolist()
        added = hour.add(arrivals.keys[rows], [stored.get(row, arrivals.message_ids[row]) for row in order])
        for position, row in enumerate(order):
            if row in stored or not added.is_new[position]:
                firsts[row] = hour.message_id(int(added.numbers[position]))
        self._tell_apart(firsts, arrivals, lately, hour, result)

    def _tell_apart(
        self,
        firsts: Mapping[int, str],
        arrivals: Arrivals,
        lookup: Sequence[Generation],
        home: Generation,
        result: Verdicts,
    ) -> None:
        """Decide messages of known events, given the first message of each: redelivered, or duplicate?

        A duplicate's message id is remembered beside the identities, under a key of its own, so that its
        redelivery is not another duplicate.
        """
        others: list[int] = []
        for row, first in firsts.items():
            result.verdicts[row] = Verdict.REDELIVERY
            if first != arrivals.message_ids[row]:
                others.append(row)
        if not others:
            return
        others.sort()
        keys = self._message_keys(others, arrivals)
        for generation in lookup:
            unknown = generation.find(keys) < 0
            others, keys = [row for row, kept in zip(others, unknown, strict=True) if kept], keys[unknown]
        added = home.add(keys, [arrivals.message_ids[row] for row in others])
        for position in np.flatnonzero(added.is_new).tolist():
            row = others[position]
            result.verdicts[row] = Verdict.DUPLICATE
            result.originals[row] = firsts[row]

    def _message_keys(self, rows: Sequence[int], arrivals: Arrivals) -> Uint64s:
        digests = [
            xxhash.xxh3_128_digest(arrivals.keys[row].tobytes() + arrivals.message_ids[row].encode(), self.salt)
            for row in rows
        ]
        return _to_keys(digests)

    def _generation(self, name: str) -> Generation:
        return self.generations.setdefault(name, Generation(name))

    def _generations_of_late(self, latest_at: str) -> list[Generation]:
        """Return where events that are not of a hot day may be found."""
        first_hot_day = self._first_hot_day(latest_at)
        return [
            generation
            for name, generation in self.generations.items()
            if _is_kept(name, latest_at) and (_is_hour(name) or name < first_hot_day)
        ]

    def _first_hot_day(self, latest_at: str) -> str:
        yesterday = date.fromisoformat(latest_at[:_DAY_CHARS]) - timedelta(days=1)
        return max(yesterday.isoformat(), self.complete_from)


def _to_keys(digests: Sequence[bytes]) -> Uint64s:
    """Return digests of 16 bytes as rows of two words."""
    if not digests:
        return np.empty((0, 2), np.uint64)
    return np.frombuffer(b"".join(digests), np.uint64).reshape(-1, 2)


def _rows_of(days: Sequence[str], wanted: Set[str]) -> Numbers:
    return np.array([row for row, day in enumerate(days) if day in wanted], np.int64)


def _is_hour(name: str) -> bool:
    return len(name) > _DAY_CHARS


def _is_kept(name: str, latest_at: str) -> bool:
    """Say whether a generation is still needed: an hour after its own hour, or after the day that follows its day."""
    an_hour_ago = datetime.fromisoformat(latest_at) - _LINGER
    if _is_hour(name):
        return name >= an_hour_ago.isoformat()[:_HOUR_CHARS]
    return name >= (an_hour_ago - timedelta(days=1)).date().isoformat()
