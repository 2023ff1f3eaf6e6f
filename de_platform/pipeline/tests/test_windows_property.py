"""The laws of the window engine, on random streams: batches, restarts, redeliveries and lateness change nothing."""

from collections.abc import Sequence
from itertools import pairwise
from random import Random
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from de_platform.pipeline.algorithms import END, FraudAlgorithm, canonical_key
from de_platform.pipeline.detectors.large_notional import LargeNotionalAlgo
from de_platform.pipeline.detectors.velocity import VelocityAlgo
from de_platform.pipeline.event_columns import EventColumns, Mask, decode_event
from de_platform.pipeline.tests.window_streams import T0, TENANT, Run, raw_event, run_batches

EXAMPLES = settings(max_examples=30, deadline=None)

Spec = tuple[float, int, str]
"""Seconds after the last event, client, event type."""


class PlainVelocity(VelocityAlgo):
    """Velocity as a plug-in's author would write it: no mask."""

    exact_candidates = False

    def candidates(self, columns: EventColumns) -> Mask | None:
        return None


class VagueVelocity(VelocityAlgo):
    """Velocity with a mask that marks everything."""

    exact_candidates = False

    def candidates(self, columns: EventColumns) -> Mask:
        return columns.instants == columns.instants


def algorithms(kind: type[VelocityAlgo] = VelocityAlgo) -> list[FraudAlgorithm]:
    return [kind({"max_events": 3, "window_seconds": 10}), LargeNotionalAlgo()]


specs = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 0.5, 1, 2.5, 5, 9.999999, 10, 10.000001, 25, 70]),
        st.integers(0, 2),
        st.sampled_from(["order", "execution", "transaction"]),
    ),
    min_size=1,
    max_size=30,
)
cuts = st.lists(st.integers(0, 40), max_size=12)


def stream(steps: Sequence[Spec]) -> list[bytes]:
    """A stream in canonical order."""
    raws: list[bytes] = []
    now = 0.0
    for number, (step, client, event_type) in enumerate(steps):
        now += step
        value = {"amount_usd" if event_type == "transaction" else "notional_usd": 2_000_000 if number % 9 == 4 else 1}
        raws.append(raw_event(f"e{number}", now, event_type, client_id=f"c{client}" if client else None, **value))
    return sorted(raws, key=lambda raw: canonical_key(decode_event(raw, TENANT)))


def cut(items: Sequence[bytes], at: Sequence[int]) -> list[Sequence[bytes]]:
    edges = [0, *sorted(min(a, len(items)) for a in at), len(items)]
    return [items[a:b] for a, b in pairwise(edges)]


def plain_verdict(raws: Sequence[bytes]) -> dict[str, Any]:
    """What the algorithms say of the whole stream at once, in canonical order."""
    events = sorted((decode_event(raw, TENANT) for raw in raws), key=canonical_key)
    return {
        alert.alert_id: alert
        for algorithm in algorithms()
        for alert in algorithm.evaluate_window(events, TENANT, T0, END)
    }


@given(steps=specs, at=cuts)
@example(steps=[(0, 0, "order")] * 11 + [(0, 1, "order")] * 3 + [(0, 1, "execution")], at=[])
@EXAMPLES
def test_in_order_every_split_gives_the_alerts_of_the_whole(steps: list[Spec], at: list[int]):
    raws = stream(steps)
    run = run_batches(algorithms(), cut(raws, at))
    assert {alert.alert_id: alert for alert in run.alerts} == plain_verdict(raws)
    assert len(run.alerts) == len(run.ids)


@given(steps=specs, at=cuts, crash=st.integers(0, 12), saved=st.integers(0, 12))
@EXAMPLES
def test_a_crash_and_redelivery_give_the_same_alerts_byte_for_byte(
    steps: list[Spec], at: list[int], crash: int, saved: int
):
    raws = stream(steps)
    batches = cut(raws, at)
    run = Run(algorithms())
    done = 0
    for number, batch in enumerate(batches[: crash + 1]):
        if number == saved:
            run.save()
            done = number
        if batch:
            run.take(batch)
    run.restart() if done or saved == 0 else setattr(run, "state", Run(algorithms()).state)
    rest = [raw for batch in batches[done:] for raw in batch]
    if rest:
        run.take(rest)
    assert run.by_id == run_batches(algorithms(), [raws]).by_id
    assert run.by_id.keys() == plain_verdict(raws).keys()


@given(steps=specs, at=cuts, order=st.randoms(use_true_random=False))
@EXAMPLES
def test_out_of_order_every_split_of_the_same_arrivals_gives_the_same_alerts(
    steps: list[Spec], at: list[int], order: Any
):
    arrivals = shuffled(stream(steps), order)
    assert run_batches(algorithms(), cut(arrivals, at)).by_id == run_batches(algorithms(), [arrivals]).by_id


@given(steps=specs, at=cuts, order=st.randoms(use_true_random=False))
@EXAMPLES
def test_out_of_order_within_the_lateness_every_episode_is_alerted(steps: list[Spec], at: list[int], order: Random):
    raws = stream(steps)
    run = run_batches([VelocityAlgo({"max_events": 3, "window_seconds": 10})], cut(shuffled(raws, order), at))
    events = sorted((decode_event(raw, TENANT) for raw in raws), key=canonical_key)
    episodes = VelocityAlgo({"max_events": 3, "window_seconds": 10}).episodes(events, TENANT, T0, END)
    alerted = {
        (episode.subject_key, episode.first_at)
        for alert in run.alerts
        for episode in episodes
        if _subject(alert.details) == episode.subject_key
        and episode.first_at <= alert.details["transact_time"] <= episode.last_at
    }
    assert alerted == {(episode.subject_key, episode.first_at) for episode in episodes}
    assert len(run.alerts) == len(run.ids)


@given(steps=specs, at=cuts, order=st.randoms(use_true_random=False))
@EXAMPLES
def test_masks_change_nothing(steps: list[Spec], at: list[int], order: Random):
    arrivals = shuffled(stream(steps), order)
    expected = run_batches(algorithms(), cut(arrivals, at)).by_id
    for kind in (PlainVelocity, VagueVelocity):
        assert run_batches(algorithms(kind), cut(arrivals, at)).by_id == expected


def shuffled(raws: Sequence[bytes], order: Random) -> list[bytes]:
    """Move events by up to a few places; all stay within the lateness."""
    return [raw for _, raw in sorted((index + order.uniform(0, 4), raw) for index, raw in enumerate(raws))]


def _subject(details: dict[str, Any]) -> str:
    return f"{details['subject']['kind']}:{details['subject']['id']}"
