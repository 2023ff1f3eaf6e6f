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
from itertools import repeat
from operator import add
from typing import NamedTuple

import msgspec
import numpy as np
import xxhash

from de_platform.pipeline.generation import Generation
from de_platform.pipeline.key_table import Numbers, Uint64s

_HOUR_CHARS = len("2026-01-31T09")
_DAY_CHARS = len("2026-01-31")
_LINGER = timedelta(hours=1)


class Arrivals(msgspec.Struct, frozen=True, kw_only=True):
    """Messages of a batch in log order, as columns of equal length."""

    keys: Uint64s
    """Shape (n, 2): the digests of identities, from `keys`."""
    days: Sequence[str]
    """UTC day of transact_time, `YYYY-MM-DD`."""
    message_ids: Sequence[str]
    latest_at: str
    """The highest ingested_at of the batch, written by `format_instant`."""

    def rows_of(self, days: Set[str], all_days: Set[str]) -> Numbers:
        """Return the rows dated on some days; `all_days` are those that occur."""
        if len(days) == len(all_days):
            return np.arange(len(self.days))
        return np.array([row for row, day in enumerate(self.days) if day in days], np.int64)

    def message_ids_of(self, rows: Numbers) -> Sequence[str]:
        """Return the message ids of ascending rows."""
        if len(rows) == len(self.message_ids):
            return self.message_ids
        chosen: list[int] = rows.tolist()
        return [self.message_ids[row] for row in chosen]


