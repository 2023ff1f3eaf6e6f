"""Money for a party on the watch list: `suspicious_counterparty` must raise it."""

from datetime import datetime

from de_platform.pipeline.generator.demo_events import Planted, expect
from de_platform.pipeline.generator.desk import Desk
from de_platform.pipeline.generator.tenants import LISTED_COUNTERPARTIES

SCENARIO = "listed_counterparty"


def plant(desk: Desk, instant: datetime) -> Planted:
    """Return an ordinary payment, but for its counterparty."""
    client = desk.random.choice(desk.tenant.clients)
    counterparty = desk.random.choice(LISTED_COUNTERPARTIES)
    event = desk.payment(instant, client, usd=desk.everyday_usd(900.0), currency="EUR", counterparty_id=counterparty)
    subject = f"account:{event.fields['account_id']}"
    return Planted(events=[event], expected=[expect("suspicious_counterparty", subject, event, SCENARIO)])
