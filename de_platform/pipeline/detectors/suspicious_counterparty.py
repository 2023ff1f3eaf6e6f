"""`suspicious_counterparty`: money goes to a party on the tenant's list."""

from datetime import datetime
from typing import ClassVar

import numpy as np

from de_platform.pipeline.alerts import Alert, Severity
from de_platform.pipeline.algorithm_parameters import Parameter, ParameterKind, Parameters, ParameterSchema
from de_platform.pipeline.algorithms import Event, FraudAlgorithm, Subject
from de_platform.pipeline.detectors.explanation import SubjectRef, Verdict, make_alert
from de_platform.pipeline.event_columns import EventColumns, Mask
from de_platform.pipeline.events import EventType


class SuspiciousCounterpartyAlgo(FraudAlgorithm):
    """Fires when the counterparty_id of a transaction is listed, compared exactly, upper and lower case apart."""

    severity: ClassVar[Severity] = Severity.CRITICAL
    subject: ClassVar[Subject] = Subject.ACCOUNT
    single_event: ClassVar[bool] = True
    event_types: ClassVar[frozenset[EventType]] = frozenset({EventType.TRANSACTION})
    parameters: ClassVar[ParameterSchema] = ParameterSchema(
        (
            Parameter(
                name="suspicious_ids",
                kind=ParameterKind.TEXTS,
                default=(),
                description="Counterparties whose every transaction is an alert.",
                source="The tenant's own watch list; empty until the tenant fills it.",
            ),
        )
    )

    def __init__(self, parameters: Parameters | None = None) -> None:
        super().__init__(parameters)
        listed = self.values["suspicious_ids"]
        assert isinstance(listed, tuple)
        self._listed = frozenset(listed)

    def name(self) -> str:
        return "suspicious_counterparty"

    def evaluate_window(
        self,
        events: list[Event],
        tenant_id: str,
        window_start: datetime,  # noqa: ARG002
        window_end: datetime,  # noqa: ARG002
    ) -> list[Alert]:
        return [
            make_alert(self, tenant_id, self._verdict(e)) for e in events if e.get("counterparty_id") in self._listed
        ]

    def candidates(self, columns: EventColumns) -> Mask:
        if not self._listed:
            return np.zeros(len(columns), dtype=np.bool_)
        listed = self._listed
        return np.fromiter((c in listed for c in columns.counterparty_ids), dtype=np.bool_, count=len(columns))

    def _verdict(self, event: Event) -> Verdict:
        counterparty = event["counterparty_id"]
        return Verdict(
            subject=SubjectRef("account", event["account_id"]),
            anchor=event,
            events=[event],
            description=f"Account {event['account_id']} dealt with the listed counterparty {counterparty}",
            observed={"counterparty_id": counterparty},
            thresholds={"listed_counterparties": len(self._listed)},
            distance=None,
            silent_if=f"It would be silent if {counterparty} were not on the list suspicious_ids.",
        )
