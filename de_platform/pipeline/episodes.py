"""Which violations belong together: the memory that makes a burst one alert instead of one per event."""

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np

from de_platform.pipeline.event_columns import Instants

Span: TypeAlias = tuple[int, int]
"""First and last instant of an episode, in microseconds, both inclusive."""


class EpisodeBook:
    """The episodes of one tenant that have been alerted and may still go on, by (algorithm, subject key)."""

    def __init__(self) -> None:
        self._spans: dict[tuple[str, str], list[Span]] = {}
        self._swept_at: int | None = None

    def __len__(self) -> int:
        return sum(len(spans) for spans in self._spans.values())

    def covers(self, key: tuple[str, str], instants: Instants, gap: int) -> bool:
        """Say whether each of these violations is within `gap` of a known episode, with no help from the others."""
        covered = np.zeros(len(instants), dtype=np.bool_)
        for first, last in self._spans.get(key, ()):
            covered |= (instants >= first - gap) & (instants <= last + gap)
        return bool(covered.all())

    def absorb(self, key: tuple[str, str], instants: Instants, gap: int) -> list[int]:
        """Take in violations, ascending. Returns the positions of those that begin an episode not known before."""
        breaks = np.flatnonzero(np.diff(instants) > gap) + 1
        starts = [0, *breaks.tolist()]
        ends = [*(breaks - 1).tolist(), len(instants) - 1]
        new: list[int] = []
        for start, end in zip(starts, ends, strict=True):
            if self.absorb_span(key, int(instants[start]), int(instants[end]), gap):
                new.append(start)
        return new

    def absorb_span(self, key: tuple[str, str], first: int, last: int, gap: int) -> bool:
        """Take in a stretch of violations, none further than `gap` from the next. Returns whether it is new.

        A stretch that joins two known episodes makes one of them.
        """
        spans = self._spans.setdefault(key, [])
        near = [span for span in spans if span[0] - gap <= last and first <= span[1] + gap]
        joined = (min(first, *(s[0] for s in near)), max(last, *(s[1] for s in near))) if near else (first, last)
        self._spans[key] = [span for span in spans if span not in near] + [joined]
        return not near

    def sweep(self, floor: int, every: int) -> None:
        """Forget episodes that ended before `floor`; does nothing until the floor has moved by `every`."""
        if self._swept_at is not None and floor - self._swept_at < every:
            return
        self._swept_at = floor
        for key in list(self._spans):
            spans = [span for span in self._spans[key] if span[1] >= floor]
            if spans:
                self._spans[key] = spans
            else:
                del self._spans[key]

    def dump(self) -> list[tuple[str, str, list[Span]]]:
        """Return everything as plain values, in a fixed order."""
        return [(algorithm, subject, sorted(spans)) for (algorithm, subject), spans in sorted(self._spans.items())]

    def load(self, dumped: Iterable[tuple[str, str, list[Span]]]) -> None:
        """Undo `dump` on an empty book."""
        self._spans = {(algorithm, subject): list(spans) for algorithm, subject, spans in dumped}
