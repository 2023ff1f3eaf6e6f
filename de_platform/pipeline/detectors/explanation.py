"""How an alert explains itself: whom it is about, what was seen beside what is allowed, and from which events."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any, NamedTuple

import msgspec

from de_platform.pipeline.alerts import Alert
from de_platform.pipeline.algorithm_parameters import ParameterValue
from de_platform.pipeline.algorithms import Event, FraudAlgorithm, alert_id, event_anchor
from de_platform.pipeline.ids import digest

MAX_LISTED_EVENTS = 100
MAX_LISTED_TEXTS = 20
_DISTANCE_STEP = Decimal("0.0001")


class SubjectRef(NamedTuple):
    """Whom an alert is about."""

    kind: str
    id: str

    @property
    def key(self) -> str:
        """One text for both, as it stands in ids and metrics."""
        return f"{self.kind}:{self.id}"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a detector found at the anchor of an episode."""

    subject: SubjectRef
    anchor: Event
    events: Sequence[Event]
    """The contributing events in canonical order; the anchor is one of them."""
    description: str
    observed: Mapping[str, str | int]
    thresholds: Mapping[str, str | int]
    distance: Decimal | None
    """Observed divided by threshold: above 1, and the larger the worse. None where there is no scale."""
    silent_if: str
    """One sentence: what would have kept this alert away."""
    uses_rate: bool = False
    """Whether the anchor's exchange rate had a part in it."""


def actor_of(event: Event) -> SubjectRef:
    """Return who acted: the client, else the account, else the tenant as a whole."""
    if event.get("client_id"):
        return SubjectRef("client", event["client_id"])
    if event.get("account_id"):
        return SubjectRef("account", event["account_id"])
    return SubjectRef("tenant", event["tenant_id"])


def distance(observed: Decimal | int, threshold: Decimal | int) -> Decimal | None:
    """Return observed / threshold to four digits, rounded up, or None for a threshold of zero."""
    if not threshold:
        return None
    return (Decimal(observed) / Decimal(threshold)).quantize(_DISTANCE_STEP, rounding=ROUND_CEILING)


def plain(number: Decimal) -> str:
    """Write a number without exponent and trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def make_alert(algorithm: FraudAlgorithm, tenant_id: str, verdict: Verdict) -> Alert:
    """Write the alert of an episode: a function of the verdict and of the algorithm's parameters and version."""
    anchor = verdict.anchor
    return Alert(
        alert_id=alert_id(
            tenant_id=tenant_id,
            algorithm=algorithm.name(),
            subject_key=verdict.subject.key,
            anchor=event_anchor(anchor),
        ),
        tenant_id=tenant_id,
        event_type=anchor["event_type"],
        event_id=anchor["id"],
        message_id=anchor.get("message_id", ""),
        algorithm=algorithm.name(),
        severity=algorithm.severity,
        description=verdict.description,
        details=_details(algorithm, verdict),
        created_at=_known_at(anchor),
    )


def _details(algorithm: FraudAlgorithm, verdict: Verdict) -> dict[str, Any]:
    details: dict[str, Any] = {
        "subject": {"kind": verdict.subject.kind, "id": verdict.subject.id},
        "observed": dict(verdict.observed),
        "thresholds": dict(verdict.thresholds),
        "distance": None if verdict.distance is None else plain(verdict.distance),
        "transact_time": verdict.anchor["transact_time"].astimezone(UTC),
        "events": _contributing(verdict.events),
        "algorithm_version": algorithm.version,
        "parameters": {name: _shown(value) for name, value in algorithm.values.items()},
        "silent_if": verdict.silent_if,
    }
    if verdict.uses_rate and "usd_rate" in verdict.anchor:
        details["rate"] = {
            "currency": verdict.anchor.get("currency", ""),
            "usd_rate": plain(verdict.anchor["usd_rate"]),
            "usd_rate_on": str(verdict.anchor.get("usd_rate_on", "")),
        }
    return details


def _contributing(events: Sequence[Event]) -> dict[str, Any]:
    """List the last events, and seal all of them by a digest over their identities in canonical order."""
    anchors = [event_anchor(event) for event in events]
    listed = [{"event_type": e["event_type"], "id": e["id"]} for e in events[-MAX_LISTED_EVENTS:]]
    return {"count": len(events), "listed": listed, "digest": digest("events", *anchors)}


def _shown(value: ParameterValue) -> object:
    """Write a parameter; a long list by its length and digest."""
    match value:
        case Decimal():
            return plain(value)
        case tuple() if len(value) > MAX_LISTED_TEXTS:
            return {"count": len(value), "digest": digest("texts", *value)}
        case _:
            return value


def _known_at(event: Event) -> datetime:
    """Return when the platform had the event ready to be judged; a function of the log, not of the clock."""
    for field in ("normalized_at", "ingested_at"):
        if field in event:
            return event[field].astimezone(UTC)
    return event["transact_time"].astimezone(UTC)
