"""What the base algorithms raise, on both sides of their thresholds, through every door."""

import pytest

from de_platform.pipeline.events import EventType, IngestionMethod
from tests.helpers import scenarios
from tests.helpers.harness import PipelineHarness

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

every_type = pytest.mark.parametrize("event_type", list(EventType))
every_door = pytest.mark.parametrize("method", list(IngestionMethod))


@every_door
@every_type
async def test_large_notional_fires_above_its_threshold_only(
    h: PipelineHarness, method: IngestionMethod, event_type: EventType
) -> None:
    await scenarios.large_notional_fires_above_its_threshold_only(h, method, event_type)


@every_door
@every_type
async def test_velocity_fires_on_the_event_too_many(
    h: PipelineHarness, method: IngestionMethod, event_type: EventType
) -> None:
    await scenarios.velocity_fires_on_the_event_too_many(h, method, event_type)


@every_door
async def test_a_listed_counterparty_is_critical(h: PipelineHarness, method: IngestionMethod) -> None:
    await scenarios.a_listed_counterparty_is_critical(h, method)
