"""How one windowed algorithm judges what has just arrived: by its mask where it has one, else by whole windows."""

from collections.abc import Iterator
from datetime import timedelta

import msgspec
import numpy as np
import numpy.typing as npt

from de_platform.pipeline.alerts import Alert
from de_platform.pipeline.algorithms import Episode, FraudAlgorithm
from de_platform.pipeline.event_columns import microseconds, to_microseconds
from de_platform.pipeline.window_state import TenantWindow


class Found(msgspec.Struct, frozen=True):
    """An alert, and the arrival that brought it about (position in what `take` was given)."""

    alert: Alert
    trigger: int


class Arrived(msgspec.Struct, frozen=True, kw_only=True):
    """The on-time, new events of one call, already merged into the rows."""

    positions: npt.NDArray[np.intp]
    """Where each stood in what `take` was given."""
    first_serial: int
    oldest: int
    newest: int

    def trigger(self, serial: int) -> int:
        """Return the position in the batch of the event with that serial."""
        return int(self.positions[serial - self.first_serial])


class Judgement:
    """One windowed algorithm over the events that have just arrived."""

    def __init__(self, window: TenantWindow, arrived: Arrived, algorithm: FraudAlgorithm, reach_us: int) -> None:
        """`reach_us` is the effective window of the algorithm."""
        self._window = window
        self._rows = window.rows
        self._arrived = arrived
        self._algorithm = algorithm
        self._name = algorithm.name()
        self._reach_us = reach_us
        self._gap_us = microseconds(algorithm.episode_gap())
        self._part = self._rows.between(arrived.oldest - self._reach_us, arrived.newest + self._reach_us)
        self._columns = self._rows.columns(self._part)
        self._serials = self._rows.serials[self._part]
        self._fresh = self._serials >= arrived.first_serial

    def run(self) -> list[Found]:
        """Return the alerts of episodes that were not known, and note them in the window's book."""
        mask = self._algorithm.candidates(self._columns)
        if mask is None:
            return self._judge_plainly(np.arange(len(self._columns)))
        hits = np.flatnonzero(mask & (self._columns.instants >= self._arrived.oldest))
        found: list[Found] = []
        for actor in np.unique(self._columns.actors[hits]).tolist():
            rows = np.flatnonzero(self._columns.actors == actor)
            if self._algorithm.exact_candidates:
                key = (self._name, self._rows.actors.key(actor, self._window.tenant_id))
                found += self._judge_by_mask(key, rows, hits[self._columns.actors[hits] == actor])
            else:
                found += self._judge_plainly(rows)
        return found

    def _judge_by_mask(
        self, key: tuple[str, str], rows: npt.NDArray[np.intp], hits: npt.NDArray[np.intp]
    ) -> list[Found]:
        """Find new episodes of one actor: after each arrival when they came out of order, else all at once."""
        book = self._window.book
        found: list[Found] = []
        for upto in self._steps(rows):
            if book.covers(key, self._columns.instants[hits], self._gap_us):
                break
            known = rows[self._serials[rows] <= upto]
            mask = self._algorithm.candidates(self._columns.rows(known))
            assert mask is not None, "an algorithm has a vectorised form or has none"
            violating = known[mask & (self._columns.instants[known] >= self._arrived.oldest)]
            if not len(violating):
                continue
            for position in book.absorb(key, self._columns.instants[violating], self._gap_us):
                anchor = int(violating[position])
                found.append(self._alert_at(anchor, known, upto))
        book.absorb(key, self._columns.instants[hits], self._gap_us)
        return found

    def _steps(self, rows: npt.NDArray[np.intp]) -> list[int]:
        """Return the serials after which to look: the last one if all came in order, else each."""
        fresh = self._fresh[rows]
        serials = self._serials[rows][fresh]
        if fresh[-len(serials) :].all() and (np.diff(serials) > 0).all():
            return [int(serials[-1])]
        return np.sort(serials).tolist()

    def _alert_at(self, anchor: int, known: npt.NDArray[np.intp], upto: int) -> Found:
        at = int(self._columns.instants[anchor])
        rows = known[(known <= anchor) & (self._columns.instants[known] >= at - self._reach_us)]
        episodes = self._evaluate(rows)
        assert episodes, f"{self._name}: the mask and the plain verdict differ"
        serial = int(self._serials[anchor]) if self._fresh[anchor] else upto
        return Found(episodes[-1].alert, self._arrived.trigger(serial))

    def _judge_plainly(self, rows: npt.NDArray[np.intp]) -> list[Found]:
        """Evaluate whole windows, one for each stretch of arrivals that came in order."""
        found: list[Found] = []
        for first, last in self._stretches(rows):
            low = int(self._columns.instants[first]) - self._reach_us
            high = int(self._columns.instants[last]) + self._reach_us
            upto = int(self._serials[last])
            instants = self._columns.instants[rows]
            chosen = rows[(instants >= low) & (instants <= high) & (self._serials[rows] <= upto)]
            for episode in self._evaluate(chosen):
                first_us, last_us = to_microseconds([episode.first_at, episode.last_at]).tolist()
                if self._window.book.absorb_span((self._name, episode.subject_key), first_us, last_us, self._gap_us):
                    found.append(Found(episode.alert, self._trigger(episode.alert, chosen, upto)))
        return found

    def _trigger(self, alert: Alert, rows: npt.NDArray[np.intp], upto: int) -> int:
        """Return the anchor's own arrival if it has just arrived, else that of the event that made it one."""
        for serial in self._serials[rows[self._fresh[rows]]].tolist():
            event = self._rows.event(serial)
            if (event["event_type"], event["id"]) == (alert.event_type, alert.event_id):
                return self._arrived.trigger(serial)
        return self._arrived.trigger(upto)

    def _stretches(self, rows: npt.NDArray[np.intp]) -> Iterator[tuple[int, int]]:
        """Yield first and last row of each run of fresh arrivals that ascends and lies beyond all before it."""
        fresh = rows[self._fresh[rows]]
        by_arrival = fresh[np.argsort(self._serials[fresh])].tolist()
        older = rows[~self._fresh[rows]]
        beyond = int(older[-1]) if len(older) else -1
        run: tuple[int, int] | None = None
        for row in by_arrival:
            in_order = row > beyond
            beyond = max(beyond, row)
            if run is not None and in_order and row > run[1]:
                run = (run[0], row)
                continue
            if run is not None:
                yield run
            run = (row, row)
        if run is not None:
            yield run

    def _evaluate(self, rows: npt.NDArray[np.intp]) -> list[Episode]:
        types = self._algorithm.event_types
        events = [self._rows.event(serial) for serial in self._serials[rows].tolist()]
        shown = [event for event in events if event["event_type"] in types]
        if not shown:
            return []
        start, end = shown[0]["transact_time"], shown[-1]["transact_time"] + timedelta(microseconds=1)
        return self._algorithm.episodes(shown, self._window.tenant_id, start, end)
