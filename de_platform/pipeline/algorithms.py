"""What a detection algorithm is: the plug-in interface, and what every detector declares about itself."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar, TypeAlias

import msgspec
import xxhash

from de_platform.pipeline.alerts import Alert, Severity
from de_platform.pipeline.algorithm_parameters import Parameters, ParameterSchema
from de_platform.pipeline.errors import InvalidInput
from de_platform.pipeline.event_columns import TYPE_CODE, EventColumns, Mask
from de_platform.pipeline.events import EventType
from de_platform.pipeline.ids import digest

PLUGIN_GROUP = "de_platform.algorithms"
"""Entry point group of plug-ins: the name is the algorithm's name, the value its class."""

Event: TypeAlias = dict[str, Any]
"""An event as it is stored: money and quantities as Decimal, instants as aware datetimes."""

BEGINNING = datetime.min.replace(tzinfo=UTC)
END = datetime.max.replace(tzinfo=UTC)


class Decides(StrEnum):
    """When an algorithm knows its verdict."""

    ON_EVENT = "on_event"
    """At the event itself. Its alerts are functions of the events up to and including their anchor."""
    ON_CLOSE = "on_close"
    """Only once the window is complete."""


class Subject(StrEnum):
    """Whose behaviour an algorithm judges; its alerts are grouped by it."""

    ACTOR = "actor"
    """The client, else the account, else the whole tenant."""
    ACCOUNT = "account"
    INSTRUMENT = "instrument"
    TENANT = "tenant"


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """One stretch of violations by one subject: its alert, and from which to which event it lasts so far."""

    alert: Alert
    subject_key: str
    first_at: datetime
    last_at: datetime


