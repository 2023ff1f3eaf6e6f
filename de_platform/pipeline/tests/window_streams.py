"""Enriched events as the algorithm topics carry them, and ways to run them through the window engine."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from de_platform.pipeline.alerts import Alert
from de_platform.pipeline.algorithms import FraudAlgorithm
from de_platform.pipeline.event_columns import decode_event, decode_lean
from de_platform.pipeline.window_state import PartitionWindows
from de_platform.pipeline.windows import Taken, WindowEngine

T0 = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
TENANT = "acme"


def at(seconds: float) -> datetime:
    return T0 + timedelta(microseconds=round(seconds * 1_000_000))


def stamp(instant: datetime) -> str:
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")


def raw_event(event_id: str, seconds: float, event_type: str = "order", **fields: Any) -> bytes:
    """An event dated `seconds` after T0. Money may be given as text and is written as a JSON number."""
    event: dict[str, Any] = {
        "id": event_id,
        "tenant_id": TENANT,
        "event_type": event_type,
        "message_id": f"m-{event_id}.0",
        "transact_time": stamp(at(seconds)),
        "ingested_at": stamp(at(seconds) + timedelta(seconds=1)),
        "normalized_at": stamp(at(seconds) + timedelta(seconds=2)),
        "currency": "USD",
        "usd_rate": 1,
        "usd_rate_on": "2026-03-02",
    }
    if event_type == "transaction":
        event |= {"account_id": "acc-1", "counterparty_id": "cp-1", "amount_usd": 10}
    else:
        event |= {"symbol": "ACME", "notional_usd": 10}
    event |= fields
    event = {name: value for name, value in event.items() if value is not None}
    money = {name: value for name, value in event.items() if isinstance(value, Decimal)}
    text = json.dumps(event | {name: f"<{name}>" for name in money})
    for name, value in money.items():
        text = text.replace(f'"<{name}>"', f"{value:f}")
    return text.encode()


def event(event_id: str, seconds: float, event_type: str = "order", **fields: Any) -> dict[str, Any]:
    """The same as an algorithm gets it."""
    return decode_event(raw_event(event_id, seconds, event_type, **fields), TENANT)


class Run:
    """One partition, fed batch by batch; every alert that was raised, repetitions included."""

    def __init__(self, algorithms: Sequence[FraudAlgorithm]) -> None:
        self.engine = WindowEngine(algorithms)
        self.state = PartitionWindows()
        self.alerts: list[Alert] = []
        self._saved: dict[str, bytes] = {}

    def take(self, raws: Sequence[bytes], tenant_id: str = TENANT) -> Taken:
        taken = self.engine.take(self.state.tenant(tenant_id), [decode_lean(raw) for raw in raws], raws)
        self.alerts += [found.alert for found in taken.found]
        return taken

    def save(self) -> None:
        snapshot = self.state.snapshot()
        assert snapshot.kept <= self._saved.keys()
        self._saved = {name: self._saved[name] for name in snapshot.kept} | dict(snapshot.new)
        self.state.snapshot_saved()

    def restart(self) -> None:
        """Go on from the last save, as after a crash."""
        self.state = PartitionWindows.restored(self._saved)

    @property
    def ids(self) -> set[str]:
        return {alert.alert_id for alert in self.alerts}

    @property
    def by_id(self) -> dict[str, bytes]:
        return {alert.alert_id: msgspec.json.encode(alert) for alert in self.alerts}


def run_batches(algorithms: Sequence[FraudAlgorithm], batches: Iterable[Sequence[bytes]]) -> Run:
    run = Run(algorithms)
    for batch in batches:
        if batch:
            run.take(batch)
    return run
