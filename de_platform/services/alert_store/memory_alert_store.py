"""An alert store in memory, for tests; the contract holds it equal to the real one."""

import copy
from collections.abc import Sequence

import msgspec

from de_platform.pipeline.alerts import Alert
from de_platform.pipeline.query import Page, Query
from de_platform.pipeline.tenancy import TenantScope
from de_platform.services.alert_store.interface import AlertStore
from de_platform.services.alert_store.shape import ALERT_SHAPE, row_of, storable
from de_platform.services.querying.memory import page_of
from de_platform.services.querying.plan import plan_query


class MemoryAlertStore(AlertStore):
    """Keeps copies. Whatever `unavailable` is set to is raised by the next calls."""

    def __init__(self) -> None:
        self._alerts: dict[str, Alert] = {}
        self.unavailable: Exception | None = None

    async def add(self, alerts: Sequence[Alert]) -> int:
        self._check()
        before = len(self._alerts)
        for alert in map(storable, alerts):
            self._alerts.setdefault(alert.alert_id, alert)
        return len(self._alerts) - before

    async def get(self, scope: TenantScope, alert_id: str) -> Alert | None:
        self._check()
        alert = self._alerts.get(alert_id)
        if alert is None or not scope.covers(alert.tenant_id):
            return None
        return msgspec.structs.replace(alert, details=copy.deepcopy(alert.details))

    async def find(self, scope: TenantScope, query: Query) -> Page:
        self._check()
        page = page_of(plan_query(ALERT_SHAPE, scope, query), map(row_of, self._alerts.values()))
        return Page(copy.deepcopy(page.items), page.next_cursor)

    async def health_check(self) -> None:
        self._check()

    def _check(self) -> None:
        if self.unavailable is not None:
            raise self.unavailable