class FraudAlgorithm(ABC):
    """Judges the events of a tenant. Pure: the same events and parameters give the same alerts, byte for byte.

    Plug-ins implement `name` and `evaluate_window` and state what differs from the declarations below.
    """

    version: ClassVar[str] = "1"
    parameters: ClassVar[ParameterSchema] = ParameterSchema()
    subject: ClassVar[Subject] = Subject.ACTOR
    decides: ClassVar[Decides] = Decides.ON_EVENT
    severity: ClassVar[Severity] = Severity.MEDIUM
    single_event: ClassVar[bool] = False
    """True when every event is judged by itself; such an algorithm sees late events too."""
    event_types: ClassVar[frozenset[EventType]] = frozenset(EventType)
    """Events of other types are not shown to it."""
    needs: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Groups of fields of which an event must have at least one each; without, it is not evaluable (and counted)."""
    fields: ClassVar[frozenset[str] | None] = None
    """Fields of earlier events that it reads; None asks for whole events, which costs memory."""
    exact_candidates: ClassVar[bool] = False
    """Whether `candidates` marks the violating events exactly, instead of over-reporting."""

    def __init__(self, parameters: Mapping[str, object] | None = None) -> None:
        """Raises InvalidInput with every fault of the parameters."""
        self.values: Parameters = self.parameters.validated(parameters or {})

    @abstractmethod
    def name(self) -> str:
        """Return the name by which it is configured and its alerts are known."""

    @abstractmethod
    def evaluate_window(
        self, events: list[Event], tenant_id: str, window_start: datetime, window_end: datetime
    ) -> list[Alert]:
        """Return the alerts of events of one tenant, given in canonical order (transact_time, then identity)."""

    def evaluate(self, event: Event) -> Alert | None:
        """Judge one event by itself."""
        alerts = self.evaluate_window([event], event.get("tenant_id", ""), BEGINNING, END)
        return alerts[0] if alerts else None

    def episodes(
        self, events: list[Event], tenant_id: str, window_start: datetime, window_end: datetime
    ) -> list[Episode]:
        """Return the alerts together with how long their episodes last. By default an episode is its anchor event."""
        at = {(e["event_type"], e["id"]): e["transact_time"] for e in events}
        found: list[Episode] = []
        for alert in self.evaluate_window(events, tenant_id, window_start, window_end):
            instant = at.get((alert.event_type, alert.event_id), window_end)
            found.append(Episode(alert=alert, subject_key=alert.alert_id, first_at=instant, last_at=instant))
        return found

    @classmethod
    def lookback(cls, values: Parameters) -> timedelta:  # noqa: ARG003
        """Say how far before an event its verdict reaches; the effective window is at least this long."""
        return timedelta(0)

    def episode_gap(self) -> timedelta:
        """Violations of a subject at most this far apart belong to one episode."""
        return timedelta(0)

    def candidates(self, columns: EventColumns) -> Mask | None:  # noqa: ARG002
        """Mark the events (bool, one per row) that may violate; None when there is no vectorised form.

        May over-report, never under-report, and more events never give fewer marks. With
        `exact_candidates` the mask equals the plain verdict.
        """
        return None


def alert_id(*, tenant_id: str, algorithm: str, subject_key: str, anchor: str) -> str:
    """Return 32 hex digits that are a function of the episode alone, so that finding it again changes nothing."""
    return digest("alert", tenant_id, algorithm, subject_key, anchor)


def event_anchor(event: Event) -> str:
    """Return the identity of an event within its tenant: type, id and UTC day of transact_time."""
    day: date = event["transact_time"].astimezone(UTC).date()
    return f"{event['event_type']}/{event['id']}/{day.isoformat()}"


def identity_hash(event_type: str, event_id: str) -> int:
    """Return 64 bits that order events of the same instant, alike in every run."""
    return hash_id(event_id.encode() + TYPE_SUFFIX[TYPE_CODE[event_type]])


def canonical_key(event: Event) -> tuple[datetime, int]:
    """Sort key of the canonical order: by transact_time, then by identity."""
    return event["transact_time"], identity_hash(event["event_type"], event["id"])


hash_id = xxhash.xxh3_64_intdigest
"""An id with the suffix of its type to 64 bits. (Seeds would not tell types apart: short ids of two types collide.)"""
TYPE_SUFFIX = tuple(b"\0%d" % code for code in range(len(TYPE_CODE)))
"""By the code of the event type."""

_BUILT_IN: Mapping[str, str] = {
    "large_notional": "de_platform.pipeline.detectors.large_notional:LargeNotionalAlgo",
    "suspicious_counterparty": "de_platform.pipeline.detectors.suspicious_counterparty:SuspiciousCounterpartyAlgo",
    "velocity": "de_platform.pipeline.detectors.velocity:VelocityAlgo",
}

Loader: TypeAlias = Callable[[], type[FraudAlgorithm]]


def registered() -> dict[str, Loader]:
    """Return what loads each known algorithm, by name: the built-in ones and plug-ins. Nothing is imported yet.

    A plug-in cannot replace a built-in algorithm: the built-in one wins.
    """
    plugins: dict[str, Loader] = {p.name: _plugin_loader(p) for p in entry_points(group=PLUGIN_GROUP)}
    return {**plugins, **{name: _built_in_loader(path) for name, path in _BUILT_IN.items()}}


def build(name: str, parameters: Mapping[str, object] | None = None) -> FraudAlgorithm:
    """Make a configured algorithm. Raises InvalidInput for an unknown name or parameters that break the schema."""
    loaders = registered()
    if name not in loaders:
        raise InvalidInput.single("algorithm", f"{name!r} is unknown; known are {', '.join(sorted(loaders))}")
    return loaders[name]()(parameters)


def build_all(parameters: Mapping[str, Mapping[str, object]]) -> Sequence[FraudAlgorithm]:
    """Make every known algorithm, in order of name, with the given parameters where there are some."""
    return [build(name, parameters.get(name)) for name in sorted(registered())]


def _built_in_loader(path: str) -> Loader:
    def load() -> type[FraudAlgorithm]:
        module_path, _, class_name = path.partition(":")
        return getattr(import_module(module_path), class_name)

    return load


def _plugin_loader(entry_point: EntryPoint) -> Loader:
    def load() -> type[FraudAlgorithm]:
        loaded = entry_point.load()
        if not (isinstance(loaded, type) and issubclass(loaded, FraudAlgorithm)):
            raise InvalidInput.single("algorithm", f"{entry_point.value} is not a FraudAlgorithm")
        return loaded

    return load
