"""The window engine: what it lets each algorithm see, and when."""

from datetime import datetime
from typing import ClassVar

import pytest

from de_platform.pipeline.alerts import Alert
from de_platform.pipeline.algorithms import Decides, Event, FraudAlgorithm, build, build_all
from de_platform.pipeline.detectors.explanation import Verdict, actor_of, make_alert
from de_platform.pipeline.errors import InvalidInput
from de_platform.pipeline.tests.window_streams import TENANT, Run, raw_event, run_batches
from de_platform.pipeline.windows import WindowEngine

FEW = {"max_events": 3, "window_seconds": 60}


def velocity() -> FraudAlgorithm:
    return build("velocity", FEW)


def orders(*seconds: float, prefix: str = "e", client: str = "c1") -> list[bytes]:
    return [raw_event(f"{prefix}{i}", second, client_id=client) for i, second in enumerate(seconds)]


class Watcher(FraudAlgorithm):
    """A plug-in that states nothing but the plan's two methods; it remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[list[Event]] = []

    def name(self) -> str:
        return "watcher"

    def evaluate_window(
        self, events: list[Event], tenant_id: str, window_start: datetime, window_end: datetime
    ) -> list[Alert]:
        self.shown.append(events)
        return [self._alert(event) for event in events if event.get("symbol") == "ODD"]

    def _alert(self, event: Event) -> Alert:
        verdict = Verdict(
            subject=actor_of(event),
            anchor=event,
            events=[event],
            description="odd",
            observed={},
            thresholds={},
            distance=None,
            silent_if="",
        )
        return make_alert(self, event["tenant_id"], verdict)


class AtClose(Watcher):
    decides: ClassVar[Decides] = Decides.ON_CLOSE


def test_a_violation_is_an_alert_in_the_batch_that_brings_it():
    run = Run([velocity()])
    assert run.take(orders(0, 1, 2)).found == []
    [found] = run.take([raw_event("last", 3, client_id="c1")]).found
    assert found.alert.event_id == "last"
    assert found.trigger == 0


def test_one_event_alone_is_judged_at_once_without_waiting_for_a_window():
    run = Run([build("large_notional")])
    assert len(run.take([raw_event("big", 0, notional_usd=1_000_001)]).found) == 1


def test_a_burst_over_many_batches_is_one_alert():
    burst = orders(*(i * 0.5 for i in range(600)))
    run = run_batches([velocity()], [burst[i : i + 7] for i in range(0, 600, 7)])
    assert len(run.alerts) == 1


def test_after_a_pause_longer_than_the_window_it_is_a_new_alert():
    run = run_batches([velocity()], [orders(0, 1, 2, 3), orders(64, 65, 66, 67, prefix="f")])
    assert len(run.ids) == 2


def test_tenants_never_meet():
    run = Run([velocity()])
    run.take(orders(0, 1), "acme")
    run.take(orders(2, 3, prefix="f"), "globex")
    assert run.alerts == []


def test_an_event_that_comes_again_counts_once():
    run = Run([velocity()])
    run.take(orders(0, 1, 2))
    taken = run.take([*orders(0, 1, 2), *orders(0, 1, 2)])
    assert taken.redelivered == 6
    assert run.alerts == []


def test_an_event_within_the_lateness_completes_a_burst():
    run = Run([velocity()])
    run.take([*orders(0, 1, 2), raw_event("later", 290, client_id="c9")])
    [found] = run.take([raw_event("straggler", 1.5, client_id="c1")]).found
    assert found.alert.event_id == "e2"


@pytest.mark.parametrize(("high", "late"), [(300, 0), (300.000001, 1)])
def test_an_event_is_late_when_it_is_further_behind_its_type_than_the_lateness(high: float, late: int):
    run = Run([velocity()])
    assert run.take([raw_event("high", high), raw_event("low", 0)]).late == late


def test_lateness_does_not_depend_on_the_batch():
    events = [raw_event("low", 0), raw_event("high", 1000), raw_event("low2", 1)]
    together = Run([velocity()]).take(events).late
    run = Run([velocity()])
    assert sum(run.take([event]).late for event in events) == together == 1


def test_a_date_ahead_of_its_arrival_does_not_make_others_late():
    run = Run([velocity()])
    run.take([raw_event("ahead", 290, ingested_at="2026-03-02T09:30:00Z")])
    assert run.take([raw_event("normal", 0, ingested_at="2026-03-02T09:30:00Z")]).late == 0


def test_one_type_lagging_behind_another_is_not_late():
    run = Run([velocity()])
    run.take([raw_event(f"o{i}", i * 60) for i in range(120)])
    lagging = [raw_event(f"t{i}", i, "transaction", client_id="c1") for i in range(4)]
    assert run.take(lagging).late == 0
    assert len(run.alerts) == 1


def test_late_events_are_judged_singly_all_the_same():
    run = Run([velocity(), build("large_notional")])
    run.take([raw_event("high", 4000)])
    taken = run.take([raw_event("late", 0, notional_usd=5_000_000)])
    assert taken.late == 1
    assert [found.alert.algorithm for found in taken.found] == ["large_notional"]


def test_old_events_are_forgotten():
    run = Run([velocity()])
    for start in range(0, 20_000, 1000):
        run.take([raw_event(f"e{start + i}", start + i, client_id=f"c{start + i}") for i in range(0, 1000, 2)])
    rows = run.state.tenant(TENANT).rows
    assert len(rows) < 3000
    assert len(rows.actors) < 3000
    assert len(rows.chunks) < 10


def test_a_plug_in_sees_whole_events_in_canonical_order():
    watcher = Watcher()
    run = Run([watcher])
    run.take([raw_event("b", 2, side="buy", quantity=5), raw_event("a", 1, price=3)])
    last = watcher.shown[-1]
    assert [event["id"] for event in last] == ["a", "b"]
    assert last[1]["side"] == "buy"
    assert last[1]["quantity"] == 5


def test_a_plug_in_sees_the_tenants_window_behind_an_event():
    watcher = Watcher()
    run = Run([watcher])
    run.take([raw_event("gone", 0), raw_event("first", 1)])
    run.take([raw_event("last", 301)])
    assert [event["id"] for event in watcher.shown[-1]] == ["first", "last"]


def test_an_alert_of_a_plug_in_is_raised_once():
    run = Run([Watcher()])
    run.take([raw_event("odd", 0, symbol="ODD")])
    run.take([raw_event("next", 1)])
    run.take([raw_event("straggler", 0.5)])
    assert [alert.event_id for alert in run.alerts] == ["odd"]


def test_what_decides_on_close_is_refused():
    with pytest.raises(InvalidInput, match="decides on close"):
        WindowEngine([AtClose()])


def test_a_save_writes_only_what_is_new():
    run = Run(build_all({}))
    run.take(orders(*range(100)))
    run.save()
    run.take([raw_event("one more", 100)])
    new = run.state.snapshot().new
    assert sum(len(data) for data in new.values()) < 1000


def test_many_saves_do_not_pile_up_segments():
    run = Run([velocity()])
    for second in range(300):
        run.take([raw_event(f"e{second}", second, client_id="c1")])
        run.save()
    assert len(run.state.snapshot().kept) <= 64


def test_after_a_restart_a_burst_goes_on_as_the_same_episode():
    run = Run([velocity()])
    run.take(orders(0, 1, 2, 3))
    run.save()
    run.restart()
    run.take(orders(4, 5, 6, 7, prefix="f"))
    assert len(run.alerts) == 1


def test_after_a_restart_earlier_events_still_count():
    run = Run([velocity()])
    run.take(orders(0, 1, 2))
    run.save()
    run.restart()
    [found] = run.take([raw_event("last", 3, client_id="c1")]).found
    assert [e["id"] for e in found.alert.details["events"]["listed"]] == ["e0", "e1", "e2", "last"]


def test_the_same_state_gives_the_same_bytes():
    first, second = Run([velocity()]), Run([velocity()])
    for run in (first, second):
        run.take(orders(0, 1, 2, 3))
    assert first.state.snapshot() == second.state.snapshot()
