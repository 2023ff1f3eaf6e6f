"""Which scenarios are planted in which kind of tenant, and how often."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, TypeAlias

from de_platform.pipeline.generator.demo_events import Planted
from de_platform.pipeline.generator.desk import Desk
from de_platform.pipeline.generator.plants import burst, large_order, listed_counterparty
from de_platform.pipeline.generator.tenants import TenantKind

PlantScenario: TypeAlias = Callable[[Desk, datetime], Planted]
"""Returns events that begin at an instant and last less than `SCENARIO_MINUTES`."""

SCENARIO_MINUTES = 10


class ScheduledPlant(NamedTuple):
    """A scenario and how many of it a month of history has."""

    scenario: PlantScenario
    per_month: int


_TRADING = (ScheduledPlant(large_order.plant, 9), ScheduledPlant(burst.plant, 4))

PLANTS: Mapping[TenantKind, Sequence[ScheduledPlant]] = {
    TenantKind.BROKER: _TRADING,
    TenantKind.VENUE: _TRADING,
    TenantKind.PAYMENTS: (
        ScheduledPlant(large_order.plant, 6),
        ScheduledPlant(burst.plant, 3),
        ScheduledPlant(listed_counterparty.plant, 8),
    ),
}
