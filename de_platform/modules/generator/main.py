"""Feeds the demo.

**Consumes** nothing. **Produces** exchange rates in the rate store, events through rest_starter's HTTP,
`demo/expected_alerts.json` in the files.
**Effects in order**: 1. what will be sent is fixed in `demo/generator.json`, 2. rates are stored, 3. the list of
expected alerts is written, 4. each slice of history is acknowledged by the intake, then noted as sent,
5. live events follow as time goes on. **On crash** the slices that were not noted are sent again under the same
idempotency keys, so nothing comes in twice; live events of the gap are not made up.
"""

from collections.abc import Mapping

from de_platform.modules.base import HealthCheck, Module, ModuleSettings
from de_platform.modules.generator.feed import Feed, Stopped
from de_platform.modules.generator.intake_client import EventSink, IntakeClient
from de_platform.modules.generator.sending_plan import load_or_begin
from de_platform.pipeline.errors import FieldError, InvalidInput
from de_platform.services.clock.interface import Clock
from de_platform.services.filesystem.interface import FileSystemInterface
from de_platform.services.lifecycle import LifecycleManager
from de_platform.services.logger.interface import LoggingInterface
from de_platform.services.rate_store.interface import RateStore

MAX_DAYS = 366
MAX_RATE = 1000.0


class GeneratorSettings(ModuleSettings, frozen=True, kw_only=True):
    """Arguments of the module."""

    target_url: str
    seed: int
    days: int
    rate: float
    live: bool


class GeneratorModule(Module):
    """Sends history once, then live events until shutdown."""

    def __init__(
        self,
        settings: GeneratorSettings,
        rates: RateStore,
        files: FileSystemInterface,
        log: LoggingInterface,
        clock: Clock,
        lifecycle: LifecycleManager,
        intake: EventSink | None = None,
    ) -> None:
        """Without an `intake`, events go to rest_starter at the target URL."""
        self.log = log
        self._settings = settings
        self._files = files
        self._clock = clock
        self._intake = intake or IntakeClient(settings.target_url)
        self._feed = Feed(self._intake, rates, files, log, clock, lifecycle)

    def health_checks(self) -> Mapping[str, HealthCheck]:
        """It is well as long as it runs: a target that does not answer is the target's matter."""
        return {}

    async def validate(self) -> None:
        """Check the arguments. Raises InvalidInput with every fault."""
        faults: list[FieldError] = []
        if not 1 <= self._settings.days <= MAX_DAYS:
            faults.append(FieldError("--days", f"must be from 1 to {MAX_DAYS}, was {self._settings.days}"))
        if not 0 < self._settings.rate <= MAX_RATE:
            faults.append(FieldError("--rate", f"must be above 0 and at most {MAX_RATE:g}, was {self._settings.rate}"))
        if faults:
            raise InvalidInput(faults)

    async def execute(self) -> int:
        """Send until there is nothing left to send, or until shutdown."""
        plan = await load_or_begin(
            self._files, seed=self._settings.seed, days=self._settings.days, now=self._clock.now()
        )
        try:
            await self._feed.store_rates(plan)
            await self._feed.send_history(plan)
            if self._settings.live:
                await self._feed.go_live(plan, events_per_second=self._settings.rate)
        except Stopped:
            self.log.info("stopped")
        return 0

    async def teardown(self) -> None:
        """Close the connection."""
        await self._intake.close()


module_class = GeneratorModule
