"""What goes wrong at real clients: events that break the rules, and events that are sent twice."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from random import Random

import msgspec

from de_platform.pipeline.generator.demo_events import DemoEvent, FieldValue

_FAULTS: Sequence[Mapping[str, FieldValue]] = (
    {"currency": "XXQ"},
    {"status": "  "},
    {"currency": "dollars", "status": ""},
    {"quantity": -5},
    {"amount": Decimal("-12.50"), "quantity": 0},
)


def broken(events: Sequence[DemoEvent], random: Random, share: float) -> list[DemoEvent]:
    """Return broken copies, under ids of their own, of a random share of events."""
    copies: list[DemoEvent] = []
    for event in _sample(events, random, share):
        fields = {**event.fields, **random.choice(_FAULTS), "id": f"{event.id}-bad", "status": ""}
        copies.append(msgspec.structs.replace(event, fields=fields))
    return copies


def repeated(events: Sequence[DemoEvent], random: Random, share: float) -> list[DemoEvent]:
    """Return a random share of events once more, the same in every byte."""
    return _sample(events, random, share)


def _sample(events: Sequence[DemoEvent], random: Random, share: float) -> list[DemoEvent]:
    return random.sample(events, round(len(events) * share))
