"""The window engine: takes in the events of a tenant as they arrive and lets every algorithm judge them at once.

An on-event algorithm decides in the same call, however long the tenant's window is. Events are judged in
canonical order (transact_time, then identity), whatever order they arrive in.

What holds, for the alerts of any split of the same arrivals into batches, with restarts and redeliveries:

- each event judged by itself (`single_event`): same alerts in any order, late events included;
- the events of an actor arrive in canonical order: same alerts, byte for byte;
- they arrive out of order within the lateness, in the same order each time: same alerts, byte for byte;
- they arrive in another order within the lateness: the same episodes are alerted.

What version 1 does not promise:

- An alert is not revised. If an event that arrives later would move the anchor of an episode, the alert keeps
  the anchor, and thus the id, that it got when it was raised; two episodes that grow together stay two alerts.
- Lateness is counted per event type: a type lags behind its own latest event only. Where one type lags behind
  another (two topics, a backlog), earlier events of the faster type are held for it until nothing of the slower
  one has been taken in for `IDLE_AFTER` of arrival time; then a violation that needs both may be missed.
- Events later than the lateness are counted, and only algorithms that judge events singly see them.
- Algorithms that decide on close are refused.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import msgspec
import numpy as np
import numpy.typing as npt

from de_platform.pipeline.algorithms import Decides, Event, FraudAlgorithm
from de_platform.pipeline.errors import InvalidInput
from de_platform.pipeline.event_columns import (
    EVENT_TYPES,
    LEAN_FIELDS,
    TYPE_CODE,
    EventColumns,
    Instants,
    LeanEvent,
    Mask,
    decode_event,
    microseconds,
    to_microseconds,
)
from de_platform.pipeline.judgement import Arrived, Found, Judgement
from de_platform.pipeline.window_rows import NEVER, Chunk, arrived_columns, identity_column
from de_platform.pipeline.window_state import TenantWindow

ALLOWED_LATENESS = timedelta(minutes=5)
DEFAULT_WINDOW = timedelta(minutes=5)
IDLE_AFTER = timedelta(minutes=10)


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch. Events are counted once per reason."""

    received: dict[str, int]
    """Per event type."""
    found: Sequence[Found]
    late: int
    """Dated too far behind their kind for any window."""
    redelivered: int
    """Held already."""
    not_evaluable: dict[str, int]
    """Per algorithm: events that lack what it needs."""


