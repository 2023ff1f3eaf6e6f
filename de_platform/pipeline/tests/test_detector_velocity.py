"""`velocity`: how many are too many, how long a window is, whose events count, what is one episode."""

from typing import Any

import pytest

from de_platform.pipeline.alerts import Alert
from de_platform.pipeline.algorithms import END, build
from de_platform.pipeline.tests.window_streams import T0, TENANT, event

LIMIT = {"max_events": 3, "window_seconds": 60}


def judge(events: list[dict[str, Any]], **parameters: object) -> list[Alert]:
    return build("velocity", LIMIT | parameters).evaluate_window(events, TENANT, T0, END)


def burst(*seconds: float, **fields: Any) -> list[dict[str, Any]]:
    return [event(f"e{index}", second, **({"client_id": "c1"} | fields)) for index, second in enumerate(seconds)]


def test_as_many_as_allowed_are_silent():
    assert judge(burst(0, 1, 2)) == []


def test_one_more_than_allowed_fires_at_that_event():
    [alert] = judge(burst(0, 1, 2, 3))
    assert alert.event_id == "e3"
    assert alert.severity == "medium"


@pytest.mark.parametrize(("last", "fires"), [(59.999999, True), (60, False), (60.000001, False)])
def test_an_event_leaves_the_window_at_exactly_its_length(last: float, fires: bool):
    assert bool(judge(burst(0, 1, 2, last))) is fires


def test_events_of_one_instant_count_one_by_one():
    assert len(judge(burst(5, 5, 5, 5))) == 1


def test_a_long_burst_is_one_alert():
    [alert] = judge(burst(*(i * 0.1 for i in range(500))))
    assert alert.event_id == "e3"


@pytest.mark.parametrize(("pause", "alerts"), [(60.0, 1), (60.000001, 2)])
def test_violations_further_apart_than_the_window_are_two_episodes(pause: float, alerts: int):
    first = [0.0, 1, 2, 3]
    second = [3 + pause] * 4
    assert len(judge(burst(*first, *second))) == alerts


def test_all_types_count_together():
    types = ("order", "execution", "transaction", "order")
    events = [event(f"e{i}", i, kind, client_id="c1") for i, kind in enumerate(types)]
    assert len(judge(events)) == 1


def test_clients_are_counted_apart():
    events = [event(f"e{i}", i, client_id=f"c{i % 2}") for i in range(6)]
    assert judge(events) == []


def test_without_a_client_the_account_is_the_subject():
    [alert] = judge([event(f"e{i}", i, "transaction", account_id="acc-9") for i in range(4)])
    assert alert.details["subject"] == {"kind": "account", "id": "acc-9"}


def test_without_client_and_account_the_tenant_is_the_subject():
    [alert] = judge([event(f"e{i}", i) for i in range(4)])
    assert alert.details["subject"] == {"kind": "tenant", "id": TENANT}


def test_a_client_and_an_account_of_one_name_are_two_subjects():
    events = [event(f"e{i}", i, client_id="x") for i in range(3)]
    events.append(event("e3", 3, "transaction", account_id="x"))
    assert judge(events) == []


def test_both_parameters_change_the_outcome():
    events = burst(0, 10, 20, 30)
    assert judge(events)
    assert judge(events, max_events=4) == []
    assert judge(events, window_seconds=30) == []


def test_the_alert_explains_itself():
    [alert] = judge(burst(0, 1, 2, 3))
    details = alert.details
    assert details["observed"] == {"events_in_window": 4}
    assert details["thresholds"] == {"max_events": 3, "window_seconds": 60}
    assert details["distance"] == "1.3334"
    assert [listed["id"] for listed in details["events"]["listed"]] == ["e0", "e1", "e2", "e3"]
    assert "at most 3" in details["silent_if"]


def test_contributing_events_are_capped_but_counted_and_sealed():
    [alert] = judge(burst(*(i * 0.1 for i in range(200))), max_events=150)
    events = alert.details["events"]
    assert (events["count"], len(events["listed"])) == (151, 100)
    [other] = judge(burst(*(i * 0.1 for i in range(200))), max_events=149)
    assert other.details["events"]["digest"] != events["digest"]
