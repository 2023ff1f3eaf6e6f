"""The demo's data is what it says: repeatable, believable, in order."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from de_platform.pipeline.events import EventType
from de_platform.pipeline.generator.history import History, demo_rates, generate_history
from de_platform.pipeline.generator.live import LiveStream
from de_platform.pipeline.generator.tenants import BROKER, DEMO_TENANTS

END = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAYS = 6


@lru_cache(maxsize=1)
def history() -> History:
    return generate_history(7, DEMO_TENANTS, DAYS, END, broken_share=0.01, repeated_share=0.01)


def test_every_scenario_is_planted_somewhere():
    scenarios = Counter(alert.scenario for alert in history().expected_alerts)
    assert set(scenarios) == {"large_order", "burst", "listed_counterparty"}
    assert {alert.tenant_id for alert in history().expected_alerts} == {tenant.tenant_id for tenant in DEMO_TENANTS}


def test_the_same_seed_gives_the_same_bytes():
    again = generate_history(7, DEMO_TENANTS, DAYS, END, broken_share=0.01, repeated_share=0.01)
    assert [event.body() for event in again.events] == [event.body() for event in history().events]
    assert again.expected_alerts == history().expected_alerts


def test_another_seed_gives_other_events():
    other = generate_history(8, [BROKER], 4, END)
    same = generate_history(7, [BROKER], 4, END)
    assert [event.body() for event in other.events] != [event.body() for event in same.events]


def test_events_are_in_time_order_within_the_days_asked_for():
    times = [event.transact_time for event in history().events]
    assert times == sorted(times)
    assert END - timedelta(days=DAYS + 1) <= times[0]
    assert times[-1] < END


def test_every_event_has_an_id_of_its_own():
    clean = generate_history(7, DEMO_TENANTS, 2, END)
    ids = Counter((event.tenant_id, event.event_type, event.id) for event in clean.events)
    assert max(ids.values()) == 1


def test_a_month_is_large_enough_to_look_at():
    a_day = len(history().events) / DAYS
    assert 60_000 / 30 <= a_day <= 120_000 / 30


def test_fills_name_their_order():
    orders = {event.id for event in history().events if event.fields.get("status") == "new"}
    executions = [event for event in history().events if event.event_type is EventType.EXECUTION]
    assert executions
    assert {execution.fields["order_id"] for execution in executions} <= orders


def test_later_rates_change_none_of_the_earlier_ones():
    short = demo_rates(7, 30, END, until=END.date())
    long = demo_rates(7, 30, END, until=END.date() + timedelta(days=10))
    assert set(short.rows(END)) <= set(long.rows(END))


# the live stream


def live(started_at: datetime = END) -> LiveStream:
    rates = demo_rates(7, 30, END, until=END.date())
    return LiveStream(7, started_at, rates, events_per_second=5)


def test_what_falls_due_does_not_depend_on_how_often_one_asks():
    often, once = live(), live()
    steps = [event for second in range(60) for event in often.due(END + timedelta(seconds=second))]
    assert [event.body() for event in steps] == [event.body() for event in once.due(END + timedelta(seconds=59))]


def test_live_events_are_never_dated_ahead():
    stream = live()
    for second in range(0, 120, 7):
        now = END + timedelta(seconds=second)
        assert all(event.transact_time <= now for event in stream.due(now))


def test_live_abuse_comes_within_seconds():
    stream = live()
    stream.due(END + timedelta(seconds=10))
    assert [alert.algorithm for alert in stream.expected_alerts] == ["large_notional"]


def test_live_events_come_at_about_the_rate_asked_for():
    stream = live()
    everyday = [
        event
        for second in range(600)
        for event in stream.due(END + timedelta(seconds=second))
        if event.fields["client_id"] not in {client for tenant in DEMO_TENANTS for client in tenant.burst_clients}
    ]
    assert 4 <= len(everyday) / 600 <= 6


def test_after_a_long_pause_the_stream_goes_on_from_now():
    stream = live()
    stream.due(END)
    assert len(stream.due(END + timedelta(hours=8))) < 300


def test_two_runs_share_no_id():
    first = {event.id for event in live().due(END + timedelta(seconds=30))}
    later = END + timedelta(seconds=31)
    assert first.isdisjoint(event.id for event in live(later).due(later + timedelta(seconds=30)))
