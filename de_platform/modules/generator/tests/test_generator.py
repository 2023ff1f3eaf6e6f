"""The demo's feed goes on where it was, and sends everything once."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from de_platform.modules.generator.feed import BROKEN_SHARE, REPEATED_SHARE
from de_platform.modules.generator.intake_client import EventBatch, EventSink, IntakeClient, Receipt
from de_platform.modules.generator.main import GeneratorModule, GeneratorSettings
from de_platform.modules.generator.sending_plan import EXPECTED_ALERTS_PATH, PLAN_PATH, SendingPlan
from de_platform.pipeline.errors import InvalidInput, Unavailable
from de_platform.pipeline.generator.history import generate_history
from de_platform.pipeline.generator.tenants import DEMO_TENANTS
from de_platform.services.clock.memory_clock import MemoryClock
from de_platform.services.filesystem.memory_filesystem import MemoryFileSystem
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.memory_logger import MemoryLogger
from de_platform.services.rate_store.memory_rate_store import MemoryRateStore


class FakeIntake(EventSink):
    """Remembers what it got by key; refuses as often as `failures` says, and asks for shutdown in the middle."""

    def __init__(self) -> None:
        self.sent: dict[str, EventBatch] = {}
        self.repeated: list[str] = []
        self.failures = 0
        self.stop_after: int | None = None
        self.lifecycle: LifecycleManager | None = None

    async def send(self, batch: EventBatch) -> Receipt:
        if self.failures:
            self.failures -= 1
            raise Unavailable("intake", "busy for a test")
        if batch.key in self.sent:
            assert self.sent[batch.key] == batch, "a key was used for other events"
            self.repeated.append(batch.key)
        self.sent[batch.key] = batch
        if self.stop_after is not None and len(self.sent) >= self.stop_after:
            assert self.lifecycle is not None
            self.lifecycle.request_shutdown()
        return Receipt(accepted=len(batch.bodies), rejected=0)

    async def close(self) -> None: ...

    @property
    def batches(self) -> list[EventBatch]:
        return list(self.sent.values())

    def events(self, batch: EventBatch) -> list[dict[str, Any]]:
        return [msgspec.json.decode(body) for body in batch.bodies]


@pytest.fixture
def intake() -> FakeIntake:
    return FakeIntake()


class Bench:
    """What outlives a restart."""

    def __init__(self, intake: FakeIntake) -> None:
        self.intake = intake
        self.files = MemoryFileSystem()
        self.rates = MemoryRateStore()
        self.clock = MemoryClock()
        self.log = MemoryLogger()

    def module(self, **changes: Any) -> GeneratorModule:
        values: Mapping[str, Any] = {"seed": 7, "days": 1, "rate": 5.0, "live": False, "target_url": "http://unused"}
        lifecycle = LifecycleManager(self.log)
        self.intake.lifecycle = lifecycle
        settings = GeneratorSettings(**{**values, **changes})
        return GeneratorModule(settings, self.rates, self.files, self.log, self.clock, lifecycle, self.intake)


@pytest.fixture
def bench(intake: FakeIntake) -> Bench:
    return Bench(intake)


async def test_a_restart_sends_nothing_of_the_history_again(bench: Bench, intake: FakeIntake):
    assert await bench.module().run() == 0
    first = dict(intake.sent)
    bench.clock.advance(86_400)
    assert await bench.module().run() == 0
    assert intake.sent == first
    assert intake.repeated == []


async def test_after_a_stop_in_the_middle_the_rest_follows_under_the_same_keys(bench: Bench, intake: FakeIntake):
    intake.stop_after = 3
    assert await bench.module().run() == 0
    assert len(intake.sent) == 3
    intake.stop_after = None
    bench.clock.advance(3600)
    assert await bench.module().run() == 0
    plan = msgspec.json.decode(await bench.files.read(PLAN_PATH), type=SendingPlan)
    whole = generate_history(
        plan.seed, DEMO_TENANTS, plan.days, plan.end, broken_share=BROKEN_SHARE, repeated_share=REPEATED_SHARE
    )
    assert sum(len(batch.bodies) for batch in intake.batches) == len(whole.events)


async def test_a_busy_intake_is_asked_again(bench: Bench, intake: FakeIntake):
    intake.failures = 3
    assert await bench.module().run() == 0
    assert intake.repeated == []
    assert intake.sent


async def test_rates_are_there_before_the_first_event(bench: Bench, intake: FakeIntake):
    intake.stop_after = 1
    await bench.module().run()
    rates = await bench.rates.loaded_since(None)
    assert {"EUR", "GBP", "CHF", "SEK", "JPY"} == {rate.from_currency for rate in rates}
    assert {rate.to_currency for rate in rates} == {"USD"}


async def test_each_request_is_of_one_tenant(bench: Bench, intake: FakeIntake):
    await bench.module().run()
    for batch in intake.batches:
        assert {event["tenant_id"] for event in intake.events(batch)} == {batch.tenant_id}


async def test_the_expected_alerts_are_written_before_the_events_go_out(bench: Bench, intake: FakeIntake):
    intake.stop_after = 1
    await bench.module().run()
    listed = msgspec.json.decode(await bench.files.read(EXPECTED_ALERTS_PATH))
    assert {"alert_id", "tenant_id", "algorithm", "subject", "event_id", "scenario"} <= listed[0].keys()


async def test_live_events_follow_the_history_with_times_of_now(bench: Bench, intake: FakeIntake):
    await bench.module().run()
    history = len(intake.sent)
    intake.stop_after = history + 20
    bench.clock.advance(3600)
    started_at = bench.clock.now()
    assert await bench.module(live=True).run() == 0
    live = [event for batch in intake.batches[history:] for event in intake.events(batch)]
    assert live
    assert all(event["transact_time"] >= started_at.strftime("%Y-%m-%dT%H:%M:%S") for event in live)


async def test_another_seed_is_another_history(bench: Bench, intake: FakeIntake):
    await bench.module().run()
    plan = await bench.files.read(PLAN_PATH)
    await bench.module(seed=8).run()
    assert await bench.files.read(PLAN_PATH) != plan


@pytest.mark.parametrize("changes", [{"days": 0}, {"days": 367}, {"rate": 0}, {"rate": 1001}])
async def test_arguments_out_of_range_are_refused(bench: Bench, changes: dict[str, Any]):
    with pytest.raises(InvalidInput):
        await bench.module(**changes).run()


@pytest.mark.parametrize("url", ["https://example.org", "127.0.0.1:8001", "", "http://"])
def test_a_target_that_is_no_plain_http_url_is_refused(url: str):
    with pytest.raises(InvalidInput, match="must be like"):
        IntakeClient(url)
