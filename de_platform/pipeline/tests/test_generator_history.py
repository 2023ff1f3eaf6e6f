"""The demo's history is what it says: repeatable, believable, and its planted abuse is all that is found."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import pytest

from de_platform.pipeline.alerts import Alert
from de_platform.pipeline.algorithms import build_all
from de_platform.pipeline.currency import RateTable
from de_platform.pipeline.dedup import Deduplicator
from de_platform.pipeline.event_columns import decode_lean
from de_platform.pipeline.events import EventType, IngestionMethod
from de_platform.pipeline.generator.demo_events import DemoEvent
from de_platform.pipeline.generator.history import History, demo_rates, generate_history
from de_platform.pipeline.generator.live import LiveStream
from de_platform.pipeline.generator.tenants import BROKER, DEMO_TENANTS, LISTED_COUNTERPARTIES
from de_platform.pipeline.instants import format_instant
from de_platform.pipeline.intake import Submission, take_in
from de_platform.pipeline.messages import Batch, Message, Record
from de_platform.pipeline.normalization import Reader, arrivals, route, value
from de_platform.pipeline.topics import ALGOS_TOPIC, NORMALIZATION_TOPIC
from de_platform.pipeline.window_state import PartitionWindows
from de_platform.pipeline.windows import WindowEngine

END = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAYS = 6
SLICE_EVENTS = 900
PARAMETERS = {"suspicious_counterparty": {"suspicious_ids": list(LISTED_COUNTERPARTIES)}}


@lru_cache(maxsize=1)
def history() -> History:
    return generate_history(7, DEMO_TENANTS, DAYS, END, broken_share=0.01, repeated_share=0.01)


class Pipeline:
    """Intake, normaliser and windows of one partition, without anything between them."""

    def __init__(self, rates: RateTable) -> None:
        self._rates = rates
        self._dedup = Deduplicator(salt=1)
        self._readers = {topic: Reader(topic, is_realtime=lambda _: True) for topic in NORMALIZATION_TOPIC.values()}
        self._offsets: Counter[str] = Counter()
        self._engine = WindowEngine(build_all(PARAMETERS))
        self._windows = PartitionWindows()
        self.counts: Counter[str] = Counter()
        self.late = 0
        self.alerts: list[Alert] = []

    def send(self, tenant_id: str, event_type: EventType, events: Sequence[DemoEvent], at: datetime) -> None:
        submission = Submission(
            tenant_id=tenant_id,
            event_type=event_type,
            method=IngestionMethod.REST,
            submission_id=f"{self._offsets.total()}",
            received_at=at,
        )
        bodies = [event.body() for event in events]
        intake = take_in(submission, bodies, positions=range(len(bodies)))
        self.counts["broken"] += len(intake.rejections)
        topic = NORMALIZATION_TOPIC[event_type]
        messages = [message for message in intake.messages if message.topic == topic]
        if messages:
            self._normalise(self._batch(topic, messages), at)

    def _normalise(self, batch: Batch, at: datetime) -> None:
        valued = value(self._readers[batch.topic].read(batch), self._rates)
        arrived = arrivals(valued, self._dedup)
        self._dedup.begin(batch.topic, from_the_start=True, latest_at=arrived.latest_at)
        outputs = route(batch, valued, self._dedup.decide(arrived, {}), normalized_at=format_instant(at))
        self.counts["refused"] += len(valued.refused)
        self.counts["duplicates"] += outputs.duplicates.total()
        self.counts["processed"] += outputs.processed.total()
        raws = [message.value for message in outputs.messages if message.topic in ALGOS_TOPIC.values()]
        tenant_id = batch.records[0].key
        if raws:
            taken = self._engine.take(self._windows.tenant(tenant_id), [decode_lean(raw) for raw in raws], raws)
            self.alerts += [found.alert for found in taken.found]
            self.late += taken.late

    def _batch(self, topic: str, messages: Sequence[Message]) -> Batch:
        first = self._offsets[topic]
        self._offsets[topic] += len(messages)
        return Batch(topic, 0, [Record(first + i, m.key, m.value, m.headers) for i, m in enumerate(messages)])


def requests(events: Sequence[DemoEvent]) -> Iterator[tuple[str, EventType, list[DemoEvent]]]:
    """Yield what goes out together: one tenant, one type, in time order, as the demo sends it."""
    for start in range(0, len(events), SLICE_EVENTS):
        groups: dict[tuple[str, EventType], list[DemoEvent]] = {}
        for event in events[start : start + SLICE_EVENTS]:
            groups.setdefault((event.tenant_id, event.event_type), []).append(event)
        for (tenant_id, event_type), group in groups.items():
            yield tenant_id, event_type, group


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    pipeline = Pipeline(RateTable(history().rates.rows(END)))
    for number, (tenant_id, event_type, events) in enumerate(requests(history().events)):
        pipeline.send(tenant_id, event_type, events, END + timedelta(milliseconds=20 * number))
    return pipeline


def test_exactly_the_planted_abuse_is_found(pipeline: Pipeline):
    expected = {alert.alert_id: alert for alert in history().expected_alerts}
    found = {alert.alert_id: alert for alert in pipeline.alerts}
    assert found.keys() == expected.keys()
    assert len(pipeline.alerts) == len(found)
    for alert_id, alert in found.items():
        planted = expected[alert_id]
        assert (alert.tenant_id, alert.algorithm, alert.event_id) == (
            planted.tenant_id,
            planted.algorithm,
            planted.event_id,
        )


def test_every_scenario_is_planted_somewhere():
    scenarios = Counter(alert.scenario for alert in history().expected_alerts)
    assert set(scenarios) == {"large_order", "burst", "listed_counterparty"}
    assert {alert.tenant_id for alert in history().expected_alerts} == {tenant.tenant_id for tenant in DEMO_TENANTS}


def test_broken_and_repeated_events_are_as_many_as_it_says(pipeline: Pipeline):
    assert pipeline.counts["refused"] == 0
    assert pipeline.counts["broken"] == history().broken_events > 0
    assert pipeline.counts["duplicates"] == history().repeated_events > 0
    assert pipeline.counts["processed"] + pipeline.counts["broken"] + pipeline.counts["duplicates"] == len(
        history().events
    )


def test_no_event_of_it_is_late(pipeline: Pipeline):
    assert pipeline.late == 0


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


def test_exactly_the_planted_live_abuse_is_found():
    stream = live()
    pipeline = Pipeline(RateTable(demo_rates(7, 30, END, until=END.date()).rows(END)))
    for tick in range(1, 300):
        now = END + timedelta(seconds=tick)
        for tenant_id, event_type, events in requests(stream.due(now)):
            pipeline.send(tenant_id, event_type, events, now)
    due = {alert.alert_id for alert in stream.expected_alerts if alert.transact_time <= now}
    assert {alert.alert_id for alert in pipeline.alerts} == due
    assert {alert.algorithm for alert in pipeline.alerts} == {"large_notional", "velocity", "suspicious_counterparty"}
