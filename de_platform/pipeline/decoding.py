"""Decode and check batches of events: at a glance where that is enough, rule by rule where it is not."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from de_platform.pipeline.errors import FieldError, InvalidInput
from de_platform.pipeline.events import EventType
from de_platform.pipeline.glance import RULES, Glance
from de_platform.pipeline.instants import format_instant, parse_instant
from de_platform.pipeline.shapes import CLIENT_SHAPES, STAMPED_SHAPES, ClientEvent, StampedEvent
from de_platform.pipeline.validation import Value, examine

Event = TypeVar("Event", bound=ClientEvent)

Faults = tuple[FieldError, ...]
"""Everything that is wrong with an event."""


_CLIENT_GLANCES: Mapping[EventType, Glance[ClientEvent]] = {
    event_type: Glance(shape) for event_type, shape in CLIENT_SHAPES.items()
}
"""Made once: making one costs as much as looking at dozens of events, and a decoder is made for every request."""


class Decoded(NamedTuple, Generic[Event]):
    """A batch: every row is either an event or has faults."""

    rows: Sequence[int]
    """The rows of the events, ascending."""
    events: list[Event]
    faults: dict[int, Faults]
    """By row, ascending."""
    checks: Sequence[str]
    """For each event, `glance.RULES` if it passed at a glance, "" if it took every rule one by one."""


class _Decoder(Generic[Event]):
    """What both decoders share."""

    def __init__(
        self,
        event_type: EventType,
        shape: type[Event],
        glance: Glance[Event],
        *,
        tenant_id: str | None,
        arrived_at: datetime | None,
    ) -> None:
        self._event_type = event_type
        self._build: Callable[..., Event] = shape
        self._glance = glance
        self._tenant_id = tenant_id
        self._arrived_at = arrived_at
        self._arrived_at_text = format_instant(arrived_at) if arrived_at is not None else None

    def decode(self, raws: Sequence[bytes]) -> "Decoded[Event]":
        """Decode and check every event."""
        looked = self._glance.look(raws, tenant_id=self._tenant_id, arrived_at=self._arrived_at_text)
        if len(looked.rows) == len(raws):
            return Decoded(looked.rows, looked.events, {}, [RULES] * len(raws))
        found: dict[int, Event] = dict(zip(looked.rows, looked.events, strict=True))
        faults: dict[int, Faults] = {}
        for row, raw in enumerate(raws):
            if row not in found:
                examined = self._examined(raw)
                if isinstance(examined, tuple):
                    faults[row] = examined
                else:
                    found[row] = examined
        rows, usual = sorted(found), set(looked.rows)
        return Decoded(rows, [found[row] for row in rows], faults, [RULES if row in usual else "" for row in rows])

    def _examined(self, raw: bytes) -> Event | Faults:
        try:
            values = examine(raw, self._event_type, tenant_id=self._tenant_id, arrived_at=self._arrived_at)
        except InvalidInput as invalid:
            return invalid.errors
        return self._build(**_canonical(values))


class ClientDecoder(_Decoder[ClientEvent]):
    """Decodes events of one type as clients send them.

    `tenant_id` is the tenant that all must name, if bound; `arrived_at` the instant of their intake.
    """

    def __init__(self, event_type: EventType, *, tenant_id: str | None, arrived_at: datetime) -> None:
        shape, glance = CLIENT_SHAPES[event_type], _CLIENT_GLANCES[event_type]
        super().__init__(event_type, shape, glance, tenant_id=tenant_id, arrived_at=arrived_at)


class StampedDecoder(_Decoder[StampedEvent]):
    """Decodes events of one type as they lie on a normalisation topic.

    `ingested_at` and `replayed_at` come out as `format_instant` writes them, however they came in.
    """

    def __init__(self, event_type: EventType) -> None:
        shape = STAMPED_SHAPES[event_type]
        super().__init__(event_type, shape, Glance(shape), tenant_id=None, arrived_at=None)


def _canonical(values: Mapping[str, Value]) -> Mapping[str, Value]:
    arrivals = {name: values[name] for name in ("ingested_at", "replayed_at") if name in values}
    texts = {name: format_instant(parse_instant(text)) for name, text in arrivals.items() if isinstance(text, str)}
    return {**values, **texts}
