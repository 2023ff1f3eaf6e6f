"""Events as clients would send them, before they are sent."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeAlias

import msgspec

from de_platform.pipeline.algorithms import alert_id
from de_platform.pipeline.events import EventType
from de_platform.pipeline.instants import format_instant

FieldValue: TypeAlias = str | int | Decimal

_encode = msgspec.json.Encoder(decimal_format="number").encode


class DemoEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event of one tenant, complete but for the fields that are written from these three."""

    tenant_id: str
    event_type: EventType
    transact_time: datetime
    fields: Mapping[str, FieldValue]

    @property
    def id(self) -> str:
        """The event's own id, or "" where a broken event has none."""
        return str(self.fields.get("id", ""))

    def body(self) -> bytes:
        """Return the JSON object that the client sends."""
        stamped = {"tenant_id": self.tenant_id, "transact_time": format_instant(self.transact_time)}
        return _encode({**stamped, **self.fields})


class ExpectedAlert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that planted abuse must raise; nothing else may."""

    tenant_id: str
    algorithm: str
    subject: str
    """Subject key, like `client:acme-1`."""
    event_type: EventType
    event_id: str
    """The anchor: the event at which the episode begins to be a violation."""
    transact_time: datetime
    scenario: str

    @property
    def alert_id(self) -> str:
        """The id that the alert has."""
        anchor = f"{self.event_type.value}/{self.event_id}/{self.transact_time.astimezone(UTC).date().isoformat()}"
        return alert_id(tenant_id=self.tenant_id, algorithm=self.algorithm, subject_key=self.subject, anchor=anchor)


class Planted(msgspec.Struct, frozen=True, kw_only=True):
    """The events of one scenario, and what they must raise."""

    events: Sequence[DemoEvent]
    expected: Sequence[ExpectedAlert]


def expect(algorithm: str, subject: str, anchor: DemoEvent, scenario: str) -> ExpectedAlert:
    """Say that an algorithm must raise an alert at an event."""
    return ExpectedAlert(
        tenant_id=anchor.tenant_id,
        algorithm=algorithm,
        subject=subject,
        event_type=anchor.event_type,
        event_id=anchor.id,
        transact_time=anchor.transact_time,
        scenario=scenario,
    )
