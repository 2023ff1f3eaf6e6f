import pytest

from de_platform.modules.data_api.tests.rows import alert
from de_platform.pipeline.alerts import Severity


async def test_an_alert_is_shown_with_its_explanation(served) -> None:
    await served.alerts.add([alert(1)])
    response = await served.get("/api/v1/alerts/alert-1")
    assert response.status_code == 200
    body = response.json()
    assert body["details"] == {"threshold_usd": "1000000"}
    assert body["severity"] == "high"
    assert body["created_at"] == "2026-01-15T12:01:00Z"


async def test_the_list_shows_what_the_single_alert_shows(served) -> None:
    await served.alerts.add([alert(1)])
    [item] = (await served.get("/api/v1/alerts")).json()["items"]
    assert item == (await served.get("/api/v1/alerts/alert-1")).json()


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, ["alert-3", "alert-2", "alert-1"]),
        ({"severity": "critical"}, ["alert-2"]),
        ({"severity[gte]": "high"}, ["alert-2", "alert-1"]),
        ({"algorithm": "velocity"}, ["alert-3"]),
        ({"tenant_id": "globex"}, ["alert-2"]),
        ({"created_at[gt]": "2026-01-15T12:02:00Z"}, ["alert-3"]),
        ({"date": "2026-01-16"}, []),
        ({"sort": "created_at", "limit": "1"}, ["alert-1"]),
    ],
)
async def test_alerts_are_filtered_and_newest_first(served, params: dict[str, str], expected: list[str]) -> None:
    await served.alerts.add(
        [
            alert(1),
            alert(2, severity=Severity.CRITICAL, tenant_id="globex"),
            alert(3, severity=Severity.LOW, algorithm="velocity"),
        ]
    )
    items = (await served.get("/api/v1/alerts", params)).json()["items"]
    assert [item["alert_id"] for item in items] == expected


async def test_an_unknown_severity_is_a_bad_request_that_lists_them(served) -> None:
    response = await served.get("/api/v1/alerts", {"severity": "hihg"})
    assert response.status_code == 400
    assert "did you mean high?" in response.text


@pytest.mark.parametrize("params", [{}, {"tenant_id": "globex"}])
async def test_a_missing_and_a_foreign_alert_look_the_same(served, params: dict[str, str]) -> None:
    await served.alerts.add([alert(1)])
    identity = "alert-1" if params else "alert-9"
    response = await served.get(f"/api/v1/alerts/{identity}", params)
    assert response.status_code == 404
    assert response.json()["detail"] == "there is no alert with this alert_id"


async def test_a_single_alert_takes_no_filters(served) -> None:
    assert (await served.get("/api/v1/alerts/alert-1", {"severity": "high"})).status_code == 400
