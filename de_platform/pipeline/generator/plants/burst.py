"""A machine gone wild: far more events than a person could send. `velocity` must raise one alert for all of it."""

from datetime import datetime, timedelta

from de_platform.pipeline.generator.demo_events import DemoEvent, Planted, expect
from de_platform.pipeline.generator.desk import Desk
from de_platform.pipeline.generator.tenants import TenantKind

SCENARIO = "burst"
_ALLOWED_EVENTS = 100
_WITHIN_SECONDS = 40


def plant(desk: Desk, instant: datetime) -> Planted:
    """Return 120 to 180 small events of one client within 40 seconds; the 101st is one too many."""
    client = desk.random.choice(desk.tenant.burst_clients)
    count = desk.random.randint(120, 180)
    step = timedelta(seconds=_WITHIN_SECONDS) / count
    events = [_one(desk, client, instant + index * step) for index in range(count)]
    anchor = events[_ALLOWED_EVENTS]
    return Planted(events=events, expected=[expect("velocity", f"client:{client}", anchor, SCENARIO)])


def _one(desk: Desk, client: str, instant: datetime) -> DemoEvent:
    usd = desk.everyday_usd(900.0)
    if desk.tenant.kind is TenantKind.PAYMENTS:
        return desk.payment(instant, client, usd=usd, currency="EUR")
    return desk.order(instant, client, desk.tenant.instruments[0], usd=usd)
