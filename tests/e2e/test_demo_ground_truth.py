"""What is planted in the demo's data is found, all of it and nothing else, by the steps that production runs."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest_asyncio

from de_platform.modules.algos.algos_step import AlgosStep
from de_platform.modules.algos.main import AlgosSettings, configured
from de_platform.modules.normalizer.normalizer_step import NormalizerStep
from de_platform.pipeline.alerts import Alert
from de_platform.pipeline.events import EventType, IngestionMethod
from de_platform.pipeline.generator.demo_events import DemoEvent
from de_platform.pipeline.generator.history import History, demo_rates, generate_history
from de_platform.pipeline.generator.live import LiveStream
from de_platform.pipeline.generator.market import DemoRates
from de_platform.pipeline.generator.tenants import DEMO_TENANTS, LISTED_COUNTERPARTIES
from de_platform.pipeline.intake import Submission, take_in
from de_platform.pipeline.messages import Batch, Message, Record
from de_platform.pipeline.topics import ALGOS_TOPIC, DUPLICATES, NORMALIZATION_ERRORS
from de_platform.services.clock.memory_clock import MemoryClock
from de_platform.services.event_store.memory_event_store import MemoryEventStore
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.metrics.memory_metrics import MemoryMetrics
from de_platform.services.rate_store.memory_rate_store import MemoryRateStore

END = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAYS = 6
SLICE_EVENTS = 900
SETTINGS = AlgosSettings(suspicious_counterparty_ids=LISTED_COUNTERPARTIES)


class StepByStep:
    """Intake, normaliser and algorithms of one partition, with nothing but topics by name between them."""

    def __init__(self) -> None:
        self.clock = MemoryClock(END)
        self.rates = MemoryRateStore()
        log = MemoryLogger()
        self._normalizer = NormalizerStep(
            MemoryEventStore(),
            self.rates,
            log,
            MemoryMetrics(),
            self.clock,
            staleness_limit=timedelta(days=7),
            new_salt=lambda: 1,
        )
        self.metrics = MemoryMetrics()
        self._algos = AlgosStep(configured(SETTINGS), log, self.metrics, self.clock)
        self._normalizer_state = self._normalizer.new_state(0)
        self._algos_state = self._algos.new_state(0)
        self._next_offsets: dict[str, int] = {}
        self.by_topic: dict[str, int] = {}
        self.alerts: list[Alert] = []

    async def send(self, events: Sequence[DemoEvent]) -> None:
        """Send events as the demo does: one request for each tenant and type."""
        groups: dict[tuple[str, EventType], list[DemoEvent]] = {}
        for event in events:
            groups.setdefault((event.tenant_id, event.event_type), []).append(event)
        for (tenant_id, event_type), group in groups.items():
            self.clock.advance(0.02)
            submission = Submission(
                tenant_id=tenant_id,
                event_type=event_type,
                method=IngestionMethod.REST,
                submission_id=group[0].body().decode(),
                received_at=self.clock.now(),
            )
            intake = take_in(submission, [event.body() for event in group], positions=range(len(group)))
            await self._normalise(intake.messages)

    async def _normalise(self, messages: Sequence[Message]) -> None:
        for batch in self._batches(messages, tuple(self._normalizer.topics)):
            outputs = await self._normalizer.process(batch, self._normalizer_state)
            for enriched in self._batches(outputs, tuple(ALGOS_TOPIC.values())):
                found = await self._algos.process(enriched, self._algos_state)
                self.alerts += [msgspec.json.decode(message.value, type=Alert) for message in found]

    def _batches(self, messages: Sequence[Message], topics: Sequence[str]) -> Iterator[Batch]:
        for message in messages:
            self.by_topic[message.topic] = self.by_topic.get(message.topic, 0) + 1
        for topic in dict.fromkeys(topics):
            first = self._next_offsets.get(topic, 0)
            of_topic = [message for message in messages if message.topic == topic]
            records = [Record(first + i, m.key, m.value, m.headers) for i, m in enumerate(of_topic)]
            self._next_offsets[topic] = first + len(records)
            if records:
                yield Batch(topic, 0, records)


class SentHistory:
    """A week of the demo, and the pipeline that has seen it."""

    def __init__(self, history: History, pipeline: StepByStep) -> None:
        self.history = history
        self.pipeline = pipeline


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sent() -> SentHistory:
    history = generate_history(7, DEMO_TENANTS, DAYS, END, broken_share=0.01, repeated_share=0.01)
    pipeline = await _with_rates(history.rates)
    for start in range(0, len(history.events), SLICE_EVENTS):
        await pipeline.send(history.events[start : start + SLICE_EVENTS])
    return SentHistory(history, pipeline)


def test_exactly_the_planted_abuse_of_the_history_is_found(sent: SentHistory):
    expected = {alert.alert_id: alert.event_id for alert in sent.history.expected_alerts}
    assert {alert.alert_id: alert.event_id for alert in sent.pipeline.alerts} == expected
    assert len(sent.pipeline.alerts) == len(expected)


def test_broken_and_repeated_events_are_as_many_as_the_history_says(sent: SentHistory):
    by_topic = sent.pipeline.by_topic
    assert by_topic[NORMALIZATION_ERRORS] == sent.history.broken_events > 0
    assert by_topic[DUPLICATES] == sent.history.repeated_events > 0
    enriched = sum(by_topic[topic] for topic in set(ALGOS_TOPIC.values()))
    assert enriched + by_topic[NORMALIZATION_ERRORS] + by_topic[DUPLICATES] == len(sent.history.events)


def test_no_event_of_the_history_is_late(sent: SentHistory):
    for tenant in DEMO_TENANTS:
        assert sent.pipeline.metrics.value("events_late_total", service="algos", tenant_id=tenant.tenant_id) == 0


async def test_exactly_the_planted_abuse_of_the_live_stream_is_found():
    rates = demo_rates(7, 30, END, until=END.date())
    stream = LiveStream(7, END, rates, events_per_second=5)
    pipeline = await _with_rates(rates)
    for second in range(1, 300):
        now = END + timedelta(seconds=second)
        pipeline.clock.advance(max(0.0, (now - pipeline.clock.now()).total_seconds()))
        await pipeline.send(stream.due(now))
    due = {alert.alert_id for alert in stream.expected_alerts if alert.transact_time <= now}
    assert {alert.alert_id for alert in pipeline.alerts} == due
    assert {alert.algorithm for alert in pipeline.alerts} == {"large_notional", "velocity", "suspicious_counterparty"}


async def _with_rates(rates: DemoRates) -> StepByStep:
    pipeline = StepByStep()
    await pipeline.rates.add(rates.rows(END))
    return pipeline
