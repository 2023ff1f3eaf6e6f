"""Alerts at rest: each stored once, found by tenant."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from de_platform.pipeline.alerts import Alert
from de_platform.pipeline.query import FieldKind, Page, Query
from de_platform.pipeline.tenancy import TenantScope

ALERT_FIELDS: Mapping[str, FieldKind] = {
    "alert_id": FieldKind.TEXT,
    "tenant_id": FieldKind.TEXT,
    "event_type": FieldKind.TEXT,
    "event_id": FieldKind.TEXT,
    "message_id": FieldKind.TEXT,
    "algorithm": FieldKind.TEXT,
    "severity": FieldKind.TEXT,
    "description": FieldKind.TEXT,
    "created_at": FieldKind.INSTANT,
}
"""Fields that can be filtered and sorted."""


class AlertStore(ABC):
    """Raises Unavailable. Foreign or missing alerts are the same: None."""

    @abstractmethod
    async def add(self, alerts: Sequence[Alert]) -> int:
        """Store alerts whose `alert_id` is not there yet, in one transaction; the first one stays.

        Returns how many were new.
        """

    @abstractmethod
    async def get(self, scope: TenantScope, alert_id: str) -> Alert | None:
        """Return one alert of the scope."""

    @abstractmethod
    async def find(self, scope: TenantScope, query: Query) -> Page:
        """Return a page of alerts of the scope; default order is `created_at` descending.

        Raises InvalidInput for unknown fields, operators that do not fit, and bad cursors.
        """

    @abstractmethod
    async def health_check(self) -> None:
        """Return when the store answers; raises Unavailable."""
