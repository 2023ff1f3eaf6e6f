"""What is to be sent once, and how far that has come: one small file, so that a restart goes on where it was."""

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from de_platform.modules.generator.intake_client import EventBatch
from de_platform.pipeline.events import EventType
from de_platform.pipeline.generator.demo_events import DemoEvent
from de_platform.services.filesystem.interface import FileSystemInterface

PLAN_PATH = "demo/generator.json"
EXPECTED_ALERTS_PATH = "demo/expected_alerts.json"

_SLICE_EVENTS = 900
"""Events that go out together, in time order; each tenant and type of them is one request."""


class SendingPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The history is a function of the first three; its first `slices_sent` slices are known to be durable."""

    seed: int
    days: int
    end: datetime
    slices_sent: int = 0
    is_complete: bool = False


async def load_or_begin(files: FileSystemInterface, *, seed: int, days: int, now: datetime) -> SendingPlan:
    """Return the plan of an earlier run with the same seed and days, else a new one that ends now; it is durable."""
    try:
        plan = msgspec.json.decode(await files.read(PLAN_PATH), type=SendingPlan)
    except FileNotFoundError:
        plan = None
    if plan is not None and (plan.seed, plan.days) == (seed, days):
        return plan
    plan = SendingPlan(seed=seed, days=days, end=now)
    await save(files, plan)
    return plan


async def save(files: FileSystemInterface, plan: SendingPlan) -> None:
    """Replace the plan durably."""
    await files.write(PLAN_PATH, msgspec.json.encode(plan))


def slices(events: Sequence[DemoEvent]) -> Iterator[Sequence[DemoEvent]]:
    """Cut a history into what goes out together, always in the same way."""
    for start in range(0, len(events), _SLICE_EVENTS):
        yield events[start : start + _SLICE_EVENTS]


def batches(events: Sequence[DemoEvent], key: str) -> list[EventBatch]:
    """Sort events into one batch for each tenant and type; their keys are functions of `key`."""
    groups: dict[tuple[str, EventType], list[bytes]] = {}
    for event in events:
        groups.setdefault((event.tenant_id, event.event_type), []).append(event.body())
    return [
        EventBatch(f"{key}-{tenant_id}-{event_type.value}", tenant_id, event_type, bodies)
        for (tenant_id, event_type), bodies in groups.items()
    ]