class WindowEngine:
    """Applies a set of configured algorithms. Holds no state of tenants: `take` changes the one it is given."""

    def __init__(
        self,
        algorithms: Sequence[FraudAlgorithm],
        *,
        lateness: timedelta = ALLOWED_LATENESS,
        window_size: timedelta = DEFAULT_WINDOW,
    ) -> None:
        """Raises InvalidInput for an algorithm that decides on close."""
        for algorithm in algorithms:
            if algorithm.decides is not Decides.ON_EVENT:
                raise InvalidInput.single("algorithms", f"{algorithm.name()} decides on close, which is not supported")
        self._single = [a for a in algorithms if a.single_event]
        self._windowed = [a for a in algorithms if not a.single_event]
        self._lateness_us = microseconds(lateness)
        self._window_us = microseconds(window_size)
        self._lookback_us = max((self._reach(a) for a in self._windowed), default=0)
        self._gap_us = max((microseconds(a.episode_gap()) for a in self._windowed), default=0)
        self._needs_whole = any(a.fields is None or not a.fields <= LEAN_FIELDS for a in self._windowed)

    def take(self, window: TenantWindow, leans: Sequence[LeanEvent], raws: Sequence[bytes]) -> Taken:
        """Take in events of one tenant in order of arrival; `leans[i]` is the narrow form of `raws[i]`."""
        actors = window.rows.actors.codes(leans) if self._windowed else np.zeros(len(leans), dtype=np.int32)
        columns = arrived_columns(leans, actors)
        events = _EventCache(raws, window.tenant_id)
        found = list(self._judge_singly(columns, events))
        late = redelivered = 0
        if self._windowed:
            on_time = self._on_time(window, columns, leans)
            arrived, redelivered = self._merge(window, columns, leans, raws, on_time)
            late = len(leans) - int(np.count_nonzero(on_time))
            if arrived is not None:
                for algorithm in self._windowed:
                    found += Judgement(window, arrived, algorithm, self._reach(algorithm)).run()
            self._evict(window)
        counts = np.bincount(columns.event_types, minlength=len(EVENT_TYPES)).tolist()
        return Taken(
            received={each.value: count for each, count in zip(EVENT_TYPES, counts, strict=True) if count},
            found=found,
            late=late,
            redelivered=redelivered,
            not_evaluable=self._not_evaluable(columns, leans),
        )

    def _reach(self, algorithm: FraudAlgorithm) -> int:
        lookback = microseconds(algorithm.lookback(algorithm.values))
        return lookback if algorithm.exact_candidates else max(lookback, self._window_us)

    def _judge_singly(self, columns: EventColumns, events: "_EventCache") -> Iterator[Found]:
        for algorithm in self._single:
            mask = algorithm.candidates(columns)
            rows = range(len(columns)) if mask is None else np.flatnonzero(mask).tolist()
            for row in rows:
                event = events[row]
                if event["event_type"] in algorithm.event_types:
                    alert = algorithm.evaluate(event)
                    if alert is not None:
                        yield Found(alert, row)

    def _not_evaluable(self, columns: EventColumns, leans: Sequence[LeanEvent]) -> dict[str, int]:
        counts: dict[str, int] = {}
        for algorithm in (*self._single, *self._windowed):
            if algorithm.needs:
                lacking = _lacking(algorithm, columns, leans)
                if lacking:
                    counts[algorithm.name()] = lacking
        return counts

    def _on_time(self, window: TenantWindow, columns: EventColumns, leans: Sequence[LeanEvent]) -> Mask:
        """Mark the events within the lateness of their type, and move the types on.

        An event is compared with what arrived before it, so that the verdict does not depend on the batch.
        """
        present = _not_ahead_of_arrival(columns.instants, leans)
        on_time = np.ones(len(columns), dtype=np.bool_)
        for code in range(len(EVENT_TYPES)):
            rows = np.flatnonzero(columns.event_types == code)
            if not len(rows):
                continue
            highs = np.maximum.accumulate(np.concatenate(([window.highs[code]], present[rows])))
            known = highs[:-1] != NEVER
            on_time[rows[known]] = columns.instants[rows[known]] >= highs[:-1][known] - self._lateness_us
            window.highs[code] = highs[-1]
            last_arrival = to_microseconds([leans[rows[-1]].ingested_at])[0]
            window.ingested[code] = np.maximum(window.ingested[code], last_arrival)
        return on_time

    def _merge(
        self,
        window: TenantWindow,
        columns: EventColumns,
        leans: Sequence[LeanEvent],
        raws: Sequence[bytes],
        on_time: Mask,
    ) -> tuple[Arrived | None, int]:
        identities = identity_column(leans, columns.event_types)
        new = on_time & ~window.rows.holds(columns.instants, identities) & _first_of_its_kind(columns, identities)
        positions = np.flatnonzero(new)
        redelivered = int(np.count_nonzero(on_time)) - len(positions)
        if not len(positions):
            return None, redelivered
        everything = len(positions) == len(leans)
        chunk = Chunk.of(
            window.rows.next_serial,
            leans if everything else [leans[i] for i in positions.tolist()],
            raws if everything else [raws[i] for i in positions.tolist()],
            whole=self._needs_whole,
        )
        added = columns.rows(positions)
        window.rows.add(chunk, added, identities[positions])
        arrived = Arrived(
            positions=positions,
            first_serial=chunk.first_serial,
            oldest=int(added.instants.min()),
            newest=int(added.instants.max()),
        )
        return arrived, redelivered

    def _evict(self, window: TenantWindow) -> None:
        floors = self.floors(window)
        window.rows.evict(floors)
        known = floors[window.highs != NEVER]
        if len(known):
            window.book.sweep(int(known.min()) - self._gap_us, max(self._gap_us, self._lateness_us))

    def floors(self, window: TenantWindow) -> Instants:
        """Return, per event type, the instant below which its events are needed no more."""
        seen = window.highs != NEVER
        if not seen.any():
            return np.full(len(EVENT_TYPES), NEVER)
        active = seen & (window.ingested >= window.ingested.max() - microseconds(IDLE_AFTER))
        floors = np.minimum(window.highs, window.highs[active].min()) - self._lateness_us - self._lookback_us
        return np.where(seen, floors, NEVER)


class _EventCache:
    """Decodes an event in full when an algorithm first asks for it."""

    def __init__(self, raws: Sequence[bytes], tenant_id: str) -> None:
        self._raws = raws
        self._tenant_id = tenant_id
        self._decoded: dict[int, Event] = {}

    def __getitem__(self, row: int) -> Event:
        event = self._decoded.get(row)
        if event is None:
            event = self._decoded[row] = decode_event(self._raws[row], self._tenant_id)
        return event


def _not_ahead_of_arrival(instants: Instants, leans: Sequence[LeanEvent]) -> Instants:
    ahead = [row for row, lean in enumerate(leans) if lean.transact_time > lean.ingested_at]
    if not ahead:
        return instants
    present = instants.copy()
    present[ahead] = to_microseconds([leans[row].ingested_at for row in ahead])
    return present


def _lacking(algorithm: FraudAlgorithm, columns: EventColumns, leans: Sequence[LeanEvent]) -> int:
    codes = [TYPE_CODE[event_type] for event_type in algorithm.event_types]
    relevant = np.isin(columns.event_types, codes)
    lacks = np.zeros(len(columns), dtype=np.bool_)
    for group in algorithm.needs:
        if set(group) == {"notional_usd", "amount_usd"}:
            lacks |= np.isnan(columns.values_usd)
        else:
            lacks |= np.fromiter((all(getattr(e, f, None) is None for f in group) for e in leans), dtype=np.bool_)
    return int(np.count_nonzero(lacks & relevant))


def _first_of_its_kind(columns: EventColumns, identities: npt.NDArray[np.uint64]) -> Mask:
    """Mark all but the repetitions of an event within one batch."""
    order = np.lexsort((identities, columns.instants))
    again = (np.diff(columns.instants[order]) == 0) & (identities[order][1:] == identities[order][:-1])
    first = np.ones(len(columns), dtype=np.bool_)
    first[order[1:][again]] = False
    return first
