"""`suspicious_counterparty` finds exactly who is listed."""

import pytest

from de_platform.pipeline.algorithms import build
from de_platform.pipeline.tests.window_streams import Run, event, raw_event

LISTED = {"suspicious_ids": ["cp-bad", "cp-worse"]}


@pytest.mark.parametrize(
    ("counterparty", "fires"), [("cp-bad", True), ("cp-worse", True), ("CP-BAD", False), ("cp-ba", False)]
)
def test_fires_for_listed_parties_only(counterparty: str, fires: bool):
    found = build("suspicious_counterparty", LISTED).evaluate(
        event("t1", 0, "transaction", counterparty_id=counterparty)
    )
    assert (found is not None) is fires


def test_nobody_is_listed_at_first():
    assert build("suspicious_counterparty").evaluate(event("t1", 0, "transaction", counterparty_id="cp-bad")) is None


def test_orders_are_none_of_its_business():
    run = Run([build("suspicious_counterparty", LISTED)])
    taken = run.take([raw_event("o1", 0, "order", counterparty_id="cp-bad")])
    assert run.alerts == []
    assert taken.not_evaluable == {}


def test_the_alert_explains_itself():
    alert = build("suspicious_counterparty", LISTED).evaluate(event("t1", 0, "transaction", counterparty_id="cp-bad"))
    assert alert is not None
    assert alert.severity == "critical"
    assert alert.details["subject"] == {"kind": "account", "id": "acc-1"}
    assert alert.details["observed"] == {"counterparty_id": "cp-bad"}
    assert "cp-bad were not on the list" in alert.details["silent_if"]


def test_a_long_list_is_not_copied_into_every_alert():
    many = {"suspicious_ids": [f"cp-{n}" for n in range(5000)]}
    alert = build("suspicious_counterparty", many).evaluate(event("t1", 0, "transaction", counterparty_id="cp-77"))
    assert alert is not None
    assert alert.details["parameters"]["suspicious_ids"]["count"] == 5000
