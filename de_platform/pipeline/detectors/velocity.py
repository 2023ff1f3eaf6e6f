"""`velocity`: one actor sends more events than a person could mean, orders, executions and transactions together."""

from collections import deque
from datetime import datetime, timedelta
from typing import ClassVar

import numpy as np

from de_platform.pipeline.alerts import Alert, Severity
from de_platform.pipeline.algorithm_parameters import Parameter, ParameterKind, Parameters, ParameterSchema
from de_platform.pipeline.algorithms import Episode, Event, FraudAlgorithm
from de_platform.pipeline.detectors.explanation import SubjectRef, Verdict, actor_of, distance, make_alert
from de_platform.pipeline.event_columns import Codes, EventColumns, Mask

_RADIX_SORTED = 1 << 16


class VelocityAlgo(FraudAlgorithm):
    """Fires when more than max_events events of an actor lie within window_seconds.

    The window of an event reaches back from it, its own instant included, the instant exactly
    window_seconds earlier excluded. Violations at most window_seconds apart are one episode.
    """

    severity: ClassVar[Severity] = Severity.MEDIUM
    fields: ClassVar[frozenset[str] | None] = frozenset({"client_id", "account_id"})
    exact_candidates: ClassVar[bool] = True
    parameters: ClassVar[ParameterSchema] = ParameterSchema(
        (
            Parameter(
                name="max_events",
                kind=ParameterKind.INTEGER,
                unit="events",
                default=100,
                minimum=1,
                maximum=100_000,
                description="More events of one actor than this within the window are an alert; this many are not.",
                source="A starting point for human trading and payments; algorithmic desks need far more.",
            ),
            Parameter(
                name="window_seconds",
                kind=ParameterKind.INTEGER,
                unit="seconds",
                default=60,
                minimum=1,
                maximum=3600,
                description="How long the window is, whatever the tenant's window_size_minutes.",
                source="A minute, the customary unit of message rates.",
            ),
        )
    )

    def name(self) -> str:
        return "velocity"

    @classmethod
    def lookback(cls, values: Parameters) -> timedelta:
        return timedelta(seconds=_integer(values, "window_seconds"))

    def episode_gap(self) -> timedelta:
        return self.lookback(self.values)

    def evaluate_window(
        self,
        events: list[Event],
        tenant_id: str,
        window_start: datetime,
        window_end: datetime,
    ) -> list[Alert]:
        return [e.alert for e in self.episodes(events, tenant_id, window_start, window_end)]

    def episodes(
        self,
        events: list[Event],
        tenant_id: str,
        window_start: datetime,  # noqa: ARG002
        window_end: datetime,  # noqa: ARG002
    ) -> list[Episode]:
        length = self.lookback(self.values)
        max_events = _integer(self.values, "max_events")
        recent: dict[SubjectRef, deque[Event]] = {}
        found: list[Episode] = []
        latest: dict[SubjectRef, int] = {}
        for event in events:
            subject = actor_of(event)
            window = recent.setdefault(subject, deque())
            window.append(event)
            at: datetime = event["transact_time"]
            while at - window[0]["transact_time"] >= length:
                window.popleft()
            if len(window) <= max_events:
                continue
            index = latest.get(subject)
            if index is not None and at - found[index].last_at <= length:
                previous = found[index]
                found[index] = Episode(
                    alert=previous.alert, subject_key=subject.key, first_at=previous.first_at, last_at=at
                )
            else:
                latest[subject] = len(found)
                alert = make_alert(self, tenant_id, self._verdict(subject, list(window)))
                found.append(Episode(alert=alert, subject_key=subject.key, first_at=at, last_at=at))
        return found

    def candidates(self, columns: EventColumns) -> Mask:
        max_events = _integer(self.values, "max_events")
        length_us = _integer(self.values, "window_seconds") * 1_000_000
        mask = np.zeros(len(columns), dtype=np.bool_)
        if len(columns) <= max_events:
            return mask
        busy = np.bincount(columns.actors) > max_events
        rows = np.flatnonzero(busy[columns.actors])
        if not len(rows):
            return mask
        rows = rows[_stable_order(columns.actors[rows])]
        actors, instants = columns.actors[rows], columns.instants[rows]
        too_many = (actors[max_events:] == actors[:-max_events]) & (
            instants[max_events:] - instants[:-max_events] < length_us
        )
        mask[rows[max_events:][too_many]] = True
        return mask

    def _verdict(self, subject: SubjectRef, window: list[Event]) -> Verdict:
        max_events = _integer(self.values, "max_events")
        seconds = _integer(self.values, "window_seconds")
        return Verdict(
            subject=subject,
            anchor=window[-1],
            events=window,
            description=f"{subject.kind.capitalize()} {subject.id} sent more than {max_events} events in {seconds} s",
            observed={"events_in_window": len(window)},
            thresholds={"max_events": max_events, "window_seconds": seconds},
            distance=distance(len(window), max_events),
            silent_if=f"It would be silent if any {seconds} s held at most {max_events} of its events.",
        )


def _integer(values: Parameters, name: str) -> int:
    value = values[name]
    assert isinstance(value, int)
    return value


def _stable_order(codes: Codes) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Sort by code, equal ones in place; numpy sorts 16-bit numbers by radix, which is many times faster."""
    if int(codes.max()) < _RADIX_SORTED:
        return np.argsort(codes.astype(np.uint16), kind="stable")
    return np.argsort(codes, kind="stable")
