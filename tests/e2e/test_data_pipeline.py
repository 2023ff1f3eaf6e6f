"""What happens to events, through every door and for every type."""

import pytest

from de_platform.pipeline.events import EventType, IngestionMethod
from tests.helpers import scenarios
from tests.helpers.harness import PipelineHarness

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

every_type = pytest.mark.parametrize("event_type", list(EventType))
every_door = pytest.mark.parametrize("method", list(IngestionMethod))


@every_door
@every_type
async def test_valid_events_become_enriched_rows(
    h: PipelineHarness, method: IngestionMethod, event_type: EventType
) -> None:
    await scenarios.valid_events_become_enriched_rows(h, method, event_type)


@every_door
@every_type
async def test_invalid_events_become_error_rows(
    h: PipelineHarness, method: IngestionMethod, event_type: EventType
) -> None:
    await scenarios.invalid_events_become_error_rows(h, method, event_type)


@every_door
@every_type
async def test_the_same_event_again_is_a_duplicate(
    h: PipelineHarness, method: IngestionMethod, event_type: EventType
) -> None:
    await scenarios.the_same_event_again_is_a_duplicate(h, method, event_type)


@every_type
async def test_a_redelivered_message_leaves_no_trace(h: PipelineHarness, event_type: EventType) -> None:
    await scenarios.a_redelivered_message_leaves_no_trace(h, event_type)


@every_door
@every_type
async def test_several_faults_make_one_error_row(
    h: PipelineHarness, method: IngestionMethod, event_type: EventType
) -> None:
    await scenarios.several_faults_make_one_error_row(h, method, event_type)


@every_door
@every_type
async def test_good_events_pass_beside_bad_ones(
    h: PipelineHarness, method: IngestionMethod, event_type: EventType
) -> None:
    await scenarios.good_events_pass_beside_bad_ones(h, method, event_type)