class Verdicts(msgspec.Struct, frozen=True, kw_only=True):
    """What the messages of a batch are: new, unless their row is in one of these."""

    count: int
    """How many messages were decided."""
    redelivered: list[int]
    """Messages that were taken in before, ascending."""
    originals: dict[int, str]
    """Duplicates, ascending: other messages of events taken in before, each with the message that was first."""

    def new(self) -> Sequence[int]:
        """Return the rows of first messages of their events."""
        if not self.redelivered and not self.originals:
            return range(self.count)
        known = {*self.redelivered, *self.originals}
        return [row for row in range(self.count) if row not in known]


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
        """Return the keys of identities; equal only where text and variant (below 128) are equal."""
        told_apart = map(str.encode, map(add, texts, map(chr, variants)))
        return _to_keys(list(map(xxhash.xxh3_128_digest, told_apart, repeat(self.salt))))

    def undecided(self, arrivals: Arrivals) -> list[int]:
        """Return the messages that only the event store can decide. Changes nothing."""
        if not arrivals.days:
            return []
        latest_at = max(self.latest_at, arrivals.latest_at)
        first_hot_day = self._first_hot_day(latest_at)
        late_days = {day for day in set(arrivals.days) if day < first_hot_day}
        if not late_days:
            return []
        late = np.array([i for i, day in enumerate(arrivals.days) if day in late_days], np.int64)
        for generation in self._generations_of_late(latest_at):
            if late.size:
                late = late[generation.find(arrivals.keys[late]) < 0]
        return late.tolist()

    def decide(self, arrivals: Arrivals, stored: Mapping[int, str]) -> Verdicts:
        """Give each message its verdict, and remember it.

        `stored` has, for those of `undecided` whose event is in the store, the message that is there.
        """
        if not arrivals.days:
            return Verdicts(count=0, redelivered=[], originals={})
        self.latest_at = max(self.latest_at, arrivals.latest_at)
        self.generations = {name: kept for name, kept in self.generations.items() if _is_kept(name, self.latest_at)}
        first_hot_day = self._first_hot_day(self.latest_at)
        days = set(arrivals.days)
        known: list[_Known] = [
            self._add_hot(self._generation(day), arrivals.rows_of({day}, days), arrivals)
            for day in sorted(days)
            if day >= first_hot_day
        ]
        late_days = {day for day in days if day < first_hot_day}
        if late_days:
            known.append(self._add_late(arrivals.rows_of(late_days, days), arrivals, stored))
        repeated = {row for one in known for row in one.firsts}
        originals = {row: first for one in known for row, first in self._others(one, arrivals)}
        return Verdicts(
            count=len(arrivals.days),
            redelivered=sorted(repeated - originals.keys()),
            originals=dict(sorted(originals.items())),
        )

    def _add_hot(self, generation: Generation, rows: Numbers, arrivals: Arrivals) -> "_Known":
        """Take in events of a day whose generation knows all there is to know."""
        added = generation.add(arrivals.keys[rows], arrivals.message_ids_of(rows))
        again = np.flatnonzero(~added.is_new)
        firsts = {
            row: generation.message_id(number)
            for row, number in zip(rows[again].tolist(), added.numbers[again].tolist(), strict=True)
        }
        return _Known(firsts, [generation], generation)

    def _add_late(self, rows: Numbers, arrivals: Arrivals, stored: Mapping[int, str]) -> "_Known":
        """Take in events by what arrived lately, then by what the store said, and remember both for this hour."""
        lately = self._generations_of_late(self.latest_at)
        firsts: dict[int, str] = {}
        for generation in lately:
            numbers = generation.find(arrivals.keys[rows])
            found = numbers >= 0
            for row, number in zip(rows[found].tolist(), numbers[found].tolist(), strict=True):
                firsts[row] = generation.message_id(number)
            rows = rows[~found]
        hour = self._generation(self.latest_at[:_HOUR_CHARS])
        order: list[int] = rows.tolist()
        added = hour.add(arrivals.keys[rows], [stored.get(row, arrivals.message_ids[row]) for row in order])
        for position, row in enumerate(order):
            if row in stored or not added.is_new[position]:
                firsts[row] = hour.message_id(int(added.numbers[position]))
        return _Known(firsts, lately, hour)

    def _others(self, known: "_Known", arrivals: Arrivals) -> Sequence[tuple[int, str]]:
        """Return the duplicates among messages of known events, each with the message that was first.

        A duplicate's message id is remembered beside the identities, under a key of its own, so that its
        redelivery is not another duplicate.
        """
        rows = sorted(row for row, first in known.firsts.items() if first != arrivals.message_ids[row])
        if not rows:
            return ()
        keys = self._message_keys(rows, arrivals)
        for generation in known.lookup:
            unseen = generation.find(keys) < 0
            rows, keys = [row for row, its in zip(rows, unseen, strict=True) if its], keys[unseen]
        added = known.home.add(keys, [arrivals.message_ids[row] for row in rows])
        return [(rows[position], known.firsts[rows[position]]) for position in np.flatnonzero(added.is_new).tolist()]

    def _message_keys(self, rows: Sequence[int], arrivals: Arrivals) -> Uint64s:
        digests = [
            xxhash.xxh3_128_digest(arrivals.keys[row].tobytes() + arrivals.message_ids[row].encode(), self.salt)
            for row in rows
        ]
        return _to_keys(digests)

    def _generation(self, name: str) -> Generation:
        if name not in self.generations:
            self.generations[name] = Generation(name)
        return self.generations[name]

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


class _Known(NamedTuple):
    """Messages of known events, each with the first one; where else to look for them, and where to remember them."""

    firsts: dict[int, str]
    lookup: Sequence[Generation]
    home: Generation


def _to_keys(digests: Sequence[bytes]) -> Uint64s:
    """Return digests of 16 bytes as rows of two words."""
    if not digests:
        return np.empty((0, 2), np.uint64)
    return np.frombuffer(b"".join(digests), np.uint64).reshape(-1, 2)


def _is_hour(name: str) -> bool:
    return len(name) > _DAY_CHARS


def _is_kept(name: str, latest_at: str) -> bool:
    """Say whether a generation is still needed: an hour after its own hour, or after the day that follows its day."""
    an_hour_ago = datetime.fromisoformat(latest_at) - _LINGER
    if _is_hour(name):
        return name >= an_hour_ago.isoformat()[:_HOUR_CHARS]
    return name >= (an_hour_ago - timedelta(days=1)).date().isoformat()
