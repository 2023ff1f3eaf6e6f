"""Sends what the plan says: exchange rates, the history slice by slice, then live events as time goes on."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import msgspec

from de_platform.modules.generator.intake_client import EventBatch, EventSink, Receipt
from de_platform.modules.generator.sending_plan import EXPECTED_ALERTS_PATH, SendingPlan, batches, save, slices
from de_platform.pipeline.errors import Unavailable
from de_platform.pipeline.generator.demo_events import ExpectedAlert
from de_platform.pipeline.generator.history import History, demo_rates, generate_history
from de_platform.pipeline.generator.live import LiveStream
from de_platform.pipeline.generator.tenants import DEMO_TENANTS
from de_platform.services.clock.interface import Clock
from de_platform.services.filesystem.interface import FileSystemInterface
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.rate_store.interface import RateStore

BROKEN_SHARE = 0.002
REPEATED_SHARE = 0.003

_TICK_SECONDS = 0.25
_NOTE_EVERY_SLICES = 10
_FIRST_BACKOFF_SECONDS = 0.1
_MAX_BACKOFF_SECONDS = 2.0


class ListedAlert(msgspec.Struct, frozen=True, kw_only=True):
    """An expected alert as it stands in the file."""

    alert_id: str
    tenant_id: str
    algorithm: str
    subject: str
    event_type: str
    event_id: str
    transact_time: datetime
    scenario: str


class Stopped(Exception):
    """Shutdown was requested."""


class Feed:
    """Every method retries for as long as its target is unavailable, and raises Stopped when shutdown is requested."""

    def __init__(
        self,
        intake: EventSink,
        rates: RateStore,
        files: FileSystemInterface,
        log: LoggingInterface,
        clock: Clock,
        lifecycle: LifecycleManager,
    ) -> None:
        self._intake = intake
        self._rates = rates
        self._files = files
        self._log = log
        self._clock = clock
        self._lifecycle = lifecycle

    async def send_history(self, plan: SendingPlan) -> None:
        """Write the list of expected alerts, then send what was not noted as sent; a complete plan is left alone."""
        if plan.is_complete:
            return
        history = await asyncio.to_thread(_history, plan)
        listed = [_listed(alert) for alert in history.expected_alerts]
        await self._files.write(EXPECTED_ALERTS_PATH, msgspec.json.format(msgspec.json.encode(listed)))
        self._log.info("sending history", events=len(history.events), planted_alerts=len(listed), days=plan.days)
        began = self._clock.monotonic_seconds()
        sent = rejected = 0
        for number, events in enumerate(slices(history.events)):
            if number < plan.slices_sent:
                continue
            for batch in batches(events, f"demo-{plan.seed}-{plan.end:%Y%m%dT%H%M%S%f}-{number}"):
                receipt = await self._send(batch)
                sent += receipt.accepted
                rejected += receipt.rejected
            if number % _NOTE_EVERY_SLICES == 0:
                await save(self._files, msgspec.structs.replace(plan, slices_sent=number + 1))
        await save(self._files, msgspec.structs.replace(plan, is_complete=True))
        seconds = round(self._clock.monotonic_seconds() - began, 1)
        self._log.info("history is in", accepted=sent, rejected=rejected, seconds=seconds)

    async def go_live(self, plan: SendingPlan, *, events_per_second: float) -> None:
        """Send live events until shutdown."""
        started_at = self._clock.now()
        day = self._today()
        rates = demo_rates(plan.seed, plan.days, plan.end, until=day + timedelta(days=1))
        stream = LiveStream(plan.seed, started_at, rates, events_per_second=events_per_second)
        self._log.info("live events begin", events_per_second=events_per_second)
        tick = 0
        while True:
            if self._today() != day:
                day = self._today()
                await self.store_rates(plan)
            tick += 1
            for batch in batches(stream.due(self._clock.now()), f"demo-live-{started_at.timestamp():.6f}-{tick}"):
                await self._send(batch)
            await self._clock.sleep(_TICK_SECONDS)
            self._check_running()

    async def store_rates(self, plan: SendingPlan) -> None:
        """Store the demo's rates up to tomorrow; those that are there already add nothing."""
        day = self._today()
        rates = demo_rates(plan.seed, plan.days, plan.end, until=day + timedelta(days=1))
        rows = rates.rows(self._clock.now())
        delay = _FIRST_BACKOFF_SECONDS
        while True:
            try:
                new = await self._rates.add(rows)
            except Unavailable as error:
                delay = await self._wait(error, delay)
            else:
                self._log.info("demo exchange rates stored", new=new)
                return

    async def _send(self, batch: EventBatch) -> Receipt:
        delay = _FIRST_BACKOFF_SECONDS
        while True:
            self._check_running()
            try:
                return await self._intake.send(batch)
            except Unavailable as error:
                delay = await self._wait(error, delay)

    async def _wait(self, error: Unavailable, delay: float) -> float:
        """Wait before the next attempt. Returns how long to wait after that one."""
        self._log.debug("waiting", error=str(error), retry_in_seconds=delay)
        await self._clock.sleep(delay)
        self._check_running()
        return min(delay * 2, _MAX_BACKOFF_SECONDS)

    def _check_running(self) -> None:
        if self._lifecycle.is_shutting_down:
            raise Stopped

    def _today(self) -> date:
        return self._clock.now().astimezone(UTC).date()


def _history(plan: SendingPlan) -> History:
    return generate_history(
        plan.seed,
        DEMO_TENANTS,
        plan.days,
        plan.end,
        broken_share=BROKEN_SHARE,
        repeated_share=REPEATED_SHARE,
    )


def _listed(alert: ExpectedAlert) -> ListedAlert:
    return ListedAlert(
        alert_id=alert.alert_id,
        tenant_id=alert.tenant_id,
        algorithm=alert.algorithm,
        subject=alert.subject,
        event_type=alert.event_type.value,
        event_id=alert.event_id,
        transact_time=alert.transact_time,
        scenario=alert.scenario,
    )
