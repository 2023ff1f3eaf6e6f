"""The three demo tenants: who they are, what they trade, when they are awake. All names are made up."""

from collections.abc import Mapping
from datetime import time
from decimal import Decimal
from enum import StrEnum

import msgspec


class TenantKind(StrEnum):
    """What a demo tenant's business is."""

    BROKER = "broker"
    VENUE = "venue"
    PAYMENTS = "payments"


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """What is traded: its first price, and how much it moves a day (standard deviation, relative)."""

    symbol: str
    currency: str
    first_price: float
    daily_move: float = 0.015


class DemoTenant(msgspec.Struct, frozen=True, kw_only=True):
    """One demo tenant."""

    tenant_id: str
    name: str
    kind: TenantKind
    clients: tuple[str, ...]
    burst_clients: tuple[str, ...]
    """Clients that send nothing but planted bursts, so that the answer is known exactly."""
    instruments: tuple[Instrument, ...] = ()
    venues: tuple[str, ...] = ()
    currencies: Mapping[str, int] = {}
    """Of payments: currency to weight."""
    opens_at: time
    closes_at: time
    """UTC."""
    works_weekends: bool
    flows_per_day: int
    """Orders with their lifecycle, or payments."""


LISTED_COUNTERPARTIES = ("cp-listed-harbour", "cp-listed-meridian")
"""What the demo's `suspicious_counterparty` watches for."""

FIRST_USD_RATES: Mapping[str, Decimal] = {
    "EUR": Decimal("1.0850"),
    "GBP": Decimal("1.2700"),
    "CHF": Decimal("1.1300"),
    "SEK": Decimal("0.0950"),
    "JPY": Decimal("0.0067"),
}
"""Demo rates at the beginning of the history: the order of magnitude is right, nothing else is real."""


def _named(prefix: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}-{number:03d}" for number in range(1, count + 1))


BROKER = DemoTenant(
    tenant_id="demo-broker",
    name="Northgate Securities (demo)",
    kind=TenantKind.BROKER,
    clients=_named("ng-client", 60),
    burst_clients=("ng-algo-1", "ng-algo-2"),
    instruments=(
        Instrument(symbol="ALDR", currency="USD", first_price=184.2),
        Instrument(symbol="BRVO", currency="USD", first_price=41.75, daily_move=0.022),
        Instrument(symbol="CNDR", currency="USD", first_price=312.4),
        Instrument(symbol="DLTX", currency="USD", first_price=12.08, daily_move=0.035),
        Instrument(symbol="ECHO", currency="USD", first_price=77.9),
        Instrument(symbol="FNTM", currency="USD", first_price=5.31, daily_move=0.045),
        Instrument(symbol="GLCR", currency="GBP", first_price=23.6),
        Instrument(symbol="HMLT", currency="EUR", first_price=98.15),
    ),
    venues=("XDNY", "XDNQ", "DARK1"),
    opens_at=time(14, 30),
    closes_at=time(21, 0),
    works_weekends=False,
    flows_per_day=330,
)
VENUE = DemoTenant(
    tenant_id="demo-exchange",
    name="Baltic Exchange Group (demo)",
    kind=TenantKind.VENUE,
    clients=_named("member", 24),
    burst_clients=("member-hft-1", "member-hft-2"),
    instruments=(
        Instrument(symbol="BLTC", currency="EUR", first_price=64.5),
        Instrument(symbol="FJRD", currency="SEK", first_price=231.0),
        Instrument(symbol="GRNT", currency="CHF", first_price=118.7),
        Instrument(symbol="HNSA", currency="EUR", first_price=15.44, daily_move=0.025),
        Instrument(symbol="KRAK", currency="SEK", first_price=88.2, daily_move=0.02),
        Instrument(symbol="SKGN", currency="EUR", first_price=7.82, daily_move=0.03),
    ),
    venues=("XBLT",),
    opens_at=time(8, 0),
    closes_at=time(16, 30),
    works_weekends=False,
    flows_per_day=520,
)
PAYMENTS = DemoTenant(
    tenant_id="demo-payments",
    name="Fernpay (demo)",
    kind=TenantKind.PAYMENTS,
    clients=_named("fp-user", 400),
    burst_clients=("fp-bot-1", "fp-bot-2"),
    currencies={"USD": 5, "EUR": 8, "GBP": 4, "JPY": 1, "CHF": 1},
    opens_at=time(5, 0),
    closes_at=time(22, 30),
    works_weekends=True,
    flows_per_day=900,
)

DEMO_TENANTS: tuple[DemoTenant, ...] = (BROKER, VENUE, PAYMENTS)
