"""One event far larger than anything everyday: `large_notional` must raise it."""

from datetime import datetime

from de_platform.pipeline.generator.demo_events import Planted, expect
from de_platform.pipeline.generator.desk import Desk
from de_platform.pipeline.generator.tenants import TenantKind

SCENARIO = "large_order"


def plant(desk: Desk, instant: datetime) -> Planted:
    """Return an order, or a payment of a payments tenant, worth 1.2 to 4 million dollars."""
    client = desk.random.choice(desk.tenant.clients)
    usd = desk.random.uniform(1_200_000, 4_000_000)
    if desk.tenant.kind is TenantKind.PAYMENTS:
        event = desk.payment(instant, client, usd=usd, currency="EUR", transaction_type="wire")
    else:
        event = desk.order(instant, client, desk.random.choice(desk.tenant.instruments), usd=usd)
    return Planted(events=[event], expected=[expect("large_notional", f"client:{client}", event, SCENARIO)])
