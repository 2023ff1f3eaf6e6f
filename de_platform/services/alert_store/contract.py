"""What every implementation of AlertStore does. Tests share a store; each works with tenants of its own."""

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from de_platform.pipeline.alerts import Alert, Severity
from de_platform.pipeline.errors import InvalidInput
from de_platform.pipeline.query import Filter, Operator, Query, Sort
from de_platform.pipeline.tenancy import TenantScope
from de_platform.services.alert_store.interface import AlertStore

_serial = itertools.count(1)
_NOON = datetime(2026, 11, 3, 12, 0, 0, 123456, tzinfo=UTC)


def make_alert(tenant_id: str, **overrides: Any) -> Alert:
    """Return an alert of its own id."""
    number = next(_serial)
    fields: dict[str, Any] = {
        "alert_id": f"alert-{number:06}",
        "tenant_id": tenant_id,
        "event_type": "order",
        "event_id": "o1",
        "message_id": "m.1",
        "algorithm": "large_notional",
        "severity": Severity.HIGH,
        "description": "notional of 1,500,000 USD exceeds 1,000,000 USD",
        "details": {"observed": 1500000.5, "events": ["o1"], "nested": {"none": None, "yes": True}},
        "created_at": _NOON,
    }
    return Alert(**(fields | overrides))


def fresh_tenant() -> str:
    """Return a tenant that no other test of this process uses."""
    return f"alert-tenant-{next(_serial)}"


