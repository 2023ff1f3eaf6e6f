"""Business as it happens: events that fall due as time goes on, with abuse among them from the first seconds."""

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import count, cycle
from random import Random

from de_platform.pipeline.generator.demo_events import DemoEvent, ExpectedAlert
from de_platform.pipeline.generator.desk import Desk
from de_platform.pipeline.generator.market import DemoRates
from de_platform.pipeline.generator.plants import burst, large_order, listed_counterparty
from de_platform.pipeline.generator.plants.catalog import PlantScenario
from de_platform.pipeline.generator.tenants import BROKER, DEMO_TENANTS, PAYMENTS, VENUE, DemoTenant

_EVENTS_A_FLOW = 2.6
"""Measured over many flows of the three tenants; it makes the requested rate come out about right."""
_MAX_CATCH_UP = timedelta(minutes=1)
_FIRST_PLANT = timedelta(seconds=4)
_NEXT_PLANTS = timedelta(seconds=45)

_ROUND: Sequence[tuple[DemoTenant, PlantScenario]] = (
    (BROKER, large_order.plant),
    (PAYMENTS, listed_counterparty.plant),
    (VENUE, burst.plant),
    (PAYMENTS, large_order.plant),
    (VENUE, large_order.plant),
    (PAYMENTS, burst.plant),
    (BROKER, burst.plant),
)


class LiveStream:
    """An endless stream; what falls due is a function of the seed and the start, if one asks at least once a minute."""

    def __init__(
        self,
        seed: int,
        started_at: datetime,
        rates: DemoRates,
        *,
        events_per_second: float,
        tenants: Sequence[DemoTenant] = DEMO_TENANTS,
    ) -> None:
        prefix = f"L{int(started_at.timestamp()):x}-"
        self._random = Random(f"{seed}/live/{prefix}")  # noqa: S311 - demo data
        self._desks = {tenant.tenant_id: _desk(seed, tenant, rates, prefix) for tenant in tenants}
        self._flow_gap = _EVENTS_A_FLOW / events_per_second
        self._next_flow_at = started_at
        self._next_plant_at = started_at + _FIRST_PLANT
        self._plants: Iterator[tuple[DemoTenant, PlantScenario]] = cycle(
            (tenant, plant) for tenant, plant in _ROUND if tenant.tenant_id in self._desks
        )
        self._waiting: list[tuple[datetime, int, DemoEvent]] = []
        self._order = count()
        self.expected_alerts: list[ExpectedAlert] = []
        """Of everything planted so far, due or not yet."""

    def due(self, now: datetime) -> list[DemoEvent]:
        """Return the events dated up to `now` that were not returned before, in time order.

        After a long pause (a laptop asleep) the stream goes on from now instead of catching up.
        """
        self._skip_pause(now)
        while (next_at := min(self._next_flow_at, self._next_plant_at)) <= now:
            if next_at == self._next_plant_at:
                self._plant()
            else:
                self._everyday()
        events: list[DemoEvent] = []
        while self._waiting and self._waiting[0][0] <= now:
            events.append(heapq.heappop(self._waiting)[2])
        return events

    def _everyday(self) -> None:
        desk = self._random.choice(list(self._desks.values()))
        self._schedule(desk.flow(self._next_flow_at))
        self._next_flow_at += timedelta(seconds=self._random.expovariate(1 / self._flow_gap))

    def _plant(self) -> None:
        tenant, plant = next(self._plants)
        planted = plant(self._desks[tenant.tenant_id], self._next_plant_at)
        self._schedule(planted.events)
        self.expected_alerts += planted.expected
        self._next_plant_at += _NEXT_PLANTS

    def _skip_pause(self, now: datetime) -> None:
        if now - self._next_flow_at > _MAX_CATCH_UP:
            self._next_flow_at = now
            self._next_plant_at = max(self._next_plant_at, now)

    def _schedule(self, events: Sequence[DemoEvent]) -> None:
        for event in events:
            heapq.heappush(self._waiting, (event.transact_time, next(self._order), event))


def _desk(seed: int, tenant: DemoTenant, rates: DemoRates, prefix: str) -> Desk:
    random = Random(f"{seed}/{prefix}/{tenant.tenant_id}")  # noqa: S311 - demo data
    return Desk(tenant, random, rates, prefix)
