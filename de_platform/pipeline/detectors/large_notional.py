"""`large_notional`: one order, execution or transaction is worth more than a line in US dollars."""

from datetime import datetime
from decimal import Decimal
from typing import ClassVar

import numpy as np

from de_platform.pipeline.alerts import Alert, Severity
from de_platform.pipeline.algorithm_parameters import Parameter, ParameterKind, ParameterSchema
from de_platform.pipeline.algorithms import Event, FraudAlgorithm
from de_platform.pipeline.detectors.explanation import Verdict, actor_of, distance, make_alert, plain
from de_platform.pipeline.event_columns import EventColumns, Mask

_FLOAT_SLACK = 1e-9
"""Relative; far more than a decimal of 38 digits loses as a float, so that the prefilter never misses one."""


class LargeNotionalAlgo(FraudAlgorithm):
    """Fires when notional_usd or amount_usd > threshold_usd. A market order without a price is not evaluable."""

    severity: ClassVar[Severity] = Severity.HIGH
    single_event: ClassVar[bool] = True
    needs: ClassVar[tuple[tuple[str, ...], ...]] = (("notional_usd", "amount_usd"),)
    parameters: ClassVar[ParameterSchema] = ParameterSchema(
        (
            Parameter(
                name="threshold_usd",
                kind=ParameterKind.DECIMAL,
                unit="USD",
                default=Decimal(1_000_000),
                minimum=0,
                description="An event worth more than this is an alert; one worth exactly this is not.",
                source="A customary line of trade desks; no regulator sets it. Tune it to the tenant's own sizes.",
            ),
        )
    )

    def name(self) -> str:
        return "large_notional"

    def evaluate_window(
        self,
        events: list[Event],
        tenant_id: str,
        window_start: datetime,  # noqa: ARG002
        window_end: datetime,  # noqa: ARG002
    ) -> list[Alert]:
        return [make_alert(self, tenant_id, self._verdict(e)) for e in events if self._exceeds(e)]

    def candidates(self, columns: EventColumns) -> Mask:
        return np.greater(columns.values_usd, float(self._threshold) * (1 - _FLOAT_SLACK))

    @property
    def _threshold(self) -> Decimal:
        threshold = self.values["threshold_usd"]
        assert isinstance(threshold, Decimal)
        return threshold

    def _exceeds(self, event: Event) -> bool:
        value = event.get(_value_field(event))
        return value is not None and value > self._threshold

    def _verdict(self, event: Event) -> Verdict:
        field = _value_field(event)
        value: Decimal = event[field]
        return Verdict(
            subject=actor_of(event),
            anchor=event,
            events=[event],
            description=f"{event['event_type'].capitalize()} {event['id']} is worth {value:,.2f} USD",
            observed={field: plain(value)},
            thresholds={"threshold_usd": plain(self._threshold)},
            distance=distance(value, self._threshold),
            silent_if=f"It would be silent if {field} were {self._threshold:,.2f} USD or less.",
            uses_rate=True,
        )


def _value_field(event: Event) -> str:
    return "amount_usd" if event["event_type"] == "transaction" else "notional_usd"