class AlertStoreContract:
    """Subclasses provide the fixture `store`."""

    async def test_alert_comes_back_as_it_was(self, store: AlertStore) -> None:
        alert = make_alert(fresh_tenant())
        assert await store.add([alert]) == 1
        assert await store.get(TenantScope.of(alert.tenant_id), alert.alert_id) == alert

    async def test_alert_found_again_is_not_stored_again(self, store: AlertStore) -> None:
        tenant = fresh_tenant()
        first, new = make_alert(tenant), make_alert(tenant)
        await store.add([first])
        again = msgspec.structs.replace(first, description="found by the successor")
        assert await store.add([again, new, new]) == 1
        assert await store.get(TenantScope.of(tenant), first.alert_id) == first
        assert len((await store.find(TenantScope.of(tenant), Query())).items) == 2

    async def test_adding_nothing_is_fine(self, store: AlertStore) -> None:
        assert await store.add([]) == 0

    async def test_text_that_the_database_cannot_hold_does_not_stop_the_alert(self, store: AlertStore) -> None:
        tenant = fresh_tenant()
        alert = make_alert(tenant, description="a\0b\ud800", details={"k\0": ["\udfff", {"x": "\0"}]})
        await store.add([alert])
        stored = await store.get(TenantScope.of(tenant), alert.alert_id)
        assert stored is not None
        assert stored.description == "a\ufffdb\ufffd"
        assert stored.details == {"k\ufffd": ["\ufffd", {"x": "\ufffd"}]}

    async def test_details_are_kept_as_plain_json(self, store: AlertStore) -> None:
        tenant = fresh_tenant()
        alert = make_alert(tenant, details={"amount": Decimal("10.50"), "at": _NOON, "ids": ("a", "b")})
        await store.add([alert])
        stored = await store.get(TenantScope.of(tenant), alert.alert_id)
        assert stored is not None
        assert stored.details == {"amount": "10.50", "at": "2026-11-03T12:00:00.123456Z", "ids": ["a", "b"]}

    async def test_foreign_and_missing_alerts_are_the_same(self, store: AlertStore) -> None:
        alert = make_alert(fresh_tenant())
        await store.add([alert])
        stranger = TenantScope.of(fresh_tenant())
        assert await store.get(stranger, alert.alert_id) is None
        assert await store.get(stranger, "no such alert\0\ud800") is None
        assert (await store.find(stranger, Query())).items == []

    async def test_filter_on_the_tenant_does_not_widen_the_scope(self, store: AlertStore) -> None:
        alert = make_alert(fresh_tenant())
        await store.add([alert])
        query = Query(filters=(Filter("tenant_id", Operator.EQ, (alert.tenant_id,)),))
        assert (await store.find(TenantScope.of(fresh_tenant()), query)).items == []
        assert len((await store.find(TenantScope.all_tenants(), query)).items) == 1

    async def test_default_order_is_newest_first_with_ties_by_id(self, store: AlertStore) -> None:
        tenant = fresh_tenant()
        old, *tied = (make_alert(tenant, created_at=_NOON - timedelta(days=days)) for days in (1, 0, 0))
        await store.add([old, *tied])
        found = await self._all_ids(store, tenant, Query(limit=1))
        assert found == [tied[1].alert_id, tied[0].alert_id, old.alert_id]

    async def test_severity_sorts_and_compares_by_urgency(self, store: AlertStore) -> None:
        tenant = fresh_tenant()
        alerts = {severity: make_alert(tenant, severity=severity) for severity in Severity}
        await store.add(list(alerts.values()))
        ascending = await self._all_ids(store, tenant, Query(sort=Sort("severity", descending=False), limit=1))
        assert ascending == [alerts[severity].alert_id for severity in Severity]
        urgent = Query(filters=(Filter("severity", Operator.GTE, ("high",)),), sort=Sort("severity"))
        assert await self._all_ids(store, tenant, urgent) == [
            alerts[Severity.CRITICAL].alert_id,
            alerts[Severity.HIGH].alert_id,
        ]

    @pytest.mark.parametrize("field", ["created_at", "description", "severity", "alert_id"])
    @pytest.mark.parametrize("direction", ["descending", "ascending"])
    async def test_pages_join_to_the_whole_order(self, store: AlertStore, field: str, direction: str) -> None:
        tenant = fresh_tenant()
        severities, texts = list(Severity), ["a", "B", "é", "ab", "A b"]
        await store.add(
            [
                make_alert(
                    tenant,
                    severity=severities[n % 4],
                    description=texts[n % 5],
                    created_at=_NOON - timedelta(microseconds=n % 3),
                )
                for n in range(11)
            ]
        )
        query = Query(sort=Sort(field, descending=direction == "descending"))
        whole = (await store.find(TenantScope.of(tenant), query)).items
        keys = [row[field] for row in whole]
        if field == "severity":
            keys = [severities.index(key) for key in keys]
        assert keys == sorted(keys, reverse=direction == "descending")
        paged = await self._all_ids(store, tenant, msgspec.structs.replace(query, limit=3))
        assert paged == [row["alert_id"] for row in whole]

    @pytest.mark.parametrize("operator", [Operator.EQ, Operator.CONTAINS, Operator.PREFIX, Operator.IN])
    async def test_text_of_a_filter_is_only_ever_a_value(self, store: AlertStore, operator: Operator) -> None:
        tenant = fresh_tenant()
        hostile = ["' OR 1=1 --", "\\' OR 2=2", "{p0:String}", "%(p0)s", "%", "_", "$$", "a\tb\nc", "`", "é😀"]
        await store.add([make_alert(tenant, description=f"|{text}|") for text in hostile])
        for text in hostile:
            query = Query(filters=(Filter("description", operator, (f"|{text}|",)),))
            assert [row["description"] for row in (await store.find(TenantScope.of(tenant), query)).items] == [
                f"|{text}|"
            ]

    async def test_every_fault_of_a_query_is_named(self, store: AlertStore) -> None:
        filters = (
            Filter("details", Operator.EQ, ("x",)),
            Filter("created_at", Operator.PREFIX, ("2026",)),
            Filter("severity", Operator.GT, ("urgent",)),
            Filter("algorithm", Operator.EQ, ("a\0",)),
        )
        with pytest.raises(InvalidInput) as caught:
            await store.find(TenantScope.of(fresh_tenant()), Query(filters=filters, limit=1001, cursor="!"))
        fields = [error.field for error in caught.value.errors]
        assert fields == ["details", "created_at", "severity", "algorithm", "limit", "cursor"]

    async def test_health_check_answers(self, store: AlertStore) -> None:
        await store.health_check()

    @staticmethod
    async def _all_ids(store: AlertStore, tenant: str, query: Query) -> list[str]:
        ids: list[str] = []
        for _ in range(100):
            page = await store.find(TenantScope.of(tenant), query)
            ids += [row["alert_id"] for row in page.items]
            if page.next_cursor is None:
                return ids
            query = msgspec.structs.replace(query, cursor=page.next_cursor)
        raise AssertionError("paging does not end")
