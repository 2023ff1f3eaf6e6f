"""`large_notional` on both sides of its threshold."""

from decimal import Decimal

import pytest

from de_platform.pipeline.algorithms import build
from de_platform.pipeline.tests.window_streams import T0, Run, event, raw_event

FIELDS = [("order", "notional_usd"), ("execution", "notional_usd"), ("transaction", "amount_usd")]


@pytest.mark.parametrize(("event_type", "field"), FIELDS)
@pytest.mark.parametrize(
    ("value", "fires"),
    [
        ("999999.99999999", False),
        ("1000000", False),
        ("1000000.00000001", True),
        ("999999999999999999.99999999", True),
    ],
)
def test_fires_above_the_threshold_only(event_type: str, field: str, value: str, fires: bool):
    found = build("large_notional").evaluate(event("e1", 0, event_type, **{field: Decimal(value)}))
    assert (found is not None) is fires


@pytest.mark.parametrize("value", ["1000000", "1000000.00000001", "999999.99999999"])
def test_the_prefilter_never_misses_what_the_plain_verdict_finds(value: str):
    run = Run([build("large_notional")])
    run.take([raw_event("e1", 0, notional_usd=Decimal(value))])
    assert bool(run.alerts) is (Decimal(value) > 1_000_000)


def test_the_threshold_is_a_parameter():
    small = event("e1", 0, notional_usd=Decimal(501))
    assert build("large_notional", {"threshold_usd": 500}).evaluate(small) is not None
    assert build("large_notional", {"threshold_usd": 501}).evaluate(small) is None


def test_a_market_order_without_notional_is_counted_as_not_evaluable():
    run = Run([build("large_notional")])
    taken = run.take([raw_event("e1", 0, notional_usd=None), raw_event("e2", 1)])
    assert taken.not_evaluable == {"large_notional": 1}
    assert run.alerts == []


def test_the_alert_explains_itself():
    money = {"notional_usd": Decimal("2500000.00"), "currency": "EUR", "usd_rate": Decimal("1.25")}
    alert = build("large_notional").evaluate(event("e1", 0, client_id="c-7", **money))
    assert alert is not None
    assert alert.severity == "high"
    assert (alert.event_type, alert.event_id, alert.message_id) == ("order", "e1", "m-e1.0")
    details = alert.details
    assert details["subject"] == {"kind": "client", "id": "c-7"}
    assert details["observed"] == {"notional_usd": "2500000"}
    assert details["thresholds"] == {"threshold_usd": "1000000"}
    assert details["distance"] == "2.5"
    assert details["rate"] == {"currency": "EUR", "usd_rate": "1.25", "usd_rate_on": "2026-03-02"}
    assert details["events"]["count"] == 1
    assert details["algorithm_version"] == "1"
    assert details["parameters"] == {"threshold_usd": "1000000"}
    assert "1,000,000.00 USD or less" in details["silent_if"]
    assert alert.created_at == event("e1", 0)["normalized_at"] > T0


def test_several_large_events_are_several_alerts():
    run = Run([build("large_notional")])
    run.take([raw_event(f"e{i}", i, notional_usd=2_000_000) for i in range(3)])
    assert len(run.ids) == 3
