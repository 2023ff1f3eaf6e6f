"""A month of the demo tenants' business, with planted abuse and the list of alerts that it must raise."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random

import msgspec

from de_platform.pipeline.generator.defects import broken, repeated
from de_platform.pipeline.generator.demo_events import DemoEvent, ExpectedAlert
from de_platform.pipeline.generator.desk import Desk
from de_platform.pipeline.generator.market import DemoRates
from de_platform.pipeline.generator.plants.catalog import PLANTS, SCENARIO_MINUTES
from de_platform.pipeline.generator.tenants import DemoTenant

_DAYS_A_MONTH = 30
_BURST_SPACING = timedelta(minutes=SCENARIO_MINUTES)
_RATE_MARGIN_DAYS = 8


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What was generated; a function of the seed, the tenants, the days and the end."""

    events: Sequence[DemoEvent]
    """By transact_time; broken and repeated ones included."""
    expected_alerts: Sequence[ExpectedAlert]
    """All alerts of the base algorithms with their default parameters, and no other."""
    rates: DemoRates
    broken_events: int
    repeated_events: int


def generate_history(
    seed: int,
    tenants: Sequence[DemoTenant],
    days: int,
    end: datetime,
    *,
    broken_share: float = 0.0,
    repeated_share: float = 0.0,
) -> History:
    """Return the history of `days` days before `end` .

    Of the everyday events, shares of `broken_share` and `repeated_share` get a broken or a repeated companion.
    """
    assert end.tzinfo is not None, "the end is an aware instant"
    last_on = end.astimezone(UTC).date()
    first_on = last_on - timedelta(days=days)
    rates = demo_rates(seed, days, end, until=last_on + timedelta(days=1))
    events: list[DemoEvent] = []
    expected: list[ExpectedAlert] = []
    broken_events = repeated_events = 0
    for tenant in tenants:
        random = Random(f"{seed}/{tenant.tenant_id}")  # noqa: S311 - demo data
        desk = Desk(tenant, random, rates, id_prefix="H")
        days_on = [day for day in _days(first_on, last_on) if _works(tenant, day)]
        everyday = [event for day in days_on for event in _everyday(desk, day) if event.transact_time < end]
        bad = broken(everyday, random, broken_share)
        again = repeated(everyday, random, repeated_share)
        broken_events += len(bad)
        repeated_events += len(again)
        events += [*everyday, *bad, *again]
        for planted_events, planted_alerts in _planted(desk, days_on, days, end):
            events += planted_events
            expected += planted_alerts
    events.sort(key=lambda event: (event.transact_time, event.tenant_id, event.id))
    expected.sort(key=lambda alert: (alert.transact_time, alert.tenant_id, alert.event_id))
    return History(
        events=events,
        expected_alerts=expected,
        rates=rates,
        broken_events=broken_events,
        repeated_events=repeated_events,
    )


def demo_rates(seed: int, days: int, end: datetime, *, until: date) -> DemoRates:
    """Return the rates that a history uses, going on to a day; a later `until` changes none of the earlier ones."""
    first_on = end.astimezone(UTC).date() - timedelta(days=days + _RATE_MARGIN_DAYS)
    return DemoRates(seed, first_on, until)


def _days(first_on: date, last_on: date) -> Iterator[date]:
    return (first_on + timedelta(days=offset) for offset in range((last_on - first_on).days + 1))


def _works(tenant: DemoTenant, day: date) -> bool:
    return tenant.works_weekends or day.isoweekday() <= 5


def _everyday(desk: Desk, day: date) -> Iterator[DemoEvent]:
    """Yield a day's flows; trading is livelier near the open and the close."""
    opens, length = _session(desk.tenant, day)
    count = max(1, round(desk.random.gauss(desk.tenant.flows_per_day, desk.tenant.flows_per_day * 0.1)))
    shares = sorted(desk.random.betavariate(0.8, 0.8) for _ in range(count))
    for share in shares:
        yield from desk.flow(opens + share * length)


def _planted(
    desk: Desk, days_on: Sequence[date], days: int, end: datetime
) -> Iterator[tuple[Sequence[DemoEvent], Sequence[ExpectedAlert]]]:
    """Plant each scenario as often as a month of it needs, no two within the same stretch of time."""
    taken: set[datetime] = set()
    for scheduled in PLANTS[desk.tenant.kind]:
        for _ in range(max(1, round(scheduled.per_month * days / _DAYS_A_MONTH))):
            instant = _free_instant(desk, days_on, taken, end)
            if instant is not None:
                planted = scheduled.scenario(desk, instant)
                yield planted.events, planted.expected


def _free_instant(
    desk: Desk, days_on: Sequence[date], taken: set[datetime], end: datetime, attempts: int = 50
) -> datetime | None:
    for _ in range(attempts):
        opens, length = _session(desk.tenant, desk.random.choice(days_on))
        slots = length // _BURST_SPACING
        instant = opens + desk.random.randrange(slots) * _BURST_SPACING
        if instant not in taken and instant + _BURST_SPACING < end:
            taken.add(instant)
            return instant + timedelta(microseconds=desk.random.randrange(60_000_000))
    return None


def _session(tenant: DemoTenant, day: date) -> tuple[datetime, timedelta]:
    opens = datetime.combine(day, tenant.opens_at, UTC)
    return opens, datetime.combine(day, tenant.closes_at, UTC) - opens
